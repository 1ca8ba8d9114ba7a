"""Word error rate: how far a transcript is from what was said."""

from __future__ import annotations

import re

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
    row = list(range(len(guess) + 1))  # edit distance of the words so far to each prefix of the guess
    for i, word in enumerate(truth, start=1):
        left = [i]
        for j, other in enumerate(guess, start=1):
            left.append(min(left[j - 1] + 1, row[j] + 1, row[j - 1] + (word != other)))
        row = left
    return row[-1] / len(truth)
