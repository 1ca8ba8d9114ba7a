"""What the suppressor costs on one core of this machine: in NumPy, in onnxruntime and as compiled C.

Each takes frames of microphone, linear output and aligned reference and gives both outputs, transforms among
them. Times are CPU times of this process with `OMP_NUM_THREADS=1`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

from aec_core.canceller import HopCanceller
from aec_core.checkpoint import load_checkpoint, pretrained_path
from aec_core.dfsmn import HIDDEN, LAYERS, TAPS, Suppressor, Weights
from aec_core.export.c_weights import c_weights
from aec_core.export.cost import FRAMES_S, macs, state_bytes, weight_bytes
from aec_core.export.native import NativeSuppressor, compile_suppressor, find_compiler
from aec_core.features import log_mel
from aec_core.postfilter import wiener_gains
from aec_core.stft import Analysis, Synthesis
from aec_core.types import HOP, Samples

Report = dict[str, Any]
"""`{"macs": {PART: n}, "weight_bytes": {…}, "state_bytes": n, "runs": {NAME: {"frame_us", "rtf"}}}`."""

Run = Callable[[Samples], object]
"""Takes one frame of the three signals, `(3, hop)`."""

BETAS = np.array([[0.6, 0.2]], np.float32)
COMPILERS = (("-O2",), ("-O3", "-march=native"))
WARM_UP = 50
REPEATS = 5


def measure_device(mic: Samples, ref: Samples) -> Report:
    """Time every way to run the suppressor on the same audio, `(n,)`; what is not installed is left out."""
    weights, config = load_checkpoint(pretrained_path())
    heard = linear_output(mic, ref)
    runs = {"NumPy": _time(_in_numpy(weights), heard)}
    if (graph := _in_onnxruntime(weights)) is not None:
        runs["onnxruntime, transforms in NumPy"] = _time(graph, heard)
    if find_compiler() is not None:
        with tempfile.TemporaryDirectory() as folder:
            for options in COMPILERS:
                library = compile_suppressor(Path(folder), options)
                runs[f"C, cc {' '.join(options)}"] = _time(_in_c(library, weights), heard)
    whole = HopCanceller(config, weights)
    runs["the whole canceller in NumPy"] = _time(lambda frame: whole.process(frame[:1], frame[2:]), heard)
    return {
        "macs": macs(),
        "weight_bytes": weight_bytes(),
        "state_bytes": state_bytes(),
        "runs": {name: {"frame_us": us, "rtf": us * FRAMES_S / 1e6} for name, us in runs.items()},
    }


def linear_output(mic: Samples, ref: Samples) -> Samples:
    """Run what comes before the suppressor; return mic, error and aligned reference, `(frames, 3, hop)`."""
    front_end = HopCanceller.pretrained().front_end
    heard: list[Samples] = []
    for at in range(0, len(mic) - HOP + 1, HOP):
        linear = front_end.process(mic[None, at : at + HOP], ref[None, at : at + HOP], slice(None))
        heard.append(np.concatenate([linear.mic, linear.error, linear.ref]))
    return np.stack(heard)


def _time(run: Run, heard: Samples) -> float:
    """Return microseconds a frame, the best of some passes."""
    for frame in heard[:WARM_UP]:
        run(frame)
    best = float("inf")
    for _ in range(REPEATS):
        began = time.process_time_ns()
        for frame in heard:
            run(frame)
        best = min(best, (time.process_time_ns() - began) / 1000 / len(heard))
    return round(best, 1)


def _in_numpy(weights: Weights) -> Run:
    analysis, synthesis, suppressor = Analysis(1, 3), Synthesis(1, 2), Suppressor(weights)
    state = suppressor.init_state(1)

    def run(frame: Samples) -> Samples:
        nonlocal state
        spectra = analysis.process(frame[None], slice(None))
        near, echo, state = suppressor.process(log_mel(spectra), state)
        return synthesis.process(wiener_gains(near, echo, BETAS) * spectra[:, 1:2], slice(None))

    return run


def _in_c(library: Path, weights: Weights) -> Run:
    native = NativeSuppressor(library, c_weights(weights))
    return lambda frame: native.process(frame, BETAS)


def _in_onnxruntime(weights: Weights) -> Run | None:
    try:
        from aec_core.export.onnx_graph import suppressor_graph
    except ImportError:
        return None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    graph = suppressor_graph(weights).SerializeToString()
    session: Any = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    analysis, synthesis = Analysis(1, 3), Synthesis(1, 2)
    state = np.zeros((1, LAYERS, TAPS - 1, HIDDEN), np.float32)

    def run(frame: Samples) -> Samples:
        nonlocal state
        spectra = analysis.process(frame[None], slice(None))
        power = spectra.real**2 + spectra.imag**2
        gains, state = cast(
            tuple[Samples, Samples],
            session.run(["gains", "next_state"], {"power": power, "betas": BETAS, "state": state}),
        )
        return synthesis.process(gains * spectra[:, 1:2], slice(None))

    return run
