"""What leaves for other machines gives what the streaming core gives, frame by frame, memory included."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from aec_core.canceller import HopCanceller
from aec_core.checkpoint import load_checkpoint, pretrained_path
from aec_core.dfsmn import HIDDEN, LAYERS, TAPS, Suppressor, random_weights
from aec_core.export.c_weights import ENTRY, HEADER, c_weights
from aec_core.export.native import NativeSuppressor, compile_suppressor, find_compiler
from aec_core.features import log_mel
from aec_core.postfilter import wiener_gains
from aec_core.stft import Analysis, Synthesis
from aec_core.types import HOP
from client.recording import shipped

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
FRAMES = 300
BETAS = np.array([[0.6, 0.2]], np.float32)
TOLERANCE = 1e-5

needs_cc = pytest.mark.skipif(find_compiler() is None, reason="no C compiler: apt-get install gcc libc6-dev")


class Core:
    """The path of `HopCanceller` behind its linear stage, whose parts can be looked at."""

    def __init__(self, weights, streams=1):
        self.analysis, self.synthesis = Analysis(streams, 3), Synthesis(streams, 2)
        self.suppressor = Suppressor(weights)
        self.memory = self.suppressor.init_state(streams)

    def process(self, heard):
        self.spectra = self.analysis.process(heard, slice(None))
        self.power = self.spectra.real**2 + self.spectra.imag**2
        self.near, self.echo, self.memory = self.suppressor.process(log_mel(self.spectra), self.memory)
        self.gains = wiener_gains(self.near, self.echo, np.tile(BETAS, (len(heard), 1)))
        return self.synthesis.process(self.gains * self.spectra[:, 1:2], slice(None))

    @property
    def state(self):
        return np.stack(self.memory, axis=1)


@pytest.fixture(scope="module")
def weights():
    return load_checkpoint(pretrained_path())[0]


@pytest.fixture(scope="module")
def heard():
    """Six seconds of a person who talks over an agent, as they leave the linear stage, `(frames, 3, hop)`."""
    front_end, recording = HopCanceller.pretrained().front_end, shipped()
    frames = []
    for at in range(6 * 16_000, 6 * 16_000 + FRAMES * HOP, HOP):
        mic, ref = (x[None, at : at + HOP].astype(np.float32) for x in (recording.mic, recording.ref))
        linear = front_end.process(mic, ref, slice(None))
        frames.append(np.stack([linear.mic[0], linear.error[0], linear.ref[0]]))
    return np.stack(frames)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return compile_suppressor(tmp_path_factory.mktemp("c"))


def graph_session(weights):
    pytest.importorskip("onnx")
    from aec_core.export.onnx_graph import suppressor_graph

    return onnxruntime.InferenceSession(
        suppressor_graph(weights).SerializeToString(), providers=["CPUExecutionProvider"]
    )


def close_state(state, expected):
    """Projections reach some tens; their last digit is what the order of a sum decides."""
    np.testing.assert_allclose(state, expected, rtol=TOLERANCE, atol=TOLERANCE * np.abs(expected).max())


@pytest.mark.parametrize("origin", ["shipped", "random"])
def test_the_graph_gives_what_the_core_gives(weights, heard, origin):
    weights = weights if origin == "shipped" else random_weights(3)
    session, core = graph_session(weights), Core(weights)
    state, synthesis = np.zeros((1, LAYERS, TAPS - 1, HIDDEN), np.float32), Synthesis(1, 2)
    for frame in heard:
        expected = core.process(frame[None])
        gains, near, echo, state = session.run(None, {"power": core.power, "betas": BETAS, "state": state})
        np.testing.assert_allclose(near, core.near, rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(echo, core.echo, rtol=0, atol=TOLERANCE)
        close_state(state, core.state)
        if origin == "shipped":  # random masks are nothing in both, and their ratio is then anything
            out = synthesis.process(gains * core.spectra[:, 1:2], slice(None))
            np.testing.assert_allclose(out, expected, rtol=0, atol=TOLERANCE)
    assert np.abs(state).max() > 1


def test_the_graph_takes_any_number_of_streams_and_tasks(weights, heard):
    session, core = graph_session(weights), Core(weights, streams=3)
    state = np.zeros((3, LAYERS, TAPS - 1, HIDDEN), np.float32)
    for frame in heard[:3]:
        core.process(np.stack([frame, 0.1 * frame, frame[::-1]]))
        betas = np.array([[0.6, 0.2, 0.0]] * 3, np.float32)
        gains, near, _, state = session.run(None, {"power": core.power, "betas": betas, "state": state})
        np.testing.assert_allclose(near, core.near, rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(gains[:, 2], 1)
    close_state(state, core.state)


@needs_cc
def test_c_gives_what_the_core_gives(weights, heard, library):
    file = c_weights(weights)
    core, whole, network = Core(weights), NativeSuppressor(library, file), NativeSuppressor(library, file)
    loudest = 0.0
    for frame in heard:
        expected = core.process(frame[None])[0]
        near, echo = network.masks(core.power[0])
        np.testing.assert_allclose(near, core.near[0], rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(echo, core.echo[0], rtol=0, atol=TOLERANCE)
        close_state(network.state(), core.state[0])
        np.testing.assert_allclose(whole.process(frame, BETAS), expected, rtol=0, atol=TOLERANCE)
        loudest = max(loudest, float(np.abs(expected).max()))
    close_state(whole.state(), core.state[0])
    assert loudest > 0.1  # somebody speaks


@needs_cc
def test_c_gives_what_the_whole_canceller_gives(weights, library):
    """The one rule that is the caller's: a reference that is silent for two seconds ends suppression."""
    core, native = HopCanceller.pretrained(), NativeSuppressor(library, c_weights(weights))
    front_end, recording = HopCanceller.pretrained().front_end, shipped()
    for at in range(0, 100 * HOP, HOP):
        mic, ref = (x[None, at : at + HOP].astype(np.float32) for x in (recording.mic, recording.ref))
        linear = front_end.process(mic, ref, slice(None))
        cleaned = core.process(mic, ref)
        out = native.process(np.stack([linear.mic[0], linear.error[0], linear.ref[0]]), BETAS)
        if at > 50 * HOP:  # the agent speaks
            np.testing.assert_allclose(out, [cleaned.vad[0], cleaned.asr[0]], rtol=0, atol=TOLERANCE)


def with_body(file, body):
    """Put other bytes behind the header, whose sum is then right again."""
    head = list(HEADER.unpack_from(file))
    return HEADER.pack(head[0], head[1], head[2], len(file), zlib.crc32(body)) + body


@needs_cc
def test_c_refuses_what_is_no_weights_file(weights, library):
    file = c_weights(weights)
    other = bytearray(file[HEADER.size :])
    struct.pack_into("<I", other, 28, 7)  # values of the first array
    beyond = bytearray(file[HEADER.size :])
    struct.pack_into("<I", beyond, 24, 1 << 31)  # where it begins
    for bad, wrong in {
        b"": "not a weights file",
        b"RIFF" + file[4:]: "not a weights file",
        file[:8] + struct.pack("<I", 2) + file[12:]: "another version",
        file[:-1]: "cut off",
        file[:-100] + b"\x01" + file[-99:]: "damaged",
        with_body(file, bytes(other)): "another network",
        with_body(file, bytes(beyond)): "another network",
    }.items():
        with pytest.raises(ValueError, match=wrong):
            NativeSuppressor(library, bad)


def test_the_weights_file_is_as_its_table_says(weights):
    file = c_weights(weights)
    magic, version, arrays, size, crc = HEADER.unpack_from(file)
    assert (magic, version, arrays, size) == (b"DUPLEXSW", 1, 9, len(file))
    assert crc == zlib.crc32(file[HEADER.size :])
    found = {}
    for i in range(arrays):
        name, offset, values, *dims = ENTRY.unpack_from(file, HEADER.size + i * ENTRY.size)
        assert offset % 64 == 0
        found[name.rstrip(b"\0").decode()] = np.frombuffer(file, "<f4", values, offset).reshape(dims)
    np.testing.assert_array_equal(found["memory"][..., 0], weights["layers.memory.weight"])
    np.testing.assert_array_equal(found["heads"][:, :321, 0, 0], weights["near.weight"].T)


class TestExamples:
    """Each as a user runs it, from `duplex export` on."""

    @pytest.fixture
    def wanted(self, weights, heard, tmp_path):
        heard.swapaxes(1, 2).astype("<f4").tofile(tmp_path / "heard.f32")
        core = Core(weights)
        return np.concatenate([core.process(frame[None])[0] for frame in heard], axis=1)

    def check(self, folder, wanted):
        out = np.fromfile(folder / "out.f32", "<f4").reshape(-1, 2).T
        np.testing.assert_allclose(out, wanted, rtol=0, atol=TOLERANCE)

    def export(self, kind, path):
        command = [sys.executable, "-m", "client.cli", "export", "--format", kind, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert str(path) in done.stdout

    def test_python(self, tmp_path, wanted):
        pytest.importorskip("onnx")
        model = tmp_path / "suppressor.onnx"
        self.export("onnx", model)
        files = [model, tmp_path / "heard.f32", tmp_path / "out.f32"]
        subprocess.run([sys.executable, EXAMPLES / "suppress_onnx.py", *files], check=True)
        self.check(tmp_path, wanted)

    @needs_cc
    def test_c(self, tmp_path, wanted):
        self.export("c", tmp_path / "suppressor.bin")
        program, options = tmp_path / "suppress", ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror")
        source = EXAMPLES / "suppress.c"
        subprocess.run(["cc", *options, f"-I{tmp_path}", source, "-o", program, "-lm"], check=True)
        with (tmp_path / "heard.f32").open("rb") as heard, (tmp_path / "out.f32").open("wb") as out:
            subprocess.run([program, tmp_path / "suppressor.bin"], stdin=heard, stdout=out, check=True)
        self.check(tmp_path, wanted)

    def test_front_end(self, tmp_path, heard):
        import soundfile

        recording = shipped()
        for name, audio in (("mic", recording.mic), ("ref", recording.ref)):
            soundfile.write(
                tmp_path / f"{name}.wav", audio[6 * 16_000 :][: FRAMES * HOP], 16_000, subtype="FLOAT"
            )
        files = [tmp_path / name for name in ("mic.wav", "ref.wav", "heard.f32")]
        subprocess.run([sys.executable, EXAMPLES / "front_end.py", *files], check=True)
        made = np.fromfile(files[2], "<f4").reshape(FRAMES, HOP, 3).swapaxes(1, 2)
        np.testing.assert_allclose(made, heard, rtol=0, atol=TOLERANCE)
