"""Records sessions, if the operator wants it: a thread writes, and audio never waits for a disk."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from server.bundle import Bundle, join, prune
from server.hop import CleanHop
from server.metrics import Metrics
from server.outbox import Item
from server.pcm import Pcm, to_pcm
from server.server_event import FromServer
from server.session_config import SessionInfo

HOPS = 50  # a second of audio is written at a time
QUEUED = 4096  # then the recording, and not the audio, has a gap
GAP = '{"type":"duplex.recording.gap"}'  # the last event of a recording that lacks something

logger = logging.getLogger(__name__)


class Put(Protocol):
    def __call__(self, order: Callable[[], None], always: bool = False) -> bool: ...


class Tape:
    """One session's way to the recorder. Hops come from the engine's thread, all else from the event loop.

    Args:
        put: Has something done by the recorder's thread; False if there is no room and it may be left out.
        start: Makes the bundle; on the recorder's thread.
        finish: Called there when the bundle is complete.
    """

    def __init__(self, put: Put, start: Callable[[], Bundle], finish: Callable[[], None]) -> None:
        self._put, self._start, self._finish = put, start, finish
        self._bundle: Bundle | None = None  # of the recorder's thread alone
        self._over = self._lossy = False
        self._hops: list[list[Pcm]] = []

    def message(self, message: bytes | str) -> None:
        """Take what the peer sent."""
        self._do(lambda bundle: bundle.add_message(message))

    def told(self, items: Sequence[Item]) -> None:
        """Take what the peer is told; audio is in the sounds already."""
        lines = [_line(item) for item in items if isinstance(item, FromServer)]
        if lines:
            self._do(lambda bundle: bundle.add_events(lines))

    def hop(self, hop: CleanHop) -> None:
        """Take what the canceller heard and made of it."""
        before = max(-hop.start, 0)  # samples that lie before the microphone's first
        vad, asr = hop.pcm.T.copy()  # or the whole batch stays
        self._hops.append([each[before:] for each in (to_pcm(hop.mic), to_pcm(hop.ref), vad, asr)])
        if len(self._hops) >= HOPS:
            self._flush()

    def close(self) -> None:
        """Finish the bundle, if anything was written."""
        self._flush()
        self._put(self._close, always=True)

    def _flush(self) -> None:
        hops, self._hops = self._hops, []
        if hops:
            self._do(lambda bundle: bundle.add_sound(join(hops)))

    def _do(self, write: Callable[[Bundle], None]) -> None:
        self._lossy = not self._put(partial(self._write, write)) or self._lossy

    def _write(self, write: Callable[[Bundle], None]) -> None:
        if self._over:
            return
        try:
            self._bundle = self._bundle or self._start()
            write(self._bundle)
        except OSError as error:  # a full disk costs the recording, not the session
            logger.error("recording stopped: %s", error)
            self._close()

    def _close(self) -> None:
        self._over = True
        bundle, self._bundle = self._bundle, None
        if bundle is None:
            return
        with suppress(OSError):
            if self._lossy:
                bundle.add_events([GAP])
            bundle.close()
        self._finish()


class Recorder:
    """Writes the bundles of all sessions, on a thread of its own.

    Args:
        folder: Where they go.
        keep_s: Older ones are deleted.
        max_bytes: The oldest are deleted when all together are larger; looked at when one begins or ends.
        metrics: Where is counted what could not be written.
    """

    def __init__(self, folder: Path, keep_s: float, max_bytes: float, metrics: Metrics) -> None:
        self._folder, self._keep_s, self._max_bytes = folder, keep_s, max_bytes
        self._metrics = metrics
        self._orders: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def tape(self, session: SessionInfo, about: Mapping[str, Any]) -> Tape:
        """Begin to record a session; nothing is written before it says something."""
        config = {**about, "session": session.model_dump(mode="json", exclude={"resume_token"})}
        return Tape(self._put, partial(self._start, session.id, config), self._prune)

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._orders.put(None)
        self._thread.join()

    def _put(self, order: Callable[[], None], always: bool = False) -> bool:
        if self._orders.qsize() >= QUEUED and not always:  # `always`: once a session
            self._metrics.unrecorded.inc()
            return False
        self._orders.put(order)
        return True

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            try:
                order()
            except Exception:
                logger.exception("the recorder failed")

    def _start(self, session_id: str, config: Mapping[str, Any]) -> Bundle:
        bundle = Bundle(self._folder, session_id, config)
        self._prune()
        return bundle

    def _prune(self) -> None:
        for gone in prune(self._folder, self._keep_s, self._max_bytes):
            logger.info("recording %s deleted", gone.name)


def _line(event: FromServer) -> str:
    """Return the event as JSON, without what resumes the session."""
    return event.model_dump_json(exclude={"event_id": True, "session": {"resume_token"}})
