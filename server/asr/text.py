"""How recognised words are written: joined, punctuated and cased as people write Chinese and English.

Paraformer gives tokens: single hanzi, words, and pieces of words (`blue@@ tooth`, or `▁blue tooth`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_HAN = "\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# A hanzi; a word with what joins its parts, as in don't, e-mail, 3.5; or one sign.
_TOKEN = re.compile(
    rf"[{_HAN}]|[^\W{_HAN}]+(?:(?:['’&@-]|(?<=\d)[.,:](?=\d))[^\W{_HAN}]+)*|\S",
)
_MARKS = frozenset({"<s>", "</s>", "<unk>", "<OOV>", "<blank>", "<sil>"})
_WIDE_OF = dict(zip(",.?!;:", "，。？！；：", strict=True))
_NARROW_OF = {wide: narrow for narrow, wide in _WIDE_OF.items()} | {"、": ","}
_SIGNS = frozenset(_WIDE_OF) | frozenset(_NARROW_OF)
_ENDS = frozenset(".?!。？！")


def is_han(character: str) -> bool:
    """Say whether a character is written without spaces around it: hanzi and kana."""
    return re.match(rf"[{_HAN}]", character) is not None


def words_of(tokens: Iterable[str]) -> list[str]:
    """Put pieces of words together and leave out what is no text.

    >>> words_of(["打", "开", "blue@@", "tooth"])
    ['打', '开', 'bluetooth']
    >>> words_of(["▁he", "llo", "▁you"])
    ['hello', 'you']
    """
    pieces = [token for token in tokens if token not in _MARKS]
    marks_starts = any(piece.startswith("▁") for piece in pieces)
    words: list[str] = []
    unfinished = False  # the piece before said that its word goes on
    for piece in pieces:
        text = piece.removesuffix("@@").removeprefix("▁")
        goes_on = unfinished or (marks_starts and not piece.startswith("▁"))
        if text and words and goes_on and not is_han(text[0]) and not is_han(words[-1][-1]):
            words[-1] += text
        elif text:
            words.append(text)
        unfinished = piece.endswith("@@")
    return words


def spell(words: Sequence[str]) -> list[str]:
    """Write letters that were spelled out as one abbreviation.

    >>> spell(["a", "u", "s", "b", "stick"])
    ['AUSB', 'stick']
    """
    spelled: list[str] = []
    run = False  # the last of `spelled` is an abbreviation in the making
    for before, word in zip(["", *words], words, strict=False):
        if _is_letter(before) and _is_letter(word):
            spelled[-1] = (spelled[-1] + word).upper() if run else (before + word).upper()
            run = True
        else:
            spelled.append(word)
            run = False
    return spelled


def join(words: Iterable[str]) -> str:
    """Join words: hanzi without spaces, others with one on each side.

    >>> join(["打", "开", "bluetooth", "设", "置"])
    '打开 bluetooth 设置'
    """
    text = ""
    for word in words:
        text += f" {word}" if text and not (is_han(text[-1]) and is_han(word[0])) else word
    return text


def write(text: str) -> str:
    """Return text with the spaces, the signs and the capitals of its language.

    A sentence with hanzi takes full-width signs; any other takes half-width ones, a space behind
    each, and a capital at its start.

    >>> write("打开,bluetooth设置. hello ， world。")
    '打开，bluetooth 设置。Hello, world.'
    """
    written = ""
    for sentence in _sentences(_TOKEN.findall(text)):
        chinese = any(is_han(token[0]) for token in sentence)
        for token in _signed(sentence) if chinese else _capitalised(sentence):
            written += f" {token}" if _apart(written, token) else token
    return written


def _sentences(tokens: Sequence[str]) -> list[list[str]]:
    sentences: list[list[str]] = [[]]
    for before, token in zip(["", *tokens], tokens, strict=False):
        if before in _ENDS and token not in _SIGNS:
            sentences.append([])
        sentences[-1].append(token)
    return sentences


def _signed(sentence: Sequence[str]) -> list[str]:
    return [_WIDE_OF.get(token, token) for token in sentence]


def _capitalised(sentence: Sequence[str]) -> list[str]:
    words = [_NARROW_OF.get(token, token) for token in sentence]
    words = [word.capitalize() if re.fullmatch(r"i(['’]\w+)?", word) else word for word in words]
    first = next((n for n, word in enumerate(words) if word[0].isalnum()), None)
    if first is not None:
        words[first] = words[first][0].upper() + words[first][1:]
    return words


def _apart(written: str, token: str) -> bool:
    """Say whether a space goes before a token."""
    if not written or token in _SIGNS or written[-1] in _NARROW_OF:
        return False
    return not (is_han(written[-1]) and is_han(token[0]))


def _is_letter(word: str) -> bool:
    return len(word) == 1 and word.isascii() and word.isalpha()
