"""Settings of the canceller: frozen, validated once, stored beside the weights."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aec_core.types import HOP, SAMPLE_RATE


@dataclass(frozen=True)
class DelayConfig:
    """GCC-PHAT delay estimation (paper, section I: a few to several hundred ms)."""

    max_delay_ms: float = 640.0
    mic_window_ms: float = 380.0  # what one look correlates; longer sees less, later
    update_hops: int = 5  # one look every 100 ms
    smoothing: float = 0.6  # memory of the cross spectrum, for each look
    band_hz: tuple[float, float] = (200.0, 3600.0)
    peak_to_rms: float = 7.0
    confirmations: int = 3
    tolerance_ms: float = 2.0
    headroom_ms: float = 8.0  # align early, so that the linear filter stays causal
    slack_ms: float = 24.0  # drift that the linear filter holds before the ref is moved
    hold_ms: float = 60.0  # a peak this near to the confirmed delay may be a reflection of it
    hold_share: float = 0.5  # of that peak's height, with which the confirmed delay is kept
    ref_floor_dbfs: float = -55.0
    clip_level: float = 0.99

    def __post_init__(self) -> None:
        if not 0 < self.max_delay_ms <= 640:
            raise ValueError(f"max_delay_ms must be in (0, 640], got {self.max_delay_ms}")
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing must be in [0, 1), got {self.smoothing}")
        if self.hold_ms < 0 or not 0 < self.hold_share <= 1:
            raise ValueError("hold_ms must not be negative and hold_share in (0, 1]")
        if self.headroom_ms >= self.slack_ms:
            raise ValueError("headroom_ms must be below slack_ms")


@dataclass(frozen=True)
class KalmanConfig:
    """Partitioned-block frequency-domain Kalman filter."""

    partitions: int = 6  # of 20 ms each
    transition: float = 0.998  # A: how still the echo path is from hop to hop
    noise_smoothing: float = 0.95  # memory of the noise for each hop; rises are taken at once
    prior_scale: float = 3.0  # power of the first partition, against what the levels of mic and ref say
    prior_decay: float = 0.5  # of that power from partition to partition
    drift_gain: float = 0.04  # how fast clock drift is learnt; 0 does not

    def __post_init__(self) -> None:
        if self.partitions < 1:
            raise ValueError(f"partitions must be positive, got {self.partitions}")
        for name in ("transition", "noise_smoothing", "prior_decay"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be in (0, 1), got {getattr(self, name)}")
        if self.prior_scale <= 0 or not 0 <= self.drift_gain < 1:
            raise ValueError("prior_scale must be positive and drift_gain in [0, 1)")


@dataclass(frozen=True)
class WrlsConfig:
    """Weighted RLS in the STFT domain (the paper's reference 5)."""

    taps: int = 12  # frames of 10 ms
    forgetting: float = 0.985  # lambda
    shape: float = 1.0  # gamma: 2 is plain RLS, smaller trusts loud frames less
    power_floor: float = 1e-6  # of |e|^2, on spectra of full scale 1
    initial_inverse: float = 100.0  # P(0): a reference of -40 dBFS is learnt from at once

    def __post_init__(self) -> None:
        if self.taps < 1:
            raise ValueError(f"taps must be positive, got {self.taps}")
        if not 0.9 <= self.forgetting < 1:
            raise ValueError(f"forgetting must be in [0.9, 1), got {self.forgetting}")


LinearName = Literal["kalman", "wrls"]


@dataclass(frozen=True)
class AecConfig:
    """Everything that decides what the canceller computes, weights aside."""

    delay: DelayConfig = field(default_factory=DelayConfig)
    kalman: KalmanConfig = field(default_factory=KalmanConfig)
    wrls: WrlsConfig = field(default_factory=WrlsConfig)
    linear: LinearName = "kalman"
    beta_vad: float = 0.6
    beta_asr: float = 0.2

    def __post_init__(self) -> None:
        if self.linear not in ("kalman", "wrls"):
            raise ValueError(f"linear must be 'kalman' or 'wrls', got {self.linear!r}")
        for name, beta in (("beta_vad", self.beta_vad), ("beta_asr", self.beta_asr)):
            if not 0 <= beta <= 2:
                raise ValueError(f"{name} must be in [0, 2], got {beta}")


def load_config(path: Path) -> AecConfig:
    """Read a TOML file; an unknown key is an error, a missing one takes its default."""
    return config_from_dict(tomllib.loads(path.read_text()))


def config_from_dict(raw: dict[str, Any]) -> AecConfig:
    """Build a config from nested plain values, as TOML and JSON give them.

    Raises:
        ValueError: If a key is unknown or a value is out of range.
    """
    rest = dict(raw)
    try:
        delay = dict(rest.pop("delay", {}))
        if "band_hz" in delay:
            delay["band_hz"] = tuple(delay["band_hz"])
        return AecConfig(
            delay=DelayConfig(**delay),
            kalman=KalmanConfig(**rest.pop("kalman", {})),
            wrls=WrlsConfig(**rest.pop("wrls", {})),
            **rest,
        )
    except TypeError as error:
        raise ValueError(f"bad canceller config: {error}") from error


def ms_to_samples(ms: float) -> int:
    """Round a duration to samples at 16 kHz."""
    return round(ms * SAMPLE_RATE / 1000)


def ms_to_hops(ms: float) -> int:
    """Round a duration up to whole hops."""
    return -(-ms_to_samples(ms) // HOP)
