"""`duplex train`: the suppressor's weights from speech, noise and rooms."""

from __future__ import annotations

from client.commands.terminal import fail


def train() -> None:
    """Train the neural suppressor."""
    fail(
        "training is not wired up yet: it needs the 'train' extra and lands with the training recipe", code=2
    )
