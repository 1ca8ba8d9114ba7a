"""The tier on Ray Serve: two applications, each with replicas and autoscaling of its own.

`docker/ray/serve.yaml` names the builders; only this file needs Ray (the extra `ray`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from aec_core.types import Samples
from server.asr.choice import choose
from server.asr.contract import Recognizer
from server.asr.hub import Hub
from server.tier.answers import answer_asr, answer_turn
from server.tier.desk import Asked, Desk
from server.tier.wire import Fault, Heard
from server.turn import SmartTurn

serve = import_module("ray.serve")  # types are checked where Ray is not installed, too


class AsrArguments(BaseModel):
    """Which recogniser; the names are those of `duplex serve`."""

    model_config = ConfigDict(extra="forbid")

    asr: Literal["whisper", "paraformer"] = "whisper"
    asr_model: str | None = None
    asr_second_pass: str | None = None
    asr_punctuation: str | None = None
    asr_hub: Hub = "modelscope"
    asr_threads: int = Field(1, ge=1)

    def load(self) -> Recognizer:
        """Load it into this process.

        Raises:
            RecognizerError: If that cannot be.
        """
        if self.asr == "whisper":
            from server.asr.whisper import WhisperRecognizer

            return WhisperRecognizer()
        models = choose(
            self.asr_model, self.asr_second_pass, self.asr_punctuation, self.asr_hub, self.asr_threads
        )
        models.check()
        return models.load()


@serve.deployment
class RecognizerDeployment:
    """One replica: one model in memory."""

    def __init__(self, load: Callable[[], Recognizer]) -> None:
        self._desk = Desk(load())
        self._finish.set_max_batch_size(self._desk.batch)  # one if the model takes them one by one

    async def __call__(self, request: Request) -> Response:
        """Answer a server."""
        return await answer_asr(self._desk, self._finish, request)

    # No waiting for company: while the model is at work the next batch gathers by itself.
    @serve.batch(max_batch_size=1, batch_wait_timeout_s=0)
    async def _finish(self, asked: list[Asked]) -> list[Heard | Fault]:
        return await self._desk.finish(asked)


@serve.deployment
class TurnDeployment:
    """One replica of Smart Turn."""

    def __init__(self) -> None:
        self._model = SmartTurn()

    async def __call__(self, request: Request) -> Response:
        """Answer a server."""
        return await answer_turn(self._judge, request)

    @serve.batch(max_batch_size=4, batch_wait_timeout_s=0)
    async def _judge(self, audios: list[Samples]) -> list[float]:
        return await asyncio.to_thread(self._model.predict_together, audios)


def asr(arguments: dict[str, Any]) -> Any:
    """Build the application of `/asr` from the `args` of the Serve file.

    Raises:
        ValueError: If there is none of that name.
    """
    load = AsrArguments.model_validate(arguments).load
    return RecognizerDeployment.options(name="Recognizer").bind(load)


def turn(_: dict[str, Any]) -> Any:
    """Build the application of `/turn`."""
    return TurnDeployment.options(name="TurnModel").bind()
