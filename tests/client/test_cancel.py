"""`duplex cancel` on real files: the streaming canceller, its latency taken out."""

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from aec_core import EchoCanceller
from client.cli import app
from client.recording import shipped

RATE = 16_000


@pytest.fixture(scope="module")
def pair():
    """Return four seconds of the shipped recording in which the person begins to talk."""
    recording, here = shipped(), slice(6 * RATE, 10 * RATE + 123)
    return recording.mic[here], recording.ref[here]


def cancel(tmp_path, mic, ref, *options, rate=RATE):
    paths = [tmp_path / name for name in ("mic.wav", "ref.wav", "out.wav")]
    for path, audio in zip(paths, (mic, ref), strict=False):
        soundfile.write(path, audio, rate, subtype="FLOAT")
    result = CliRunner().invoke(app, ["cancel", *map(str, paths), *options])
    assert result.exit_code == 0, result.output
    out, out_rate = soundfile.read(paths[2], dtype="float32", always_2d=True)
    assert (out_rate, out.shape[1]) == (RATE, 1)
    return out[:, 0], result


@pytest.mark.parametrize(
    ("options", "beta", "linear"), [((), 0.2, "kalman"), (("--beta", "0.6", "--linear", "wrls"), 0.6, "wrls")]
)
def test_is_the_streaming_canceller_without_its_latency(tmp_path, pair, options, beta, linear):
    out, _ = cancel(tmp_path, *pair, *options)
    aec = EchoCanceller.pretrained(linear=linear)
    aec.set_betas(vad=0.6, asr=beta)
    flushed = [np.pad(audio, (0, aec.latency)) for audio in pair]
    expected = aec.process(*flushed).asr[aec.latency :]
    assert len(out) == len(pair[0])
    np.testing.assert_allclose(out, expected, atol=1 / 32768)


def test_a_silent_reference_leaves_the_voice_where_it_was(tmp_path):
    near = np.zeros(2 * RATE, np.float32)
    near[RATE : RATE + 8000] = 0.1 * np.random.default_rng(1).standard_normal(8000)
    out, _ = cancel(tmp_path, near, np.zeros_like(near), "--stage", "linear")
    np.testing.assert_allclose(out, near, atol=1e-3)


def test_another_rate_and_stereo(tmp_path, pair):
    stereo = [np.repeat(np.repeat(audio[:RATE, None], 2, axis=1), 3, axis=0) for audio in pair]
    out, _ = cancel(tmp_path, *stereo, rate=48_000)
    assert len(out) == RATE


def test_a_short_reference_is_filled_with_a_warning(tmp_path, pair):
    out, result = cancel(tmp_path, pair[0], pair[1][:RATE])
    assert len(out) == len(pair[0])
    assert "ref.wav is" in result.stderr
    assert "shorter" in result.stderr


@pytest.mark.parametrize("samples", [1, 319, 640, 641])
def test_shorter_than_the_latency(tmp_path, samples):
    out, _ = cancel(tmp_path, np.zeros(samples, np.float32), np.zeros(samples, np.float32))
    assert out.tolist() == [0.0] * samples
