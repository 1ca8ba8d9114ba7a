"""Paraformer through funasr's `AutoModel`, in two passes as in FunASR's own runtime.

The streaming model writes partial texts, 600 ms at a time; an offline model hears the whole
utterance again when it is complete, and a punctuation model finishes its text. A session's state
is the `cache` of its utterance; the models keep none between calls, so one set of them serves
all. funasr needs torch and is imported when a model is loaded, not before.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from aec_core.types import SAMPLE_RATE, Samples
from server.asr.choice import FILES, STREAMING_FILES, ParaformerModels
from server.asr.contract import RecognizerError, Transcript, Word
from server.asr.hub import locate
from server.asr.text import is_han, join, spell, words_of, write

CHUNK = 9600  # 600 ms
_SHORTEST = 960  # a frame of 60 ms; the model turns less into words of its own
_CHUNK_SIZE = [0, 10, 5]  # look back, chunk and look ahead, in frames of 60 ms
_MS = SAMPLE_RATE // 1000
_SAFE = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_BATCH_AUDIO = 30 * SAMPLE_RATE  # with padding; bounds how long a batch keeps the others waiting

logger = logging.getLogger(__name__)


class TokenTap:
    """Stands in for a model's tokenizer and keeps what it was asked for last.

    The text of a chunk alone loses a word that a chunk ends in the middle of.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._tokens: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def ids2tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the tokens of one hypothesis, as the tokenizer does."""
        tokens: list[str] = self._tokenizer.ids2tokens(ids)
        self._tokens += tokens
        return tokens

    def take(self) -> list[str]:
        """Return all tokens since the last call."""
        tokens, self._tokens = self._tokens, []
        return tokens


class ParaformerRecognizer:
    """The loaded models.

    Attributes:
        name: For people.
        batch: How many utterances the second pass takes at a time.
    """

    streaming = True

    def __init__(self, models: ParaformerModels) -> None:
        """Load the models.

        Raises:
            RecognizerError: If funasr is missing, a directory is incomplete, or a model cannot be
                had from its hub.
        """
        self.name = models.name
        self.batch = 8 if models.second_pass else 1
        self._online = _load(models.streaming, models, STREAMING_FILES)
        self._offline = _load(models.second_pass, models) if models.second_pass else None
        self._punctuation = _load(models.punctuation, models) if models.punctuation else None
        self._tap = TokenTap(self._online.kwargs["tokenizer"])
        self._languages = _languages(self._online.kwargs["token_list"])

    def open(self, language: str | None, hotwords: Sequence[str]) -> ParaformerUtterance:
        """Begin an utterance.

        Raises:
            RecognizerError: If the model has no words of the language.
        """
        if language is not None and language.lower().split("-")[0] not in self._languages:
            known = " and ".join(sorted(self._languages))
            raise RecognizerError(f"{self.name} knows only {known}, not {language!r}")
        return ParaformerUtterance(self, hotwords)

    def stream(self, audio: Samples, cache: dict[str, Any], final: bool) -> list[str]:
        """Return the tokens of the next audio `(n,)` of the utterance that owns the cache."""
        self._online.generate(
            input=audio,
            cache=cache,
            is_final=final,
            chunk_size=_CHUNK_SIZE,
            encoder_chunk_look_back=4,
            decoder_chunk_look_back=1,
            tokenizer=self._tap,
        )
        return self._tap.take()

    def finish_together(
        self, ends: Sequence[tuple[ParaformerUtterance, Samples]]
    ) -> list[Transcript | Exception]:
        """Take the last samples of several utterances; return what becomes of each, in order."""
        for utterance, tail in ends:
            utterance.keep(tail)
        results: dict[int, Transcript | Exception] = {}
        order = sorted(range(len(ends)), key=lambda n: (ends[n][0].hotwords, ends[n][0].length))
        for _, same in groupby(order, key=lambda n: ends[n][0].hotwords):
            for batch in _batches([(n, ends[n][0].length) for n in same]):
                outcomes = self._finish([ends[n][0] for n in batch])
                results.update(zip(batch, outcomes, strict=True))
        return [results[n] for n in range(len(ends))]

    def _finish(self, utterances: Sequence[ParaformerUtterance]) -> list[Transcript | Exception]:
        try:
            if self._offline is None:
                return [self._written(utterance.flush()) for utterance in utterances]
            return [*self._hear_again(utterances)]
        except Exception as error:
            if len(utterances) > 1:
                logger.exception("a batch of %d utterances failed: one by one", len(utterances))
                return [outcome for utterance in utterances for outcome in self._finish([utterance])]
            return [self._first_pass(utterances[0], error)]

    def _first_pass(self, utterance: ParaformerUtterance, error: Exception) -> Transcript | Exception:
        """Return what the streaming model wrote, where the second pass failed with an error."""
        if self._offline is None:
            return error
        logger.error("the second pass failed, the first has the last word", exc_info=error)
        try:
            return self._written(utterance.flush())
        except Exception as another:
            return another

    def _hear_again(self, utterances: Sequence[ParaformerUtterance]) -> Iterator[Transcript]:
        """Run the second pass; all of the utterances have the same hotwords."""
        heard = [utterance for utterance in utterances if utterance.length >= _SHORTEST]
        options = {"hotword": heard[0].hotwords} if heard and heard[0].hotwords else {}
        audios = [utterance.audio for utterance in heard]
        results: list[dict[str, Any]] = [{"text": ""}] * len(audios)
        if self._offline is not None and audios:
            said = self._offline.generate(input=audios, batch_size=len(audios), **options)
            # Of a batch without a single word it says nothing at all.
            results = said if len(said) == len(audios) else results
        transcripts = iter([self._transcript(*pair) for pair in zip(results, heard, strict=True)])
        for utterance in utterances:
            yield next(transcripts) if utterance.length >= _SHORTEST else Transcript("")

    def _transcript(self, result: dict[str, Any], utterance: ParaformerUtterance) -> Transcript:
        words: list[str] = result["text"].split()
        return self._written(words, _timed(words, result.get("timestamp") or (), utterance.length))

    def _written(self, words: Sequence[str], timed: tuple[Word, ...] = ()) -> Transcript:
        text = join(words)
        if self._punctuation is not None and text:
            # It may pick the first of its signs, which is no sign.
            text = str(self._punctuation.generate(input=text)[0]["text"]).replace("<unk>", "")
        return Transcript(write(text), timed)


class ParaformerUtterance:
    """The cache of one utterance and the tokens that came out so far.

    Attributes:
        hotwords: As funasr takes them.
        length: Samples so far.
    """

    def __init__(self, recognizer: ParaformerRecognizer, hotwords: Sequence[str]) -> None:
        self._recognizer = recognizer
        self.hotwords = safe_hotwords(hotwords)
        self.length = 0
        self._cache: dict[str, Any] = {}
        self._streamed = 0
        self._all: list[Samples] = []
        self._tokens: list[str] = []

    @property
    def audio(self) -> Samples:
        """All of it, `(length,)`."""
        self._all = [np.concatenate([np.zeros(0, np.float32), *self._all])]
        return self._all[0]

    def keep(self, audio: Samples) -> None:
        """Append samples `(n,)`; nothing is recognised."""
        self._all.append(audio)
        self.length += len(audio)

    def feed(self, audio: Samples) -> str:
        """Take the next samples `(n,)` and return the text so far; it grows by whole chunks."""
        self.keep(audio)
        whole = (self.length - self._streamed) // CHUNK * CHUNK
        if whole:
            self._stream(whole, final=False)
        return join(words_of(self._tokens))

    def flush(self) -> list[str]:
        """Stream what is left and return all words."""
        if self.length >= _SHORTEST:
            self._stream(self.length - self._streamed, final=True)
        return spell(words_of(self._tokens))

    def finish(self, tail: Samples) -> Transcript:
        """Take the last samples `(n,)` and return the final text."""
        (outcome,) = self._recognizer.finish_together([(self, tail)])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _stream(self, samples: int, final: bool) -> None:
        chunk = self.audio[self._streamed : self._streamed + samples]
        self._streamed += samples
        self._tokens += self._recognizer.stream(chunk, self._cache, final)


def safe_hotwords(hotwords: Sequence[str]) -> str:
    """Return the words of hotwords, joined as funasr takes them.

    funasr reads a file, or fetches a page, if the hotwords are its name: only letters, digits and
    what joins them inside a word get through, and nothing that begins as an address does.
    """
    words = [word for hotword in hotwords for word in _SAFE.findall(hotword)]
    words.sort(key=lambda word: word.lower().startswith("http"))  # stable: the order means nothing to it
    return "" if words and words[0].lower().startswith("http") else " ".join(words)


def _batches(lengths: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Cut `(number, length)`, shortest first, into batches of numbers."""
    batch: list[int] = []
    for number, length in lengths:
        if batch and (len(batch) + 1) * length > _BATCH_AUDIO:
            yield batch
            batch = []
        batch.append(number)
    yield batch


def _timed(words: Sequence[str], times: Sequence[Sequence[float]], length: int) -> tuple[Word, ...]:
    """Pair words with their times in ms, where the model gives one for each."""
    if len(words) != len(times):
        return ()
    edges = np.clip(np.asarray(times, np.float64).reshape(-1, 2) * _MS, 0, length).round().astype(int)
    return tuple(Word(word, int(start), int(end)) for word, (start, end) in zip(words, edges, strict=True))


def _languages(tokens: Sequence[str]) -> set[str]:
    """Return the ISO-639-1 codes of the languages that a vocabulary can write."""
    texts = [token.removesuffix("@@").removeprefix("▁") for token in tokens]
    han = {"zh"} if any(text and is_han(text[0]) for text in texts) else set()
    latin = {"en"} if any(text.isascii() and text.isalpha() for text in texts) else set()
    return han | latin


def _load(model: str, models: ParaformerModels, files: Sequence[str] = FILES) -> Any:
    try:
        from funasr import AutoModel
    except (ImportError, OSError) as error:  # OSError: a binary of torch that does not load here
        raise RecognizerError(f"paraformer needs the packages of the extra `asr`: {error}") from error
    directory = locate(model, models.hub, files)
    quiet = {"disable_update": True, "disable_pbar": True, "disable_log": True, "log_level": "WARNING"}
    try:
        return AutoModel(model=str(directory), device="cpu", ncpu=models.threads, **quiet)
    except Exception as error:  # whatever a wrong configuration makes funasr raise
        raise RecognizerError(f"cannot load the model in {directory}: {error}") from error
