"""Paraformer through funasr's `AutoModel`: streaming, with an optional offline second pass.

A session's state is the `cache` of its utterance; the model itself keeps none between calls, so
one model serves all. funasr needs torch and is imported when a model is loaded, not before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aec_core.types import SAMPLE_RATE, Samples
from server.asr.contract import RecognizerError, Transcript, Word

CHUNK = 9600  # 600 ms
_SHORTEST = 960  # a frame of 60 ms; the model turns less into words of its own
_CHUNK_SIZE = [0, 10, 5]  # look back, chunk and look ahead, in frames of 60 ms
_FILES = ("config.yaml", "model.pt", "tokens.json", "am.mvn")
_MS = SAMPLE_RATE // 1000
_SAFE = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class ParaformerModels:
    """Where the models come from: local directories or hub ids.

    Attributes:
        streaming: The model that gives partial texts.
        second_pass: An offline model that hears the whole utterance again and writes the final text.
        punctuation: A model that puts punctuation into the final text.
    """

    streaming: str
    second_pass: str | None = None
    punctuation: str | None = None


class ParaformerRecognizer:
    """The loaded models on one CPU thread."""

    streaming = True

    def __init__(self, models: ParaformerModels) -> None:
        """Load the models.

        Raises:
            RecognizerError: If funasr is missing, a directory is incomplete, or a model cannot be
                had from its hub.
        """
        self.name = f"paraformer {Path(models.streaming).name}"
        self._online = _load(models.streaming, _FILES)
        self._offline = _load(models.second_pass) if models.second_pass else None
        self._punctuation = _load(models.punctuation) if models.punctuation else None

    def open(self, language: str | None, hotwords: Sequence[str]) -> ParaformerUtterance:
        """Begin an utterance; the language is the model's own."""
        return ParaformerUtterance(self._online, self._offline, self._punctuation, hotwords)


class ParaformerUtterance:
    """The cache of one utterance and the text that came out so far."""

    def __init__(self, online: Any, offline: Any, punctuation: Any, hotwords: Sequence[str]) -> None:
        self._online = online
        self._offline = offline
        self._punctuation = punctuation
        self._hotwords = safe_hotwords(hotwords)
        self._cache: dict[str, Any] = {}
        self._rest: Samples = np.zeros(0, np.float32)  # less than a chunk
        self._length = 0
        self._all: list[Samples] = []  # for the second pass
        self._text = ""

    def feed(self, audio: Samples) -> str:
        """Take the next samples `(n,)` and return the text so far; it grows by whole chunks."""
        self._keep(audio)
        whole = len(self._rest) // CHUNK * CHUNK
        if whole:
            chunks, self._rest = self._rest[:whole], self._rest[whole:]
            self._stream(chunks, final=False)
        return self._text

    def finish(self, tail: Samples) -> Transcript:
        """Take the last samples and return the final text."""
        self._keep(tail)
        if self._length < _SHORTEST:
            return Transcript("")
        self._stream(self._rest, final=True)
        if self._offline is None:
            return Transcript(self._punctuated(self._text))
        audio = np.concatenate(self._all)
        options = {"hotword": self._hotwords} if self._hotwords else {}
        result = self._offline.generate(input=audio, **options)[0]
        return Transcript(self._punctuated(join_tokens(result["text"])), _words(result))

    def _keep(self, audio: Samples) -> None:
        self._rest = np.concatenate([self._rest, audio])
        self._length += len(audio)
        if self._offline is not None:
            self._all.append(audio)

    def _stream(self, audio: Samples, final: bool) -> None:
        result = self._online.generate(
            input=audio,
            cache=self._cache,
            is_final=final,
            chunk_size=_CHUNK_SIZE,
            encoder_chunk_look_back=4,
            decoder_chunk_look_back=1,
        )
        self._text = join_tokens(f"{self._text} {result[0]['text']}")

    def _punctuated(self, text: str) -> str:
        if self._punctuation is None or not text:
            return text
        return str(self._punctuation.generate(input=text)[0]["text"])


def join_tokens(text: str) -> str:
    """Join what funasr separates by spaces: Chinese without them, other words with one.

    >>> join_tokens("打 开 bluetooth 设 置")
    '打开 bluetooth 设置'
    """
    joined = ""
    for token in text.split():
        separate = joined and not (_is_chinese(joined[-1]) and _is_chinese(token[0]))
        joined += f" {token}" if separate else token
    return joined


def _is_chinese(character: str) -> bool:
    return "\u3400" <= character <= "\u9fff"


def _words(result: dict[str, Any]) -> tuple[Word, ...]:
    """Pair the tokens with their times, where the model gives one for each."""
    tokens: list[str] = result["text"].split()
    times: list[tuple[float, float]] = result.get("timestamp") or []
    if len(tokens) != len(times):
        return ()
    return tuple(
        Word(token, round(start * _MS), round(end * _MS))
        for token, (start, end) in zip(tokens, times, strict=True)
    )


def _load(model: str, files: Sequence[str] = ("config.yaml", "model.pt")) -> Any:
    try:
        from funasr import AutoModel
    except (ImportError, OSError) as error:  # OSError: a binary of torch that does not load here
        raise RecognizerError(f"paraformer needs the packages of the extra `asr`: {error}") from error
    directory = Path(model) if Path(model).is_dir() else _download(model)
    missing = [file for file in files if not (directory / file).is_file()]
    if missing:
        raise RecognizerError(f"{model} is not a Paraformer directory: it lacks {', '.join(missing)}")
    quiet = {"disable_update": True, "disable_pbar": True, "disable_log": True, "log_level": "WARNING"}
    try:
        return AutoModel(model=str(directory), device="cpu", ncpu=1, **quiet)
    except Exception as error:  # whatever a wrong configuration makes funasr raise
        raise RecognizerError(f"cannot load the model in {directory}: {error}") from error


def _download(model: str) -> Path:
    """Fetch a model from funasr's hub; `AutoModel` itself hides why it could not."""
    from funasr.download import download_model_from_hub as hub

    try:
        name = hub.name_maps_ms.get(model, model)
        return Path(hub.get_or_download_model_dir(name, "master"))
    except Exception as error:
        raise RecognizerError(
            f"{model} is no local directory and the hub does not give it: {error}"
        ) from error


def safe_hotwords(hotwords: Sequence[str]) -> str:
    """Return the words of hotwords, joined as funasr takes them.

    funasr reads a file, or fetches a page, if the hotwords are its name: only letters, digits and
    what joins them inside a word get through, and nothing that begins as an address does.
    """
    words = [word for hotword in hotwords for word in _SAFE.findall(hotword)]
    words.sort(key=lambda word: word.lower().startswith("http"))  # stable: the order means nothing to it
    return "" if words and words[0].lower().startswith("http") else " ".join(words)
