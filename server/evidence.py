"""How long to wait in a pause: what the turn model and the words say about its end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Eagerness = Literal["low", "medium", "high", "auto"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Not here: words that also end sentences, as in "thank you", "I want that", "turn it on".
_DANGLING = _words("""
    a an and are as at because but by could for from his how i i'd i'll i'm i've if into is its like my of or
    our than the their then they to uh um we were when where which while who with would your er erm hmm
""")
_DANGLING_CHINESE = tuple(
    _words("和 跟 或者 还有 然后 但是 可是 不过 而且 因为 所以 如果 要是 就是 那个 比如 比如说 嗯 呃 把 被")
)
_WORD = re.compile(r"[\w']+(?:-[\w']+)*")
_EAGERNESS = {"high": 0.75, "medium": 1.0, "auto": 1.0, "low": 1.8}


class Ending(StrEnum):
    """How a text ends."""

    NOTHING = "nothing"  # no text
    OPEN = "open"  # no punctuation
    DANGLING = "dangling"  # a word that never ends a sentence
    CLAUSE = "clause"  # a comma or the like
    SENTENCE = "sentence"
    QUESTION = "question"


def ending(text: str) -> Ending:
    """Classify the end of a partial transcript, English or Chinese."""
    text = text.strip()
    body = text.rstrip(".,;:!?…-—。，、；：！？ ")
    if not body:
        return Ending.NOTHING
    mark = text[len(body) :].strip()
    if mark.startswith(("?", "？")):
        return Ending.QUESTION
    words = _WORD.findall(body.lower())
    if (words and words[-1] in _DANGLING) or body.endswith(_DANGLING_CHINESE):
        return Ending.DANGLING
    if mark.startswith(("...", "…", "-", "—")):
        return Ending.DANGLING
    if mark.startswith((".", "!", "。", "！")):
        return Ending.SENTENCE
    return Ending.CLAUSE if mark else Ending.OPEN


@dataclass(frozen=True, slots=True)
class Wait:
    """Silence after which the turn is over, and why."""

    ms: float
    reason: str


def semantic_wait(p_turn: float | None, end: Ending, eagerness: Eagerness) -> Wait:
    """Choose the silence that ends a turn.

    Args:
        p_turn: P(complete) of the turn model, None while it has not answered.
        end: How the words so far end.
        eagerness: Shortens or lengthens every wait.
    """
    wait = _by_text(end) if p_turn is None else _by_model(p_turn, end)
    return Wait(wait.ms * _EAGERNESS[eagerness], wait.reason)


def _by_text(end: Ending) -> Wait:
    if end is Ending.DANGLING:
        return Wait(1750, "unfinished")
    if end in (Ending.SENTENCE, Ending.QUESTION):
        return Wait(450, "punctuation")
    return Wait(700, "model_late")


def _by_model(p_turn: float, end: Ending) -> Wait:
    if p_turn >= 0.9:
        # Two witnesses disagree: neither end at once nor wait long.
        return Wait(600, "turn_likely") if end is Ending.DANGLING else Wait(250, "turn_complete")
    if end is Ending.DANGLING or p_turn < 0.1:
        return Wait(1750, "unfinished")
    if p_turn >= 0.5:
        punctuated = end in (Ending.SENTENCE, Ending.QUESTION)
        return Wait(300, "punctuation") if punctuated else Wait(450, "turn_likely")
    return Wait(850, "turn_unlikely")
