"""Whose words are these? Assent and the agent's own voice do not take the floor from the agent."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from enum import Enum, auto
from itertools import chain

# A word of an alphabet, or one Chinese or Japanese character: those are written without spaces.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_TOKEN = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+(?:['’][^\W_{_CJK}]+)*")
_REMEMBERED = 3  # texts: an echo is recognised when the next sentence plays already
_LONGEST_TEXT = 1000  # tokens of each that are compared
_FOREIGN_SHARE = 1 / 3  # of the words; a recogniser that hears an echo gets some of them wrong
_SENTENCE = 2  # a single word of the agent's is a word of everybody's

_BACKCHANNELS = {
    "en": (
        "ah", "aha", "alright", "cool", "exactly", "go on", "good", "got it", "great", "hm", "hmm", "i see",
        "mhm", "mm", "mmhm", "mmm", "mm hm", "mm hmm", "oh", "ok", "okay", "right", "sure", "uh", "uh huh",
        "uhhuh", "um", "wow", "yeah", "yep", "yes", "yup",
    ),
    "zh": (
        "嗯", "哦", "噢", "喔", "啊", "唔", "对", "对对", "好", "好的", "好吧", "是", "是的", "是啊", "行",
        "没错", "明白", "知道了", "原来如此", "这样啊", "ok",
    ),
    "de": ("ach so", "aha", "genau", "gut", "hm", "hmm", "ja", "klar", "mhm", "mm", "ok", "okay", "stimmt"),
    "es": ("ah", "ajá", "bien", "claro", "de acuerdo", "hm", "mhm", "mm", "ok", "sí", "ya", "vale"),
    "fr": ("ah", "bien", "d'accord", "hm", "hmm", "mhm", "mm", "ok", "oui", "ouais", "voilà"),
    "ja": ("あ", "ああ", "うん", "うんうん", "ええ", "なるほど", "はい", "はいはい", "へえ", "そうですね"),
}  # fmt: skip


def default_backchannels(language: str | None) -> tuple[str, ...]:
    """Return what people say while they listen.

    Args:
        language: ISO-639-1 code, perhaps with a region. None, or a language that is not known here:
            English and Chinese.
    """
    code = (language or "").lower().replace("_", "-").split("-")[0]
    return _BACKCHANNELS.get(code) or _BACKCHANNELS["en"] + _BACKCHANNELS["zh"]


def tokens(text: str) -> list[str]:
    """Split a text into lower-case words; every Chinese or Japanese character is one.

    >>> tokens("OK, 好的 -- it's fine")
    ['ok', '好', '的', "it's", 'fine']
    """
    return _TOKEN.findall(text.lower().replace("’", "'"))


class Claim(Enum):
    """What the words of a turn want."""

    NOTHING = auto()  # there are none
    HARMLESS = auto()  # assent, or the agent's own words
    UNSURE = auto()  # a word that either may have said
    FLOOR = auto()


class Floor:
    """Judges words that are heard while the agent speaks."""

    def __init__(self, backchannels: Iterable[str] | None = None) -> None:
        """Begin with nothing played.

        Args:
            backchannels: Words and phrases that only agree; None takes the defaults.
        """
        self._played: deque[list[str]] = deque(maxlen=_REMEMBERED)
        self.agree_by(default_backchannels(None) if backchannels is None else backchannels)

    def agree_by(self, backchannels: Iterable[str]) -> None:
        """Take other words and phrases that only agree."""
        phrases = {tuple(tokens(phrase)) for phrase in backchannels} - {()}
        self._backchannels = sorted(phrases, key=len, reverse=True)

    def playing(self, text: str | None) -> None:
        """Learn what the agent's voice says from now on; None: nothing, or it is not known.

        What was played just before is remembered, for its echo may be recognised late.
        """
        self._played.append(tokens(text or "")[-_LONGEST_TEXT:])

    def claim(self, text: str) -> Claim:
        """Judge a transcript, partial or final."""
        words = tokens(text)
        if not words:
            return Claim.NOTHING
        rest = self._without_backchannels(words)
        if not rest:
            return Claim.HARMLESS
        own = _in_common(rest, list(chain.from_iterable(self._played)))
        if len(rest) - own > len(rest) * _FOREIGN_SHARE:
            return Claim.FLOOR
        return Claim.HARMLESS if own >= _SENTENCE else Claim.UNSURE

    def _without_backchannels(self, words: Sequence[str]) -> list[str]:
        rest: list[str] = []
        at = 0
        while at < len(words):
            phrase = next((p for p in self._backchannels if tuple(words[at : at + len(p)]) == p), None)
            if phrase is None:
                rest.append(words[at])
            at += len(phrase) if phrase else 1
        return rest


def _in_common(words: Sequence[str], played: Sequence[str]) -> int:
    """Return how many of the words are in what was played, in the same order."""
    blocks = SequenceMatcher(None, played, words, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks)
