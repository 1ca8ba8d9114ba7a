"""One thread that does the signal processing of all sessions, a 20 ms hop of each at a time.

`Engine.tick` is synchronous and needs no thread; `EngineThread` calls it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aec_core import HOP, Cleaned
from aec_core.types import Mask, Samples
from server.admission import LoadMeter
from server.events import AudioGap
from server.hop import CleanHop, cut
from server.lane import Lane
from server.metrics import Metrics
from server.outbox import Item
from server.vad import SileroBank

PERIOD_S = 0.010  # sessions whose frames come within it share a batch
MAX_ROUNDS = 25  # the audio that an inbox can hold; then results leave

logger = logging.getLogger(__name__)

Post = Callable[[Callable[[], None]], object]
"""Runs a function where the sessions live: `loop.call_soon_threadsafe`, or at once in a test."""


class Core(Protocol):
    """The canceller, as the engine uses it: `HopCanceller`, or what is compared with it.

    Attributes:
        streams: Slots.
        latency: Samples by which the output lags the input.
    """

    streams: int
    latency: int

    @property
    def delay_ms(self) -> NDArray[np.float64]: ...

    @property
    def erle_db(self) -> NDArray[np.float32]: ...

    @property
    def double_talk(self) -> Mask: ...

    def process(self, mic: Samples, ref: Samples, active: Mask | None = None) -> Cleaned:
        """Take and return one hop of each active stream, `(S, hop)`."""
        ...

    def set_betas(self, slot: int, vad: float, asr: float) -> None:
        """Choose how hard each output of a slot suppresses."""
        ...

    def reset(self, slot: int) -> None:
        """Forget all that a slot heard."""
        ...


class Engine:
    """Slots for sessions, and one batched call for all of them with a full hop.

    `join` and `leave` may be called from any thread; they take effect, in order, at the next tick.
    """

    def __init__(self, core: Core, speech: SileroBank, metrics: Metrics, post: Post) -> None:
        """Make an empty engine.

        Args:
            core: Canceller; its streams are the slots.
            speech: Voice activity detector of as many streams.
            metrics: Where rounds, hops and failures are counted.
            post: Runs what concerns the sessions.
        """
        streams = core.streams
        self._core = core
        self._speech = speech
        self._metrics = metrics
        self._post = post
        self._lanes: list[Lane | None] = [None] * streams
        self._orders: deque[Callable[[], None]] = deque()
        self._mic = np.zeros((streams, HOP), np.float32)
        self._ref = np.zeros((streams, HOP), np.float32)
        self._starts = np.zeros(streams, np.int64)
        self.latency = core.latency
        self.meter = LoadMeter()
        self.on_order: Callable[[], None] = lambda: None

    @property
    def waiting(self) -> bool:
        """Results of workers are due, so ticks are needed although no audio comes."""
        return any(lane is not None and lane.pending for lane in self._lanes)

    def join(self, lane: Lane) -> None:
        """Give a lane a free slot with fresh filters at the next tick."""
        self._order(partial(self._join, lane))

    def leave(self, lane: Lane) -> None:
        """Free the slot of a lane at the next tick; a lane without one is only closed."""
        self._order(partial(self._leave, lane))

    def tick(self) -> int:
        """Process all whole hops that are here and hand out the results; return their number."""
        while self._orders:
            self._orders.popleft()()
        hops, delivered_at = 0, perf_counter()
        for _ in range(MAX_ROUNDS):
            done = self._round()
            hops += done
            if not done:
                break
            # Whoever sends a file has many rounds; a live session must not wait for them all.
            if perf_counter() - delivered_at > PERIOD_S:
                self._deliver()
                delivered_at = perf_counter()
        self._deliver()
        return hops

    def warm_up(self) -> None:
        """Run silence through the slots: caches are ready then, and the price of a round is known."""
        everyone = np.ones(len(self._lanes), np.bool_)
        one = np.arange(len(self._lanes)) == 0
        all_s, one_s = self._time(everyone), self._time(one)
        self.meter.calibrate(one_s, all_s, len(self._lanes))
        for slot in range(len(self._lanes)):
            self.reset(slot)
        logger.info("a hop takes %.2f ms alone, %.2f ms with all slots", 1000 * one_s, 1000 * all_s)

    def _time(self, active: Mask, rounds: int = 4) -> float:
        """Return the shortest duration of a few rounds, in seconds."""
        durations: list[float] = []
        for _ in range(rounds):
            began = perf_counter()
            cleaned = self._core.process(self._mic, self._ref, active)
            self._speech.process(cleaned.vad, active)
            durations.append(perf_counter() - began)
        return min(durations)

    def reset(self, slot: int) -> None:
        """Let the filters of a slot forget all that they heard."""
        self._core.reset(slot)
        self._speech.reset(slot)

    def set_betas(self, slot: int, vad: float, asr: float) -> None:
        """Choose how hard each output of a slot suppresses."""
        self._core.set_betas(slot, vad, asr)

    def _order(self, order: Callable[[], None]) -> None:
        self._orders.append(order)
        self.on_order()

    def _join(self, lane: Lane) -> None:
        slot = self._lanes.index(None)
        self._lanes[slot] = lane
        lane.enter(self, slot)

    def _leave(self, lane: Lane) -> None:
        if lane in self._lanes:
            self._lanes[self._lanes.index(lane)] = None
        lane.close()

    def _round(self) -> int:
        """Process one hop of every session that has one; return how many had."""
        active = self._gather()
        streams = int(active.sum())
        if not streams:
            return 0
        began = perf_counter()
        try:
            self._process(active)
        except Exception as error:  # a fault in the batch itself: nobody knows whose
            logger.exception("the batched call failed for %d sessions", streams)
            for slot in np.flatnonzero(active):
                self._fail(int(slot), error)
        seconds = perf_counter() - began
        self.meter.observe(seconds, streams)
        self._metrics.round.observe(seconds)
        self._metrics.hops.inc(streams)
        return streams

    def _gather(self) -> Mask:
        """Fill the batch; return which rows of it are in use, shape `(S,)`."""
        active = np.zeros(len(self._lanes), np.bool_)
        for slot, lane in enumerate(self._lanes):
            if lane is None:
                continue
            try:
                hop = lane.next_hop()
            except Exception as error:
                self._fail(slot, error)
                continue
            if hop is not None:
                self._starts[slot], self._mic[slot], self._ref[slot] = hop
                active[slot] = True
        return active

    def _process(self, active: Mask) -> None:
        cleaned = self._without_bypassed(self._core.process(self._mic, self._ref, active))
        speech = self._speech.process(cleaned.vad, active)
        starts = self._starts - self._core.latency
        hops = cut(cleaned, starts, speech, self._core.delay_ms, self._core.erle_db, active)
        double_talk = self._core.double_talk.tolist()
        for slot, hop in hops:
            self._listen(slot, hop, double_talk[slot])

    def _without_bypassed(self, cleaned: Cleaned) -> Cleaned:
        """Put the microphone, as late as the outputs are, where a session wants no cancelling."""
        rows = [slot for slot, lane in enumerate(self._lanes) if lane is not None and not lane.cancels]
        if not rows:
            return cleaned
        vad, asr, echo = cleaned.vad.copy(), cleaned.asr.copy(), cleaned.echo.copy()
        vad[rows] = asr[rows] = cleaned.mic[rows]
        echo[rows] = 0
        return replace(cleaned, vad=vad, asr=asr, echo=echo)

    def _listen(self, slot: int, hop: CleanHop, double_talk: bool) -> None:
        lane = self._lanes[slot]
        if lane is None:
            return
        try:
            lane.listen(hop, double_talk)
        except Exception as error:
            self._fail(slot, error)

    def _fail(self, slot: int, error: Exception) -> None:
        """End one session; the others go on."""
        lane = self._lanes[slot]
        if lane is None:
            return
        logger.error("session %s failed", lane.session_id, exc_info=error)
        self._metrics.failures.inc()
        self._lanes[slot] = None
        lane.fail()
        self._post(partial(lane.sink, lane.collect()))

    def _deliver(self) -> None:
        """Hand the results of this tick to the event loop in one call."""
        batch: list[tuple[Lane, list[Item]]] = []
        for slot, lane in enumerate(self._lanes):
            if lane is None:
                continue
            try:
                lane.poll()
            except Exception as error:
                self._fail(slot, error)
                continue
            if lane.touched:
                batch.append((lane, lane.collect()))
        if batch:
            self._observe(batch)
            self._post(partial(_hand_out, batch))

    def _observe(self, batch: list[tuple[Lane, list[Item]]]) -> None:
        now = perf_counter()
        for lane, items in batch:
            self._metrics.gaps.inc(sum(item.lost_ms for item in items if isinstance(item, AudioGap)) / 1000)
            if lane.arrived_at is not None:
                self._metrics.turnaround.observe(now - lane.arrived_at)
                lane.arrived_at = None
        self._metrics.load.set(self.meter.load(sum(lane is not None for lane in self._lanes)))


def _hand_out(batch: list[tuple[Lane, list[Item]]]) -> None:
    for lane, items in batch:
        lane.sink(items)


class EngineThread:
    """Calls `Engine.tick` when something arrived, at most every 10 ms."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        engine.on_order = self.wake

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to do; safe and cheap from any thread."""
        if not self._wake.is_set():
            self._wake.set()

    def stop(self) -> None:
        """End the thread after the tick that it is in."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(PERIOD_S if self._engine.waiting else None)
            self._wake.clear()
            began = perf_counter()
            try:
                if self._engine.tick():
                    self._wake.set()  # more may have come, or not all rounds were run
            except Exception:
                logger.exception("a tick failed")
            self._stopping.wait(max(0.0, PERIOD_S - (perf_counter() - began)))
