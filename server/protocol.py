"""What a session's peer sends, checked and typed; what it is sent, as bytes. No I/O.

Bytes that do not fit the byte table end the connection, for the two sides disagree about the protocol.
A JSON event that does not fit is answered with `error`, and the session goes on.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from server.errors import CloseCode, ProtocolError
from server.events import ClientEvent, ErrorBody, ErrorEvent, InputAudioAppend, ServerEvent
from server.pcm import WIRE, Pcm, from_bytes
from server.session_config import refusal

VERSION = 1
SUBPROTOCOL = "duplex.v1"
CODEC_INT16 = 1
MAX_TEXT_BYTES = 262_144
MAX_APPEND_MS = 500
MAX_INDEX = 2**53  # what JavaScript can count, and 17,000 years at 16 kHz

_HEADER = struct.Struct("<BBHIQQHBBI")
HEADER_BYTES = _HEADER.size

_CLIENT_EVENT: TypeAdapter[ClientEvent] = TypeAdapter(ClientEvent)


class Kind(IntEnum):
    MIC_REF = 1
    MIC = 2
    REF = 3
    AGENT = 16
    CLEANED = 17


class Flag:
    """Bits of a frame's header: plain numbers, for `IntFlag` costs as much as all else that is read of it."""

    DISCONTINUITY = 1
    REF_SILENT = 2  # … and left out of the payload
    ONE_CLOCK = 4
    REPLAYED = 8
    MUTED = 16


@dataclass(frozen=True, slots=True, eq=False)
class AudioFrame:
    """One binary message of a client.

    Attributes:
        kind: Which channels it carries.
        flags: See `Flag`.
        seq: Counts the client's frames; wraps at 32 bits.
        mic_start: Index of the first microphone sample, at the wire rate.
        ref_start: Index of the first reference sample, on the reference's clock.
        samples: For each channel.
        ms: The client's monotonic milliseconds when it sent the frame; wraps at 32 bits.
        mic: Microphone, `(samples,)`; None for `Kind.REF`.
        ref: Reference, `(samples,)`; None for `Kind.MIC` and where `Flag.REF_SILENT` leaves it out.
    """

    kind: Kind
    flags: int
    seq: int
    mic_start: int
    ref_start: int
    samples: int
    ms: int
    mic: Pcm | None
    ref: Pcm | None


class ServerProtocol:
    """Reads what one client sends.

    Args:
        rate: Of the audio on the wire, Hz; follow `session.update` with it.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate

    def receive_binary(self, message: bytes) -> AudioFrame:
        """Read one audio frame.

        Raises:
            ProtocolError: If it is not one; `close_code` says how to close.
        """
        if len(message) < HEADER_BYTES:
            raise _bad_frame(f"{len(message)} bytes are no audio frame: the header alone has {HEADER_BYTES}")
        kind, version, flags, seq, mic_start, ref_start, samples, channels, codec, ms = _HEADER.unpack_from(
            message
        )
        if version != VERSION or codec != CODEC_INT16:
            raise _bad_frame(
                f"version {version} and codec {codec}: this server reads 1 and 1{_hint(message)}"
            )
        known = _known_kind(kind)
        if flags >= 2 * Flag.MUTED:
            raise _bad_frame(f"flags {flags:#x}: only {2 * Flag.MUTED - 1:#x} are defined")
        if max(mic_start, ref_start) >= MAX_INDEX:
            raise _bad_frame("a sample index of 2^53 or more")
        self._check_size(samples, len(message))
        _check_payload(known, flags, samples, channels, len(message) - HEADER_BYTES)
        pcm = from_bytes(message, HEADER_BYTES).reshape(samples, channels) if channels else None
        mic, ref = _channels(known, pcm)
        return AudioFrame(known, flags, seq, mic_start, ref_start, samples, ms, mic, ref)

    def receive_text(self, message: str) -> ClientEvent:
        """Read one JSON event.

        Raises:
            ProtocolError: If it is none, is unknown or does not fit its model; it closes only if oversize.
        """
        # A character has at most four bytes, so that encoding it to count is rarely needed.
        if 4 * len(message) > MAX_TEXT_BYTES and len(message.encode(errors="replace")) > MAX_TEXT_BYTES:
            raise ProtocolError(
                f"an event of more than {MAX_TEXT_BYTES} bytes", "message_too_big", CloseCode.TOO_BIG
            )
        raw = _parse(message)
        try:
            event = _validated(raw)
            if isinstance(event, InputAudioAppend):
                self._check_append(event)
        except ProtocolError as error:
            name = raw.get("event_id")
            error.event_id = name[:200] if isinstance(name, str) else None
            raise
        return event

    def _check_size(self, samples: int, message_bytes: int) -> None:
        least, most = self.rate // 100, self.rate // 10
        if message_bytes > HEADER_BYTES + 4 * most:
            raise ProtocolError(
                f"a frame of {message_bytes} bytes: 100 ms of two channels at {self.rate} Hz are "
                f"{HEADER_BYTES + 4 * most}",
                "message_too_big",
                CloseCode.TOO_BIG,
            )
        if not least <= samples <= most:
            raise _bad_frame(f"{samples} samples: 10 to 100 ms at {self.rate} Hz are {least} to {most}")

    def _check_append(self, event: InputAudioAppend) -> None:
        most = self.rate * MAX_APPEND_MS // 1000
        samples = len(event.audio) // 2
        if not 0 < samples <= most:
            raise ProtocolError(
                f"audio: {samples} samples; {MAX_APPEND_MS} ms at {self.rate} Hz, the most, are {most}",
                "invalid_value",
                param="audio",
            )
        if event.reference is not None and len(event.reference) != len(event.audio):
            raise ProtocolError(
                f"reference: {len(event.reference) // 2} samples beside {samples} of audio",
                "invalid_value",
                param="reference",
            )


def encode_cleaned(first_sample: int, seq: int, pcm: Pcm, ms: int) -> bytes:
    """Write cleaned audio as a frame of kind 17, at 16 kHz whatever the wire rate of the session is.

    Args:
        first_sample: Microphone sample that the first one belongs to, at 16 kHz; latency already taken off.
        seq: Counts the server's frames.
        pcm: Outputs of β 0.6 and β 0.2, `(n, 2)`.
        ms: The server's monotonic milliseconds.

    Raises:
        ValueError: If `first_sample` lies before the microphone's first.
    """
    return _encode(Kind.CLEANED, first_sample, seq, pcm, ms)


def encode_agent(first_sample: int, seq: int, voice: Pcm, ms: int) -> bytes:
    """Write the agent's voice as a frame of kind 16, at the wire rate, counted from its first sample.

    Args:
        first_sample: Index of the first sample within the response.
        seq: Counts the server's frames.
        voice: int16 PCM, `(n,)`.
        ms: The server's monotonic milliseconds.
    """
    return _encode(Kind.AGENT, first_sample, seq, voice[:, None], ms)


def encode_event(event: ServerEvent, event_id: str) -> str:
    """Write an event under the name that the session gives it."""
    return event.model_copy(update={"event_id": event_id}).model_dump_json()


def error_event(error: ProtocolError) -> ErrorEvent:
    """Return the answer to what the peer did wrong."""
    body = ErrorBody(code=error.code, message=str(error), param=error.param, event_id=error.event_id)
    return ErrorEvent(error=body)


def _bad_frame(message: str) -> ProtocolError:
    return ProtocolError(message, "bad_frame", CloseCode.BAD_FRAME)


def _hint(message: bytes) -> str:
    return "; JSON events go into text frames" if message.lstrip()[:1] == b"{" else ""


def _known_kind(kind: int) -> Kind:
    known = _KINDS.get(kind)
    if known is None:
        raise _bad_frame(f"kind {kind}: a client sends 1 (mic and ref), 2 (mic) or 3 (ref)")
    return known


_CHANNELS: Mapping[Kind, int] = MappingProxyType({Kind.MIC_REF: 2, Kind.MIC: 1, Kind.REF: 1})
_KINDS: Mapping[int, Kind] = MappingProxyType({kind.value: kind for kind in _CHANNELS})


def _check_payload(kind: Kind, flags: int, samples: int, channels: int, payload: int) -> None:
    omitted = bool(flags & Flag.REF_SILENT) and kind != Kind.MIC
    due = _CHANNELS[kind] - omitted
    if channels != due:
        silent = " with the reference left out" if omitted else ""
        raise _bad_frame(f"{channels} channels: kind {kind.value}{silent} has {due}")
    if payload != 2 * samples * channels:
        raise _bad_frame(
            f"{payload} payload bytes: {channels} x {samples} int16 are {2 * samples * channels}"
        )


def _channels(kind: Kind, pcm: Pcm | None) -> tuple[Pcm | None, Pcm | None]:
    """Split `(n, channels)` into microphone and reference."""
    if pcm is None:
        return None, None
    if kind == Kind.REF:
        return None, pcm[:, 0]
    return pcm[:, 0], (pcm[:, 1] if pcm.shape[1] == 2 else None)


def _parse(message: str) -> dict[str, Any]:
    try:
        raw = from_json(message, allow_inf_nan=False)
    except (ValueError, TypeError) as error:  # the latter: a lone surrogate
        raise ProtocolError(f"not JSON: {error}; audio goes into binary frames", "invalid_json") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        raise ProtocolError("an event is a JSON object with a text `type`", "missing_type", param="type")
    return raw


def _validated(raw: dict[str, Any]) -> ClientEvent:
    try:
        return _CLIENT_EVENT.validate_python(raw)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        if fault["type"] == "union_tag_invalid":
            raise ProtocolError(
                f"unknown event type {raw['type'][:80]!r}", "unknown_event_type", param="type"
            ) from None
        raise refusal(error, skip=1) from None


def _encode(kind: Kind, start: int, seq: int, audio: Pcm, ms: int) -> bytes:
    if start < 0:
        raise ValueError(f"sample {start} lies before the first one")
    samples, channels = audio.shape
    wrapped = seq & 0xFFFF_FFFF, ms & 0xFFFF_FFFF
    header = _HEADER.pack(kind, VERSION, 0, wrapped[0], start, 0, samples, channels, CODEC_INT16, wrapped[1])
    return header + audio.astype(WIRE, copy=False).tobytes()
