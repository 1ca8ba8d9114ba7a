"""The other cancellers, each where it is installed: in time with the microphone, and they cancel."""

import numpy as np
import pytest

from aec_core.evaluate import peers
from aec_core.evaluate.pcm import from_pcm, to_pcm
from aec_core.metrics import erle_db, near_kept_db
from tests.aec_core.signals import speech_like

FOUND, MISSING = peers.find_peers()
NAMES = ("WebRTC AEC3", "SpeexDSP", "pyaec")
installed = pytest.mark.parametrize("peer", FOUND, ids=lambda peer: peer.key)


def test_each_peer_is_found_or_named_as_missing():
    assert [peer.name for peer in FOUND] + [line.split(" is left out")[0] for line in MISSING] == list(NAMES)


@installed
def test_a_peer_cancels_a_plain_echo(peer):
    ref = speech_like(6, seed=5)
    mic = np.concatenate([np.zeros(800, np.float32), 0.5 * ref])[: len(ref)]
    out = peer(mic, ref)
    assert out.shape == mic.shape
    assert erle_db(mic[3 * 16000 :], out[3 * 16000 :]) > 10


@installed
def test_a_peer_answers_in_time_with_the_microphone(peer):
    near = speech_like(4, seed=3)
    out = peer(near, np.zeros_like(near))
    lags = range(-400, 401)
    middle = near[1000:-1000]
    match = [abs(np.dot(middle, out[1000 + lag : len(out) - 1000 + lag])) for lag in lags]
    assert abs(lags[int(np.argmax(match))]) <= 10  # some turn phases
    assert near_kept_db(near, out) > -8


@installed
def test_every_clip_is_a_new_call(peer):
    mic, ref = speech_like(1, seed=1)[:12345], speech_like(1, seed=2)[:12345]
    first = peer(mic, ref)
    assert len(first) == 12345
    np.testing.assert_array_equal(first, peer(mic, ref))


def test_a_missing_library_is_said_and_the_rest_is_found(monkeypatch):
    def absent():
        raise OSError("no such library")

    monkeypatch.setattr(peers, "_PEERS", (("Old", "old", absent, 0), *peers._PEERS))
    found, missing = peers.find_peers()
    assert found == FOUND or len(found) == len(FOUND)
    assert missing[0] == "Old is left out: no such library"


def test_pcm_rounds_and_clips():
    np.testing.assert_array_equal(to_pcm(np.array([0, 0.5, 2, -2])), [0, 16384, 32767, -32768])
    assert from_pcm(np.array([16384], np.int16)) == 0.5
