"""`duplex demo`: the whole product in half a minute."""

from __future__ import annotations

from typing import Annotated

import typer

from client.commands.terminal import fail


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Exit after the recording: 0 if both sentences were recognised.")
    ] = False,
) -> None:
    """Start a server, play the shipped recording through it, show what it hears, keep the page open.

    The table at the end sets the transcript with echo cancellation beside the one without.
    """
    from rich.console import Console

    from client.audio import AudioFileError
    from client.demo import run_demo
    from client.duplex import DuplexError
    from client.local_server import ServerFailedError

    try:
        good = run_demo(Console(), once=once)
    except (AudioFileError, DuplexError, ServerFailedError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("stopped", code=130)
    if once and not good:
        fail("not every sentence was recognised nearly word for word")
