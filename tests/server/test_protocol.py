import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import CloseCode, ProtocolError
from server.events import AecStats, InputAudioAppend, Pong
from server.pcm import to_pcm
from server.protocol import (
    HEADER_BYTES,
    AudioFrame,
    Flag,
    Kind,
    ServerProtocol,
    encode_agent,
    encode_cleaned,
    encode_event,
    error_event,
)

GOLDEN: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "protocol.json").read_text()
)


def named(entries: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(entry, id=entry.get("name") or json.dumps(entry)[:60]) for entry in entries]


FROM_CLIENT = [frame for frame in GOLDEN["frames"] if frame["fields"]["kind"] <= 3]
MIC = bytes.fromhex(next(f["hex"] for f in FROM_CLIENT if f["name"] == "mic only"))


@pytest.mark.parametrize("vector", named(FROM_CLIENT))
def test_golden_frame_is_read(vector: dict[str, Any]):
    frame = ServerProtocol(vector["rate"]).receive_binary(bytes.fromhex(vector["hex"]))
    fields = vector["fields"]
    names = ("kind", "flags", "seq", "mic_start", "ref_start", "samples", "ms")
    assert [getattr(frame, name) for name in names] == [fields[name] for name in names]
    audio = [channel.tolist() for channel in (frame.mic, frame.ref) if channel is not None]
    assert audio == vector["audio"]
    assert (frame.mic is None) == (fields["kind"] == Kind.REF)


@pytest.mark.parametrize("vector", named(GOLDEN["bad_frames"]))
def test_bad_frame_closes(vector: dict[str, Any]):
    with pytest.raises(ProtocolError) as refused:
        ServerProtocol(vector["rate"]).receive_binary(bytes.fromhex(vector["hex"]))
    assert refused.value.close_code == vector["close_code"]


@pytest.mark.parametrize("event", named(GOLDEN["events"]))
def test_golden_event_is_read(event: dict[str, Any]):
    read = ServerProtocol(24000).receive_text(json.dumps(event))
    for name, value in event.items():
        due = base64.b64decode(value) if name in ("audio", "reference") else value
        assert getattr(read, name) == due


@pytest.mark.parametrize("vector", named(GOLDEN["bad_events"]))
def test_bad_event_is_answered_without_a_close(vector: dict[str, Any]):
    with pytest.raises(ProtocolError) as refused:
        ServerProtocol(24000).receive_text(vector["text"])
    answer = json.loads(encode_event(error_event(refused.value), "evt_1"))
    assert refused.value.close_code is None
    assert (answer["error"]["code"], answer["error"]["param"]) == (vector["code"], vector["param"])


def test_every_kind_and_flag_is_in_the_golden_vectors():
    fields = [frame["fields"] for frame in GOLDEN["frames"]]
    assert {each["kind"] for each in fields} == set(Kind)
    flags = [flag for name, flag in vars(Flag).items() if name.isupper()]
    assert len(flags) == 5
    assert all(any(each["flags"] & flag for each in fields) for flag in flags)


def test_sent_frames_are_the_golden_ones():
    agent, cleaned = (frame for frame in GOLDEN["frames"] if frame["fields"]["kind"] >= 16)
    voice = np.array(agent["audio"][0], np.int16)
    assert encode_agent(480, 3, voice, 30).hex() == agent["hex"]
    pcm = np.array(cleaned["audio"], np.int16).T
    assert encode_cleaned(640, 4, pcm, 40).hex() == cleaned["hex"]


def test_cleaned_audio_is_clipped_and_counters_wrap():
    loud = np.array([[2.0, 2.0], [-2.0, -2.0]], np.float32)
    message = encode_cleaned(0, 2**32 + 5, to_pcm(loud), 2**32 + 6)
    assert np.frombuffer(message, "<i2", offset=HEADER_BYTES).tolist() == [32767, 32767, -32768, -32768]
    assert message[4:8] == bytes([5, 0, 0, 0])
    assert message[28:32] == bytes([6, 0, 0, 0])


def test_cleaned_audio_before_the_first_sample_is_a_bug_of_the_caller():
    with pytest.raises(ValueError, match="before the first"):
        encode_cleaned(-1, 0, np.zeros((320, 2), np.int16), 0)


@pytest.mark.parametrize(("rate", "samples"), [(16000, 1600), (24000, 2400), (48000, 4800)])
def test_frames_of_10_to_100_ms_pass_at_each_rate(rate: int, samples: int):
    for size in (samples // 10, samples):
        assert ServerProtocol(rate).receive_binary(frame_of(size)).samples == size
    for size, close in ((samples // 10 - 1, CloseCode.BAD_FRAME), (samples + 1, CloseCode.BAD_FRAME)):
        with pytest.raises(ProtocolError) as refused:
            ServerProtocol(rate).receive_binary(frame_of(size))
        assert refused.value.close_code == close


def test_event_in_a_binary_frame_is_recognised():
    with pytest.raises(ProtocolError, match="text frames"):
        ServerProtocol(16000).receive_binary(b'{"type": "input_audio_buffer.commit"}')


def test_oversize_event_closes():
    text = json.dumps({"type": "duplex.ping", "event_id": "é" * 140_000}, ensure_ascii=False)
    with pytest.raises(ProtocolError) as refused:
        ServerProtocol(16000).receive_text(text)
    assert refused.value.close_code == CloseCode.TOO_BIG


def test_append_is_bounded_by_its_duration():
    protocol = ServerProtocol(24000)
    assert isinstance(protocol.receive_text(append(12_000)), InputAudioAppend)
    with pytest.raises(ProtocolError, match="12000") as refused:
        protocol.receive_text(append(12_001))
    assert refused.value.param == "audio"


def test_error_names_the_event_at_fault():
    with pytest.raises(ProtocolError) as refused:
        ServerProtocol(16000).receive_text('{"type": "duplex.pong", "event_id": "mine"}')
    assert error_event(refused.value).error.event_id == "mine"


def test_hostile_text_is_answered():
    deep, huge, late, surrogate = (
        "[" * 100_000,
        '{"type":"duplex.playback","played_ms":' + "9" * 999 + "}",
        '{"type":"conversation.item.truncate","item_id":"a","audio_end_ms":1e308}',
        "\ud800",
    )
    for text in (
        deep,
        huge,
        late,
        surrogate,
        '{"type": "\\ud800"}',
        "{" + '"type":"x",' * 100 + '"type":"y"}',
    ):
        with pytest.raises(ProtocolError) as refused:
            ServerProtocol(16000).receive_text(text)
        assert refused.value.close_code is None
        assert encode_event(error_event(refused.value), "e").encode()


def test_sent_events_are_named_and_not_a_number_is_null():
    assert json.loads(encode_event(Pong(ping_id="p1"), "evt_3")) == {
        "type": "duplex.pong",
        "event_id": "evt_3",
        "ping_id": "p1",
    }
    levels = {"mic_dbfs": -30.0, "ref_dbfs": -20.0, "out_dbfs": -60.0}
    stats = AecStats(delay_ms=float("nan"), erle_db=0.0, **levels, double_talk=False, late=0, lost=0)
    assert json.loads(encode_event(stats, "evt_4"))["delay_ms"] is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
field_names = st.sampled_from(["event_id", "session", "audio", "reference", "item_id", "playing", "token"])
near_events = st.builds(
    lambda kind, rest: json.dumps({**rest, "type": kind}),
    st.sampled_from([event["type"] for event in GOLDEN["events"]] + ["x"]),
    st.dictionaries(field_names, json_values, max_size=4),
)
patched_frames = st.builds(
    lambda at, new, cut: (MIC[:at] + new + MIC[at + len(new) :])[:cut],
    st.integers(0, 40),
    st.binary(max_size=8),
    st.integers(0, 400),
)


@given(
    messages=st.lists(
        st.binary(max_size=64) | patched_frames | st.just(MIC) | st.text(max_size=40) | near_events,
        max_size=12,
    )
)
def test_hostile_stream_is_read_or_refused(messages: list[str | bytes]):
    protocol = ServerProtocol(16000)
    for message in messages:
        with contextlib.suppress(ProtocolError):
            if isinstance(message, str):
                protocol.receive_text(message)
            else:
                check(protocol.receive_binary(message))


def check(frame: AudioFrame) -> None:
    assert 160 <= frame.samples <= 1600
    for channel in (frame.mic, frame.ref):
        assert channel is None or (channel.shape == (frame.samples,) and channel.dtype == np.int16)


def frame_of(samples: int) -> bytes:
    return MIC[:24] + samples.to_bytes(2, "little") + MIC[26:HEADER_BYTES] + bytes(2 * samples)


def append(samples: int) -> str:
    audio = base64.b64encode(bytes(2 * samples)).decode()
    return json.dumps({"type": "input_audio_buffer.append", "audio": audio})
