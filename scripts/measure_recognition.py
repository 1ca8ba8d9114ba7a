"""What recognition costs: CPU seconds of whisper for a second of speech, and of a decision of the turn model.

python scripts/measure_recognition.py [REPEATS]; docs/scaling.md has its figures.
"""

import sys
import time
from collections.abc import Callable

import numpy as np

from aec_core.types import HOP, SAMPLE_RATE
from client.recording import shipped
from server.asr.whisper import WhisperRecognizer
from server.turn import SmartTurn

PARTIALS_EVERY = HOP * 5


def cpu_s(call: Callable[[], object], repeats: int) -> float:
    """Return the CPU seconds of a call, the median of some after one that warms up."""
    call()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return float(np.median(times))


def main(repeats: int) -> None:
    """Print a line for each."""
    recording = shipped()
    spoken = [
        recording.mic[round(s.start_ms * 16) - 4800 : round(s.end_ms * 16) + 4800]
        for s in recording.sentences
    ]
    seconds = sum(map(len, spoken)) / SAMPLE_RATE
    whisper = WhisperRecognizer()

    def final() -> None:
        for audio in spoken:
            whisper.open(None, ()).finish(audio)

    def live() -> None:
        for audio in spoken:
            utterance = whisper.open(None, ())
            for at in range(0, len(audio), PARTIALS_EVERY):
                utterance.feed(audio[at : at + PARTIALS_EVERY])
            utterance.finish(audio[:0])

    turn = SmartTurn()
    decision = cpu_s(lambda: turn.predict(spoken[0]), repeats)
    print(f"{whisper.name}, final text only: {cpu_s(final, repeats) / seconds:.2f} s for a second of speech")  # noqa: T201
    print(f"{whisper.name}, with live captions: {cpu_s(live, repeats) / seconds:.2f} s")  # noqa: T201
    print(f"smart turn: {1000 * decision:.0f} ms a decision")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
