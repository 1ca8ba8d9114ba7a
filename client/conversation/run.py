"""Runs the evaluation of conversations: dialogues, every canceller behind the same ears, figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from aec_core import HopCanceller
from aec_core.evaluate.peers import Peer, find_peers
from aec_core.types import SAMPLE_RATE
from client.conversation.awaited import AwaitedRecognition, AwaitedTurns, FinalOnly
from client.conversation.calls import Calls, Options, Show, example, make_calls
from client.conversation.dialogues import Dialogue
from client.conversation.figures import Figures, far_end, recognition, turn_taking
from client.conversation.replay import Replay
from client.conversation.scoring import Outcome, score
from client.conversation.session import Ears, Noticed, listen
from client.conversation.targets import AEC3, CLEAN, NONE, OURS, SOFT, targets
from server.asr import RecognitionService, Recognizer
from server.engine import Core
from server.turn import SmartTurn

SWEEP = (0.1, 0.2, 0.4, 0.6, 0.8)
_BETAS = (0.6, 0.2)
VOICES = {False: "another", True: "the person's own"}


@dataclass
class Conversation:
    """The outcome: figures by system, targets, and what plots need."""

    calls: Calls
    systems: dict[str, Figures]
    wer_by_beta: dict[str, Figures]
    targets: list[dict[str, Any]]
    missing: list[str]
    outcomes: dict[str, list[Outcome]]
    example: list[Noticed]
    seconds: float = 0.0


def evaluate(options: Options, recognizer: Recognizer | None, show: Show) -> Conversation:
    """Make the calls and let every system hear them.

    Args:
        options: What is measured.
        recognizer: Reads the English dialogues; None leaves out all that needs words.
        show: Told how far it is.

    Raises:
        ValueError: If the manifest has too few speakers, or none of whole sentences.
        FileNotFoundError: If there is no such checkpoint.
    """
    began = perf_counter()
    threadpool_limits(1)
    calls = make_calls(options, with_words=recognizer is not None, show=show)
    service = AwaitedRecognition(recognizer) if recognizer is not None else None
    finals = AwaitedRecognition(FinalOnly(recognizer)) if recognizer is not None else None
    try:
        conversation = _Evaluation(options, calls, service, finals, show).run()
    finally:
        for each in (service, finals):
            if each is not None:
                each.close()
    if recognizer is None:
        conversation.missing.append("words are left out: there is no recogniser")
    conversation.seconds = perf_counter() - began
    return conversation


class _Evaluation:
    def __init__(
        self,
        options: Options,
        calls: Calls,
        recognition: RecognitionService | None,
        finals: RecognitionService | None,
        show: Show,
    ) -> None:
        self._options = options
        self._calls = calls
        turns = AwaitedTurns(SmartTurn())
        self._ears, self._patient, self._deaf = (Ears(turns, each) for each in (recognition, finals, None))
        self._show = show
        self._outcomes: dict[str, list[Outcome]] = {}

    def run(self) -> Conversation:
        calls, systems = self._calls, dict[str, Figures]()
        peers, missing = find_peers()
        missing = [line for line in missing if line.startswith(AEC3)]
        # A session that never falls silent would be read again and again, for nothing.
        raw = self._hear(NONE, self._replayed(None), calls.all, _BETAS, self._patient)
        systems[NONE] = self._scored(NONE, raw)
        for peer in (peer for peer in peers if peer.name == AEC3):
            theirs = self._hear(AEC3, self._replayed(peer), calls.all, _BETAS, self._ears)
            systems[AEC3] = self._scored(AEC3, theirs)
        noticed = self._hear(OURS, self._canceller(len(calls.all)), calls.all, _BETAS, self._ears)
        systems[OURS] = self._scored(OURS, noticed)
        systems[SOFT] = self._soft()
        systems[CLEAN] = self._clean()
        by_beta = self._sweep()
        drawn = noticed[calls.dialogues.index(example(calls))]
        return Conversation(calls, systems, by_beta, targets(systems), missing, self._outcomes, drawn)

    def _canceller(self, streams: int) -> HopCanceller:
        return HopCanceller.pretrained(streams=streams, path=self._options.model)

    def _replayed(self, peer: Peer | None) -> Replay:
        calls = self._calls.all
        cleaned = [
            call.mic if peer is None else peer(call.mic, call.ref).astype(np.float32) for call in calls
        ]
        return Replay([(call.mic, call.ref, out) for call, out in zip(calls, cleaned, strict=True)])

    def _scored(self, name: str, noticed: Sequence[Sequence[Noticed]]) -> Figures:
        calls, read = self._calls, self._ears.recognition is not None
        # Where nobody talks over the agent the calls of the agent alone are left out.
        outcomes = [score(*pair, read) for pair in zip(calls.all, noticed, strict=False)]
        first, last = len(calls.dialogues), len(calls.dialogues) + len(calls.words)
        self._outcomes[name] = outcomes[:first]
        alone = dict(zip(VOICES.values(), (outcomes[last::2], outcomes[last + 1 :: 2]), strict=True))
        return {
            **turn_taking(outcomes[:first]),
            **(recognition(outcomes[:last]) if read else {}),
            "far_end": {voice: far_end(some) for voice, some in alone.items() if some},
        }

    def _soft(self) -> Figures:
        """Detect on the output for the recogniser; no words, for only the detection is of interest."""
        dialogues = self._calls.dialogues
        noticed = self._hear(SOFT, self._canceller(len(dialogues)), dialogues, (0.2, 0.2), self._deaf)
        self._outcomes[SOFT] = [score(*pair, False) for pair in zip(dialogues, noticed, strict=True)]
        return turn_taking(self._outcomes[SOFT])

    def _clean(self) -> Figures:
        """Let the ears hear the talker alone, which no canceller can better."""
        calls = [*self._calls.dialogues, *self._calls.words]
        core = Replay([(call.near, np.zeros_like(call.near), call.near) for call in calls])
        return self._scored(CLEAN, self._hear(CLEAN, core, calls, _BETAS, self._patient))

    def _sweep(self) -> dict[str, Figures]:
        """Read with every β, the turns found with 0.6; the final texts alone."""
        calls = [call for call in (*self._calls.dialogues, *self._calls.words) if call.english]
        if self._patient.recognition is None or not calls:
            return {}
        return {f"{beta:g}": self._words(calls, beta) for beta in SWEEP}

    def _words(self, calls: Sequence[Dialogue], beta: float) -> Figures:
        core, betas = self._canceller(len(calls)), (_BETAS[0], beta)
        noticed = self._hear(f"words at β {beta:g}", core, calls, betas, self._patient)
        return recognition([score(*pair, read=True) for pair in zip(calls, noticed, strict=True)])

    def _hear(
        self, name: str, core: Core, calls: Sequence[Dialogue], betas: tuple[float, float], ears: Ears
    ) -> list[list[Noticed]]:
        total, done = sum(len(call.mic) for call in calls) / SAMPLE_RATE, 0.0

        def heard(seconds: float) -> None:
            nonlocal done
            done += seconds
            self._show(name, done, total)

        return listen(core, calls, ears, betas, heard)
