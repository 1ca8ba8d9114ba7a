"""Real speech through a synthetic room: which signal is the echo of the other?"""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import fftconvolve

from server.wiring import Wiring

RATE = 16_000
DATA = Path(__file__).parents[1] / "data"
SECONDS = 14


def talker(name: str, shift: float = 0.0) -> np.ndarray:
    line = np.concatenate([soundfile.read(DATA / f"{name}.flac", dtype="float32")[0], np.zeros(RATE // 2)])
    return (
        0.1 * np.roll(np.tile(line, 1 + SECONDS * RATE // len(line)), round(shift * RATE))[: SECONDS * RATE]
    )


def echo(ref: np.ndarray, delay_ms: int, seed: int = 0) -> np.ndarray:
    """Return what a room of 0.3 s makes of it, as loud as it was."""
    decay = np.random.default_rng(seed).standard_normal(4800) * np.exp(-6.9 * np.arange(4800) / 4800)
    decay[0] = 4
    return fftconvolve(np.roll(ref, 16 * delay_ms), decay / np.linalg.norm(decay))[: len(ref)]


def noise(level: float = 1e-3, seed: int = 1) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal(SECONDS * RATE)


def verdict(mic: np.ndarray, ref: np.ndarray) -> bool | None:
    wiring, mic, ref = Wiring(), mic.astype(np.float32), ref.astype(np.float32)
    for at in range(0, len(mic) - 319, 320):
        wiring.process(mic[at : at + 320], ref[at : at + 320])
    return wiring.swapped


FAR, NEAR = talker("table"), talker("tea", shift=0.6)


@pytest.mark.parametrize("near_db", [-80, -20, 0], ids=["far end alone", "SER -20 dB", "SER 0 dB"])
@pytest.mark.parametrize("delay_ms", [20, 120, 350])
def test_an_echo_tells_both_ways(delay_ms: int, near_db: int):
    mic = echo(FAR, delay_ms) + 10 ** (near_db / 20) * NEAR + noise()
    assert verdict(mic, FAR) is False
    assert verdict(FAR, mic) is True


@pytest.mark.parametrize(
    ("mic", "ref"),
    [
        pytest.param(NEAR + noise(), FAR, id="headphones"),
        pytest.param(talker("table", shift=2.1) + noise(), FAR, id="the same voice on both sides"),
        pytest.param(noise(0.1), noise(0.1, seed=2), id="noise"),
        pytest.param(NEAR + noise(), np.zeros_like(FAR), id="silent reference"),
        pytest.param(np.zeros_like(NEAR), FAR, id="muted microphone"),
        pytest.param(FAR, FAR, id="one signal twice"),
        pytest.param(*[np.sin(np.arange(SECONDS * RATE) * 0.17 + a) for a in (0, 1)], id="a tone"),
    ],
)
def test_without_an_echo_nothing_is_claimed(mic: np.ndarray, ref: np.ndarray):
    assert verdict(mic, ref) is None
    assert verdict(ref, mic) is None


def test_wires_that_are_swapped_in_mid_call_are_noticed():
    wiring = Wiring()
    mic, far = (audio.astype(np.float32) for audio in (echo(FAR, 80) + noise(), FAR))
    for mended, pair in [(True, (mic, far)), (False, (far, mic)), (True, (mic, far))]:
        for _ in range(2):
            for at in range(0, len(mic) - 319, 320):
                wiring.process(pair[0][at : at + 320], pair[1][at : at + 320])
        assert wiring.swapped is not mended
