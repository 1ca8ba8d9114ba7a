"""A tiny Paraformer in the tier: the same texts as here, in both passes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile

from server.asr.paraformer import CHUNK, ParaformerModels, ParaformerRecognizer
from server.tier.recognizer import TierRecognizer
from server.tier.wire import from_pcm, to_pcm

if TYPE_CHECKING:
    from tests.server.conftest import TinyParaformers

TABLE = soundfile.read(Path(__file__).parents[2] / "data" / "table.flac", dtype="float32")[0]


def test_both_passes(tiny: TinyParaformers, start_tier: Callable[..., str]):
    here = ParaformerRecognizer(ParaformerModels(str(tiny.streaming), str(tiny.seaco)))
    audio = from_pcm(to_pcm(TABLE))  # what the tier hears
    pieces = [audio[at : at + CHUNK] for at in range(0, len(audio), CHUNK)]
    with closing(TierRecognizer(start_tier(here))) as there:
        assert there.streaming
        utterances = [each.open("zh", ("天地",)) for each in (here, there)]
        texts = [[utterance.feed(piece) for piece in pieces[:-1]] for utterance in utterances]
        assert texts[0] == texts[1]
        assert texts[0][-1]
        ends = [utterance.finish(pieces[-1]) for utterance in utterances]
        assert ends[0] == ends[1]
        assert ends[0].words
        fresh = there.open("zh", ("天地",))  # a replica that heard nothing of it
        assert fresh.finish(audio) == ends[0]
