"""What a run writes: files that are whole or not there, and tables that grow."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

logger = logging.getLogger(__name__)


def write_whole(path: Path, write: Callable[[Path], object]) -> bool:
    """Write a file under a temporary name and rename it.

    Returns:
        Whether it is written. If not, on a full disk say, that is logged and the old file stays: hours of
        training are not lost to a file that may fit later.
    """
    partial = path.with_suffix(".partial")
    try:
        write(partial)
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch says RuntimeError
        partial.unlink(missing_ok=True)
        logger.error("%s could not be written, training goes on: %s", path, error)
        return False
    return True


def append_row(path: Path, row: Mapping[str, float]) -> None:
    """Add a row to a CSV table, with the names of its columns where it is new; failures are logged."""
    try:
        new = not path.exists() or path.stat().st_size == 0
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(row)
            writer.writerow([f"{x:.4f}".rstrip("0").rstrip(".") for x in row.values()])
    except OSError as error:
        logger.error("%s lacks a row: %s", path, error)


def read_columns(path: Path) -> dict[str, list[float]]:
    """Return a table's columns; lines that a full disk cut short are left out."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        header, *lines = list(csv.reader(file)) or [[]]
    rows = [[float(x) for x in line] for line in lines if len(line) == len(header)]
    return {name: [row[column] for row in rows] for column, name in enumerate(header)}
