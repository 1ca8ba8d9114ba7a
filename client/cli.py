"""The `duplex` command: the one place that puts core, server and client together."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from client.commands.ablate import ablate
from client.commands.bench import group as bench
from client.commands.cancel import cancel
from client.commands.demo import demo
from client.commands.evaluate import group as evaluate
from client.commands.export import export
from client.commands.loopback import loopback
from client.commands.mixtures import mixtures
from client.commands.replay import replay
from client.commands.serve import serve
from client.commands.stream import stream
from client.commands.train import train

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SEE = "See it work"
RUN = "Run it"
MEASURE = "Train and measure"

app.command(rich_help_panel=SEE)(demo)
app.command(rich_help_panel=SEE)(cancel)
app.command(rich_help_panel=RUN)(serve)
app.command(rich_help_panel=RUN)(stream)
app.command(rich_help_panel=RUN)(loopback)
app.command(rich_help_panel=RUN)(replay)
app.add_typer(bench, name="bench", rich_help_panel=MEASURE)
app.add_typer(evaluate, name="evaluate", rich_help_panel=MEASURE)
app.command(rich_help_panel=MEASURE)(train)
app.command(rich_help_panel=MEASURE)(ablate)
app.command(rich_help_panel=MEASURE)(mixtures)
app.command(rich_help_panel=MEASURE)(export)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"duplex {version('duplex-aec')}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Speech in real time from people who talk over an agent: echo cancellation, turns, transcripts."""


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
