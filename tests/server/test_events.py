import json
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from server.errors import CloseCode, ProtocolError
from server.events import (
    AudioGap,
    ClientEvent,
    ServerEvent,
    SessionCreated,
    SpeechStarted,
    TranscriptionCompleted,
)
from server.session_config import (
    Backends,
    SemanticVadConfig,
    ServerVadConfig,
    SessionConfig,
    SessionInfo,
    update_session,
)

SERVER_TYPES = {
    "session.created",
    "session.updated",
    "error",
    "duplex.ack",
    "duplex.pong",
    "duplex.gap",
    "duplex.reference",
    "duplex.aec.stats",
    "duplex.draining",
    "duplex.barge_in",
    "duplex.false_interruption",
    "duplex.trace",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "input_audio_buffer.cleared",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
    "conversation.item.input_audio_transcription.failed",
    "conversation.item.truncated",
    "response.created",
    "response.done",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
}
CLIENT_TYPES = {
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "response.cancel",
    "conversation.item.truncate",
    "duplex.playback",
    "duplex.resume",
    "duplex.ping",
}


def types(union: Any) -> list[str]:
    models: tuple[type[BaseModel], ...] = get_args(get_args(union)[0])
    return [model.model_fields["type"].default for model in models]


def refused(change: dict[str, Any]) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        update_session(SessionConfig(), change)
    assert caught.value.close_code is None
    return caught.value


def input_of(**fields: Any) -> dict[str, Any]:
    return {"audio": {"input": fields}}


def test_names_are_those_of_the_contract():
    assert sorted(types(ServerEvent)) == sorted(SERVER_TYPES)
    assert sorted(types(ClientEvent)) == sorted(CLIENT_TYPES)


def test_server_events_survive_the_wire():
    event = SpeechStarted(audio_start_ms=120.0, item_id="i1", duplex={"during_playback": True})  # type: ignore[arg-type]
    assert TypeAdapter(ServerEvent).validate_json(event.model_dump_json()) == event


def test_server_events_have_no_field_by_accident():
    with pytest.raises(ValidationError, match="extra_forbidden"):
        TranscriptionCompleted(item_id="i1", transcript="yes", text="yes")  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="frozen"):
        AudioGap(at_ms=0.0, reason="lost").at_ms = 1.0  # type: ignore[misc]


def test_session_created_shows_the_settings_that_hold():
    config = update_session(SessionConfig(), {"aec": {"beta_asr": 0.3}, "duplex": {"hotwords": ["Duplex"]}})
    backends = Backends(asr="none", vad="silero", turn="smart-turn", aec="kalman+dfsmn")
    settings = config.model_dump()
    info = SessionInfo(**settings, id="s1", resume_token="t1", backends=backends, latency_samples=320)
    shown = json.loads(SessionCreated(session=info).model_dump_json())["session"]
    assert shown["aec"] == {"beta_vad": 0.6, "beta_asr": 0.3, "enabled": True}
    assert shown["duplex"]["hotwords"] == ["Duplex"]
    assert shown["backends"]["turn"] == "smart-turn"
    assert (shown["protocol_version"], shown["latency_samples"]) == (1, 320)


def test_an_update_keeps_what_it_does_not_name():
    first = update_session(SessionConfig(), input_of(format={"rate": 48000}))
    second = update_session(first, {"aec": {"beta_vad": 1}})
    assert second.rate == 48000
    assert (second.aec.beta_vad, second.aec.beta_asr) == (1.0, 0.2)
    assert SessionConfig().rate == 24000


def test_turn_detection_merges_within_a_kind_and_starts_afresh_between_kinds():
    server_vad = update_session(
        SessionConfig(), input_of(turn_detection={"type": "server_vad", "threshold": 0.7})
    )
    longer = update_session(server_vad, input_of(turn_detection={"silence_duration_ms": 900}))
    assert longer.audio.input.turn_detection == ServerVadConfig(threshold=0.7, silence_duration_ms=900)
    semantic = update_session(longer, input_of(turn_detection={"type": "semantic_vad"}))
    assert semantic.audio.input.turn_detection == SemanticVadConfig()
    off = update_session(semantic, input_of(turn_detection=None, transcription=None))
    assert (off.audio.input.turn_detection, off.audio.input.transcription) == (None, None)


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"voice": "alloy"}, "unknown_parameter", "session.voice"),
        ({"type": "call"}, "invalid_value", "session.type"),
        (input_of(format={"rate": 44100}), "invalid_value", "session.audio.input.format.rate"),
        (input_of(format={"type": "audio/pcmu"}), "invalid_value", "session.audio.input.format.type"),
        (input_of(format=None), "invalid_value", "session.audio.input.format"),
        (input_of(noise_reduction=None), "unknown_parameter", "session.audio.input.noise_reduction"),
        (input_of(turn_detection={"type": "vad"}), "invalid_value", "session.audio.input.turn_detection"),
        (
            input_of(turn_detection={"type": "server_vad", "threshold": 1.5}),
            "invalid_value",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            input_of(turn_detection={"type": "semantic_vad", "eagerness": "very"}),
            "invalid_value",
            "session.audio.input.turn_detection.eagerness",
        ),
        ({"aec": {"beta_vad": 2.1}}, "invalid_value", "session.aec.beta_vad"),
        ({"aec": {"beta_asr": -0.1}}, "invalid_value", "session.aec.beta_asr"),
        ({"aec": {"beta_asr": "0.2"}}, "invalid_value", "session.aec.beta_asr"),
        ({"aec": {"beta_asr": float("nan")}}, "invalid_value", "session.aec.beta_asr"),
        ({"aec": {"enabled": 1}}, "invalid_value", "session.aec.enabled"),
        ({"duplex": {"stats_hz": 51}}, "invalid_value", "session.duplex.stats_hz"),
        ({"duplex": {"hotwords": "word"}}, "invalid_value", "session.duplex.hotwords"),
        ({"duplex": {"agent": "hal"}}, "invalid_value", "session.duplex.agent"),
        ({"duplex": {"agent": "parrot"}}, "unsupported", "session.duplex.agent"),
    ],
)
def test_a_bad_update_is_refused_by_name(change: dict[str, Any], code: str, param: str):
    error = refused(change)
    assert (error.code, error.param) == (code, param)
    assert param.removeprefix("session.").split(".")[-1] in str(error)


def examples(section: str) -> list[str]:
    text = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    return text.split(f"## {section}")[1].split("```json\n")[1].split("```")[0].splitlines()


@pytest.mark.parametrize(
    ("section", "union", "more"),
    [("Client events", ClientEvent, set[str]()), ("Server events", ServerEvent, {"session.updated"})],
)
def test_the_docs_show_a_valid_example_of_each_event(section: str, union: Any, more: set[str]):
    adapter = TypeAdapter(union)
    shown = {adapter.validate_json(line).type for line in examples(section)}
    assert shown | more == set(types(union))
    for line in examples("Server events") if section == "Server events" else []:
        assert adapter.validate_json(line).model_dump(mode="json") == json.loads(line)


def test_the_docs_explain_each_close_code():
    text = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    assert all(f"| {code.value} |" in text for code in CloseCode)
