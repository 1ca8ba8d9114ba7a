"""Streaming acoustic echo cancellation for full-duplex speech (NumPy, 16 kHz, many streams at once)."""

from aec_core.canceller import Cleaned, HopCanceller
from aec_core.config import AecConfig
from aec_core.streaming import EchoCanceller, Output
from aec_core.types import HOP, SAMPLE_RATE

__all__ = ["HOP", "SAMPLE_RATE", "AecConfig", "Cleaned", "EchoCanceller", "HopCanceller", "Output"]
