"""How commands talk: results on stdout, warnings and errors on stderr."""

from __future__ import annotations

from typing import NoReturn

import typer


def warn(message: str) -> None:
    typer.secho(f"warning: {message}", fg="yellow", err=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """Print why the command stops, and stop it."""
    typer.secho(f"error: {message}", fg="red", err=True)
    raise typer.Exit(code)
