"""The exported suppressor in onnxruntime, with nothing else of ours.

duplex export --format onnx suppressor.onnx
python suppress_onnx.py suppressor.onnx HEARD.f32 OUT.f32

HEARD.f32 has three float32 numbers a sample (front_end.py makes one); OUT.f32 has two: the voice for a
voice activity detector and the voice for a recogniser, 320 samples later.
"""

import sys

import numpy as np
import onnxruntime

HOP, FFT = 320, 640
WINDOW = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)).astype(np.float32)
BETAS = np.array([[0.6, 0.2]], np.float32)

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1  # more threads make one frame slower
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])

heard = np.fromfile(sys.argv[2], "<f4").reshape(-1, 3).T  # mic, error, ref
state = np.zeros((1, 9, 19, 128), np.float32)
past, tail, out = np.zeros((3, HOP), np.float32), np.zeros((2, HOP), np.float32), []
for at in range(0, heard.shape[1] - HOP + 1, HOP):
    frame = heard[:, at : at + HOP]
    spectra = np.fft.rfft(np.concatenate([past, frame], axis=1) * WINDOW).astype(np.complex64)
    past = frame
    power = (spectra.real**2 + spectra.imag**2)[None]
    gains, _, _, state = session.run(None, {"power": power, "betas": BETAS, "state": state})
    block = np.fft.irfft(gains[0] * spectra[1], FFT).astype(np.float32) * WINDOW
    out.append(tail + block[:, :HOP])
    tail = block[:, HOP:]
np.concatenate(out, axis=1).T.astype("<f4").tofile(sys.argv[3])
