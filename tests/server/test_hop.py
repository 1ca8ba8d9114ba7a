"""What a session gets of the batch, and what it remembers of it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aec_core import HOP, Cleaned
from server.history import History
from server.hop import cut
from server.pcm import to_pcm

ROOM = 4  # hops


def test_each_session_gets_its_own_row():
    rng = np.random.default_rng(0)
    mic, ref, echo, vad, asr = rng.normal(0, 0.3, (5, 3, HOP)).astype(np.float32)
    starts, speech = np.array([10, 20, 30]), np.array([0.1, 0.2, 0.3], np.float32)
    delay_ms, erle_db = np.array([1.0, 2.0, np.nan]), np.array([3, 4, 5], np.float32)
    active = np.array([True, False, True])
    hops = dict(cut(Cleaned(mic, ref, echo, vad, asr), starts, speech, delay_ms, erle_db, active))
    assert list(hops) == [0, 2]
    last = hops[2]
    np.testing.assert_array_equal(last.pcm, np.stack([to_pcm(vad[2]), to_pcm(asr[2])], axis=1))
    np.testing.assert_array_equal([last.mic, last.ref], [mic[2], ref[2]])
    powers = [last.mic_power, last.ref_power, last.echo_power, last.vad_power]
    np.testing.assert_allclose(powers, [np.mean(each[2] ** 2) for each in (mic, ref, echo, vad)], rtol=1e-5)
    assert (last.start, last.speech, last.erle_db) == (30, np.float32(0.3), 5)
    assert hops[0].delay_ms == 1
    assert np.isnan(last.delay_ms)


@given(
    st.integers(-HOP, HOP),
    st.lists(st.sampled_from([0, 0, 0, HOP, 7]), min_size=1, max_size=12),
    st.integers(-HOP, 14 * HOP),
    st.integers(0, 6 * HOP),
)
def test_the_history_is_what_was_heard_since_the_last_break(start: int, jumps: list[int], at: int, span: int):
    """Each hop follows on or begins somewhat later; sample `n` has the value `n % 1000`."""
    history, heard, now = History((ROOM - 1) * HOP), [], start
    for jump in jumps:
        heard = [] if jump else heard
        now += jump
        index = np.arange(now, now + HOP)
        history.push(now, (index % 1000).astype(np.int16))
        heard += index.tolist()
        now += HOP
    due = [index for index in heard[-ROOM * HOP :] if at <= index < at + span]
    np.testing.assert_array_equal(history.read(at, at + span) * 32768, np.array(due) % 1000)


def test_silence_is_remembered_as_such():
    history = History(2 * HOP)
    history.push(0, np.full(HOP, 5, np.int16))
    history.push(HOP, None)
    np.testing.assert_array_equal(history.read(HOP - 1, HOP + 1) * 32768, [5, 0])
