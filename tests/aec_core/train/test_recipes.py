import pytest

from aec_core.train.losses import OURS, PAPER
from aec_core.train.recipes import PAPERS_ROWS, RECIPES, STAGES_OF, find_recipe
from aec_core.train.stages import FINAL, PROGRESSIVE


def test_each_row_of_the_paper_adds_one_ingredient():
    two_stage, da, pl, two_masks = PAPERS_ROWS.values()
    assert (two_stage.augmented, two_stage.stages, two_stage.single_mask) == (False, FINAL, True)
    assert (da.augmented, da.stages, da.loss) == (True, FINAL, two_stage.loss)
    assert (pl.augmented, pl.stages, pl.loss) == (True, PROGRESSIVE, da.loss)
    assert (two_masks.augmented, two_masks.stages, two_masks.single_mask) == (True, PROGRESSIVE, False)
    assert len(PAPERS_ROWS[STAGES_OF].stages) == 3


def test_the_papers_loss_is_the_papers():
    assert (PAPER.modulation, PAPER.snr, PAPER.pmsqe, PAPER.magnitude) == (0.1, 0.9, 10, 0)
    assert RECIPES["ours"].loss == OURS


def test_an_unknown_recipe_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'ours without PL'"):
        find_recipe("theirs")
