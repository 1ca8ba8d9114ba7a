from pathlib import Path

import numpy as np
import pytest
import soundfile

from aec_core.types import HOP, SAMPLE_RATE
from server.vad import SileroBank

DATA = Path(__file__).parents[1] / "data"


def speech(name: str, level: float = 1.0) -> np.ndarray:
    audio, _ = soundfile.read(DATA / f"{name}.flac", dtype="float32")
    return level * audio[: len(audio) // HOP * HOP]


def run(bank: SileroBank, audio: np.ndarray, active: np.ndarray | None = None) -> np.ndarray:
    """Feed `(S, n)` and return P(speech) after every hop, `(hops, S)`."""
    everyone = np.ones(len(audio), np.bool_) if active is None else active
    hops = audio.reshape(len(audio), -1, HOP).swapaxes(0, 1)
    return np.stack([bank.process(np.ascontiguousarray(hop), everyone) for hop in hops])


def test_speech_is_speech_and_noise_is_not():
    talk = run(SileroBank(1), speech("table")[None])[:, 0]
    noise = np.random.default_rng(1).normal(0, 0.01, 2 * SAMPLE_RATE).astype(np.float32)
    assert np.mean(talk[10:] > 0.5) > 0.7
    assert run(SileroBank(1), noise[None]).max() < 0.5


def test_streams_in_one_call_are_the_same_as_one_by_one():
    length = len(speech("tea"))
    audio = np.stack([speech("tea"), speech("table")[:length], np.zeros(length, np.float32)])
    together = run(SileroBank(3), audio)
    for slot in range(3):
        alone = run(SileroBank(1), audio[slot : slot + 1])
        np.testing.assert_allclose(together[:, slot], alone[:, 0], atol=1e-5)


def test_streams_join_out_of_step_and_keep_their_own_framing():
    """The second stream starts three hops later, so its 512-sample frames end elsewhere."""
    audio, late = speech("table"), 3 * HOP
    alone = run(SileroBank(1), audio[None])[:, 0]
    bank, heard = SileroBank(2), []
    for start in range(0, len(audio), HOP):
        rows = np.zeros((2, HOP), np.float32)
        rows[0] = audio[start : start + HOP]
        if start >= late:
            rows[1] = audio[start - late : start - late + HOP]
        heard.append(bank.process(rows, np.array([True, start >= late])))
    np.testing.assert_allclose([p[0] for p in heard], alone, atol=1e-5)
    np.testing.assert_allclose([p[1] for p in heard[3:]], alone[:-3], atol=1e-5)


def test_an_inactive_stream_is_neither_read_nor_changed():
    bank = SileroBank(2)
    audio = np.stack([speech("tea")] * 2)
    before = run(bank, audio)[-1, 1]
    poisoned = np.stack([speech("table")[:HOP], np.full(HOP, np.nan, np.float32)])
    assert bank.process(poisoned, np.array([True, False]))[1] == before


def test_a_reset_slot_starts_afresh_and_its_neighbour_does_not():
    audio = np.stack([speech("table"), speech("table")])
    bank, undisturbed = SileroBank(2), SileroBank(2)
    run(bank, audio), run(undisturbed, audio)
    bank.reset(0)
    after, reference = run(bank, audio), run(undisturbed, audio)
    np.testing.assert_allclose(after[:, 0], run(SileroBank(1), audio[:1])[:, 0], atol=1e-5)
    np.testing.assert_allclose(after[:, 1], reference[:, 1], atol=1e-5)


def test_a_stream_that_took_a_nan_hears_again():
    bank = SileroBank(1)
    run(bank, np.full((1, 4 * HOP), np.nan, np.float32))
    assert run(bank, speech("table")[None]).max() > 0.9


@pytest.mark.parametrize(
    ("audio", "active"), [((1, HOP), 2), ((2, HOP - 1), 2), ((2, HOP), 1)], ids=["streams", "hop", "mask"]
)
def test_wrong_shapes_are_refused(audio: tuple[int, int], active: int):
    with pytest.raises(ValueError, match="expected"):
        SileroBank(2).process(np.zeros(audio, np.float32), np.ones(active, np.bool_))


def test_a_bank_needs_a_stream():
    with pytest.raises(ValueError, match="streams is 0"):
        SileroBank(0)
