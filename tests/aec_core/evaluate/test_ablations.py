"""Checkpoints of ablations: what they say, what gain they are scored with, and what is kept."""

import numpy as np
import pytest

from aec_core.checkpoint import load_checkpoint, pretrained_path, save_checkpoint
from aec_core.dfsmn import Suppressor
from aec_core.evaluate import paper
from aec_core.evaluate.ablations import Bench, find_ablations, load_scored, one_mask, score_ablations
from aec_core.evaluate.listen import Listeners
from aec_core.evaluate.scenarios import JUMP, Call, far_group
from aec_core.postfilter import wiener_gains
from aec_core.train.mixtures import Change, Mixture, Scene, Talk
from tests.aec_core.signals import far_end, speech_like, white


def write(folder, name, **notes):
    weights, config = load_checkpoint(pretrained_path())
    save_checkpoint(folder / f"{name}.safetensors", weights, config, notes)


@pytest.fixture
def bench():
    ref = speech_like(7)
    mic, silent = far_end(ref, 1600), np.zeros_like(ref)
    calls = [
        Call(far_group(Change.NONE), Mixture(mic, ref, silent, mic, Scene(Talk.FAR), 100.0)),
        Call(JUMP, Mixture(mic, ref, silent, mic, Scene(Talk.FAR, Change.JUMP), 100.0)),
    ]
    return Bench(calls, [], Listeners(), "test")


def test_one_mask_makes_beta_a_half_the_mask_itself():
    weights, _ = load_checkpoint(pretrained_path())
    features = 10 * white((3, 240))
    both, alone = Suppressor(weights), Suppressor(one_mask(weights))
    mask, *_ = both.process(features, both.init_state(3))
    gain = wiener_gains(*alone.process(features, alone.init_state(3))[:2], np.full((3, 1), 0.5, np.float32))
    np.testing.assert_allclose(gain[:, 0], mask, rtol=1e-4, atol=1e-5)


def test_checkpoints_say_what_they_are_and_others_are_left_out(tmp_path, caplog):
    write(tmp_path, "a", row=paper.DA, seed="1", steps="600", mask="single")
    write(tmp_path, "b", row=paper.PL, seed="2", steps="600", mask="single", stage="1")
    write(tmp_path, "c", note="no ablation")
    (tmp_path / "d.safetensors").write_bytes(b"damaged")
    found = find_ablations(tmp_path)
    assert [(each.row, each.seed, each.stage, each.two_masks) for each in found] == [
        (paper.DA, 1, 3, False),
        (paper.PL, 2, 1, False),
    ]
    assert "c.safetensors is left out" in caplog.text
    assert "d.safetensors is left out" in caplog.text


def test_a_folder_without_checkpoints_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no ablation checkpoints"):
        find_ablations(tmp_path)


def test_two_masks_are_scored_alone_and_with_the_post_filter(tmp_path, bench):
    write(tmp_path, "two", row=paper.TWO_MASKS, seed="1", steps="6", mask="two")
    write(tmp_path, "ours", row="ours", seed="1", steps="6", mask="two")
    scored = score_ablations(find_ablations(tmp_path), bench, None, int)
    assert [each.row for each in scored] == ["ours", paper.TWO_MASKS, paper.PWF]
    assert scored[0].erle_db == scored[2].erle_db != scored[1].erle_db
    assert scored[0].wer_by_ser == {}


def test_what_was_scored_is_kept_and_not_scored_again(tmp_path, bench):
    write(tmp_path, "a", row=paper.DA, seed="1", steps="6", mask="single")
    kept = tmp_path / "docs" / "ablations.json"
    first = score_ablations(find_ablations(tmp_path), bench, kept, int)
    assert load_scored(kept) == first
    kept.write_text(kept.read_text().replace(str(first[0].erle_db), "12.5"))
    again = score_ablations(find_ablations(tmp_path), bench, kept, int)
    assert again[0].erle_db == 12.5
    other = Bench(bench.calls, [], Listeners(), "other calls")
    assert score_ablations(find_ablations(tmp_path), other, kept, int)[0].erle_db == first[0].erle_db


def test_a_damaged_file_of_scores_is_clear(tmp_path):
    path = tmp_path / "ablations.json"
    assert load_scored(path) == []
    path.write_text("[{]")
    with pytest.raises(ValueError, match="does not hold scored ablations"):
        load_scored(path)
    path.write_text('[{"row": "x"}]')
    with pytest.raises(ValueError, match="does not hold scored ablations"):
        load_scored(path)
