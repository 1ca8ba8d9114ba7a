"""A self-signed certificate that is made once and kept, so that a phone has to accept it once."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CERTIFICATE_FILE = "certificate.pem"
KEY_FILE = "key.pem"
# Browsers refuse certificates of more than 398 days.
_LIFETIME = timedelta(days=397)
_RENEW_BEFORE = timedelta(days=30)
_CLOCK_SKEW = timedelta(days=1)  # a phone's clock may be behind
_LONGEST_NAME = 63  # of a host, in the certificate


class CertificateError(Exception):
    """The certificate cannot be read or stored; the message says where and why."""


@dataclass(frozen=True)
class KeptCertificate:
    """A certificate on disk.

    Attributes:
        certificate: PEM file.
        key: PEM file of its private key, readable by its owner alone.
        fingerprint: SHA-256 of it, as browsers show it.
        made: It is new; who accepted the last one will be asked again.
    """

    certificate: Path
    key: Path
    fingerprint: str
    made: bool


def own_names(addresses: Iterable[str]) -> list[str]:
    """Return what a browser may call this machine: localhost, the host's names, its addresses."""
    host = socket.gethostname()
    names = ["localhost", "127.0.0.1", "::1"]
    if host and len(host) <= _LONGEST_NAME and host.isascii():
        names += [host] if "." in host else [host, f"{host}.local"]
    return list(dict.fromkeys([*names, *addresses]))


def keep_certificate(folder: Path, names: Iterable[str], now: datetime | None = None) -> KeptCertificate:
    """Return the certificate in `folder`; make one if there is none that holds for all `names`.

    It is made anew thirty days before it ends, when a name or an address has been added, and when the
    files do not fit each other.

    Args:
        folder: Directory of the two files; made if it is missing.
        names: Host names and IP addresses.
        now: When it must hold; the present by default.

    Raises:
        CertificateError: If the folder cannot be written.
    """
    now = now or datetime.now(UTC)
    wanted = list(names)
    paths = folder / CERTIFICATE_FILE, folder / KEY_FILE
    try:
        kept = _load(*paths)
        if kept is not None and _holds(kept, wanted, now):
            return KeptCertificate(*paths, fingerprint(kept), made=False)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _make(key, wanted, now)
        _store(folder, certificate, key)
    except OSError as error:
        raise CertificateError(f"{folder}: cannot keep a certificate there ({error.strerror})") from error
    return KeptCertificate(*paths, fingerprint(certificate), made=True)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate as pairs of hexadecimal digits between colons."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _load(certificate_path: Path, key_path: Path) -> x509.Certificate | None:
    """Return the certificate if it and its key are there and belong together."""
    if not (certificate_path.is_file() and key_path.is_file()):
        return None
    try:
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    except (ValueError, TypeError):  # cut short, or somebody else's file
        return None
    return certificate if certificate.public_key() == key.public_key() else None


def _holds(certificate: x509.Certificate, names: list[str], now: datetime) -> bool:
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - _RENEW_BEFORE:
        return False
    try:
        present = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return {_general_name(name) for name in names} <= set(present)


def _make(key: ec.EllipticCurvePrivateKey, names: list[str], now: datetime) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "duplex, self-signed")])
    # No authority: who trusts it trusts this server and nothing that could be signed with its key.
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now - _CLOCK_SKEW + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _store(folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(folder / KEY_FILE, pem)
    _write(folder / CERTIFICATE_FILE, certificate.public_bytes(serialization.Encoding.PEM))


def _write(path: Path, content: bytes) -> None:
    """Write a file that nobody else can read, whole or not at all."""
    fresh = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    fresh.replace(path)
