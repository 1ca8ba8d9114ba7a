"""The client's bytes against the golden vectors that the server and the page are tested with."""

import json
from pathlib import Path

import numpy as np
import pytest

from client.wire import HEADER_BYTES, Frame, WireError, pack, to_int16, unpack

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "protocol.json").read_text(encoding="utf-8"))
FRAMES = [pytest.param(vector, id=vector["name"]) for vector in GOLDEN["frames"]]


def samples(vector):
    """Return `(n, channels)`."""
    fields = vector["fields"]
    return np.array(vector["audio"], np.int16).reshape(fields["channels"], fields["samples"]).T


@pytest.mark.parametrize("vector", FRAMES)
def test_packs_the_golden_bytes(vector):
    fields = vector["fields"]
    given = {name: fields[name] for name in ("kind", "seq", "mic_start", "ref_start", "flags", "ms")}
    assert pack(Frame(audio=samples(vector), **given)).hex() == vector["hex"]


@pytest.mark.parametrize("vector", FRAMES)
def test_reads_the_golden_bytes(vector):
    frame, fields = unpack(bytes.fromhex(vector["hex"])), vector["fields"]
    for name in ("kind", "seq", "mic_start", "ref_start", "flags", "ms"):
        assert getattr(frame, name) == fields[name]
    assert frame.audio.dtype == np.int16
    np.testing.assert_array_equal(frame.audio, samples(vector))


def good():
    return bytearray(pack(Frame(17, 0, np.zeros((320, 2), np.int16), 0, 0)))


def patched(offset, value):
    message = good()
    message[offset] = value
    return bytes(message)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "no whole header"),
        (bytes(HEADER_BYTES - 1), "no whole header"),
        (patched(1, 2), "version 2"),
        (patched(27, 2), "codec 2"),
        (patched(26, 3), "payload"),
        (patched(24, 0), "payload"),
        (bytes(good()[:-1]), "payload"),
        (bytes(good()) + b"\0", "payload"),
    ],
)
def test_refuses_what_is_no_frame(message, reason):
    with pytest.raises(WireError, match=reason):
        unpack(message)


def test_counters_wrap_at_32_bits():
    frame = unpack(pack(Frame(1, 2**32 + 5, np.zeros((160, 2), np.int16), 0, 0, ms=2**32 + 9)))
    assert (frame.seq, frame.ms) == (5, 9)


def test_float_rounds_and_clips():
    audio = np.float32([0, 0.5, -0.5, 1.0, -1.0, 3.0, 0.6 / 32768])
    assert to_int16(audio).tolist() == [0, 16384, -16384, 32767, -32768, 32767, 1]
    assert to_int16(np.int16([-32768, 7])).tolist() == [-32768, 7]
