"""A text that arrives in bits, cut into sentences as soon as each is whole."""

from __future__ import annotations

import re

SHORTEST = 12  # characters: "Yes." is spoken with what follows it
LONGEST = 400  # … and a text without an end is cut anyway

_END = re.compile(r"[.!?…][\"')\]]*\s|[。！？；][”’」]*|\n")
_MARKUP = re.compile(r"[*_`#]+")


class Sentences:
    """Takes bits of text, gives sentences."""

    def __init__(self) -> None:
        self._text = ""

    def feed(self, bit: str) -> list[str]:
        """Take a bit of any length; return the sentences that it completes."""
        self._text += bit
        out: list[str] = []
        while (end := self._end()) is not None:
            out.append(self._text[:end])
            self._text = self._text[end:]
        return _clean(out)

    def finish(self) -> list[str]:
        """Return what is left."""
        left, self._text = self._text, ""
        return _clean([left])

    def _end(self) -> int | None:
        for match in _END.finditer(self._text):
            if len(self._text[: match.end()].strip()) >= SHORTEST or match.group()[0] in "。！？；":
                return match.end()
        if len(self._text) <= LONGEST:
            return None
        space = self._text.rfind(" ", 0, LONGEST)
        return space + 1 if space > 0 else LONGEST


def split(text: str) -> list[str]:
    """Return the sentences of a whole text."""
    sentences = Sentences()
    return sentences.feed(text) + sentences.finish()


def _clean(sentences: list[str]) -> list[str]:
    """Drop what is written and not spoken."""
    spoken = (" ".join(_MARKUP.sub("", sentence).split()) for sentence in sentences)
    return [sentence for sentence in spoken if any(map(str.isalnum, sentence))]
