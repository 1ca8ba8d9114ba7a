"""What the exported suppressor takes: python front_end.py MIC.wav REF.wav HEARD.f32.

Three float32 numbers a sample: microphone, what the linear stage leaves of it, and the aligned reference.
On a device they come from its own delay estimate and linear canceller; here they come from ours.
"""

import sys
from pathlib import Path

import numpy as np

from aec_core import SAMPLE_RATE
from aec_core.config import AecConfig
from aec_core.frontend import FrontEnd
from aec_core.types import HOP
from client.audio import load_pair

mic, ref, _ = load_pair(Path(sys.argv[1]), Path(sys.argv[2]), SAMPLE_RATE)
front_end, heard = FrontEnd(AecConfig(), streams=1), []
for at in range(0, len(mic) - HOP + 1, HOP):
    linear = front_end.process(mic[None, at : at + HOP], ref[None, at : at + HOP], slice(None))
    heard.append(np.stack([linear.mic[0], linear.error[0], linear.ref[0]], axis=1))
np.concatenate(heard).astype("<f4").tofile(sys.argv[3])
