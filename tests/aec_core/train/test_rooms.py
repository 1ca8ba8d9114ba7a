import numpy as np
import pytest

from aec_core.train.rooms import random_room
from aec_core.types import SAMPLE_RATE


def rt60_s(ir):
    """Reverberation time from -5 to -25 dB of the energy decay, 10 ms after the direct sound."""
    energy = np.cumsum(ir[160:][::-1].astype(float) ** 2)[::-1]
    decay = 10 * np.log10(energy / energy[0] + 1e-20)
    start, stop = np.argmax(decay < -5), np.argmax(decay < -25)
    slope = np.polyfit(np.arange(start, stop) / SAMPLE_RATE, decay[start:stop], 1)[0]
    return -60 / slope


@pytest.fixture(scope="module")
def rooms():
    return [random_room(np.random.default_rng(seed)) for seed in range(24)]


def test_direct_sound_comes_first_at_full_scale(rooms):
    for room in rooms:
        for ir in (room.echo, room.moved, room.near):
            assert np.abs(ir).argmax() <= 8
            assert np.abs(ir).max() == pytest.approx(1)
            assert ir.dtype == np.float32
            assert np.isfinite(ir).all()


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.4), (0.4, 0.8)])
def test_reverberation_is_what_was_drawn(rooms, low, high):
    chosen = [room for room in rooms if low <= room.rt60 < high]
    ratios = np.array([rt60_s(ir) / room.rt60 for room in chosen for ir in (room.echo, room.near)])
    assert len(ratios) > 10
    assert abs(np.median(ratios) - 1) < 0.15
    assert np.mean(np.abs(ratios - 1) < 0.3) > 0.9


def test_moving_changes_the_path_but_not_the_room(rooms):
    for room in rooms:
        n = min(len(room.echo), len(room.moved))
        assert np.abs(room.echo[:n] - room.moved[:n]).max() > 0.01
        assert rt60_s(room.moved) / rt60_s(room.echo) == pytest.approx(1, abs=0.25)


def test_a_room_follows_its_seed(rooms):
    again = random_room(np.random.default_rng(3))
    np.testing.assert_array_equal(again.echo, rooms[3].echo)
    assert again.rt60 == rooms[3].rt60 != rooms[4].rt60
    assert all(0.1 <= room.rt60 <= 0.8 for room in rooms)
