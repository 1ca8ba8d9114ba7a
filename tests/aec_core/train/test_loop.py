import csv
from dataclasses import replace

import numpy as np
import pytest
import torch

from aec_core.dfsmn import Suppressor, random_weights
from aec_core.features import FEATURES
from aec_core.train.batches import Batches
from aec_core.train.criterion import Criterion
from aec_core.train.dataset import Shard
from aec_core.train.loop import TrainConfig, Trainer, Validation
from aec_core.train.losses import LossWeights
from aec_core.train.network import export_weights
from aec_core.train.records import read_columns
from aec_core.train.stages import FINAL
from aec_core.types import HOP

CONFIG = TrainConfig(hours=12 / 3600, batch=4, frames=32)  # twelve steps on the clock of the tests


class Ticks:
    """A clock on which every step takes a second: schedules become exact."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1
        return self.now


def trainer(folder, saved, config=CONFIG, seed=1, validation=None):
    batches = Batches([saved], config.batch, config.frames, np.random.default_rng(seed))
    return Trainer(config, batches, folder, validation, Ticks())


def stop_at(step):
    def report(progress):
        if progress.step == step:
            raise KeyboardInterrupt

    return report


def ignore(progress):
    pass


def assert_same(weights, other):
    for name, array in weights.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, saved):
    """A run from start to end: `(trainer, folder, what it reported)`."""
    folder, steps = tmp_path_factory.mktemp("run"), []
    run = trainer(folder, saved)
    run.run(steps.append)
    return run, folder, steps


def test_a_run_spends_its_budget_and_says_how_far_it_is(whole):
    run, _, steps = whole
    assert [step.step for step in steps] == list(range(1, 13))
    assert [step.share for step in steps] == pytest.approx(np.arange(1, 13) / 12)
    assert steps[-1].frames == 12 * 4 * 32
    assert (run.spent, run.share) == (12, 1)
    assert all(np.isfinite(term) for step in steps for term in step.terms.values())


@pytest.fixture
def tiny(tmp_path, shard):
    """Four clips with a near end, as long as a crop: every batch draws from the same four."""
    voiced = np.flatnonzero((shard.near[:, : 32 * HOP].astype(float) ** 2).mean(axis=1) > 1e-5)[:4]
    part = Shard(shard.features[voiced, :32], shard.error[voiced, : 32 * HOP], shard.near[voiced, : 32 * HOP])
    part.save(tmp_path / "tiny")
    return tmp_path / "tiny", part


def test_a_few_steps_lower_the_loss_on_a_tiny_set(tmp_path, tiny):
    path, part = tiny
    run = trainer(tmp_path, path, replace(CONFIG, hours=30 / 3600, average=0.0))
    features, error, near = (torch.from_numpy(x.astype(np.float32)) for x in vars(part).values())
    criterion = Criterion(LossWeights(), torch.device("cpu"), CONFIG.stages)

    @torch.no_grad()
    def total(network):
        return criterion(network(features), error, near)["total"].item()

    untrained = total(run.network)
    run.run(ignore)
    assert total(run.network) < untrained - 3
    assert total(run.average) == pytest.approx(total(run.network), rel=1e-3)  # of the last step alone


def test_an_interrupted_run_goes_on_as_if_nothing_had_been(tmp_path, saved, whole):
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, saved).run(stop_at(5))
    assert not list(tmp_path.glob("*.partial"))
    torch.manual_seed(99)
    resumed, steps = trainer(tmp_path, saved, seed=7), []
    assert (resumed.step, resumed.spent) == (5, 5)
    resumed.run(steps.append)
    run, _, expected = whole
    assert steps == expected[5:]
    assert_same(export_weights(resumed.network), export_weights(run.network))
    assert_same(resumed.weights(), run.weights())


def test_an_interrupt_leaves_weights_that_serve(tmp_path, saved):
    run = trainer(tmp_path, saved)
    with pytest.raises(KeyboardInterrupt):
        run.run(stop_at(1))
    suppressor = Suppressor(trainer(tmp_path, saved).weights())
    near, _, _ = suppressor.process(np.zeros((1, FEATURES), np.float32), suppressor.init_state(1))
    assert np.isfinite(near).all()


def test_a_finished_run_is_left_as_it_is(whole, saved):
    run, folder, _ = whole
    again, steps = trainer(folder, saved), []
    again.run(steps.append)
    assert steps == []
    assert_same(again.weights(), run.weights())


def test_the_same_seed_trains_the_same_weights_and_another_does_not(tmp_path, saved):
    config = replace(CONFIG, hours=2 / 3600)
    runs = [trainer(tmp_path / str(i), saved, replace(config, seed=s), s) for i, s in enumerate((1, 1, 2))]
    for run in runs:
        run.run(ignore)
    assert_same(runs[0].weights(), runs[1].weights())
    assert not np.array_equal(runs[0].weights()["near.weight"], runs[2].weights()["near.weight"])


def test_the_log_has_a_line_for_each_checkpoint(tmp_path, saved):
    """Checkpoints come by the clock; the column names come once, even after a resume."""
    config = replace(CONFIG, checkpoint_minutes=10 / 60)  # about every third step: each looks thrice
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, saved, config).run(stop_at(7))
    trainer(tmp_path, saved, config).run(ignore)
    with (tmp_path / "log.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    steps = [int(line["step"]) for line in lines]
    assert steps == sorted(steps)
    assert 7 in steps
    assert steps[-1] == 12
    assert len(steps) > 3
    assert all(np.isfinite(float(line["total"])) for line in lines)


def test_a_run_stopped_before_its_first_step_resumes(tmp_path, saved):
    trainer(tmp_path, saved).save()
    assert not (tmp_path / "log.csv").exists()
    assert trainer(tmp_path, saved).step == 0


def test_training_goes_on_from_weights_unless_it_resumes(tmp_path, saved):
    weights = random_weights(5)
    run = trainer(tmp_path, saved, replace(CONFIG, hours=1 / 3600))
    run.start_from(weights)
    assert_same(run.weights(), weights)
    run.run(ignore)
    resumed = trainer(tmp_path, saved)
    trained = resumed.weights()
    resumed.start_from(weights)
    assert_same(resumed.weights(), trained)


def test_a_broken_batch_does_not_reach_the_weights(tmp_path, saved):
    run = trainer(tmp_path, saved)
    before = run.weights()
    features, error, near = next(iter(Batches([saved], 4, 32, np.random.default_rng(0))))
    error[0, 5] = float("nan")
    terms = run._train(features, error, near)
    assert_same(export_weights(run.network), before)
    assert all(np.isfinite(term) for term in terms.values())


def test_training_masks_the_reference_at_random(tmp_path, saved):
    """The same batch and the same network: only what SpecAugment hides differs with the generator."""
    batch = next(iter(Batches([saved], 4, 32, np.random.default_rng(0))))
    totals = [
        trainer(tmp_path / str(i), saved, seed=s)._train(*batch)["total"] for i, s in enumerate((1, 1, 2))
    ]
    assert totals[0] == totals[1] != totals[2]


def test_the_learning_rate_rises_and_falls(tmp_path, saved):
    run, rates = trainer(tmp_path, saved), []
    for share in (0.0, 0.01, 0.02, 0.5, 1.0, 2.0):
        run.spent = share * 12
        rates.append(run._learning_rate() / CONFIG.learning_rate)
    assert rates[0] < 0.1
    assert rates[2] == pytest.approx(1, abs=0.01)
    assert rates[2] > rates[3] > rates[4] == rates[5] == pytest.approx(0.02)


def test_the_average_trails_the_network(whole):
    run, _, _ = whole
    trailing, newest = run.weights()["near.bias"], export_weights(run.network)["near.bias"]
    assert 0 < np.abs(trailing - newest).max() < 0.05


@pytest.mark.parametrize("wrong", [{"hours": 0}, {"batch": 0}, {"frames": 31}, {"hours": None, "steps": -1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must be positive"):
        replace(CONFIG, **wrong)


@pytest.mark.parametrize("wrong", [{"steps": 5}, {"hours": None}])
def test_a_budget_is_hours_or_steps(wrong):
    with pytest.raises(ValueError, match="hours or steps"):
        replace(CONFIG, **wrong)


def test_a_budget_of_steps_is_spent_whatever_the_clock_says(tmp_path, saved):
    run, steps = trainer(tmp_path, saved, replace(CONFIG, hours=None, steps=3)), []
    run.run(steps.append)
    assert [step.share for step in steps] == pytest.approx([1 / 3, 2 / 3, 1])


def test_a_run_of_other_settings_is_not_resumed(tmp_path, saved):
    trainer(tmp_path, saved).save()
    before = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(ValueError, match="other settings"):
        trainer(tmp_path, saved, replace(CONFIG, stages=FINAL))
    assert (tmp_path / "last.pt").read_bytes() == before
    trainer(tmp_path, saved, replace(CONFIG, hours=1.0))  # a larger budget is no other run


def test_without_specaugment_the_reference_is_left_alone(tmp_path, saved):
    batch = next(iter(Batches([saved], 4, 32, np.random.default_rng(0))))
    plain = replace(CONFIG, specaugment=None)
    totals = [trainer(tmp_path / str(seed), saved, plain, seed)._train(*batch)["total"] for seed in (1, 2)]
    assert totals[0] == totals[1]


def test_narrow_matrices_compute_nearly_the_same_step(tmp_path, saved):
    batch = next(iter(Batches([saved], 4, 32, np.random.default_rng(0))))
    runs = [trainer(tmp_path / p, saved, replace(CONFIG, precision=p)) for p in ("fp32", "bf16")]
    wide, narrow = (run._train(*batch)["total"] for run in runs)
    assert narrow != wide
    assert narrow == pytest.approx(wide, rel=0.02)
    assert all(array.dtype == np.float32 for array in runs[1].weights().values())


class Looks:
    """A judge that says what it is told, and what it was shown."""

    def __init__(self, scores):
        self.scores, self.kept = list(scores), []

    def judge(self, weights):
        assert weights.keys() == random_weights().keys()
        return {"score": self.scores.pop(0), "pesq": 2.0}

    def validation(self, minutes=3 / 60, patience=None):
        return Validation(
            self.judge, lambda _, figures: self.kept.append(figures["score"]), minutes, patience
        )


def test_the_best_look_is_kept_and_looks_cost_no_budget(tmp_path, saved):
    looks, steps = Looks([1.0, 3.0, 2.0, 4.0]), []
    trainer(tmp_path, saved, validation=looks.validation()).run(steps.append)
    assert steps[-1].step == 12
    assert looks.scores == []
    assert looks.kept == [1.0, 3.0, 4.0]
    columns = read_columns(tmp_path / "validation.csv")
    assert columns["step"] == [3, 6, 9, 12]
    assert columns["score"] == [1.0, 3.0, 2.0, 4.0]


def test_a_run_stops_early_when_its_patience_is_spent(tmp_path, saved):
    looks = Looks([2.0, 1.0, 1.5, 9.0])
    trainer(tmp_path, saved, validation=looks.validation(patience=2)).run(ignore)
    assert looks.scores == [9.0]
    assert trainer(tmp_path, saved).step == 9


def test_a_resumed_run_remembers_its_best_look(tmp_path, saved):
    looks = Looks([5.0, 4.0, 3.0, 2.0])
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, saved, validation=looks.validation()).run(stop_at(5))
    trainer(tmp_path, saved, validation=looks.validation()).run(ignore)
    assert looks.kept == [5.0]
    assert read_columns(tmp_path / "validation.csv")["step"] == [3, 6, 9, 12]


def test_a_full_disk_leaves_the_last_checkpoint_and_training_goes_on(tmp_path, saved, caplog):
    resource = pytest.importorskip("resource")
    config = replace(CONFIG, checkpoint_minutes=0)
    run = trainer(tmp_path, saved, config)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(progress):
        if progress.step == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))

    try:
        run.run(fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert run.step == 12
    assert "could not be written" in caplog.text
    assert [path.name for path in tmp_path.glob("last*")] == ["last.pt"]
    assert trainer(tmp_path, saved, config).step == 1
