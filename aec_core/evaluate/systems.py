"""Everything that is compared, behind one contract: `(mic, ref)` in, cleaned signals by name out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aec_core.checkpoint import load_checkpoint, pretrained_path
from aec_core.config import AecConfig, LinearName
from aec_core.dfsmn import Weights
from aec_core.evaluate.peers import Peer
from aec_core.streaming import EchoCanceller
from aec_core.types import Samples

System = Callable[[Samples, Samples], dict[str, Samples]]
"""Takes `(clips, n)` each and returns signals of that shape, aligned with the microphone."""

BETAS = (0.2, 0.6)
SWEEP = (0.1, 0.2, 0.4, 0.6, 0.8)
LINEAR = "linear stage"
UNPROCESSED = "no processing"


def beta_name(beta: float) -> str:
    """Return what tables call our canceller with this beta."""
    return f"β {beta:g}"


def unprocessed() -> System:
    """The microphone as it is."""
    return lambda mic, _: {UNPROCESSED: mic}


def without(name: str, system: System) -> System:
    """Leave one output of a system away."""
    return lambda mic, ref: {key: out for key, out in system(mic, ref).items() if key != name}


def peer_system(peer: Peer) -> System:
    """Another canceller, clip by clip."""
    return lambda mic, ref: {peer.name: np.stack([peer(*pair) for pair in zip(mic, ref, strict=True)])}


def shipped(model: Path | None, linear: LinearName | None, betas: Sequence[float]) -> System:
    """Our canceller with a checkpoint, or the weights that ship with the package."""
    weights, config = load_checkpoint(model or pretrained_path())
    return canceller(weights, replace(config, linear=linear or config.linear), betas)


def canceller(weights: Weights, config: AecConfig, betas: Sequence[float]) -> System:
    """Our streaming canceller: its linear stage and each beta, two of them from each stream."""
    pairs = [(beta, betas[min(at + 1, len(betas) - 1)]) for at, beta in enumerate(betas) if at % 2 == 0]

    def run(mic: Samples, ref: Samples) -> dict[str, Samples]:
        clips = len(mic)
        aec = EchoCanceller(config, weights, clips * len(pairs))
        for slot in range(clips * len(pairs)):
            aec.set_betas(*pairs[slot // clips], slot)
        flush = ((0, 0), (0, aec.latency))
        longer = [np.tile(np.pad(audio, flush), (len(pairs), 1)) for audio in (mic, ref)]
        out = aec.process(longer[0], longer[1])
        late = slice(aec.latency, None)
        cleaned = {LINEAR: out.linear[:clips, late]}
        for at, pair in enumerate(pairs):
            rows = slice(at * clips, (at + 1) * clips)
            for beta, signal in zip(pair, (out.vad, out.asr), strict=True):
                cleaned[beta_name(beta)] = signal[rows, late]
        return cleaned

    return run
