"""What other cancellers cost on the same audio, where they are installed."""

from __future__ import annotations

import time

from aec_core.evaluate.peers import find_peers
from aec_core.types import SAMPLE_RATE, Samples


def peer_rtfs(mic: Samples, ref: Samples) -> dict[str, dict[str, float]]:
    """Time each installed peer on one stream, shape `(n,)`: CPU seconds for a second of audio.

    A peer that is missing is left out. Conversion to 16 bits is counted: a Python program pays it.
    """
    rtfs: dict[str, dict[str, float]] = {}
    for peer in find_peers()[0]:
        began = time.process_time()
        peer(mic, ref)
        rtfs[peer.key] = {"rtf": (time.process_time() - began) * SAMPLE_RATE / len(mic)}
    return rtfs
