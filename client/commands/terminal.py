"""How commands talk: results on stdout, warnings and errors on stderr."""

from __future__ import annotations

import importlib.util
import sys
from typing import Annotated, NoReturn

import typer

Token = Annotated[
    str | None,
    typer.Option(
        envvar="DUPLEX_TOKEN",
        show_envvar=True,
        help="What the service wants to see. Other users of this machine can read an option.",
    ),
]


def warn(message: str) -> None:
    typer.secho(f"warning: {message}", fg="yellow", err=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """Print why the command stops, and stop it."""
    typer.secho(f"error: {message}", fg="red", err=True)
    raise typer.Exit(code)


def need(module: str, extra: str) -> None:
    """Stop with a clear message if a package of an extra is not installed."""
    if importlib.util.find_spec(module) is None:
        pip = f"{sys.executable} -m pip"  # another one may come first on the path
        fail(f"this command needs the '{extra}' extra: {pip} install 'duplex-aec[{extra}]'", code=2)
