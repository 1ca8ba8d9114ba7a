"""What people would write, for the tokens that Paraformer gives."""

import doctest
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.asr import text
from server.asr.text import join, spell, words_of, write


def test_the_examples_of_the_docstrings():
    assert doctest.testmod(text).failed == 0


@pytest.mark.parametrize(
    ("tokens", "joined"),
    [
        (["打", "开", "设", "置"], "打开设置"),
        (["打", "开", "blue@@", "tooth", "设", "置"], "打开 bluetooth 设置"),
        (["to@@", "mor@@", "row"], "tomorrow"),
        (["to@@", "mor@@"], "tomor"),  # the rest comes with the next chunk
        (["to@@", "天"], "to 天"),  # a piece that lost its end
        (["<s>", "hello", "<unk>", "world", "</s>"], "hello world"),
        (["▁hel", "lo", "▁you"], "hello you"),
        (["@@", "▁"], ""),
        ([], ""),
    ],
)
def test_pieces_become_words_and_words_a_text(tokens: list[str], joined: str):
    assert join(words_of(tokens)) == joined


def test_partial_texts_only_grow():
    tokens = ["请", "打", "开", "blue@@", "tooth", "u", "s", "b", "re@@", "set", "好"]
    texts = [join(words_of(tokens[:n])) for n in range(len(tokens) + 1)]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))


@pytest.mark.parametrize(
    ("words", "spelled"),
    [
        (["u", "s", "b"], ["USB"]),
        (["插", "u", "s", "b", "吧", "x"], ["插", "USB", "吧", "x"]),
        (["a", "table", "b"], ["a", "table", "b"]),
    ],
)
def test_letters_that_follow_each_other_are_an_abbreviation(words: list[str], spelled: list[str]):
    assert spell(words) == spelled


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("我要book一张table，谢谢", "我要 book 一张 table，谢谢"),
        ("我用iphone.你呢?", "我用 iphone。你呢？"),
        ("hello ， how are you？ i'm fine。", "Hello, how are you? I'm fine."),
        ("i think i don't", "I think I don't"),
        ("it is 3.5 at 10:30, e-mail me", "It is 3.5 at 10:30, e-mail me"),
        ("苹果、香蕉。apples、pears。", "苹果、香蕉。Apples, pears."),
        ("really?! yes", "Really?! Yes"),
        ("。", "."),
        ("", ""),
        ("  ", ""),
    ],
)
def test_signs_spaces_and_capitals_are_those_of_the_language(raw: str, written: str):
    assert write(raw) == written


@given(st.text(alphabet="ab i'3.,?。，、你好-", max_size=30))
def test_what_is_written_well_stays_as_it_is(raw: str):
    once = write(raw)
    assert write(once) == once
    assert sorted(c for c in once.lower() if c.isalnum()) == sorted(c for c in raw.lower() if c.isalnum())
