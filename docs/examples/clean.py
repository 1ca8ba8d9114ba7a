"""Clean a file in ten lines, without a server: python clean.py MIC.wav REF.wav OUT.wav."""

import sys
from pathlib import Path

import numpy as np

from aec_core import SAMPLE_RATE, EchoCanceller
from client.audio import load_pair, save

mic, ref, _ = load_pair(Path(sys.argv[1]), Path(sys.argv[2]), SAMPLE_RATE)
aec = EchoCanceller.pretrained()
mic, ref = (np.pad(audio, (0, aec.latency)) for audio in (mic, ref))  # what is still inside at the end
save(Path(sys.argv[3]), aec.process(mic, ref).asr[aec.latency :], SAMPLE_RATE)
