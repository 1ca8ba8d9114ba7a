"""What the two evaluations show: how far they are, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from client.commands.terminal import warn

Phase = Callable[[str, float, float], None]
"""Takes what is being done, how much of it is done, and how much there is."""


@contextmanager
def phase_bars() -> Generator[Phase]:
    """Show a bar for each phase, on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True)) as bar:

        def show(phase: str, done: float, total: float) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase)
            bar.update(tasks[phase], completed=done, total=total)

        yield show


def print_report(
    text: str, missing: Sequence[str], targets: Sequence[dict[str, Any]], took: str = ""
) -> None:
    """Print Markdown, what was left out, and how many targets hold."""
    from rich.console import Console
    from rich.markdown import Markdown

    for line in missing:
        warn(line)
    console = Console()
    console.print(Markdown(text))
    held = sum(row["holds"] for row in targets)
    console.print(f"{held} of {len(targets)} targets hold{took}")
