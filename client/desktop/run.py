"""The loop between the audio stream and the session: what plays, what is sent, what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from client.desktop.agent import Player
from client.desktop.devices import DeviceError
from client.desktop.frames import FRAME, SAMPLE_RATE, Framer
from client.desktop.link import Link
from client.desktop.monitor import Monitor, captured_ms
from client.desktop.recorder import Recorder
from client.desktop.stream import AudioStream
from client.duplex import DuplexError, Event
from client.wire import Kind

_PERIOD_S = 0.01
_AHEAD_S = 0.12  # of the agent's voice that waits to be played
_PATIENCE_S = 3.0  # without any audio: the device is gone
_LAST_S = 2.0  # for the last cleaned audio to come

OnEvent = Callable[[Event], None]


class Loopback:
    """One session with the devices of this machine.

    Args:
        stream: Open devices.
        link: Open session.
        agent: What is played.
        on_event: Told each event.
        recorder: Keeps the session, if it is to be kept.
        monitor: The reference, if it is not what we play.
    """

    def __init__(
        self,
        stream: AudioStream,
        link: Link,
        agent: Player,
        on_event: Sequence[OnEvent] = (),
        recorder: Recorder | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        self._stream = stream
        self._link = link
        self._agent = agent
        self._on_event = [agent.hear, *on_event]
        self._recorder = recorder
        self._monitor = monitor
        self._framer = Framer(stream.rate, 2)
        self._first_ms = 0  # when the microphone's first frame had been captured
        self.sent = 0  # samples at 16 kHz

    @property
    def seconds(self) -> float:
        """How long it has gone on, by the samples that were sent."""
        return self.sent / SAMPLE_RATE

    async def run(self, stop: asyncio.Event, seconds: float | None = None) -> None:
        """Go on until `stop` is set, or for so many seconds of audio.

        Raises:
            DeviceError: If no more audio comes.
            DuplexError: If the session is lost.
        """
        listening = asyncio.create_task(self._listen())
        working = [asyncio.create_task(self._play()), asyncio.create_task(self._capture(seconds))]
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([listening, stopping, *working], return_when=asyncio.FIRST_COMPLETED)
            for task in [listening, *working]:
                if task.done():
                    task.result()  # says what went wrong
            if listening.done():
                raise DuplexError("the service ended the session")
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            self._stream.callback.voiced = False  # silence from now on is no fault
            await self._finish(listening)
        finally:
            for task in [listening, stopping, *working]:
                task.cancel()
            await asyncio.gather(listening, stopping, *working, return_exceptions=True)

    async def _play(self) -> None:
        """Keep some of the agent's voice ready for the audio thread."""
        voice, ahead = self._stream.callback.voice, round(_AHEAD_S * self._stream.rate)
        while True:
            if self._agent.speaks:
                voice.write(self._agent.read(max(ahead - voice.waiting, 0)))
                self._stream.callback.voiced = True
            if (report := self._agent.report(voice.waiting)) is not None:
                await self._link.send_event(report)
            await asyncio.sleep(_PERIOD_S)

    async def _capture(self, seconds: float | None) -> None:
        callback, clock = self._stream.callback, asyncio.get_running_loop().time
        blocks, since = callback.blocks, clock()
        while seconds is None or self.seconds < seconds:
            await asyncio.sleep(_PERIOD_S)
            if callback.blocks != blocks:
                blocks, since = callback.blocks, clock()
            elif not self._stream.active or clock() - since > _PATIENCE_S:
                raise DeviceError("no more audio comes: the device was unplugged, or its driver has stopped")
            for frame in self._framer.push(callback.captured.read()):
                if seconds is None or self.seconds < seconds:
                    await self._send(frame)
            if self._monitor is not None:
                await self._send_monitored(self._monitor)

    async def _send(self, frame: NDArray[np.int16]) -> None:
        mic, ref = np.ascontiguousarray(frame.T)
        self.sent += FRAME
        if self._monitor is None:
            if self._recorder is not None:
                self._recorder.add(mic, ref)
            await self._link.send(mic, ref)
            return
        if self._recorder is not None:
            self._recorder.add_mic(mic)
        ms = captured_ms(self._stream.callback.stamp, self._stream.rate, self.seconds)
        if self.sent == FRAME:
            self._first_ms = ms
        await self._link.send_apart(Kind.MIC, mic, ms)

    async def _send_monitored(self, monitor: Monitor) -> None:
        if not self.sent:
            return  # it can wait in its ring until the microphone has begun
        for audio, ms in monitor.frames():
            if self._recorder is not None:
                self._recorder.add_ref(audio, (ms - self._first_ms) * SAMPLE_RATE // 1000)
            await self._link.send_apart(Kind.REF, audio, ms)

    async def _listen(self) -> None:
        async for event in self._link.events():
            if self._recorder is not None:
                self._recorder.event(event)
            for tell in self._on_event:
                tell(event)

    async def _finish(self, listening: asyncio.Task[None]) -> None:
        """Wait for what the service still has to say about the audio that was sent."""
        if self._recorder is None:
            return
        silence = np.zeros(FRAME, np.int16)
        for _ in range(-(-self._link.latency // FRAME) + 1):
            await self._link.send(silence, silence)
        for _ in range(round(_LAST_S / _PERIOD_S)):
            if self._link.cleaned_end >= self.sent or listening.done():
                return
            await asyncio.sleep(_PERIOD_S)
