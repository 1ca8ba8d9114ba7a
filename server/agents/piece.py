"""What an agent has said or is about to say, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from server.pcm import Pcm


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A sentence, or what is left of one.

    Attributes:
        text: Its words.
        audio: The same as sound at the wire rate, `(n,)`; None while nobody has spoken it.
    """

    text: str
    audio: Pcm | None = None

    def after(self, samples: int) -> Piece | None:
        """Return what is left when the first samples have been heard; None if that is nothing."""
        if self.audio is None or samples <= 0:
            return self
        if samples >= len(self.audio):
            return None
        heard = heard_text(self.text, samples / len(self.audio))
        return Piece(self.text[len(heard) :].lstrip(), self.audio[samples:])


def heard_text(text: str, share: float) -> str:
    """Return the words that were whole within the first `share` (0 to 1) of a sentence's sound.

    Words are taken to last as long as they are written.
    """
    if share >= 1:
        return text
    end = int(max(share, 0) * len(text))
    return text[: end if _is_chinese(text) else max(text.rfind(" ", 0, end + 1), 0)]


def joined(before: str, text: str) -> str:
    """Return `text` as it follows on `before`: with a space between them, unless both are Chinese."""
    apart = before and text and not (_is_chinese(before[-1]) and _is_chinese(text))
    return f"{before} {text}" if apart else before + text


def whole_frames(audio: Pcm, frame: int) -> Pcm:
    """Return the audio filled up with silence to a multiple of `frame` samples."""
    missing = -len(audio) % frame
    return np.concatenate([audio, np.zeros(missing, np.int16)]) if missing else audio


def _is_chinese(text: str) -> bool:
    """Say whether a text begins in a script that puts no spaces between words."""
    return text[:1] > "\u2e80"
