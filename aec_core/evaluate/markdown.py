"""Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Render a table; numbers are the caller's to format."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float | None, digits: int = 1, sign: bool = False) -> str:
    """Format a figure; a dash for what was not measured."""
    if value is None:
        return "–"
    rounded = round(value, digits) + 0.0  # no minus before zero
    return f"{rounded:{'+' if sign else ''}.{digits}f}"


def numbers(values: Iterable[float | None], digits: int = 1, sign: bool = False) -> str:
    """Format several figures as one cell."""
    return " / ".join(number(value, digits, sign) for value in values)


def percent(value: float | None) -> str:
    """Format a share."""
    return "–" if value is None else f"{100 * value:.1f}"


def with_spread(values: Sequence[float], digits: int) -> str:
    """Format the mean over seeds and their standard deviation."""
    if not values:
        return "–"
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.{digits}f}"
    deviation = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
    return f"{mean:.{digits}f} ± {deviation:.{digits}f}"
