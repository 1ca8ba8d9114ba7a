"""A tiny Paraformer with random weights through the real streaming path of `funasr.AutoModel`."""

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from server.asr import RecognitionService, RecognizerError, Transcript, load_recognizer
from server.asr.paraformer import (
    CHUNK,
    ParaformerModels,
    ParaformerRecognizer,
    ParaformerUtterance,
    join_tokens,
    safe_hotwords,
)

DATA = Path(__file__).parents[1] / "data"
TOKENS = ["<blank>", "<s>", "</s>", *"天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏", "<unk>"]
SIZE = 32

STREAMING: dict[str, Any] = {
    "model": "ParaformerStreaming",
    "model_conf": {"ctc_weight": 0.0, "predictor_bias": 1, "sampling_ratio": 0.75},
    "encoder": "SANMEncoderChunkOpt",
    "encoder_conf": {
        "output_size": SIZE,
        "attention_heads": 2,
        "linear_units": 64,
        "num_blocks": 2,
        "input_layer": "pe_online",
        "kernel_size": 11,
        "chunk_size": [12, 15],
        "stride": [8, 10],
        "pad_left": [0, 0],
        "encoder_att_look_back_factor": [4, 4],
        "decoder_att_look_back_factor": [1, 1],
    },
    "decoder": "ParaformerSANMDecoder",
    "decoder_conf": {
        "attention_heads": 2,
        "linear_units": 64,
        "num_blocks": 2,
        "att_layer_num": 2,
        "kernel_size": 11,
        "sanm_shfit": 5,
    },
    "predictor": "CifPredictorV2",
    "predictor_conf": {"idim": SIZE, "threshold": 1.0, "l_order": 1, "r_order": 1, "tail_threshold": 0.45},
    "frontend": "WavFrontendOnline",
    "frontend_conf": {"fs": 16000, "n_mels": 80, "lfr_m": 7, "lfr_n": 6, "dither": 0.0},
    "tokenizer": "CharTokenizer",
    "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
}
OFFLINE: dict[str, Any] = STREAMING | {
    "model": "Paraformer",
    "encoder": "SANMEncoder",
    "encoder_conf": {
        "output_size": SIZE,
        "attention_heads": 2,
        "linear_units": 64,
        "num_blocks": 2,
        "input_layer": "pe",
        "kernel_size": 11,
        "selfattention_layer_type": "sanm",
    },
    "frontend": "WavFrontend",
}

PUNCTUATION: dict[str, Any] = {
    "model": "CTTransformer",
    "model_conf": {
        "embed_unit": SIZE,
        "att_unit": SIZE,
        "punc_list": ["<unk>", "_", "，", "。", "？", "、"],
        "sentence_end_id": 3,
    },
    "encoder": "SANMEncoder",
    "encoder_conf": {
        "input_size": SIZE,
        "output_size": SIZE,
        "attention_heads": 2,
        "linear_units": 64,
        "num_blocks": 1,
        "input_layer": "pe",
        "selfattention_layer_type": "sanm",
    },
    "tokenizer": "CharTokenizer",
    "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
}


def make_model(directory: Path, config: dict[str, Any], seed: int = 4) -> Path:
    """Write a directory as funasr's hub has them, with random weights."""
    import funasr  # noqa: F401  (fills the tables)
    import torch
    from funasr.register import tables
    from omegaconf import OmegaConf

    directory.mkdir()
    OmegaConf.save(OmegaConf.create(config), directory / "config.yaml")
    (directory / "tokens.json").write_text(json.dumps(TOKENS, ensure_ascii=False))
    dims = 80 * 7
    statistics = [("<AddShift>", "-8 "), ("<Rescale>", "0.1 ")]
    rows = [f"{name} {dims} {dims}\n<LearnRateCoef> 0 [ {value * dims}]\n" for name, value in statistics]
    if "frontend" in config:
        (directory / "am.mvn").write_text("".join(rows))
    torch.manual_seed(seed)
    model = tables.model_classes[config["model"]](
        **{**config, **config["model_conf"]}, input_size=dims, vocab_size=len(TOKENS)
    )
    torch.save(model.state_dict(), directory / "model.pt")
    return directory


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("paraformer") / "tiny", STREAMING)


@pytest.fixture(scope="module")
def recognizer(directory: Path) -> ParaformerRecognizer:
    return ParaformerRecognizer(ParaformerModels(str(directory)))


def speech(name: str) -> np.ndarray:
    return soundfile.read(DATA / f"{name}.flac", dtype="float32")[0]


def transcribe(
    utterance: ParaformerUtterance, audio: np.ndarray, chunk: int = CHUNK
) -> tuple[list[str], str]:
    texts = [utterance.feed(audio[start : start + chunk]) for start in range(0, len(audio), chunk)]
    return texts, utterance.finish(np.zeros(0, np.float32)).text


def test_text_comes_chunk_by_chunk_and_the_end_adds_to_it(recognizer: ParaformerRecognizer):
    texts, final = transcribe(recognizer.open(None, ()), speech("table"))
    assert texts[0]
    for earlier, later in pairwise([*texts, final]):
        assert later.startswith(earlier)
    assert len(set(texts)) >= 5
    assert len(final) > len(texts[-1])  # what `is_final` lets out of the look-ahead
    assert set(final) <= set("".join(TOKENS[3:-1]))


@pytest.mark.parametrize("chunk", [320, 3200, 7000, 4 * CHUNK])
def test_the_text_does_not_depend_on_how_audio_is_cut(recognizer: ParaformerRecognizer, chunk: int):
    expected = transcribe(recognizer.open(None, ()), speech("tea"))[1]
    assert transcribe(recognizer.open(None, ()), speech("tea"), chunk)[1] == expected


def test_two_sessions_on_one_model_do_not_mix(recognizer: ParaformerRecognizer):
    one, other = speech("table"), speech("tea")
    alone = [transcribe(recognizer.open(None, ()), audio)[1] for audio in (one, other)]
    assert alone[0] != alone[1]
    first, second = recognizer.open(None, ()), recognizer.open(None, ())
    for start in range(0, len(one), 4800):
        first.feed(one[start : start + 4800])
        second.feed(other[start : start + 4800])
    nothing = np.zeros(0, np.float32)
    assert [first.finish(nothing).text, second.finish(nothing).text] == alone


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
    assert utterance.finish(np.zeros(0, np.float32)) == Transcript("")


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


def test_the_second_pass_has_the_last_word(directory: Path, tmp_path: Path):
    from funasr import AutoModel

    offline = make_model(tmp_path / "offline", OFFLINE, seed=9)
    alone = AutoModel(model=str(offline), disable_update=True, disable_pbar=True, device="cpu")
    expected = join_tokens(alone.generate(input=speech("table"))[0]["text"])
    both = ParaformerRecognizer(ParaformerModels(str(directory), second_pass=str(offline)))
    texts, final = transcribe(both.open(None, ("天地",)), speech("table"))
    assert final == expected != texts[-1]


def test_punctuation_is_put_into_the_final_text(directory: Path, tmp_path: Path):
    model = make_model(tmp_path / "punctuation", PUNCTUATION)
    recognizer = ParaformerRecognizer(ParaformerModels(str(directory), punctuation=str(model)))
    texts, final = transcribe(recognizer.open(None, ()), speech("table"))
    assert not set("，。？、") & set("".join(texts))
    assert final[-1] in "。？."
    assert set(final) - set("，。？、.") <= set("".join(TOKENS))


def test_auto_takes_a_local_directory(directory: Path):
    recognizer = load_recognizer("auto", str(directory))
    assert recognizer is not None
    assert (recognizer.name, recognizer.streaming) == ("paraformer tiny", True)


def test_an_incomplete_directory_is_named(tmp_path: Path):
    (tmp_path / "config.yaml").write_text("model: ParaformerStreaming")
    with pytest.raises(RecognizerError, match=r"lacks model\.pt, tokens\.json, am\.mvn"):
        load_recognizer("paraformer", str(tmp_path))


def test_a_wrong_configuration_is_a_clear_error(directory: Path, tmp_path: Path):
    for file in directory.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.yaml").write_text("model: NoSuchModel\n")
    with pytest.raises(RecognizerError, match="cannot load the model in"):
        load_recognizer("paraformer", str(tmp_path))


def test_a_hub_that_does_not_answer_is_a_clear_error(monkeypatch: pytest.MonkeyPatch):
    from funasr.download import download_model_from_hub as hub

    def unreachable(*args: object, **options: object) -> str:
        raise ConnectionError("name resolution failed")

    monkeypatch.setattr(hub, "get_or_download_model_dir", unreachable)
    with pytest.raises(RecognizerError, match="the hub does not give it: name resolution failed"):
        load_recognizer("paraformer")


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("打 开 设 置", "打开设置"),
        ("打 开 bluetooth 设 置", "打开 bluetooth 设置"),
        ("hello   world", "hello world"),
        ("", ""),
    ],
)
def test_tokens_are_joined_as_people_write(tokens: str, text: str):
    assert join_tokens(tokens) == text


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
