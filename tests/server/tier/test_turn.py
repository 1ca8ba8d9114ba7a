"""The turn model in the tier, and the one at hand when that is away or slow."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import closing

import numpy as np
import pytest

from server.tier.turn import TierTurn
from server.turn import TurnService
from tests.server.tier.replica import Counting, broken_tier, free_port

SECOND = np.zeros(16_000, np.float32)


class AtHand:
    asked = 0

    def predict(self, audio: np.ndarray) -> float:
        self.asked += 1
        return 0.25


@pytest.mark.usefixtures("patient")
def test_the_tier_judges(start_tier: Callable[..., str]):
    at_hand = AtHand()
    turns = TurnService(TierTurn(start_tier(Counting(), p_turn=0.75), at_hand), threads=4)
    assert [future.result(10) for future in [turns.submit(SECOND) for _ in range(8)]] == 8 * [0.75]
    assert at_hand.asked == 0
    turns.close()


def test_a_tier_that_is_away_or_ends_is_replaced_by_the_model_at_hand():
    with broken_tier() as broken:
        for address in (broken, f"ray://127.0.0.1:{free_port()}"):
            with closing(TierTurn(address, AtHand())) as turn:
                assert turn.predict(SECOND) == 0.25


def test_a_tier_that_hangs_costs_one_wait_and_is_then_left_alone(caplog: pytest.LogCaptureFixture):
    silent = socket.create_server(("127.0.0.1", 0))
    address = f"ray://127.0.0.1:{silent.getsockname()[1]}"
    with silent, closing(TierTurn(address, AtHand())) as turn:
        began = time.monotonic()
        assert [turn.predict(SECOND) for _ in range(5)] == 5 * [0.25]
        assert time.monotonic() - began < 1  # 0.25 s, once
    assert caplog.text.count("asking the one at hand") == 1
