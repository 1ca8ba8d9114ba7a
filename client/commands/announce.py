"""What `duplex serve` prints before it serves: addresses, the certificate, a QR code for a phone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from server.certificate import KeptCertificate
    from server.settings import Settings


def announce(settings: Settings, certificate: KeptCertificate | None, made: bool) -> None:
    """Print where the service will be and, for other devices with TLS, how a phone gets there.

    Args:
        settings: To serve with.
        certificate: The self-signed one, if there is one.
        made: The token was made for this run. One that was set is shown to people only: what a program
            reads is kept somewhere.
    """
    shown = settings.tokens[0] if settings.tokens and (made or sys.stdout.isatty()) else None
    key = f"#token={shown}" if shown else ""  # behind the #: no browser sends it, so no log has it
    hosts = _hosts(settings.host)
    for host in hosts:
        typer.echo(f"page     {page_url(settings, host)}{key}")
    elsewhere = [host for host in hosts if not _is_here(host)]
    best = (elsewhere or hosts)[0]
    typer.echo(f"socket   {page_url(settings, best).replace('http', 'ws', 1)}v1/realtime")
    _explain_token(settings, shown, made)
    if certificate is not None:
        _explain(certificate)
    if settings.tls_certificate is not None and elsewhere:
        _show_code(f"{page_url(settings, best)}{key}")
    elif elsewhere:
        typer.echo("         without TLS browsers of other machines give the page no microphone")


def _explain_token(settings: Settings, shown: str | None, made: bool) -> None:
    if not settings.tokens:
        return
    origin = "made for this run; DUPLEX_TOKEN sets one that stays" if made else "from the settings"
    typer.echo(f"token    {shown or 'wanted; add #token=… to the page'} ({origin})")


def _hosts(listens_on: str) -> list[str]:
    """Return the names to open the page under: this machine's own, then those for others."""
    from server.network import is_every, lan_addresses

    if not is_every(listens_on):
        return [listens_on]
    lan = lan_addresses()
    return ["127.0.0.1", *(host for host in lan if listens_on == "::" or ":" not in host)]


def _is_here(host: str) -> bool:
    from server.network import is_loopback

    return is_loopback(host)


def page_url(settings: Settings, host: str) -> str:
    """Return the address of the page under one of the server's names."""
    secure = "s" if settings.tls_certificate else ""
    return f"http{secure}://{_bracketed(host)}:{settings.port}/"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _explain(certificate: KeptCertificate) -> None:
    typer.echo(
        f"TLS      {'new ' if certificate.made else ''}self-signed certificate {certificate.certificate}"
    )
    typer.echo(f"         SHA-256 {certificate.fingerprint}")
    typer.echo("         Browsers warn about it once: compare the fingerprint, then go on.")


def _show_code(url: str) -> None:
    import segno

    typer.echo(f"phone    {url}")
    try:
        segno.make(url, error="l").terminal(sys.stdout, compact=True)
    except UnicodeEncodeError:  # a terminal without block characters
        typer.echo("         (this terminal cannot show the QR code)")
