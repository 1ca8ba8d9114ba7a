"""Seeded dialogues: a person talks over an agent that never stops, and all that is true about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aec_core.evaluate.spoken import Scripted
from aec_core.train.mixtures import Mixture, Scene, Talk, make_mixture
from aec_core.train.sources import Clip, Sources
from aec_core.types import HOP, SAMPLE_RATE, Samples
from client.conversation.hesitation import can_hesitate, hesitate
from client.conversation.voices import Saying, Talker, Voices

SERS_DB = (-20, -10, 0, 10)
TURNS = 10
FAR_S = 60.0
_OPENING_S = (2.0, 3.0)  # the agent alone
_GAP_S = (2.0, 4.0)  # between turns; longer than any wait for the end of one
_HESITATING = 0.5  # of the turns
_SNR_DB = 30.0
_DELAY_MS = (20.0, 400.0)  # of the echo: what every canceller that is compared can find


@dataclass(frozen=True)
class Turn:
    """What a person says in one go, in samples of the microphone's clock."""

    start: int
    stop: int
    text: str
    pauses: tuple[tuple[int, int], ...] = ()  # inside, where the turn is not over


@dataclass(frozen=True, eq=False)
class Dialogue:
    """One call: mic and ref `(n,)` at 16 kHz, and what is said in it.

    Attributes:
        near: The talker alone, as the microphone hears it.
        ser_db: Level of the talker over the echo; None where nobody talks.
        english: The recogniser can be expected to understand.
        own_voice: The agent speaks with the voice of the talker.
    """

    name: str
    mic: Samples
    ref: Samples
    near: Samples
    turns: tuple[Turn, ...]
    ser_db: int | None = None
    english: bool = True
    own_voice: bool = False


def make_dialogues(
    voices: Voices,
    count: int,
    seed: int,
    turns: int = TURNS,
    made: Callable[[], None] = lambda: None,
) -> list[Dialogue]:
    """Make dialogues over a loudspeaker, at an SER of -20 to +10 dB in turn.

    Whoever speaks does so in whole sentences; without such a speaker there are no dialogues, for nobody
    could tell when the others have finished.

    Args:
        voices: Who talks.
        count: Dialogues.
        seed: Decides everything.
        turns: Utterances of each.
        made: Called after each.
    """
    whole = [replace(talker, sayings=talker.whole) for talker in voices.talkers if talker.whole]
    return _make(voices, whole, count, (seed, 0), turns, made)


def make_word_dialogues(
    voices: Voices,
    count: int,
    seed: int,
    turns: int = TURNS,
    made: Callable[[], None] = lambda: None,
) -> list[Dialogue]:
    """Make dialogues of English talkers whose sentences are not whole: they count for words alone."""
    others = [talker for talker in voices.talkers if talker.english and not talker.whole]
    return _make(voices, others, count, (seed, 1), turns, made)


def make_far_calls(
    voices: Voices, minutes: float, seed: int, made: Callable[[], None] = lambda: None
) -> list[Dialogue]:
    """Make calls of a minute in which only the agent talks: in another's voice and in the person's."""
    calls: list[Dialogue] = []
    for number in range(math.ceil(minutes * 60 / FAR_S)):
        rng = np.random.default_rng([seed, 2, number])
        person, agent = _cast(voices, voices.talkers, number, rng)
        delay_ms = float(rng.uniform(*_DELAY_MS))
        for own, speaker in ((False, agent), (True, person)):
            sources = _sources(voices, speaker)
            scene = Scene(Talk.FAR, snr_db=_SNR_DB, delay_ms=delay_ms)
            mixture = make_mixture(scene, sources, FAR_S, np.random.default_rng([seed, 3, number]))
            name = f"far {number + 1}, {'own' if own else 'other'} voice"
            calls.append(replace(_dialogue(name, mixture, ()), own_voice=own))
            made()
    return calls


def _make(
    voices: Voices,
    talkers: Sequence[Talker],
    count: int,
    seed: tuple[int, int],
    turns: int,
    made: Callable[[], None],
) -> list[Dialogue]:
    dialogues: list[Dialogue] = []
    for number in range(count if talkers else 0):
        rng = np.random.default_rng([*seed, number])
        person, agent = _cast(voices, talkers, number, rng)
        script, said = _script(person, turns, rng)
        ser_db = SERS_DB[number % len(SERS_DB)]
        delay_ms = float(rng.uniform(*_DELAY_MS))
        scene = Scene(Talk.DOUBLE, ser_db=ser_db, delay_ms=delay_ms, snr_db=_SNR_DB)
        sources = Scripted(_sources(voices, agent), script)
        mixture = make_mixture(scene, sources, len(script) / SAMPLE_RATE, rng)
        name = f"{number + 1}: {person.name} over {agent.name}"
        dialogues.append(replace(_dialogue(name, mixture, said), ser_db=ser_db, english=person.english))
        made()
    return dialogues


def _cast(
    voices: Voices, talkers: Sequence[Talker], number: int, rng: np.random.Generator
) -> tuple[Talker, Talker]:
    """Return the person, each in turn and at every level, and another as the agent."""
    person = talkers[(number + number // len(SERS_DB)) % len(talkers)]
    others = [talker for talker in voices.talkers if talker.name != person.name]
    return person, others[int(rng.integers(len(others)))]


def _sources(voices: Voices, agent: Talker) -> Sources:
    clips = [
        Clip(np.round(saying.audio * 32767).astype(np.int16), "agent", agent.name) for saying in agent.sayings
    ]
    return Sources(clips, clips, list(voices.noises))


def _dialogue(name: str, mixture: Mixture, turns: tuple[Turn, ...]) -> Dialogue:
    n = len(mixture.mic) // HOP * HOP
    mic, ref, near = (wave[:n].astype(np.float32) for wave in (mixture.mic, mixture.ref, mixture.near))
    return Dialogue(name, mic, ref, near, turns)


def _script(person: Talker, turns: int, rng: np.random.Generator) -> tuple[Samples, tuple[Turn, ...]]:
    """Lay out what a person says: the audio `(n,)` and where each turn lies in it."""
    parts: list[Samples] = [_silence(_OPENING_S, rng)]
    said: list[Turn] = []
    order = [int(pick) for pick in rng.permutation(len(person.sayings))]
    for number in range(turns):
        audio, pauses = _spoken(person.sayings[order[number % len(order)]], rng)
        start = sum(map(len, parts))
        parts += [audio, _silence(_GAP_S, rng)]
        moved = tuple((start + first, start + last) for first, last in pauses)
        said.append(Turn(start, start + len(audio), person.sayings[order[number % len(order)]].text, moved))
    return np.concatenate(parts), tuple(said)


def _spoken(saying: Saying, rng: np.random.Generator) -> tuple[Samples, list[tuple[int, int]]]:
    """Say it at about one level, half of the time with a hesitation."""
    audio = saying.audio
    level = 0.1 * 10 ** (rng.uniform(-3, 3) / 20) / (np.sqrt(np.mean(audio**2)) + 1e-6)
    audio = (level * audio).astype(np.float32)
    if rng.random() >= _HESITATING or not can_hesitate(audio):
        return audio, []
    longer, pause = hesitate(audio, rng)
    return longer, [pause]


def _silence(seconds: tuple[float, float], rng: np.random.Generator) -> Samples:
    return np.zeros(round(rng.uniform(*seconds) * SAMPLE_RATE), np.float32)
