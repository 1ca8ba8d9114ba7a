"""How a load goes, on one line of the terminal."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console

from client.bench_server import Progress
from client.load_clients import Now


@contextmanager
def shown() -> Generator[Progress]:
    """Show what is told on stderr until the block ends."""
    with Console(stderr=True).status("starting") as status:

        def tell(says: str, now: Now | None) -> None:
            if now is not None:
                says += f": {now.connected} connected, {now.received} frames back of {now.sent}"
                says += f", {now.refused} refused" if now.refused else ""
                says += f", {now.lost} lost" if now.lost else ""
                says += f", {now.seconds_left:.0f} s to go"
            status.update(says)

        yield tell
