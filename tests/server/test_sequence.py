import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from server.events import AudioGap
from server.sequence import Piece, Run, Sequencer

RATE = 16000
FRAME = 320


def piece(number: int, length: int = FRAME, **fields: bool) -> Piece:
    """Frame `number` of 20 ms, whose samples are their own indices."""
    start = number * FRAME
    return Piece(start, np.arange(start, start + length, dtype=np.float32)[None], **fields)


def push_all(pieces: list[Piece]) -> tuple[list[Run], list[AudioGap]]:
    sequence = Sequencer(RATE)
    items = [item for each in pieces for item in sequence.push(each)]
    return [x for x in items if isinstance(x, Run)], [x for x in items if isinstance(x, AudioGap)]


def joined(runs: list[Run]) -> np.ndarray:
    return np.concatenate([run.audio[0] for run in runs])


def test_swapped_frames_are_put_in_order():
    runs, gaps = push_all([piece(0), piece(2), piece(3), piece(1), piece(4)])
    np.testing.assert_array_equal(joined(runs), np.arange(5 * FRAME))
    assert not gaps


def test_a_lost_frame_becomes_silence_after_100_ms():
    runs, gaps = push_all([piece(0), *(piece(n) for n in range(2, 6))])
    assert (len(runs), gaps) == (1, [])
    runs, gaps = push_all([piece(0), *(piece(n) for n in range(2, 7))])
    due = np.arange(7 * FRAME)
    due[FRAME : 2 * FRAME] = 0
    np.testing.assert_array_equal(joined(runs), due)
    assert [(g.at_ms, g.lost_ms, g.filled_ms, g.reason, g.reset) for g in gaps] == [
        (20, 20, 20, "lost", False)
    ]


def test_a_hole_is_filled_at_once_if_no_frame_is_missing():
    runs, gaps = push_all([piece(0), piece(3, patient=False)])
    assert joined(runs).shape == (4 * FRAME,)
    assert [(g.at_ms, g.lost_ms) for g in gaps] == [(20, 40)]


def test_repeats_and_overlaps_are_dropped():
    overlap = piece(1, 2 * FRAME)
    runs, gaps = push_all([piece(0), piece(1), piece(0), overlap])
    np.testing.assert_array_equal(joined(runs), np.arange(3 * FRAME))
    assert [(g.dropped_ms, g.reason) for g in gaps] == [(20, "repeated"), (20, "repeated")]


def test_what_was_replayed_after_a_resume_is_no_fault():
    runs, gaps = push_all([piece(0), piece(1), piece(0, replayed=True), piece(1, replayed=True), piece(2)])
    np.testing.assert_array_equal(joined(runs), np.arange(3 * FRAME))
    assert not gaps


def test_a_frame_after_its_silence_is_late():
    runs, gaps = push_all([piece(0), piece(2, patient=False), piece(1)])
    assert joined(runs).shape == (3 * FRAME,)
    assert [g.reason for g in gaps] == ["lost", "late"]


def test_a_repeat_that_waits_is_dropped_and_does_not_count_as_waiting():
    runs, gaps = push_all([piece(0), *[piece(2)] * 9, piece(1)])
    np.testing.assert_array_equal(joined(runs), np.arange(3 * FRAME))
    assert [g.reason for g in gaps] == ["repeated"] * 8


def test_two_seconds_are_filled_and_more_are_left_open():
    runs, gaps = push_all([piece(0), piece(101, patient=False)])
    assert (gaps[0].filled_ms, gaps[0].reset, joined(runs).shape) == (2000, False, (102 * FRAME,))
    runs, gaps = push_all([piece(0), piece(102, patient=False, discontinuity=True)])
    assert (gaps[0].lost_ms, gaps[0].filled_ms) == (2020, 0)
    assert (gaps[0].reset, gaps[0].reason) == (True, "discontinuity")
    assert [run.fresh for run in runs] == [True, True]


@given(order=st.permutations(range(12)), lost=st.sets(st.integers(1, 11), max_size=4))
def test_any_order_gives_each_sample_once_or_silence(order: list[int], lost: set[int]):
    sent = [piece(0)] + [piece(n) for n in order if n and n not in lost] + [piece(n) for n in range(12, 20)]
    sequence = Sequencer(RATE)
    out = np.zeros(0, np.float32)
    for each in sent:
        runs = [item for item in sequence.push(each) if isinstance(item, Run)]
        assert all(
            run.start == len(out) + sum(r.audio.shape[1] for r in runs[:n]) for n, run in enumerate(runs)
        )
        out = np.concatenate([out, *(run.audio[0] for run in runs)])
        assert sequence.held < 100 * RATE // 1000 + FRAME
    assert len(out) == sequence.next == 20 * FRAME
    heard = out != 0
    np.testing.assert_array_equal(out[heard], np.arange(len(out))[heard])
    assert heard.reshape(-1, FRAME)[12:].all()
