"""The audio of an evaluation: what is asked for, and the calls that it makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from client.conversation.dialogues import TURNS, Dialogue, make_dialogues, make_far_calls, make_word_dialogues
from client.conversation.voices import load_voices

Show = Callable[[str, float, float], None]
"""Told phase, seconds of audio done and in total."""


@dataclass(frozen=True)
class Options:
    """What is measured.

    Attributes:
        manifest: Speakers and noises, as `docs/data.md` describes it.
        split: Whose speakers talk.
        also: Corpora or speakers that talk, too.
        dialogues: Dialogues in which everything counts; as many more count for words alone, where
            there are English speakers whose sentences are not whole.
        far_minutes: Agent alone, for each of two voices.
        seed: Decides all audio.
        model: Checkpoint; None for the shipped weights.
        turns: Of each dialogue.
    """

    manifest: Path
    split: str = "test"
    also: tuple[str, ...] = ()
    dialogues: int = 8
    far_minutes: float = 4.0
    seed: int = 2026
    model: Path | None = None
    turns: int = TURNS


@dataclass(frozen=True)
class Calls:
    """All audio of an evaluation."""

    dialogues: list[Dialogue]
    words: list[Dialogue]
    far: list[Dialogue]

    @property
    def all(self) -> list[Dialogue]:
        return [*self.dialogues, *self.words, *self.far]


def example(calls: Calls) -> Dialogue:
    """Choose the dialogue that is drawn: the first at -10 dB, or the first of all."""
    return next((call for call in calls.dialogues if call.ser_db == -10), calls.dialogues[0])


def make_calls(options: Options, *, with_words: bool, show: Show) -> Calls:
    """Make all audio; each call counts as a minute of it."""
    voices = load_voices(options.manifest, options.split, options.also)
    made, total = 0, options.dialogues * (1 + with_words) + 2 * round(options.far_minutes)

    def one() -> None:
        nonlocal made
        made += 1
        show("making the calls", min(60 * made, 60 * total), 60 * total)

    dialogues = make_dialogues(voices, options.dialogues, options.seed, options.turns, one)
    if not dialogues:
        raise ValueError(
            f"{options.manifest}: no transcript of split {options.split} ends as a sentence does, "
            "so that nobody knows when a turn is over"
        )
    count = options.dialogues if with_words else 0
    words = make_word_dialogues(voices, count, options.seed, options.turns, one)
    far = make_far_calls(voices, options.far_minutes, options.seed, one)
    show("making the calls", 60 * total, 60 * total)
    return Calls(dialogues, words, far)
