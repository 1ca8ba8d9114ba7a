"""What one process serves with: loads the models, runs the engine, and says whether it is ready."""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from server.admission import RETRY_AFTER_S, Refusal
from server.asr.contract import Restarting
from server.asr.process import give_up_loading
from server.engine import Engine, EngineThread
from server.lane import Lane
from server.loop_lag import watch_loop
from server.metrics import Metrics
from server.models import Models
from server.peers import Peers
from server.record import Recorder
from server.registry import Registry
from server.session import Session
from server.session_config import DuplexConfig, Limits, SessionConfig
from server.settings import Settings

if TYPE_CHECKING:
    from server.siblings import Siblings

logger = logging.getLogger(__name__)

LoadModels = Callable[[Settings], Models]


class Service:
    """The life of the models, the engine and the sessions of one process.

    Attributes:
        registry: The sessions; None until the models are loaded.
        siblings: The other workers, where there are some.
        failure: Why there will be no service, if loading failed.
        on_failure: Called then; a runner ends the process.
    """

    def __init__(self, settings: Settings, load: LoadModels) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.peers = Peers(settings.max_sessions_per_address, settings.max_sessions_per_token)
        self.registry: Registry | None = None
        self.failure: Exception | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self.siblings: Siblings | None = None
        self._recorder: Recorder | None = None
        self._load = load
        self._models: Models | None = None
        self._thread: EngineThread | None = None
        self._loading: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def limits(self) -> Limits:
        """What clients are held to."""
        return Limits(
            max_behind_ms=1000 * self.settings.max_behind_s,
            resume_ms=1000 * self.settings.resume_s,
            idle_ms=1000 * self.settings.idle_s,
            max_session_ms=1000 * self.settings.max_session_s,
        )

    @property
    def models(self) -> Models | None:
        """The models, once they are loaded."""
        return self._models

    @property
    def unready(self) -> str | None:
        """Why no session can start now, or None if one can."""
        if self.failure is not None:
            return "loading failed"  # why is for the log: it may name files
        if self.registry is None:
            return "loading"
        return "draining" if self.registry.draining else None

    def start(self) -> None:
        """Begin to load; the server can answer meanwhile."""
        self._loading = asyncio.create_task(self._prepare())
        self._watching = asyncio.create_task(watch_loop(self.metrics.loop_lag.observe))

    async def loaded(self) -> None:
        """Wait until sessions can start.

        Raises:
            Exception: What kept the models from being loaded.
        """
        if self._loading is not None:
            await self._loading
        if self.failure is not None:
            raise self.failure

    async def drain(self, give_up: Callable[[], bool] = lambda: False) -> None:
        """Let the sessions end; see `Registry.drain`."""
        if self.registry is not None:
            await self.registry.drain(give_up)
        if self.siblings is not None:
            await self.siblings.drain(give_up, self.settings.drain_s)

    async def stop(self) -> None:
        """End the threads; models that still load are given up."""
        self._stopping = True
        if self._watching is not None:
            self._watching.cancel()
        if self._loading is not None:
            while not self._loading.done():
                give_up_loading()
                await asyncio.wait([self._loading], timeout=0.2)
            await self._loading
        if self._thread is not None:
            await asyncio.to_thread(self._thread.stop)
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.close)
        if self._models is not None:
            await asyncio.to_thread(self._models.close)

    def admit(self, resumes: str | None = None) -> Refusal | Registry:
        """Return who takes a new connection, or why nobody does; see `Registry.admit`."""
        if self.registry is None or self.unready is not None:
            return Refusal(503, f"the server is not ready: {self.unready}", RETRY_AFTER_S)
        return self.registry.admit(resumes) or self.registry

    async def _prepare(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._models = await asyncio.to_thread(self._load, self.settings)
            engine = Engine(self._models.core, self._models.speech, self.metrics, loop.call_soon_threadsafe)
            await asyncio.to_thread(engine.warm_up)
        except Exception as error:
            if self._stopping:  # nobody waits for the models any more
                logger.info("stopped while loading")
                return
            logger.error("cannot serve: %s", error)
            self.failure = error
            self.on_failure()
            return
        if self._models.recognition and isinstance(self._models.recognition.recognizer, Restarting):
            self._models.recognition.recognizer.on_restart = self.metrics.asr_restarts.inc
        # The models stay for good: without this every full collection walks through them.
        gc.freeze()
        gc.collect()  # the next full one would wait for a quarter as many new objects as were counted last
        self._thread = EngineThread(engine)
        self._thread.start()
        if (folder := self.settings.record) is not None:
            keep_s, max_bytes = 86_400 * self.settings.record_days, 1e9 * self.settings.record_gb
            self._recorder = Recorder(folder, keep_s, max_bytes, self.metrics)
            logger.warning("sessions are recorded in %s", folder)
        make_session = partial(self._make_session, self._models, self._thread)
        self.registry = Registry(self.settings, engine, make_session, self.metrics)
        logger.info("ready for %d sessions", self.settings.max_sessions)

    def _make_session(self, models: Models, thread: EngineThread) -> Session:
        config = SessionConfig(duplex=DuplexConfig(agent=self.settings.agent))
        name = f"sess_{self.settings.worker}_{secrets.token_hex(8)}"  # who routes a resume reads the worker
        lane = Lane(name, models.turns, models.recognition, models.company, config)
        session = Session(
            lane, models.backends, self.limits, models.core.latency, thread.wake, models.company.names
        )
        if self._recorder is not None:
            lane.tape = self._recorder.tape(session.describe(), {"agents": list(models.company.names)})
        return session
