"""Two replicas of the recogniser on a real Ray cluster of this machine, and the end of one of them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from server.asr.paraformer import CHUNK
from server.tier.recognizer import TierRecognizer

pytest.importorskip("ray", reason="make test-ray installs Ray")

from tests.ray import measure
from tests.ray.cluster import running_tier

pytestmark = pytest.mark.slow  # starts a cluster for each test


def test_the_tier_says_what_the_server_would_say_itself(tmp_path: Path):
    with running_tier(tmp_path) as address:
        costs = measure.overhead(address, rounds=3)
    assert costs.same_texts
    assert costs.final[1] - costs.final[0] < 1000


def test_a_replica_that_is_killed_in_the_middle_of_a_transcript_costs_nobody_anything(tmp_path: Path):
    with running_tier(tmp_path, measure.PACED) as address:
        seen = measure.with_a_kill(address, tmp_path)
    assert seen.lost == 0
    assert seen.lost_tries >= 1  # it had been at work
    assert (len(seen.heard), seen.failed) == (measure.SESSIONS, [])
    assert min(seen.heard) > 1  # all of each sentence, with what lies before and behind it
    frames = seen.split(seen.turnaround)[1]
    assert len(frames) > 10_000
    assert np.median(frames) < 40
    assert frames.max() < 500  # what the server's queue holds; the machine is shared with the cluster


def test_a_streaming_model_keeps_to_its_utterance(tmp_path: Path):
    """What `serve-paraformer.yaml` says of routing, with a model that says who heard what."""
    piece = np.zeros(CHUNK, np.float32)
    replicas = set()
    with (
        running_tier(tmp_path, "tests.ray.paced:attached", "serve-paraformer.yaml") as address,
        closing(TierRecognizer(address)) as recognizer,
    ):
        for _ in range(12):
            utterance = recognizer.open(None, ())
            for _ in range(4):
                utterance.feed(piece)
            heard = [part.split(":") for part in utterance.finish(piece).text.split()]
            assert [int(samples) for _, samples in heard] == 5 * [CHUNK]  # nothing twice
            assert len({pid for pid, _ in heard}) == 1
            replicas |= {pid for pid, _ in heard}
    assert len(replicas) == 2  # all of them have some: by chance one has none once in two thousand times
