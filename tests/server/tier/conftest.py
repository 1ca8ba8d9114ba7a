from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from server.tier.recognizer import TierRecognizer
from tests.server.tier.replica import tier


@pytest.fixture
def start_tier() -> Iterator[Callable[..., str]]:
    """Run replicas until the end of the test."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(tier(*args, **options))


@pytest.fixture
def connect() -> Iterator[Callable[[str], TierRecognizer]]:
    """Connect to tiers, until the end of the test."""
    with ExitStack() as stack:

        def connected(address: str) -> TierRecognizer:
            recognizer = TierRecognizer(address)
            stack.callback(recognizer.close)
            return recognizer

        yield connected


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the turn model in the tier as long as a busy machine may take."""
    monkeypatch.setattr("server.tier.turn._ANSWER_S", 10)
