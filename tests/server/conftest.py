"""Paraformers with random weights, a few kilobytes each, that the real `funasr.AutoModel` loads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HAN = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏"
TOKENS = ["<blank>", "<s>", "</s>", *HAN, "blue@@", "tooth", "to@@", "morrow", "hello", "u", "<unk>"]
SIZE = 32
_LAYERS = {"attention_heads": 2, "linear_units": 64, "num_blocks": 2, "kernel_size": 11}
_TEXT = {"tokenizer": "CharTokenizer", "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True}}
_DECODER = _LAYERS | {"att_layer_num": 2, "sanm_shfit": 5}
_CIF = {"idim": SIZE, "threshold": 1.0, "l_order": 1, "r_order": 1, "tail_threshold": 0.45}
_FBANK = {"fs": 16000, "n_mels": 80, "lfr_m": 7, "lfr_n": 6, "dither": 0.0}

STREAMING: dict[str, Any] = _TEXT | {
    "model": "ParaformerStreaming",
    "model_conf": {"ctc_weight": 0.0, "predictor_bias": 1, "sampling_ratio": 0.75},
    "encoder": "SANMEncoderChunkOpt",
    "encoder_conf": _LAYERS
    | {
        "output_size": SIZE,
        "input_layer": "pe_online",
        "chunk_size": [12, 15],
        "stride": [8, 10],
        "pad_left": [0, 0],
        "encoder_att_look_back_factor": [4, 4],
        "decoder_att_look_back_factor": [1, 1],
    },
    "decoder": "ParaformerSANMDecoder",
    "decoder_conf": _DECODER,
    "predictor": "CifPredictorV2",
    "predictor_conf": _CIF,
    "frontend": "WavFrontendOnline",
    "frontend_conf": _FBANK,
}
_OFFLINE_ENCODER = _LAYERS | {
    "output_size": SIZE,
    "input_layer": "pe",
    "selfattention_layer_type": "sanm",
}
OFFLINE = STREAMING | {
    "model": "Paraformer",
    "encoder": "SANMEncoder",
    "encoder_conf": _OFFLINE_ENCODER,
    "frontend": "WavFrontend",
}
SEACO = OFFLINE | {
    "model": "SeacoParaformer",
    "model_conf": STREAMING["model_conf"]
    | {"inner_dim": SIZE, "bias_encoder_type": "lstm", "NO_BIAS": len(TOKENS) - 1},
    "predictor": "CifPredictorV3",
    "predictor_conf": _CIF | {"upsample_times": 3, "use_cif1_cnn": False, "upsample_type": "cnn_blstm"},
    "seaco_decoder": "ParaformerSANMDecoder",
    "seaco_decoder_conf": _DECODER | {"wo_input_layer": True, "use_output_layer": False},
}
PUNCTUATION: dict[str, Any] = _TEXT | {
    "model": "CTTransformer",
    "model_conf": {
        "embed_unit": SIZE,
        "att_unit": SIZE,
        "punc_list": ["<unk>", "_", "，", "。", "？", "、"],
        "sentence_end_id": 3,
    },
    "encoder": "SANMEncoder",
    "encoder_conf": _OFFLINE_ENCODER | {"input_size": SIZE, "num_blocks": 1},
}


@dataclass(frozen=True)
class TinyParaformers:
    """Directories as funasr's hub has them."""

    streaming: Path
    offline: Path
    seaco: Path  # an offline model with hotwords and times
    punctuation: Path


def make_model(directory: Path, config: dict[str, Any], seed: int) -> Path:
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
    flat = {**config, **config["model_conf"]}
    model = tables.model_classes[config["model"]](**flat, input_size=dims, vocab_size=len(TOKENS))
    torch.save(model.state_dict(), directory / "model.pt")
    return directory


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyParaformers:
    root = tmp_path_factory.mktemp("paraformer")
    return TinyParaformers(
        make_model(root / "tiny", STREAMING, 4),
        make_model(root / "offline", OFFLINE, 9),
        make_model(root / "seaco", SEACO, 9),
        make_model(root / "punctuation", PUNCTUATION, 4),
    )
