from dataclasses import replace

import numpy as np
import pytest

from aec_core.train.mixtures import Change, Scene, Talk, _jumped, make_mixture, random_scene
from aec_core.train.pairs import EchoPair
from aec_core.train.sources import Clip, Sources
from aec_core.types import SAMPLE_RATE
from tests.aec_core.train.corpus import lag

SECONDS = 4.0
N = round(SECONDS * SAMPLE_RATE)
AT_S = 2.0
AT = round(AT_S * SAMPLE_RATE)
SEEDS = range(6)
FAR = Scene(Talk.FAR, delay_ms=100, change_at_s=AT_S)


def mix(scene, sources, seed=0, seconds=SECONDS):
    return make_mixture(scene, sources, seconds, np.random.default_rng(seed))


def active_rms(x):
    """RMS over the 20 ms frames within 30 dB of the loudest."""
    power = np.mean(x[: len(x) // 320 * 320].reshape(-1, 320).astype(float) ** 2, axis=1)
    return np.sqrt(power[power > 1e-3 * power.max()].mean())


def level_db(x):
    return 20 * np.log10(active_rms(x))


def unlike(x, y):
    """What no gain makes equal, relative to `x`."""
    return np.linalg.norm(x - y * x.dot(y) / y.dot(y)) / np.linalg.norm(x)


def moves_ms(scene, sources, seeds):
    """How much later the echo is at the end than before the change, in ms."""
    before, after = slice(AT // 4, AT - 1600), slice(AT + 3200, N)
    lags = []
    for seed in seeds:
        mixture = mix(scene, sources, seed)
        early, late = (lag(mixture.echo[at], mixture.ref[at]) for at in (before, after))
        lags.append((late - early) * 1000 / SAMPLE_RATE)
    return np.array(lags)


@pytest.mark.parametrize("talk", list(Talk))
def test_a_mixture_follows_its_seed(sources, talk):
    scene = Scene(talk, system_aec=True)
    first, again, other = (mix(scene, sources, seed) for seed in (1, 1, 2))
    for name in ("mic", "ref", "near", "echo"):
        signal = getattr(first, name)
        np.testing.assert_array_equal(signal, getattr(again, name))
        assert signal.shape == (N,)
        assert signal.dtype == np.float32
        assert np.isfinite(signal).all()
        assert np.abs(signal).max() <= 1 or name in ("near", "echo")
    assert np.abs(first.mic - other.mic).max() > 1e-4
    assert first.scene == scene


@pytest.mark.parametrize("ser_db", [-20, 0, 10])
@pytest.mark.parametrize("change", list(Change))
def test_the_requested_ser_is_what_is_heard(sources, ser_db, change):
    for seed in range(3):
        mixture = mix(Scene(Talk.DOUBLE, change, ser_db=ser_db), sources, seed)
        assert level_db(mixture.near) - level_db(mixture.echo) == pytest.approx(ser_db, abs=0.5)


@pytest.mark.parametrize("snr_db", [10, 30])
def test_the_requested_snr_is_what_is_heard(sources, snr_db):
    mixture = mix(Scene(Talk.NEAR, snr_db=snr_db), sources, 2)
    noise = mixture.mic - mixture.near - mixture.echo
    assert level_db(mixture.near) - 10 * np.log10(np.mean(noise**2)) == pytest.approx(snr_db, abs=0.5)


def test_who_talks_is_who_is_heard(sources):
    for seed in SEEDS:
        double, far, near, silence = (mix(Scene(talk), sources, seed) for talk in Talk)
        assert double.near.any()
        assert double.echo.any()
        assert far.echo.any()
        assert not far.near.any()
        assert near.near.any()
        assert not near.echo.any()
        assert not np.concatenate([silence.near, silence.echo]).any()
        assert np.std(silence.ref) < 10 ** (-49 / 20)
        assert silence.mic.any()  # noise


def test_the_near_end_alone_sometimes_has_a_reference_that_nobody_hears(sources):
    """Zeros in most clips; in some what plays in headphones, in some the hiss of a sound card."""
    levels = [np.std(mix(Scene(Talk.NEAR), sources, seed, 1.0).ref) for seed in range(30)]
    played = sum(level > 10 ** (-45 / 20) for level in levels)
    hissing = sum(0 < level < 10 ** (-49 / 20) for level in levels)
    assert 3 <= played <= 18
    assert 2 <= hissing <= 15
    assert played + hissing < 30


def test_some_talkers_are_so_close_that_no_room_is_heard(sources, monkeypatch):
    """Of a click the room leaves a tail, a microphone at the mouth a click."""
    click = np.zeros(SAMPLE_RATE, np.float32)
    click[800] = 1
    monkeypatch.setattr(sources, "near", lambda n, rng: click)
    seeds = range(20)
    dry = [np.count_nonzero(mix(Scene(Talk.NEAR), sources, seed, 1.0).near) == 1 for seed in seeds]
    assert 1 <= sum(dry) <= 12


@pytest.mark.parametrize("delay_ms", [0, 100, 400])
def test_the_echo_lags_by_the_requested_delay(sources, delay_ms):
    lags = []
    for seed in SEEDS:
        mixture = mix(replace(FAR, delay_ms=delay_ms), sources, seed)
        lags.append(lag(mixture.echo, mixture.ref) * 1000 / SAMPLE_RATE)
        assert mixture.delay_ms == delay_ms
    assert np.median(lags) == pytest.approx(delay_ms, abs=2)


def test_drawn_delays_cover_phones(sources):
    delays = [mix(Scene(Talk.FAR), sources, seed, 1.0).delay_ms for seed in range(40)]
    assert 0 <= min(delays) < 60
    assert 300 < max(delays) <= 580


def test_without_change_the_delay_stays(sources):
    assert np.median(np.abs(moves_ms(FAR, sources, SEEDS))) < 1


def test_a_jump_moves_the_delay_both_ways(sources):
    moves = moves_ms(replace(FAR, change=Change.JUMP, delay_ms=250), sources, range(10))
    assert (moves > 15).any()
    assert (moves < -15).any()
    assert np.mean((np.abs(moves) > 18) & (np.abs(moves) < 202)) >= 0.8


def test_drift_moves_the_delay_slowly(sources):
    scene = replace(FAR, change=Change.DRIFT)
    calls = [mix(scene, sources, seed, 12.0) for seed in SEEDS]
    early, late = slice(0, 2 * SAMPLE_RATE), slice(10 * SAMPLE_RATE, 12 * SAMPLE_RATE)
    moves = np.array([lag(c.echo[late], c.ref[late]) - lag(c.echo[early], c.ref[early]) for c in calls])
    # 20-100 ppm over the 10 s between the two looks are 3-16 samples.
    assert np.mean((np.abs(moves) >= 2) & (np.abs(moves) <= 18)) >= 0.8


def test_a_path_change_changes_the_path_and_not_the_delay(sources):
    before, after = slice(AT), slice(AT + 1600, N)
    for seed in SEEDS:
        still, changed = (mix(replace(FAR, change=c), sources, seed) for c in (Change.NONE, Change.PATH))
        np.testing.assert_array_equal(still.ref, changed.ref)
        assert unlike(still.echo[before], changed.echo[before]) < 1e-3
        assert unlike(still.echo[after], changed.echo[after]) > 0.01
    assert np.median(np.abs(moves_ms(replace(FAR, change=Change.PATH), sources, SEEDS))) < 6


def test_a_system_canceller_leaves_less_echo(sources):
    gains = []
    for seed in SEEDS:
        plain, treated = (
            mix(Scene(Talk.FAR, snr_db=60, system_aec=on), sources, seed) for on in (False, True)
        )
        gains.append(level_db(treated.mic) - level_db(plain.mic))
    assert max(gains) < -3


def test_a_change_at_the_start_changes_all_of_the_clip(sources):
    scene = replace(FAR, change=Change.JUMP, delay_ms=250, change_at_s=0.0)
    assert np.median(np.abs(moves_ms(scene, sources, SEEDS))) < 1


def test_random_scenes_have_the_documented_shares():
    rng = np.random.default_rng(0)
    scenes = [random_scene(rng) for _ in range(4000)]
    for talk, share in ((Talk.DOUBLE, 0.5), (Talk.FAR, 0.24), (Talk.NEAR, 0.23), (Talk.SILENCE, 0.03)):
        assert np.mean([scene.talk is talk for scene in scenes]) == pytest.approx(share, abs=0.03)
    for change, share in (
        (Change.NONE, 0.46),
        (Change.JUMP, 0.21),
        (Change.DRIFT, 0.17),
        (Change.PATH, 0.16),
    ):
        assert np.mean([scene.change is change for scene in scenes]) == pytest.approx(share, abs=0.03)
    assert np.mean([scene.system_aec for scene in scenes]) == pytest.approx(0.3, abs=0.03)


def test_a_jump_is_never_cut_short():
    jumps = [
        (ms, _jumped(ms, np.random.default_rng(seed))) for seed in range(200) for ms in (0, 10, 300, 590)
    ]
    for before, after in jumps:
        assert 0 <= after <= 600
        assert 20 <= abs(after - before) <= 200


def test_a_recorded_echo_takes_the_place_of_a_simulated_one():
    """The echo of a recording is the recording, late by the delay that was drawn."""
    rng = np.random.default_rng(1)
    ref = (3000 * rng.standard_normal(12 * SAMPLE_RATE)).astype(np.int16)
    pair = EchoPair(ref // 4, ref, 0.0, 0.0)
    talker = Clip(ref, "mine", "a")
    recorded = 0
    for seed in range(10):
        scene = Scene(Talk.FAR, Change.NONE, delay_ms=50)
        mixture = make_mixture(
            scene, Sources([talker], [talker], [], [pair]), 4.0, np.random.default_rng(seed)
        )
        late = mixture.echo[800:]
        path = np.dot(late, mixture.ref[:-800]) / (np.linalg.norm(late) * np.linalg.norm(mixture.ref[:-800]))
        recorded += path > 0.999  # nothing but gain and delay lies between them
    assert 5 <= recorded < 10  # some echoes are simulated all the same
