"""Word errors against counts by hand, and against an independent recursion."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aec_core.evaluate.recognition import WordErrors, word_errors


@pytest.mark.parametrize(
    ("said", "heard", "wrong"),
    [
        ("THE CAT SAT", "the cat sat.", 0),
        ("the cat sat", "", 3),
        ("the cat sat", "the bat sat", 1),
        ("the cat sat", "cat sat", 1),
        ("the cat sat", "the the cat sat down", 2),
        ("MISTER O'NEIL", "Mr. O’Neil", 0),
        ("well known", "well-known", 0),
    ],
)
def test_errors_of_known_pairs(said, heard, wrong):
    assert word_errors(said, heard) == WordErrors(wrong, len(said.split()))


@given(st.text("ab ", max_size=12), st.text("ab ", max_size=12))
def test_errors_are_the_least_edits(said, heard):
    truth, guess = said.split(), heard.split()

    @cache
    def edits(i, j):
        if i == 0 or j == 0:
            return i + j
        same = edits(i - 1, j - 1) + (truth[i - 1] != guess[j - 1])
        return min(same, edits(i - 1, j) + 1, edits(i, j - 1) + 1)

    assert word_errors(said, heard).wrong == edits(len(truth), len(guess))


def test_rates_are_of_all_words_together():
    total = WordErrors(1, 2) + WordErrors(3, 6)
    assert total.rate == 0.5
    assert WordErrors(3, 0).rate == 3
