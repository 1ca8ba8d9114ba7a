"""A connection that is lost in the middle of a session, against the real server."""

import asyncio

import numpy as np
import pytest
from websockets.asyncio.client import connect

from client.duplex import ClosedError, DuplexClient
from client.line import SETTINGS
from client.recording import shipped
from client.stream import stream_pair
from client.wer import word_error_rate
from tests.client.cable import Cable

RATE = 16_000
SENTENCE = "Can you tell me what the weather will be like tomorrow?"
COMPLETED = "conversation.item.input_audio_transcription.completed"


def pair(start, end):
    recording, here = shipped(), slice(round(start * RATE), round(end * RATE))
    return recording.mic[here], recording.ref[here]


async def test_a_transcript_survives_a_cut_in_the_middle_of_the_utterance(start_servers):
    server = start_servers(asr="whisper")
    mic, ref = pair(5, 12)
    async with Cable(server.url) as cable:

        def cut(event):
            if event["type"] == "duplex.barge_in" and event["stage"] == "duck":
                cable.cut(refusals=2)

        result = await stream_pair(cable.url, mic, ref, speed="max", on_event=cut)

    kinds = [event["type"] for event in result.events]
    lost = kinds.index("connection.lost")
    resumed = kinds.index("session.updated")
    assert kinds.index("input_audio_buffer.speech_started") < lost < resumed < kinds.index(COMPLETED)
    assert result.events[resumed]["session"]["resumed"]
    assert result.events[resumed]["session"]["id"] == result.session["id"]
    assert cable.tries == 4
    assert "duplex.gap" not in kinds
    assert "error" not in kinds
    texts = [event["transcript"] for event in result.events if event["type"] == COMPLETED]
    assert word_error_rate(SENTENCE, " ".join(texts)) < 0.3


async def test_no_frame_is_lost_or_counted_twice_over_many_cuts(server):
    rng, frames = np.random.default_rng(3), {}
    mic = rng.integers(-3000, 3000, 5 * RATE).astype(np.int16)
    session = {"aec": {"enabled": False}, "duplex": {"stats_hz": 0}}
    async with (
        Cable(server.url) as cable,
        DuplexClient(
            cable.url, session=session, on_cleaned=lambda start, audio: frames.update({start: audio})
        ) as client,
    ):
        sending = asyncio.create_task(client.send(mic, mic))
        resumed = 0
        async for event in client:
            assert event["type"] not in ("duplex.gap", "error")
            if event["type"] == "duplex.ack" and event["next_seq"] in (50, 150):
                cable.cut()
            resumed += event["type"] == "session.updated"
            if client.acked_seq == 250:
                break
        await sending
    assert resumed == 2
    assert client.sent == len(mic)
    assert not client.cleaned.arrays(100)[0].any()  # not kept: nobody asked for it
    for start, audio in frames.items():
        np.testing.assert_array_equal(audio[:, 0], mic[max(start, 0) : start + 320])


async def test_events_keep_their_place_among_the_frames(server):
    session = {"audio": {"input": {"turn_detection": None}}, "duplex": {"stats_hz": 50}}
    audio = np.zeros(RATE, np.int16)
    async with Cable(server.url) as cable, DuplexClient(cable.url, session=session) as client:
        await client.send(audio, audio)
        cable.cut(refusals=1)
        events = aiter(client)
        while (await anext(events))["type"] != "connection.lost":
            pass
        assert not client.connected
        await client.send(audio, audio)
        await client.commit()
        await client.send(audio, audio)
        heard_ms = []
        while (event := await anext(events))["type"] != "input_audio_buffer.committed":
            heard_ms += [event["at_ms"]] if event["type"] == "duplex.aec.stats" else []
    assert client.connected is False
    assert heard_ms[-1] == pytest.approx(2000, abs=40)


async def test_the_address_names_the_session_that_comes_back(server):
    async with Cable(server.url) as cable, DuplexClient(f"{cable.url}?tenant=7") as client:
        cable.cut()
        async for event in client:
            if event["type"] == "session.updated":
                break
    assert cable.asked == ["/v1/realtime?tenant=7", f"/v1/realtime?tenant=7&session={client.session['id']}"]


async def test_a_place_is_waited_for_while_the_server_is_full(start_server):
    server = start_server(max_sessions=1)
    audio = np.zeros(RATE, np.int16)
    async with Cable(server.url) as cable, DuplexClient(cable.url) as client:
        await client.send(audio, audio)
        cable.cut(refusals=1000)
        await server.shows("duplex_sessions_kept 1.0")
        async with connect(server.url, proxy=None):  # takes no slot, for it says nothing, but a place
            cable.refusals = 0
            await server.shows('duplex_connections_refused_total{status="4429"}')
        async for event in client:
            if event["type"] == "session.updated":
                break
        assert event["session"]["resumed"]


@pytest.mark.parametrize("status", ["429 Too Many Requests", "502 Bad Gateway", "504 Gateway Timeout"])
async def test_a_proxy_that_finds_no_server_is_asked_again(server, status):
    async with Cable(server.url) as cable, DuplexClient(cable.url) as client:
        cable.answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
        cable.cut(refusals=2)
        async for event in client:
            if event["type"] == "session.updated":
                break
        assert event["session"]["resumed"]
        assert (cable.tries, cable.refusals) == (4, 0)


async def test_events_that_the_network_lost_come_again_and_only_those(server):
    session = {"audio": {"input": {"turn_detection": None}}}
    audio = np.zeros(RATE, np.int16)
    async with Cable(server.url) as cable, DuplexClient(cable.url, session=session) as client:
        committed = []
        await client.send(audio, audio)
        await client.commit()
        events = aiter(client)
        while not committed:
            event = await anext(events)
            committed += [event["item_id"]] if event["type"].endswith("committed") else []
        cable.deaf = True
        await client.send(audio, audio)
        await client.commit()
        await client.send(audio[:320], audio[:320])  # now it can be known that the commit has arrived
        async with asyncio.timeout(30):
            await cable.swallows(b"buffer.committed")
        cable.cut()
        await client.send(audio, audio)
        await client.finish()
        ids, seen = [], []
        async for event in events:
            seen.append(event["type"])
            committed += [event["item_id"]] if event["type"].endswith("committed") else []
            ids += [int(event["event_id"].removeprefix("event_"))] if "event_id" in event else []
    assert len(set(committed)) == 3
    assert seen.index("input_audio_buffer.committed") < seen.index("session.updated")
    assert ids == sorted(set(ids))
    assert "error" not in seen


async def test_a_server_that_keeps_no_sessions_is_not_asked_again(start_server):
    server = start_server(resume_s=0)
    async with Cable(server.url) as cable, DuplexClient(cable.url) as client:
        cable.cut()
        with pytest.raises(ClosedError, match=r"^the connection was lost$") as caught:
            async for _ in client:
                pass
        assert (caught.value.code, cable.tries) == (None, 1)


async def test_a_session_that_the_server_has_forgotten_is_replaced(server):
    mic = np.random.default_rng(3).integers(-3000, 3000, 5 * RATE).astype(np.int16)
    session = {
        "aec": {"enabled": False},
        "duplex": {"stats_hz": 0},
        "audio": {"input": {"turn_detection": None}},
    }
    async with Cable(server.url) as cable, DuplexClient(cable.url, session=session, collect=True) as client:

        async def talk():
            await client.send(mic, mic)
            await client.finish()

        talking, first, seen = asyncio.create_task(talk()), client.session, []
        async for event in client:
            seen.append(event)
            if event["type"] == "duplex.ack" and event["next_seq"] == 100:
                first["resume_token"] = "of another one"
                cable.cut()
        await talking
    kinds = [event["type"] for event in seen]
    (replaced,) = (event for event in seen if event["type"] == "session.replaced")
    assert (client.replaced, kinds.count("connection.lost"), cable.tries) == (1, 1, 3)
    assert "4404" in replaced["message"]
    assert "session=" not in cable.asked[2]
    assert client.session["id"] == replaced["session"]["id"] != first["id"]
    assert [client.session[name] for name in SETTINGS] == [first[name] for name in SETTINGS]
    assert not {"duplex.gap", "error"} & set(kinds)
    assert replaced["start_ms"] >= 2000
    assert replaced["lost_ms"] <= 60
    start, lost = (round(replaced[name] * RATE / 1000) for name in ("start_ms", "lost_ms"))
    vad, _ = client.cleaned.arrays(len(mic))
    np.testing.assert_array_equal(vad[: start - lost], mic[: start - lost])
    np.testing.assert_array_equal(vad[start:], mic[start:])


async def test_it_is_given_up_when_the_server_keeps_the_session_no_longer(start_server):
    server = start_server(resume_s=0.6)
    audio = np.zeros(6 * RATE, np.int16)
    async with Cable(server.url) as cable, DuplexClient(cable.url) as client:
        cable.cut(refusals=1000)
        waiting = asyncio.create_task(client.send(audio, audio))
        with pytest.raises(ClosedError, match=r"could not be made again within 0\.6 s"):
            async for _ in client:
                pass
        with pytest.raises(ClosedError, match="could not be made again"):
            await waiting
