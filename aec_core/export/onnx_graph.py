"""The suppressor as an ONNX graph: powers of the spectra to gains, the memory as input and output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from aec_core.dfsmn import HIDDEN, LAYERS, TAPS, Folded, Weights, fold
from aec_core.features import FEATURES, MEL_MATRIX
from aec_core.stft import BINS

OPSET, IR_VERSION = 17, 8  # of ONNX 1.12: every runtime of today reads them

_ABOUT = """Echo suppressor of duplex-aec at 16 kHz. Takes the powers of three spectra of 640 samples
(square-root Hann, hop 320) in the order microphone, output of the linear stage, aligned reference.
Multiply the spectrum of the linear stage's output with the gains. Begin with a state of zeros, then feed
next_state back."""


class _Graph:
    """Nodes and constants, in the order in which they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str | np.ndarray | float, output: str = "", **attributes: Any) -> str:
        """Add a node; arrays among its inputs become constants. Returns the name of its output."""
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        self.nodes.append(helper.make_node(kind, names, [output], **attributes))
        return output

    def _constant(self, value: np.ndarray | float) -> str:
        array = np.asarray(value, None if isinstance(value, np.ndarray) else np.float32)
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name


def suppressor_graph(weights: Weights) -> onnx.ModelProto:
    """Build the graph from the weights of a checkpoint.

    Inputs are `power (streams, 3, bins)`, `betas (streams, tasks)` and `state (streams, layers, taps - 1,
    hidden)`; outputs are `gains (streams, tasks, bins)`, `near_mask` and `echo_mask (streams, bins)` and
    `next_state`.
    """
    folded, graph = fold(weights), _Graph()
    x = graph.add("MatMul", _features(graph), folded.input)
    x = graph.add("Relu", graph.add("Add", x, folded.input_bias))
    after: list[str] = []
    for layer in range(LAYERS):
        x, past = _layer(graph, folded, layer, x)
        after.append(past)
    graph.add("Concat", *after, output="next_state", axis=1)
    _gains(graph, graph.add("Add", graph.add("MatMul", x, folded.heads), folded.heads_bias))
    return _model(graph)


def export_onnx(weights: Weights, path: Path) -> None:
    """Write the graph to a file."""
    onnx.save(suppressor_graph(weights), path)


def _features(graph: _Graph) -> str:
    mels = graph.add("Add", graph.add("MatMul", "power", MEL_MATRIX), 1e-8)
    return graph.add("Reshape", graph.add("Log", mels), np.array([-1, FEATURES]))


def _layer(graph: _Graph, folded: Folded, layer: int, x: str) -> tuple[str, str]:
    """One DFSMN layer: its output, and its memory after this frame, `(streams, 1, taps - 1, hidden)`."""
    h = graph.add("MatMul", x, folded.expand[layer])
    h = graph.add("Relu", graph.add("Add", h, folded.expand_bias[layer]))
    p = graph.add("MatMul", h, folded.project[layer])
    one = graph.add("Reshape", p, np.array([-1, 1, 1, HIDDEN]))
    past = graph.add("Slice", "state", np.array([layer]), np.array([layer + 1]), np.array([1]))
    window = graph.add("Concat", one, past, axis=2)
    filtered = graph.add("Mul", window, folded.memory[layer])
    memory = graph.add("ReduceSum", filtered, np.array([1, 2]), keepdims=0)
    after = graph.add("Slice", window, np.array([0]), np.array([TAPS - 1]), np.array([2]))
    return graph.add("Add", graph.add("Add", x, p), memory), after


def _gains(graph: _Graph, logits: str) -> None:
    # As in the core: a Sigmoid would be finer where a mask is nearly nothing, and gains would differ there.
    masks = graph.add("Add", graph.add("Mul", graph.add("Tanh", graph.add("Mul", logits, 0.5)), 0.5), 0.5)
    near = graph.add("Slice", masks, np.array([0]), np.array([BINS]), np.array([1]), output="near_mask")
    echo = graph.add(
        "Slice", masks, np.array([BINS]), np.array([2 * BINS]), np.array([1]), output="echo_mask"
    )
    ratio = graph.add("Div", near, graph.add("Add", graph.add("Add", near, echo), 1e-6))
    level = graph.add("Unsqueeze", graph.add("Log", graph.add("Max", ratio, 1e-5)), np.array([1]))
    exponent = graph.add("Unsqueeze", graph.add("Mul", "betas", 2.0), np.array([2]))
    graph.add("Exp", graph.add("Mul", exponent, level), output="gains")


def _model(graph: _Graph) -> onnx.ModelProto:
    def value(name: str, *shape: str | int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    memory = ("streams", LAYERS, TAPS - 1, HIDDEN)
    inputs = [value("power", "streams", 3, BINS), value("betas", "streams", "tasks"), value("state", *memory)]
    outputs = [
        value("gains", "streams", "tasks", BINS),
        value("near_mask", "streams", BINS),
        value("echo_mask", "streams", BINS),
        value("next_state", *memory),
    ]
    made = helper.make_graph(graph.nodes, "duplex_suppressor", inputs, outputs, graph.constants, _ABOUT)
    model = helper.make_model(
        made,
        producer_name="duplex-aec",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_operatorsetid("", OPSET)],
    )
    onnx.checker.check_model(model, full_check=True)
    return model
