"""The simulated call, by what can be computed by hand."""

import numpy as np
import pytest
import soundfile

from client.audio import AudioFileError
from client.call import call

RATE = 16_000


def click(at, length=400):
    sound = np.zeros(length, np.float32)
    sound[at] = 0.5
    return sound


def test_the_echo_comes_late_and_quieter_and_the_person_on_top():
    talk = call(click(0), click(100), near_at_s=0.5, delay_ms=10, echo_db=-6.02)
    assert len(talk.mic) == len(talk.ref) == len(talk.near) == 8400
    assert talk.ref[100] == 0.5
    np.testing.assert_allclose(talk.mic[260], 0.25, atol=1e-4)
    np.testing.assert_allclose(talk.mic[8000], 0.5, atol=1e-4)
    assert np.count_nonzero(np.abs(talk.mic) > 1e-4) == 2
    assert np.flatnonzero(talk.near).tolist() == [8000]


def test_a_room_keeps_the_energy_and_dies_away():
    talk = call(None, click(0), delay_ms=0, echo_db=0, reverb_s=0.5)
    energy = talk.mic.astype(float) ** 2
    assert energy.sum() == pytest.approx(0.25, rel=1e-3)
    assert np.argmax(energy) == 0
    falls_db = 10 * np.log10(energy[: RATE // 20].sum() / energy[RATE // 4 : RATE // 4 + RATE // 20].sum())
    assert falls_db > 25
    np.testing.assert_array_equal(talk.mic, call(None, click(0), delay_ms=0, echo_db=0, reverb_s=0.5).mic)
    assert (talk.mic != call(None, click(0), delay_ms=0, echo_db=0, reverb_s=0.5, seed=1).mic).any()


def test_noise_clipping_and_nobody():
    talk = call(np.full(RATE, 2, np.float32), None, noise_dbfs=-40)
    assert talk.mic.max() == 1
    assert not talk.ref.any()
    assert len(call(None, None).mic) == 0
    quiet = call(np.zeros(RATE, np.float32), None, noise_dbfs=-40)
    assert 20 * np.log10(np.std(quiet.mic)) == pytest.approx(-40, abs=0.5)


def test_files_of_any_rate(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((8000, 2)), 8000)
    assert len(call(tmp_path / "a.wav", str(tmp_path / "a.wav"), delay_ms=0).mic) == RATE
    with pytest.raises(AudioFileError, match="no such file"):
        call(tmp_path / "b.wav", None)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"delay_ms": -1}, "0 to 1000 ms"),
        ({"reverb_s": 4}, "0 to 3 s"),
        ({"near_at_s": -1}, "0 s or later"),
        ({"near": np.zeros((2, 9), np.float32)}, "mono"),
        ({"near": np.array([np.nan], np.float32)}, "finite"),
        ({"near": np.zeros(9, np.int16)}, "floats"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        call(**({"near": click(0), "agent": click(0)} | wrong))
