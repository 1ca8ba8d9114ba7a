import asyncio

import pytest

from server.events import (
    Ack,
    AecStats,
    DuringPlayback,
    SpeechStarted,
    TranscriptionCompleted,
    TranscriptionDelta,
)
from server.outbox import FULL_ITEMS, LIMIT_ITEMS, Close, Outbox


def delta(item: str, added: str, text: str) -> TranscriptionDelta:
    return TranscriptionDelta(item_id=item, delta=added, text=text, start_ms=0, end_ms=10 * len(text))


def stats(late: int) -> AecStats:
    return AecStats(
        delay_ms=None, erle_db=0, mic_dbfs=0, ref_dbfs=0, out_dbfs=0, double_talk=False, late=late, lost=0
    )


async def drained(outbox: Outbox) -> list[object]:
    return [await outbox.get() for _ in range(len(outbox))]


async def test_what_waits_comes_in_order():
    outbox = Outbox()
    items = [Ack(next_seq=1), b"audio", Ack(next_seq=2), Close(1000, "")]
    for item in items:
        outbox.put(item)

    assert await drained(outbox) == items


async def test_deltas_of_one_utterance_become_one_and_say_as_much():
    outbox = Outbox()
    outbox.put(delta("a", "hel", "hel"))
    outbox.put(delta("b", "x", "x"))
    outbox.put(delta("a", "lo", "hello"))

    first, second = await drained(outbox)

    assert (first.delta, first.text, first.end_ms) == ("hello", "hello", 50)
    assert second.item_id == "b"
    assert outbox.coalesced == 1


async def test_a_delta_that_is_on_its_way_takes_nothing_more():
    outbox = Outbox()
    outbox.put(delta("a", "hel", "hel"))
    sent = await outbox.get()
    outbox.put(delta("a", "lo", "hello"))

    assert (sent.delta, (await outbox.get()).delta) == ("hel", "lo")


async def test_only_the_newest_statistics_stay():
    outbox = Outbox()
    for late in range(5):
        outbox.put(stats(late))

    assert [item.late for item in await drained(outbox)] == [4]


async def test_finals_are_never_dropped():
    outbox = Outbox()
    started = SpeechStarted(audio_start_ms=0, item_id="a", duplex=DuringPlayback(during_playback=False))
    finals = [started, *(TranscriptionCompleted(item_id=str(n), transcript="x") for n in range(FULL_ITEMS))]
    for final in finals:
        outbox.put(final)
        outbox.put(stats(0))
        outbox.put(delta("a", "x", "x"))

    assert outbox.full
    assert [item for item in await drained(outbox) if item in finals] == finals


async def test_what_could_not_be_sent_is_first_again():
    outbox = Outbox()
    outbox.put(Ack(next_seq=1))
    outbox.put(Ack(next_seq=2))
    outbox.put_back(await outbox.get())

    assert [item.next_seq for item in await drained(outbox)] == [1, 2]


async def test_get_waits():
    outbox = Outbox()
    waiting = asyncio.create_task(outbox.get())
    await asyncio.sleep(0)
    assert not waiting.done()

    outbox.put(b"audio")

    assert await waiting == b"audio"


def test_there_is_a_limit():
    outbox = Outbox()
    for _ in range(LIMIT_ITEMS):
        outbox.put(b"")

    with pytest.raises(OverflowError):
        outbox.put(b"")

    outbox.abandon(Close(4429, "behind"))
    assert len(outbox) == 1
