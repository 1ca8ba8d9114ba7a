"""The tier's side of speech recognition: one model, and the utterances that several servers ask it about.

It knows nothing of Ray: `deployments` puts it there.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from aec_core.types import Samples
from server.asr.contract import BatchRecognizer, Recognizer, RecognizerError, Transcript, Utterance
from server.asr.paraformer import CHUNK
from server.asr.whisper import FIRST_PARTIAL, PARTIAL_EVERY
from server.tier.wire import Description, Fault, Heard, Question

KEPT = 64  # utterances whose start is remembered; of Paraformer's real size each takes some 10 MB

logger = logging.getLogger(__name__)

Asked = tuple[Question, Samples]


@dataclass(slots=True)
class _Begun:
    utterance: Utterance
    heard: int  # samples


class Desk:
    """Partial and final texts of one recogniser, for who asks with all of the audio.

    A streaming recogniser goes on from where it was with an utterance, if it was here that its start
    was heard; else it hears all of it. What is final goes first: of partial texts one is made, one waits,
    and who wants another is sent away. Under load there are fewer of them, and never a queue.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._begun: OrderedDict[str, _Begun] = OrderedDict()  # touched by the thread only
        self._model = asyncio.Lock()
        self._door = asyncio.Lock()
        self._partials = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self.batch = recognizer.batch if isinstance(recognizer, BatchRecognizer) else 1

    @property
    def description(self) -> Description:
        """What the recogniser is."""
        streaming = self._recognizer.streaming
        first, every = (CHUNK, CHUNK) if streaming else (FIRST_PARTIAL, PARTIAL_EVERY)
        return Description(name=self._recognizer.name, streaming=streaming, first=first, every=every)

    async def partial(self, asked: Asked) -> Heard | Fault | None:
        """Return the text so far, or None if others want theirs."""
        if self._partials > 1:
            return None
        self._partials += 1
        try:
            async with self._door, self._model:
                return await self._do(self._partial, asked)
        finally:
            self._partials -= 1

    async def finish(self, asked: Sequence[Asked]) -> list[Heard | Fault]:
        """Return the final texts of several utterances, in order."""
        async with self._model:
            return await self._do(self._finish, asked)

    async def finish_one(self, asked: Asked) -> Heard | Fault:
        """Return the final text of one."""
        return (await self.finish([asked]))[0]

    async def _do(self, work: Callable[[Any], Any], asked: Any) -> Any:
        """Run work in the model's thread, which goes on with it though nobody waits any more."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, asked)

    def _partial(self, asked: Asked) -> Heard | Fault:
        question, audio = asked
        try:
            begun = self._find(question, audio)
            text = begun.utterance.feed(audio[begun.heard :])
        except Exception as error:
            return self._fault(error)
        begun.heard = len(audio)
        if self._recognizer.streaming:
            self._begun[question.utterance] = begun
            while len(self._begun) > KEPT:
                self._begun.popitem(last=False)
        return Heard(text=text)

    def _finish(self, asked: Sequence[Asked]) -> list[Heard | Fault]:
        outcomes: list[Transcript | Exception | None] = [None] * len(asked)
        ends: list[tuple[int, Utterance, Samples]] = []
        for number, (question, audio) in enumerate(asked):
            try:
                begun = self._find(question, audio)
                ends.append((number, begun.utterance, audio[begun.heard :]))
            except Exception as error:
                outcomes[number] = error
        for (number, _, _), outcome in zip(ends, self._complete(ends), strict=True):
            outcomes[number] = outcome
        return [Heard.of(one) if isinstance(one, Transcript) else self._fault(one) for one in outcomes]

    def _complete(self, ends: Sequence[tuple[int, Utterance, Samples]]) -> list[Transcript | Exception]:
        pairs = [(utterance, tail) for _, utterance, tail in ends]
        if isinstance(self._recognizer, BatchRecognizer) and pairs:
            try:
                return self._recognizer.finish_together(pairs)
            except Exception as error:
                return [error] * len(pairs)
        return [_attempt(utterance, tail) for utterance, tail in pairs]

    def _find(self, question: Question, audio: Samples) -> _Begun:
        """Return what is known of an utterance, and forget it: whoever goes on with it puts it back."""
        begun = self._begun.pop(question.utterance, None)
        if begun is None or begun.heard > len(audio):  # a question that took the long way
            return _Begun(self._recognizer.open(question.language, question.hotwords), 0)
        return begun

    def _fault(self, error: Exception | None) -> Fault:
        """Say only what the server may know: what models raise may name files."""
        if isinstance(error, RecognizerError):
            return Fault(message=str(error), refused=True)
        logger.error("%s failed on an utterance", self._recognizer.name, exc_info=error)
        return Fault(message=f"{self._recognizer.name} failed", refused=False)


def _attempt(utterance: Utterance, tail: Samples) -> Transcript | Exception:
    try:
        return utterance.finish(tail)
    except Exception as error:
        return error
