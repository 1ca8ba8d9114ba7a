"""How long to wait in a pause: what the turn model and the words say about its end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Eagerness = Literal["low", "medium", "high", "auto"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that no sentence ends with, and hesitations. Not here: words that also end sentences, as in
# "thank you", "I want that", "turn it on".
_DANGLING = _words("""
    a an and are as at because but by could for from his how i i'd i'll i'm i've if into is its like my of or
    our than the their then they to we were when where which while who with would your
    er erm ehm hm hmm uh uhm um umm
""")
_DANGLING_CHINESE = tuple(
    _words("""
        和 跟 或者 还有 然后 但是 可是 不过 而且 因为 所以 如果 要是 就是 就是说 那个 这个 比如 比如说
        嗯 呃 额 把 被 想要 关于
    """)
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


_UNFINISHED = Wait(1750, "unfinished")


def _by_text(end: Ending) -> Wait:
    """Wait while the model has not answered."""
    match end:
        case Ending.DANGLING:
            return _UNFINISHED
        case Ending.SENTENCE | Ending.QUESTION:
            return Wait(450, "punctuation")
        case Ending.CLAUSE:
            return Wait(600, "clause")
        case _:
            return Wait(700, "model_late")


def _by_model(p_turn: float, end: Ending) -> Wait:
    if p_turn < 0.1 or (end is Ending.DANGLING and p_turn < 0.96):
        return _UNFINISHED
    if p_turn < 0.5:
        return Wait(860, "turn_unlikely")
    if p_turn >= 0.96 and end is not Ending.DANGLING:
        return Wait(250, "turn_complete")
    match end:
        case Ending.SENTENCE | Ending.QUESTION:
            return Wait(300, "punctuation")
        case Ending.CLAUSE:
            return Wait(500, "clause")
        case _:  # and two witnesses that disagree: neither end at once nor wait long
            return Wait(600, "turn_likely")
