"""Word error rate: how far a transcript is from what was said."""

from __future__ import annotations

import re

from aec_core.evaluate.recognition import word_edits

_NOT_WORD = re.compile(r"[^\w']+")


def words(text: str) -> list[str]:
    """Split into lower-case words without punctuation."""
    return [word for word in _NOT_WORD.sub(" ", text.lower()).split() if word.strip("'")]


def word_error_rate(said: str, heard: str) -> float:
    """Return substitutions, deletions and insertions over the number of words that were said.

    Raises:
        ValueError: If `said` has no words.
    """
    truth, guess = words(said), words(heard)
    if not truth:
        raise ValueError("the reference has no words")
    return word_edits(truth, guess) / len(truth)
