"""Words that a recogniser gets wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aec_core.types import Samples

Recognise = Callable[[Samples], str]
"""Takes one utterance, `(n,)`, and returns its words."""

_SPELLED = {"mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint"}


@dataclass(frozen=True)
class WordErrors:
    """Substituted, deleted and inserted words together, and the words that were said."""

    wrong: int = 0
    said: int = 0

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(self.wrong + other.wrong, self.said + other.said)

    @property
    def rate(self) -> float:
        """Word error rate; above 1 where more was invented than was said."""
        return self.wrong / max(self.said, 1)


def word_errors(said: str, recognised: str) -> WordErrors:
    """Count the edits between two texts, deaf to case and punctuation."""
    truth, guess = _words(said), _words(recognised)
    return WordErrors(word_edits(truth, guess), len(truth))


def word_edits(truth: Sequence[str], guess: Sequence[str]) -> int:
    """Return the fewest words to substitute, delete and insert that turn `truth` into `guess`."""
    # Levenshtein by rows: costs[j] is the distance of the words so far to guess[:j].
    costs = np.arange(len(guess) + 1)
    for row, word in enumerate(truth, 1):
        before, costs = costs, np.empty_like(costs)
        costs[0] = row
        for column, other in enumerate(guess, 1):
            costs[column] = min(
                before[column] + 1, costs[column - 1] + 1, before[column - 1] + (word != other)
            )
    return int(costs[-1])


def _words(text: str) -> list[str]:
    plain = re.sub(r"[^a-z0-9 ]", "", re.sub(r"[-\s]+", " ", text.lower()))
    return [_SPELLED.get(word, word) for word in plain.split()]
