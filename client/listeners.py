"""The recogniser and the detector of the service, for `duplex evaluate` to listen with."""

from __future__ import annotations

import numpy as np

from aec_core.evaluate.detection import Detect
from aec_core.evaluate.listen import Listeners
from aec_core.evaluate.recognition import Recognise
from aec_core.types import HOP, SAMPLE_RATE, Samples
from server.asr.contract import RecognizerError
from server.asr.whisper import WhisperRecognizer
from server.gate import GateConfig
from server.vad import SileroBank
from server.weights import WeightsError


def listeners() -> Listeners:
    """Return those that are installed; what is not is None."""
    return Listeners(_recogniser(), _detector())


def _recogniser() -> Recognise | None:
    try:
        whisper = WhisperRecognizer()
    except RecognizerError:
        return None
    return lambda audio: whisper.open("en", ()).finish(audio.astype(np.float32)).text


def _detector() -> Detect | None:
    """Silero VAD above the level below which the service takes nothing for speech."""
    try:
        model = SileroBank(1)
    except WeightsError:
        return None
    config, everyone = GateConfig(), np.ones(1, np.bool_)
    averaged = round(config.level_ms * SAMPLE_RATE / 1000 / HOP)
    window = np.ones(averaged) / averaged
    floor = 10 ** (config.floor_dbfs / 10)

    def detect(audio: Samples) -> Samples:
        hops = audio[: len(audio) // HOP * HOP].reshape(-1, 1, HOP).astype(np.float32)
        model.reset(0)
        probability = np.array([model.process(hop, everyone)[0] for hop in hops], np.float32)
        level = np.convolve(np.mean(hops[:, 0] ** 2, axis=1), window)[: len(hops)]
        return np.where(level > floor, probability, np.float32(0))

    return detect
