"""Write tests/golden/protocol.json: frames and events of the protocol, as bytes and as fields.

The bytes are put together here by hand, from the table in docs/protocol.md and from no code of the
product, so that the server, the Python client and the page are each held to the same thing:

    python tests/golden/make_protocol.py
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

BAD, BIG = 4400, 1009


def le(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")


def saw(samples: int, step: int, start: int = -32768) -> list[int]:
    """A sawtooth through the whole range of int16, extremes included."""
    return [(start + step * n + 32768) % 65536 - 32768 for n in range(samples)]


def header(fields: dict[str, int]) -> bytes:
    sizes = {"kind": 1, "version": 1, "flags": 2, "seq": 4, "mic_start": 8, "ref_start": 8}
    sizes |= {"samples": 2, "channels": 1, "codec": 1, "ms": 4}
    return b"".join(le(fields[name], size) for name, size in sizes.items())


def frame(name: str, kind: int, audio: list[list[int]], rate: int = 16000, **given: int) -> dict[str, Any]:
    """One frame; `audio` has a list of samples for each channel."""
    samples = given.pop("samples", len(audio[0]) if audio else 0)
    fields = {"kind": kind, "version": 1, "flags": 0, "seq": 0, "mic_start": 0, "ref_start": 0}
    fields |= {"samples": samples, "channels": len(audio), "codec": 1, "ms": 0} | given
    payload = b"".join(le(value % 65536, 2) for row in zip(*audio, strict=True) for value in row)
    return {
        "name": name,
        "rate": rate,
        "hex": (header(fields) + payload).hex(),
        "fields": fields,
        "audio": audio,
    }


def frames() -> list[dict[str, Any]]:
    mic, ref = saw(160, 409), saw(160, -1311, 32767)
    counters = {"seq": 7, "mic_start": 2240, "ref_start": 2240, "ms": 140}
    return [
        frame("mic and ref on one clock", 1, [mic, ref], flags=4, **counters),
        frame("ref silent and left out", 1, [mic], flags=4 | 2, **counters),
        frame("mic only", 2, [mic], seq=8, mic_start=2**40 + 3, ref_start=0, ms=2**32 - 1),
        frame("ref only", 3, [ref], seq=2**32 - 1, mic_start=0, ref_start=2**53 - 1, ms=1),
        frame("ref only, silent: no payload", 3, [], flags=2, seq=9, ref_start=480, samples=160),
        frame("all flags but silent", 1, [mic, ref], flags=1 | 4 | 8 | 16, **counters),
        frame("10 ms at 24 kHz", 2, [saw(240, 273)], rate=24000, seq=1, mic_start=240),
        frame("10 ms at 48 kHz", 1, [saw(480, 137), saw(480, -137, 5)], rate=48000, flags=4),
        frame("agent audio", 16, [ref], seq=3, mic_start=480, ms=30),
        frame("cleaned audio: beta 0.6, beta 0.2", 17, [mic, ref], seq=4, mic_start=640, ms=40),
    ]


def bad(name: str, message: bytes, close: int = BAD, rate: int = 16000) -> dict[str, Any]:
    return {"name": name, "rate": rate, "hex": message.hex(), "close_code": close}


def bad_frames() -> list[dict[str, Any]]:
    """What a server closes the connection for."""
    good = bytes.fromhex(frame("", 1, [saw(160, 1), saw(160, 2)], flags=4)["hex"])
    two = [[0] * 160] * 2

    def patched(offset: int, value: int, size: int = 1) -> bytes:
        return good[:offset] + le(value, size) + good[offset + size :]

    return [
        bad("empty", b""),
        bad("half a header", good[:16]),
        bad("header short of one byte", good[:31]),
        bad("version 0", patched(1, 0)),
        bad("version 2", patched(1, 2)),
        bad("kind 0", patched(0, 0)),
        bad("kind 4", patched(0, 4)),
        bad("kind of the server: agent audio", patched(0, 16)),
        bad("kind of the server: cleaned audio", patched(0, 17)),
        bad("undefined flag", patched(2, 32, 2)),
        bad("codec 0", patched(27, 0)),
        bad("codec 2", patched(27, 2)),
        bad("one channel for kind 1", patched(26, 1)),
        bad("three channels", patched(26, 3)),
        bad("no channels", patched(26, 0)),
        bad("two channels though ref is left out", patched(2, 6, 2)),
        bad("two channels for kind 2", patched(0, 2)),
        bad("odd payload bytes", good[:-1]),
        bad("payload short of one sample", good[:-2]),
        bad("payload short of one frame", good[:-4]),
        bad("no payload", good[:32]),
        bad("payload with a byte too many", good + b"\0"),
        bad("payload with a frame too many", good + bytes(4)),
        bad("under 10 ms", bytes.fromhex(frame("", 1, [row[:159] for row in two])["hex"])),
        bad("no samples", patched(24, 0, 2)),
        bad("over 100 ms", patched(24, 1601, 2)),
        bad("10 ms of 16 kHz where 24 kHz are due", good, rate=24000),
        bad("mic index 2^53", patched(8, 2**53, 8)),
        bad("ref index 2^64 - 1", patched(16, 2**64 - 1, 8)),
        bad("oversize", good[:24] + le(1601, 2) + good[26:32] + bytes(4 * 1601), BIG),
        bad("a JSON event in a binary frame", json.dumps({"type": "duplex.ping", "pad": "x" * 40}).encode()),
    ]


def events() -> list[dict[str, Any]]:
    """What a client may send as text."""
    pcm = base64.b64encode(b"".join(le(value % 65536, 2) for value in [0, 1, -1, 32767, -32768])).decode()
    vad = {"type": "server_vad", "threshold": 0.6, "prefix_padding_ms": 200, "silence_duration_ms": 400}
    fmt = {"type": "audio/pcm", "rate": 48000}
    session = {
        "type": "realtime",
        "audio": {"input": {"format": fmt, "turn_detection": vad, "transcription": {"language": "en"}}},
        "aec": {"beta_vad": 0.6, "beta_asr": 0.2, "enabled": True},
        "duplex": {"cleaned_audio": True, "stats_hz": 5, "agent": "none", "hotwords": ["Duplex"]},
    }
    return [
        {"type": "session.update", "event_id": "e1", "session": session},
        {"type": "session.update", "session": {"audio": {"input": {"turn_detection": None}}}},
        {"type": "input_audio_buffer.append", "audio": pcm},
        {"type": "input_audio_buffer.append", "audio": pcm, "reference": pcm},
        {"type": "input_audio_buffer.commit"},
        {"type": "input_audio_buffer.clear"},
        {"type": "response.cancel"},
        {"type": "conversation.item.truncate", "item_id": "i1", "content_index": 0, "audio_end_ms": 1500},
        {"type": "duplex.playback", "playing": True, "item_id": "i1", "played_ms": 20.5},
        {"type": "duplex.playback", "playing": False},
        {"type": "duplex.resume", "session": "s1", "token": "t1", "next_seq": 421},
        {"type": "duplex.ping", "event_id": "p1"},
    ]


def bad_event(text: Any, code: str, param: str | None = None) -> dict[str, Any]:
    return {"text": text if isinstance(text, str) else json.dumps(text), "code": code, "param": param}


def bad_events() -> list[dict[str, Any]]:
    """What a server answers with `error`, without a close."""
    append, resume = "input_audio_buffer.append", "duplex.resume"
    playback = {"type": "duplex.playback", "playing": True}
    return [
        bad_event("", "invalid_json"),
        bad_event("hello", "invalid_json"),
        bad_event('{"type": "duplex.ping"', "invalid_json"),
        bad_event('{"type": "duplex.ping", "event_id": NaN}', "invalid_json"),
        bad_event("AAABAAIA", "invalid_json"),
        bad_event([], "missing_type", "type"),
        bad_event({}, "missing_type", "type"),
        bad_event({"type": 3}, "missing_type", "type"),
        bad_event({"type": "response.dance"}, "unknown_event_type", "type"),
        bad_event({"type": "session.created"}, "unknown_event_type", "type"),
        bad_event({"type": "duplex.ping", "pong": 1}, "unknown_parameter", "pong"),
        bad_event({"type": "session.update"}, "missing_required_parameter", "session"),
        bad_event({"type": "session.update", "session": []}, "invalid_value", "session"),
        bad_event({"type": append}, "missing_required_parameter", "audio"),
        bad_event({"type": append, "audio": "%%"}, "invalid_value", "audio"),
        bad_event({"type": append, "audio": ""}, "invalid_value", "audio"),
        bad_event({"type": append, "audio": "AAAA"}, "invalid_value", "audio"),
        bad_event({"type": append, "audio": "AAA=", "reference": "AAAAAA=="}, "invalid_value", "reference"),
        bad_event({"type": "duplex.playback", "playing": "yes"}, "invalid_value", "playing"),
        bad_event({**playback, "played_ms": -1}, "invalid_value", "played_ms"),
        bad_event({"type": resume, "session": "s", "token": "t"}, "missing_required_parameter", "next_seq"),
    ]


def main() -> None:
    golden = {
        "frames": frames(),
        "bad_frames": bad_frames(),
        "events": events(),
        "bad_events": bad_events(),
    }
    # One entry a line: a change shows as a change of its line.
    lists = [
        f'"{name}": [\n' + ",\n".join(json.dumps(entry) for entry in entries) + "\n]"
        for name, entries in golden.items()
    ]
    Path(__file__).with_name("protocol.json").write_text("{" + ",\n".join(lists) + "}\n")


if __name__ == "__main__":
    main()
