"""Which certificate the server shows, if any."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_data_path

from server.certificate import KeptCertificate, keep_certificate, own_names
from server.network import is_every, is_loopback, lan_addresses
from server.settings import Settings


def certificate_folder() -> Path:
    """Return where the user's own certificate is kept."""
    return user_data_path("duplex") / "tls"


def wants_tls(settings: Settings) -> bool:
    """Say whether to speak https: as the settings say, else wherever others can reach the server.

    Browsers give no microphone to a page of another machine that came over plain http.
    """
    if settings.tls is not None:
        return settings.tls
    return settings.tls_certificate is not None or not is_loopback(settings.host)


def secure(settings: Settings, folder: Path | None = None) -> tuple[Settings, KeptCertificate | None]:
    """Put a self-signed certificate into the settings where TLS is wanted and none was given.

    Who asks for TLS and names no address means other machines: the server then listens on all addresses.

    Args:
        settings: As they were read.
        folder: Where the certificate is kept; `certificate_folder()` by default.

    Returns:
        The settings to serve with, and the self-signed certificate if one is used.

    Raises:
        CertificateError: If none can be kept in the folder.
    """
    if not wants_tls(settings):
        return settings.model_copy(update={"tls_certificate": None, "tls_key": None}), None
    if settings.tls and "host" not in settings.model_fields_set:
        settings = settings.model_copy(update={"host": "0.0.0.0"})
    if settings.tls_certificate is not None:
        return settings, None
    named = [] if is_every(settings.host) else [settings.host]
    kept = keep_certificate(folder or certificate_folder(), own_names([*lan_addresses(), *named]))
    return settings.model_copy(update={"tls_certificate": kept.certificate, "tls_key": kept.key}), kept
