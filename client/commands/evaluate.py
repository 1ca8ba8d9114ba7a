"""`duplex evaluate`: the quality tables, the peers beside us."""

from __future__ import annotations

from client.commands.terminal import fail


def evaluate() -> None:
    """Measure quality on held-out mixtures."""
    fail(
        "the evaluation is not wired up yet: it needs the 'evaluate' extra and lands with the tables", code=2
    )
