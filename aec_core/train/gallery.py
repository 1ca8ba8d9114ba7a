"""Example mixtures to hear and to look at: what training data are like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile as sf

from aec_core.config import AecConfig
from aec_core.frontend import FrontEnd
from aec_core.stft import N_FFT, WINDOW
from aec_core.train.dataset import pass_front_end
from aec_core.train.mixtures import Change, Mixture, Scene, Talk, active_rms, make_mixture, random_scene
from aec_core.train.sources import Sources, load_sources
from aec_core.types import HOP, SAMPLE_RATE, Samples, Wave

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EXAMPLES = (  # what training draws most, one of each; after these come random scenes
    Scene(Talk.DOUBLE, ser_db=-5),
    Scene(Talk.FAR),
    Scene(Talk.NEAR),
    Scene(Talk.DOUBLE, Change.JUMP, ser_db=0),
    Scene(Talk.DOUBLE, Change.DRIFT, ser_db=5, system_aec=True),
    Scene(Talk.FAR, Change.PATH),
)
_CHANGE_AT_S = 5.0
_FILES = ("mic", "ref", "near", "echo")
_FLOOR_DB, _TOP_DB = -100.0, -30.0  # of what is drawn; a full-scale sine is at 0
_COLOURS = 48  # of a picture: more of them would be megabytes of noise


@dataclass(frozen=True)
class GalleryOptions:
    """What `duplex mixtures` asks for."""

    manifest: Path
    out: Path
    count: int = 12
    split: str = "train"
    seed: int = 1
    seconds: float = 10.0
    audio: bool = True


def make_gallery(options: GalleryOptions, done: Callable[[int], None]) -> Path:
    """Write mixtures as `OUT/NN-mic.wav`, `-ref`, `-near`, `-echo` and `NN.png`; return `OUT/index.md`.

    `done` is called with the number of mixtures after each. The same manifest and seed give the same files.

    Raises:
        ValueError: If the manifest has no usable speech in this split.
    """
    sources = load_sources(options.manifest, options.split)
    options.out.mkdir(parents=True, exist_ok=True)
    entries: list[str] = []
    for number in range(options.count):
        mixture = _mixture(number, sources, options)
        name = f"{number + 1:02d}"
        if options.audio:
            _write_audio(mixture, options.out / name)
        draw(mixture, options.out / f"{name}.png")
        entries.append(f"## {name}: {title(mixture)}\n\n{facts(mixture)}\n\n![mixture {name}]({name}.png)")
        done(number + 1)
    index = options.out / "index.md"
    index.write_text(_index(entries, options.audio), encoding="utf-8")
    return index


def _mixture(number: int, sources: Sources, options: GalleryOptions) -> Mixture:
    rng = np.random.default_rng([options.seed, number])
    scene = EXAMPLES[number] if number < len(EXAMPLES) else random_scene(rng)
    at_s = min(_CHANGE_AT_S, options.seconds / 2)
    return make_mixture(replace(scene, change_at_s=at_s), sources, options.seconds, rng)


def title(mixture: Mixture) -> str:
    """Say what happens in a mixture."""
    scene = mixture.scene
    happens = [scene.talk.value.replace("_", " ")]
    if mixture.echo.any():
        if scene.change is not Change.NONE:
            happens.append(scene.change.value.replace("_", " "))
        if scene.system_aec:
            happens.append("behind the system's own canceller")
    elif mixture.ref.any():
        happens.append("headphones")
    return ", ".join(happens)


def facts(mixture: Mixture) -> str:
    """Return the levels, delay and reverberation of a mixture in one line."""
    told = [f"RT60 {mixture.rt60_s:.2f} s"]
    if mixture.echo.any():
        told.insert(0, f"delay {mixture.delay_ms:.0f} ms")
        if mixture.scene.change in (Change.JUMP, Change.PATH) and mixture.scene.change_at_s is not None:
            told.append(f"change at {mixture.scene.change_at_s:g} s")
    if mixture.echo.any() and mixture.near.any():
        told.insert(0, f"SER {_db(mixture.near) - _db(mixture.echo):.0f} dB")
    waves = {"echo": mixture.echo, "near": mixture.near}
    told += [f"{name} {_db(wave):.0f} dBFS" for name, wave in waves.items() if wave.any()]
    return ", ".join(told)


def _db(wave: Wave) -> float:
    return 20 * float(np.log10(active_rms(wave)))


def _write_audio(mixture: Mixture, stem: Path) -> None:
    for name in _FILES:
        path = stem.with_name(f"{stem.name}-{name}.wav")
        sf.write(path, getattr(mixture, name), SAMPLE_RATE, subtype="PCM_16")


def draw(mixture: Mixture, path: Path) -> None:
    """Draw spectrograms of the four signals, and of what the serving linear stage makes of them."""
    # Not pyplot: a library must leave the windows and the state of whoever calls it alone.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    _, error, latency = pass_front_end(mixture.mic[None], mixture.ref[None], FrontEnd(AecConfig(), 1))
    panels = {
        "reference": mixture.ref,
        "microphone": mixture.mic,
        "echo in it": mixture.echo,
        "near end in it: the target": mixture.near,
        "microphone behind the linear stage": error[0, latency:],
    }
    figure = Figure(figsize=(8, 8), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    figure.suptitle(f"{title(mixture)}\n{facts(mixture)}", fontsize=9)
    rows: Sequence[Axes] = figure.subplots(len(panels), 1, sharex=True)
    for axes, (name, wave) in zip(rows, panels.items(), strict=True):
        _panel(axes, name, wave.astype(np.float32))
    rows[-1].set_xlabel("seconds", fontsize=8)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def _panel(axes: Axes, name: str, wave: Samples) -> None:
    picture = _spectrogram(wave)
    extent = (0.0, picture.shape[1] * 2 * HOP / SAMPLE_RATE, 0.0, SAMPLE_RATE / 2000)
    axes.imshow(
        picture, origin="lower", aspect="auto", extent=extent, interpolation="nearest",
        vmin=_FLOOR_DB, vmax=_TOP_DB, cmap="magma",
    )  # fmt: skip
    axes.set_title(name, loc="left", fontsize=8)
    axes.set_ylabel("kHz", fontsize=8)
    axes.tick_params(labelsize=7)


def _spectrogram(wave: Samples) -> Samples:
    """Return levels in dB, `(bins / 2, frames / 2)`: as fine as a picture can show."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, N_FFT)[::HOP]
    power = np.abs(np.fft.rfft(frames * WINDOW)) ** 2 / (WINDOW.sum() / 2) ** 2
    even = power[: len(power) // 2 * 2, :320]
    blocks = even.reshape(len(even) // 2, 2, 160, 2).mean(axis=(1, 3))
    return (10 * np.log10(blocks.T + 1e-12)).astype(np.float32)


def _index(entries: Sequence[str], audio: bool) -> str:
    heard = " Beside each picture lie its `-mic`, `-ref`, `-near` and `-echo` as WAV." if audio else ""
    head = (
        "# Examples of training mixtures\n\nMade by `duplex mixtures`; `docs/data.md` says "
        f"what is drawn from what. Levels are of the 20 ms frames within 30 dB of the loudest.{heard}"
    )
    return "\n\n".join([head, *entries]) + "\n"
