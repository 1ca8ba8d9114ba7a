"""Tiny Paraformers with random weights through the real paths of `funasr.AutoModel`."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from server.asr import RecognitionService, RecognizerError, Transcript, load_recognizer
from server.asr import hub as hubs
from server.asr.choice import choose
from server.asr.paraformer import (
    CHUNK,
    ParaformerModels,
    ParaformerRecognizer,
    ParaformerUtterance,
    safe_hotwords,
)

if TYPE_CHECKING:
    from tests.server.conftest import TinyParaformers

DATA = Path(__file__).parents[1] / "data"
NOTHING = np.zeros(0, np.float32)


@pytest.fixture(scope="module")
def recognizer(tiny: TinyParaformers) -> ParaformerRecognizer:
    return ParaformerRecognizer(ParaformerModels(str(tiny.streaming)))


@pytest.fixture(scope="module")
def two_passes(tiny: TinyParaformers) -> ParaformerRecognizer:
    return ParaformerRecognizer(ParaformerModels(str(tiny.streaming), str(tiny.seaco), str(tiny.punctuation)))


def speech(name: str) -> np.ndarray:
    return soundfile.read(DATA / f"{name}.flac", dtype="float32")[0]


def transcribe(
    utterance: ParaformerUtterance, audio: np.ndarray, chunk: int = CHUNK
) -> tuple[list[str], str]:
    texts = [utterance.feed(audio[start : start + chunk]) for start in range(0, len(audio), chunk)]
    return texts, utterance.finish(NOTHING).text


def test_text_comes_chunk_by_chunk_and_the_end_adds_to_it(recognizer: ParaformerRecognizer):
    texts, final = transcribe(recognizer.open(None, ()), speech("table"))
    assert texts[0]
    for earlier, later in pairwise(texts):
        assert later.startswith(earlier)
    assert len(set(texts)) >= 5
    assert len(final) > len(texts[-1])  # what `is_final` lets out of the look-ahead
    assert final.lower().startswith(texts[-1])


def test_a_word_that_a_chunk_cuts_in_two_is_whole(
    recognizer: ParaformerRecognizer, monkeypatch: pytest.MonkeyPatch
):
    """funasr's own text of each chunk drops the first half of such a word."""
    utterance = recognizer.open(None, ())
    chunks = iter([["天", "blue@@"], ["tooth", "地"]])
    monkeypatch.setattr(recognizer, "stream", lambda *_: next(chunks))
    assert utterance.feed(np.zeros(CHUNK, np.float32)) == "天 blue"
    assert utterance.feed(np.zeros(CHUNK, np.float32)) == "天 bluetooth 地"


@pytest.mark.parametrize("chunk", [320, 3200, 7000, 4 * CHUNK])
def test_the_text_does_not_depend_on_how_audio_is_cut(recognizer: ParaformerRecognizer, chunk: int):
    expected = transcribe(recognizer.open(None, ()), speech("tea"))[1]
    assert transcribe(recognizer.open(None, ()), speech("tea"), chunk)[1] == expected


def test_two_sessions_on_one_model_do_not_mix(recognizer: ParaformerRecognizer):
    one, other = speech("table"), speech("tea")
    separate = [transcribe(recognizer.open(None, ()), audio)[1] for audio in (one, other)]
    assert separate[0] != separate[1]
    first, second = recognizer.open(None, ()), recognizer.open(None, ())
    for start in range(0, len(one), 4800):
        first.feed(one[start : start + 4800])
        second.feed(other[start : start + 4800])
    assert [first.finish(NOTHING).text, second.finish(NOTHING).text] == separate


def test_the_tail_may_come_with_the_end(recognizer: ParaformerRecognizer):
    audio = speech("tea")
    expected = transcribe(recognizer.open(None, ()), audio)[1]
    utterance = recognizer.open(None, ())
    utterance.feed(audio[:20_000])
    assert utterance.finish(audio[20_000:]).text == expected


@pytest.mark.parametrize("length", [0, 1, 959])
def test_next_to_nothing_has_no_words(recognizer: ParaformerRecognizer, length: int):
    utterance = recognizer.open(None, ())
    assert utterance.feed(speech("tea")[:length]) == ""
    assert utterance.finish(NOTHING) == Transcript("")


@pytest.mark.parametrize("length", [960, CHUNK - 1, CHUNK, 2 * CHUNK, 2 * CHUNK + 500])
def test_any_other_length_has_an_end(recognizer: ParaformerRecognizer, length: int):
    assert recognizer.open(None, ()).finish(speech("tea")[:length]).text


def test_through_the_service(recognizer: ParaformerRecognizer):
    audio = speech("tea")
    expected = transcribe(recognizer.open(None, ()), audio)[1]
    service = RecognitionService(recognizer)
    recognition = service.open()
    for start in range(0, len(audio), 3200):
        recognition.feed(audio[start : start + 3200])
    recognition.finish()
    deadline = time.monotonic() + 30
    while not (ends := [result for result in recognition.poll() if isinstance(result, Transcript)]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert ends == [Transcript(expected)]
    service.close()


def alone(model: Path, audio: np.ndarray, **options: Any) -> dict[str, Any]:
    """Return what funasr says of one recording."""
    from funasr import AutoModel

    loaded = AutoModel(model=str(model), disable_update=True, disable_pbar=True, device="cpu")
    return loaded.generate(input=audio, **options)[0]


def test_the_second_pass_has_the_last_word_with_times(
    tiny: TinyParaformers, two_passes: ParaformerRecognizer
):
    audio = speech("table")
    expected = alone(tiny.seaco, audio)
    utterance = two_passes.open(None, ())
    streamed = utterance.feed(audio[:48_000])
    final = utterance.finish(audio[48_000:])
    words = [word.word for word in final.words]
    assert words == expected["text"].split()
    assert "".join(words) != streamed
    times = [(word.start / 16, word.end / 16) for word in final.words]
    assert times == [(start, min(end, len(audio) / 16)) for start, end in expected["timestamp"]]
    edges = [edge for word in final.words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert 0 <= edges[0] < edges[-1] <= len(audio)


def test_the_text_has_punctuation_and_the_words_have_none(two_passes: ParaformerRecognizer):
    final = two_passes.open(None, ()).finish(speech("table"))
    assert final.text[-1] in "。？.?"
    assert not set("，。？、,.?") & set("".join(word.word for word in final.words))
    letters = [character for character in final.text.lower() if character.isalnum()]
    assert letters == [c for c in "".join(word.word for word in final.words).lower() if c.isalnum()]


def test_a_second_pass_without_times_gives_no_words(tiny: TinyParaformers):
    audio = speech("tea")
    recognizer = ParaformerRecognizer(ParaformerModels(str(tiny.streaming), str(tiny.offline)))
    final = recognizer.open(None, ()).finish(audio)
    assert final.text.lower().replace(" ", "") == alone(tiny.offline, audio)["text"].replace(" ", "")
    assert final.words == ()


def test_several_utterances_end_together_as_each_alone(
    two_passes: ParaformerRecognizer, calls: list[dict[str, Any]]
):
    audios = [speech("table"), speech("tea"), NOTHING, speech("tea")[:20_000], speech("tea")[:500]]
    hotwords = [(), ("天地",), (), (), ("天地",)]
    together = two_passes.finish_together(
        [(two_passes.open(None, words), audio) for words, audio in zip(hotwords, audios, strict=True)]
    )
    assert sorted(len(call["input"]) for call in calls) == [1, 2]  # one for each set of hotwords
    for outcome, words, audio in zip(together, hotwords, audios, strict=True):
        apart = two_passes.open(None, words).finish(audio)
        assert isinstance(outcome, Transcript)
        assert outcome.text == apart.text
        assert len(outcome.words) == len(apart.words)
    assert together[2] == together[4] == Transcript("")


@pytest.fixture
def calls(two_passes: ParaformerRecognizer, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Write down what the second pass is asked."""
    seen: list[dict[str, Any]] = []
    original = two_passes._offline.generate

    def generate(**options: Any) -> Any:
        seen.append(options)
        return original(**options)

    monkeypatch.setattr(two_passes._offline, "generate", generate)
    return seen


def test_a_batch_holds_thirty_seconds(two_passes: ParaformerRecognizer, calls: list[dict[str, Any]]):
    audio = np.tile(speech("tea"), 4)[: 12 * 16_000]
    outcomes = two_passes.finish_together([(two_passes.open(None, ()), audio) for _ in range(3)])
    assert [len(call["input"]) for call in calls] == [2, 1]
    assert len({outcome.text for outcome in outcomes if isinstance(outcome, Transcript)}) == 1


def test_hotwords_reach_the_model(
    tiny: TinyParaformers, two_passes: ParaformerRecognizer, calls: list[dict[str, Any]]
):
    audio = speech("tea")
    with_them = two_passes.open(None, ("天地", "green tea")).finish(audio)
    without = two_passes.open(None, ()).finish(audio)
    assert [call.get("hotword") for call in calls] == ["天地 green tea", None]
    expected = alone(tiny.seaco, audio, hotword="天地 green tea")["text"].split()
    assert [word.word for word in with_them.words] == expected
    assert with_them != without


def test_a_second_pass_that_fails_leaves_the_last_word_to_the_first(
    two_passes: ParaformerRecognizer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(two_passes, "_punctuation", None)
    monkeypatch.setattr(two_passes._offline, "generate", lambda **_: 1 / 0)
    utterance = two_passes.open(None, ())
    streamed = utterance.feed(speech("tea"))
    assert utterance.finish(NOTHING).text.lower().startswith(streamed)
    assert "the second pass failed" in caplog.text


@pytest.mark.parametrize(("language", "known"), [(None, True), ("zh", True), ("en-US", True), ("fr", False)])
def test_the_languages_are_those_of_the_vocabulary(
    recognizer: ParaformerRecognizer, language: str | None, known: bool
):
    if known:
        recognizer.open(language, ())
    else:
        with pytest.raises(RecognizerError, match="paraformer tiny knows only en and zh, not 'fr'"):
            recognizer.open(language, ())


def test_an_incomplete_directory_is_named(tmp_path: Path):
    (tmp_path / "config.yaml").write_text("model: ParaformerStreaming")
    with pytest.raises(RecognizerError, match=r"lacks model\.pt, tokens\.json, am\.mvn"):
        load_recognizer("paraformer", str(tmp_path))


def test_a_directory_that_is_not_there_is_not_looked_for_at_the_hub():
    with pytest.raises(RecognizerError, match="there is no directory /no/such/model"):
        load_recognizer("paraformer", "/no/such/model")


def test_a_wrong_configuration_is_a_clear_error(tiny: TinyParaformers, tmp_path: Path):
    for file in tiny.streaming.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.yaml").write_text("model: NoSuchModel\n")
    with pytest.raises(RecognizerError, match="cannot load the model in"):
        ParaformerRecognizer(ParaformerModels(str(tmp_path)))


@pytest.mark.parametrize("hub", ["modelscope", "huggingface"])
def test_a_hub_that_does_not_answer_is_a_clear_error_at_once(monkeypatch: pytest.MonkeyPatch, hub: hubs.Hub):
    attempts: list[str] = []

    def fetch(name: str, local_files_only: bool = False) -> str:
        attempts.append(name)
        raise OSError("not in the cache")

    # Port 9 of this machine: nobody listens there.
    monkeypatch.setattr(hubs, f"_{hub}", lambda model: (model, "http://127.0.0.1:9", fetch))
    with pytest.raises(RecognizerError, match=r"the hub does not give it: .* does not answer"):
        hubs.locate("paraformer-zh-streaming", hub, ())
    assert attempts == ["paraformer-zh-streaming"]  # the cache alone


def test_short_names_are_those_of_funasr():
    assert hubs._modelscope("ct-punc")[0].startswith("iic/punc_ct-transformer")
    assert hubs._huggingface("paraformer-zh-streaming")[0] == "funasr/paraformer-zh-streaming"
    assert hubs._modelscope("somebody/model")[0] == "somebody/model"


def test_what_is_in_the_cache_needs_no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    fetch = {"name": str(tmp_path)}.__getitem__
    cached = ("name", "http://127.0.0.1:9", lambda name, local_files_only: fetch(name))
    monkeypatch.setattr(hubs, "_modelscope", lambda model: cached)
    assert hubs.locate("paraformer-zh-streaming", "modelscope", ()) == tmp_path


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ((None, None, None), ("paraformer-zh-streaming", "paraformer-zh", "ct-punc")),
        (("iic/mine", "none", None), ("iic/mine", None, "ct-punc")),
        ((".", None, None), (".", None, None)),  # a directory comes alone
        ((".", "paraformer-zh", "none"), (".", "paraformer-zh", None)),
    ],
)
def test_what_is_not_said_comes_from_the_hub_and_not_beside_a_directory(
    given: tuple[str | None, ...], chosen: tuple[str | None, ...]
):
    models = choose(given[0], given[1], given[2], "modelscope", 1)
    assert (models.streaming, models.second_pass, models.punctuation) == chosen


@pytest.mark.parametrize(
    ("hotwords", "given"),
    [
        (("天地", "green tea"), "天地 green tea"),
        ((), ""),
        (("/etc/names.txt",), "etc names txt"),
        (("http://host/list",), "host list http"),
        (("https",), ""),
        (("don't", "a-b", "--x", "…"), "don't a-b x"),
    ],
)
def test_hotwords_name_no_file_and_no_address(hotwords: tuple[str, ...], given: str):
    assert safe_hotwords(hotwords) == given
