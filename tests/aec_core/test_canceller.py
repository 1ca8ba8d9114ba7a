from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aec_core import HOP, AecConfig, EchoCanceller, HopCanceller
from aec_core.dfsmn import random_weights
from tests.aec_core.signals import far_end, speech_like, white

FIELDS = ("vad", "asr", "echo", "linear")


def make(streams=1, linear="kalman"):
    return EchoCanceller(AecConfig(linear=linear), random_weights(), streams)


def calls(streams, seconds=2.0):
    refs = np.stack([speech_like(seconds, seed=i) for i in range(streams)])
    mics = np.stack([far_end(ref, 160 * i, seed=i) for i, ref in enumerate(refs)])
    return mics + np.stack([speech_like(seconds, seed=50 + i, level=0.05) for i in range(streams)]), refs


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(0, 20 * HOP), max_size=12))
def test_output_does_not_depend_on_chunking(cuts):
    mic, ref = (x[0, : 20 * HOP] for x in calls(1))
    whole, aec = make().process(mic, ref), make()
    edges = [0, *sorted(cuts), 20 * HOP]
    parts = [aec.process(mic[a:b], ref[a:b]) for a, b in pairwise(edges)]
    for field in FIELDS:
        joined = np.concatenate([getattr(part, field) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, field))


@pytest.mark.parametrize("linear", ["kalman", "wrls"])
def test_batched_is_one_by_one(linear):
    mics, refs = calls(3)
    together = make(3, linear).process(mics, refs)
    for i in range(3):
        alone = make(1, linear).process(mics[i], refs[i])
        np.testing.assert_allclose(together.vad[i], alone.vad, atol=1e-3)
        np.testing.assert_allclose(together.asr[i], alone.asr, atol=1e-3)
        assert together.delay_ms[i] == pytest.approx(alone.delay_ms, nan_ok=True)


def test_slots_that_pause_lose_nothing():
    """Stream 1 takes part in every other call, with odd chunk sizes; it ends as if it had been alone."""
    mics, refs = calls(2)
    aec, alone, at, heard = make(2), make(1), [0, 0], []
    rng = np.random.default_rng(0)
    for turn in range(60):
        n = int(rng.integers(1, 700))
        active = np.array([True, turn % 2 == 0])
        chunk = np.zeros((2, 2, n), np.float32)
        for s in np.flatnonzero(active):
            part = slice(at[s], at[s] + n)
            chunk[:, s, : len(mics[s, part])] = mics[s, part], refs[s, part]
            at[s] += n
        out = aec.process(chunk[0], chunk[1], active)
        if active[1]:
            heard.append(out.asr[1])
            expected = alone.process(chunk[0, 1], chunk[1, 1]).asr
            np.testing.assert_allclose(out.asr[1], expected, atol=1e-3)
        else:
            assert not out.asr[1].any()


def test_reset_is_a_new_stream_and_leaves_the_others_alone():
    mics, refs = calls(2, seconds=1.0)
    aec = make(2)
    aec.set_betas(0.9, 0.9, slot=0)
    aec.process(mics, refs)
    other = make(2)
    other.process(mics, refs)
    aec.reset(0)
    after, untouched, fresh = aec.process(mics, refs), other.process(mics, refs), make(2).process(mics, refs)
    np.testing.assert_allclose(after.asr[0], fresh.asr[0], atol=1e-4)
    np.testing.assert_allclose(after.asr[1], untouched.asr[1], atol=1e-4)


@pytest.mark.parametrize("linear", ["kalman", "wrls"])
def test_latency_is_what_it_says(linear):
    """With beta 0 the gain is one: what comes out is the linear output, exactly `latency` late."""
    aec = make(linear=linear)
    aec.set_betas(0.0, 0.0)
    near = speech_like(1.0)
    out = aec.process(near, np.zeros_like(near))
    lag = aec.latency
    assert lag == (640 if linear == "kalman" else 1120)
    np.testing.assert_allclose(out.vad[lag:], near[: len(near) - lag], atol=1e-4)
    np.testing.assert_allclose(out.linear[lag:], near[: len(near) - lag], atol=1e-4)


def test_hop_signals_share_one_clock():
    mic, ref = (x[:, : 50 * HOP] for x in calls(1))
    core = HopCanceller(AecConfig(), random_weights(), 1)
    hops = [core.process(mic[:, at : at + HOP], ref[:, at : at + HOP]) for at in range(0, 50 * HOP, HOP)]
    for name, given_ in (("mic", mic), ("ref", ref)):
        delayed = np.concatenate([getattr(hop, name) for hop in hops], axis=1)
        np.testing.assert_array_equal(delayed[:, core.latency :], given_[:, : 50 * HOP - core.latency])


def test_int16_and_float_agree():
    mic, ref = (np.round(32767 * x[0].clip(-1, 1)).astype(np.int16) for x in calls(1, 0.5))
    a = make().process(mic, ref)
    b = make().process(mic.astype(np.float32) / 32768, ref.astype(np.float64) / 32768)
    np.testing.assert_array_equal(a.asr, b.asr)
    assert a.asr.dtype == np.float32


def test_empty_chunk_is_fine():
    out = make().process(np.zeros(0, np.float32), np.zeros(0, np.float32))
    assert out.asr.shape == (0,)
    assert np.isnan(out.delay_ms)


def test_bad_input_is_refused_and_changes_nothing():
    aec, same = make(), make()
    mic, ref = (x[0] for x in calls(1, 0.5))
    broken = mic.copy()
    broken[7] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        aec.process(broken, ref)
    with pytest.raises(ValueError, match="equal lengths"):
        aec.process(mic, ref[:-1])
    with pytest.raises(ValueError, match="does not fit"):
        aec.process(np.stack([mic, mic]), np.stack([ref, ref]))
    with pytest.raises(TypeError, match="int32"):
        aec.process(mic.astype(np.int32), ref.astype(np.int32))
    with pytest.raises(ValueError, match="beta_vad"):
        aec.set_betas(3.0, 0.2)
    np.testing.assert_array_equal(aec.process(mic, ref).asr, same.process(mic, ref).asr)


def test_one_stream_with_nan_does_not_harm_inactive_or_other_calls():
    core = HopCanceller(AecConfig(), random_weights(), 2)
    bad = np.full((2, HOP), np.nan, np.float32)
    good = white((2, HOP))
    bad[0] = good[0]
    out = core.process(bad, good, np.array([True, False]))  # the row with NaN does not take part
    assert np.isfinite(out.asr).all()
    with pytest.raises(ValueError, match="not finite"):
        core.process(bad, good)


@pytest.mark.parametrize("shape", [(2, HOP), (1, HOP + 1), (HOP,)])
def test_hops_of_another_shape_are_refused(shape):
    core = HopCanceller(AecConfig(), random_weights(), 1)
    with pytest.raises(ValueError, match="must both be"):
        core.process(np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="at least 1"):
        HopCanceller(AecConfig(), random_weights(), 0)


def test_without_a_reference_the_microphone_comes_through():
    """Nothing plays, so nothing is echo: no word may wait for a network to warm up."""
    near = speech_like(1.5, seed=1)
    aec = EchoCanceller.pretrained(streams=2)
    mics, refs = np.stack([near, near]), np.stack([np.zeros_like(near), speech_like(1.5, seed=2)])
    out = aec.process(mics, refs)
    late = aec.latency
    for signal in (out.vad, out.asr):
        np.testing.assert_allclose(signal[0, late:], near[:-late], atol=1e-5)
        assert np.abs(signal[1, late:] - near[:-late]).max() > 0.01


def test_the_echo_of_a_reference_that_has_ended_is_still_cancelled():
    ref = np.concatenate([speech_like(3, seed=3), np.zeros(4 * 16_000, np.float32)])
    mic = far_end(ref, 9_000)
    near = np.zeros_like(mic)
    near[6 * 16_000 :] = speech_like(1, seed=4)
    aec = EchoCanceller.pretrained()
    out = aec.process(mic + near, ref)
    after = slice(3 * 16_000 + aec.latency, 3 * 16_000 + aec.latency + 9_000)
    assert np.mean(out.vad[after] ** 2) < 0.01 * np.mean(mic[3 * 16_000 :][:9_000] ** 2)
    np.testing.assert_allclose(
        out.asr[6 * 16_000 + aec.latency :], (mic + near)[6 * 16_000 : -aec.latency], atol=1e-5
    )
