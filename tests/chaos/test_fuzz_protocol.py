"""Mutated bytes and events, without a socket: each is read or refused, and every refusal can be told."""

import json

import numpy as np
import pytest

from server.errors import CloseCode, ProtocolError
from server.protocol import AudioFrame, ServerProtocol, encode_event, error_event
from server.session_config import SessionConfig, update_session
from tests.chaos.mutation import mutated_event, mutated_frame

MESSAGES = 4000


def read_frame(protocol: ServerProtocol, message: bytes) -> AudioFrame | ProtocolError:
    try:
        return protocol.receive_binary(message)
    except ProtocolError as error:
        return error


def read_event(protocol: ServerProtocol, text: str) -> ProtocolError | None:
    try:
        event = protocol.receive_text(text)
        if event.type == "session.update":
            update_session(SessionConfig(), dict(event.session))
    except ProtocolError as error:
        return error
    return None


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_mutated_frames_are_read_or_close_with_a_reason(rate: int):
    rng, protocol = np.random.default_rng(rate), ServerProtocol(rate)
    results = [read_frame(protocol, mutated_frame(rng, rate)) for _ in range(MESSAGES)]
    refused = [each for each in results if isinstance(each, ProtocolError)]
    frames = [each for each in results if isinstance(each, AudioFrame)]
    assert min(len(refused), len(frames)) > MESSAGES // 20, (
        "the mutations must reach both sides of the checks"
    )
    for error in refused:
        assert error.close_code in (CloseCode.BAD_FRAME, CloseCode.TOO_BIG)
        assert 0 < len(str(error)) < 200
    for frame in frames:
        assert rate // 100 <= frame.samples <= rate // 10
        for channel in (frame.mic, frame.ref):
            assert channel is None or (channel.shape == (frame.samples,) and channel.dtype == np.int16)


def test_mutated_events_are_read_or_answered():
    rng, protocol = np.random.default_rng(7), ServerProtocol(24_000)
    results = [read_event(protocol, mutated_event(rng)) for _ in range(MESSAGES)]
    refused = [each for each in results if each is not None]
    assert results.count(None) > MESSAGES // 50
    assert {error.code for error in refused} >= {
        "invalid_json",
        "missing_type",
        "unknown_event_type",
        "unknown_parameter",
        "missing_required_parameter",
        "invalid_value",
    }
    for error in refused:
        assert error.close_code is None
        answer = encode_event(error_event(error), "event_1")
        assert len(answer.encode()) < 2000, "the answer to a mistake must not be larger than mistakes are"
        assert json.loads(answer)["error"]["message"]
