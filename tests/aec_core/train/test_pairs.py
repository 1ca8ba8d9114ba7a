import numpy as np
import pytest
import soundfile as sf
from scipy.signal import fftconvolve

from aec_core.train.manifest import UnusableError, write_manifest
from aec_core.train.pairs import EchoPair, read_pair, recorded_echo
from aec_core.train.sources import Clip, Sources, load_sources
from aec_core.types import SAMPLE_RATE
from tests.aec_core.train.corpus import voice

PATH = np.exp(-np.arange(800) / 150) * np.random.default_rng(1).standard_normal(800)


def save(folder, echo, ref, rate=SAMPLE_RATE):
    """Write a pair and return its paths."""
    for name, audio in (("mic.wav", echo), ("ref.wav", ref)):
        sf.write(folder / name, audio, rate)
    return folder / "mic.wav", folder / "ref.wav"


def played(seconds=4):
    return voice(seconds, 5, 140).astype(np.float64)


def echo_of(ref, later=0):
    heard = fftconvolve(ref, PATH)[: len(ref)]
    heard = np.concatenate([np.zeros(later), heard])
    return 0.3 * heard / np.abs(heard).max()


@pytest.mark.parametrize("late_s", [0.03, 0.55, 1.9])
def test_recordings_that_started_apart_are_brought_together(tmp_path, late_s):
    ref = played()
    pair = read_pair(*save(tmp_path, echo_of(ref, round(late_s * SAMPLE_RATE)), ref))
    assert abs(pair.lag_s - late_s) < 0.005
    assert abs(pair.unequal_s - late_s) < 1e-3
    assert_aligned(pair)


def test_a_recorder_that_started_late_is_no_trouble(tmp_path):
    ref = played()
    pair = read_pair(*save(tmp_path, echo_of(ref)[SAMPLE_RATE:], ref))
    assert abs(pair.lag_s + 1) < 0.005
    assert_aligned(pair)


def assert_aligned(pair):
    """The echo must be what the path makes of this reference, 0 to 10 ms later."""
    expected = fftconvolve(pair.ref / 32768, PATH)[: len(pair.ref)]
    echo = pair.echo / 32768
    match = [abs(np.corrcoef(echo[lag : lag + 30_000], expected[:30_000])[0, 1]) for lag in range(161)]
    assert max(match) > 0.98


@pytest.mark.parametrize("wrong", ["other", "noise"])
def test_a_recording_without_its_reference_is_refused(tmp_path, wrong):
    other = np.random.default_rng(3).standard_normal(4 * SAMPLE_RATE)
    if wrong == "other":
        other = voice(4, 77, 230).astype(np.float64)
    with pytest.raises(UnusableError, match="no echo of its reference"):
        read_pair(*save(tmp_path, echo_of(other), played()))


def test_faults_of_the_reference_are_told_apart(tmp_path):
    mic, ref = save(tmp_path, echo_of(played()), np.zeros(4 * SAMPLE_RATE))
    with pytest.raises(UnusableError, match="reference silent"):
        read_pair(mic, ref)
    with pytest.raises(UnusableError, match="reference missing"):
        read_pair(mic, tmp_path / "none.wav")
    with pytest.raises(UnusableError, match="echo without a reference"):
        read_pair(mic, None)
    with pytest.raises(UnusableError, match="not at 16 kHz"):
        read_pair(*save(tmp_path, played(), played(), 48_000))


def test_a_pair_that_hardly_overlaps_is_refused(tmp_path):
    ref = played(3)
    with pytest.raises(UnusableError, match=r"less than a second|no echo"):
        read_pair(*save(tmp_path, echo_of(ref)[2 * SAMPLE_RATE + 8000 :], ref))


def as_pair(echo, ref):
    return EchoPair(*((20_000 * x).astype(np.int16) for x in (echo, ref)), 0.0, 0.0)


def test_crops_keep_echo_and_reference_together_and_follow_the_seed():
    ramp = np.linspace(0.1, 0.9, 10 * SAMPLE_RATE)
    pair = as_pair(ramp, ramp)
    ref, echo = recorded_echo(pair, 2 * SAMPLE_RATE, np.random.default_rng(1))
    assert ref.shape == echo.shape == (2 * SAMPLE_RATE,)
    gain = np.median(ref / echo)
    np.testing.assert_allclose(ref, gain * echo, rtol=1e-3)
    assert 10 ** (-6 / 20) <= gain <= 10 ** (6 / 20)
    again = recorded_echo(pair, 2 * SAMPLE_RATE, np.random.default_rng(1))
    np.testing.assert_array_equal(again[0], ref)
    starts = {recorded_echo(pair, SAMPLE_RATE, np.random.default_rng(seed))[1][0] for seed in range(9)}
    assert len(starts) == 9


def test_crops_are_where_the_reference_speaks():
    ref = np.zeros(60 * SAMPLE_RATE)
    ref[30 * SAMPLE_RATE : 32 * SAMPLE_RATE] = 0.5
    for seed in range(20):
        cut, _ = recorded_echo(as_pair(ref, ref), 4 * SAMPLE_RATE, np.random.default_rng(seed))
        assert np.mean(cut > 0) > 0.2


def test_a_short_pair_lies_in_silence_and_a_loud_reference_is_not_clipped():
    ref = np.full(SAMPLE_RATE, 1.6)  # 32000 of 32768
    for seed in range(10):
        cut, echo = recorded_echo(as_pair(0.1 * ref, ref), 3 * SAMPLE_RATE, np.random.default_rng(seed))
        assert np.count_nonzero(cut) == np.count_nonzero(echo) == SAMPLE_RATE
        assert cut.max() <= 1
        assert len(np.unique(cut)) == 2


def test_a_manifest_brings_pairs_and_counts_those_that_it_cannot_use(tmp_path, caplog):
    ref = played()
    save(tmp_path, echo_of(ref, 3200), ref)
    sf.write(tmp_path / "near.wav", voice(2, 1), SAMPLE_RATE)
    line = {"corpus": "phone", "speaker": "", "split": "train"}
    lines = [
        {**line, "path": "mic.wav", "kind": "echo", "ref": "ref.wav"},
        {**line, "path": "mic.wav", "kind": "echo", "ref": "none.wav"},
        {**line, "path": "near.wav", "kind": "near"},
    ]
    write_manifest(tmp_path / "m.csv", lines)
    sources = load_sources(tmp_path / "m.csv", "train")
    rng = np.random.default_rng(0)
    assert all(sources.recorded(rng) is not None for _ in range(50))
    assert sources.far(SAMPLE_RATE, rng).any()  # the references serve as far end
    assert "1 of 3 clips of split train were skipped: 1 reference missing (mic.wav)" in caplog.text
    assert "1 of 1 recorded echoes are unequal" in caplog.text


def test_beside_other_far_ends_some_echoes_are_simulated():
    speech = [Clip((20_000 * voice(1, 1)).astype(np.int16), "mine", "a")]
    sources = Sources(speech, speech, [], [as_pair(played(), played())])
    rng = np.random.default_rng(0)
    drawn = [sources.recorded(rng) for _ in range(100)]
    assert 60 < sum(pair is not None for pair in drawn) < 95


def test_without_pairs_nothing_is_drawn(sources):
    rng = np.random.default_rng(0)
    assert sources.recorded(rng) is None
    assert rng.random() == np.random.default_rng(0).random()
