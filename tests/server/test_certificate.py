import ipaddress
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from server.certificate import CertificateError, keep_certificate, own_names
from server.network import is_every, is_loopback, lan_addresses, usable
from server.settings import Settings
from server.tls import secure, wants_tls

NAMES = ["localhost", "127.0.0.1", "192.0.2.7", "fd00::7"]
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


class TestKeepCertificate:
    def test_it_names_hosts_and_addresses(self, tmp_path: Path):
        kept = keep_certificate(tmp_path / "tls", NAMES, NOW)
        names = load(kept.certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["localhost"]
        assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address(n) for n in NAMES[1:]]

    def test_browsers_take_its_lifetime(self, tmp_path: Path):
        certificate = load(keep_certificate(tmp_path, NAMES, NOW).certificate)
        assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= timedelta(days=398)

    def test_it_can_sign_no_other(self, tmp_path: Path):
        certificate = load(keep_certificate(tmp_path, NAMES, NOW).certificate)
        assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert not certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign

    def test_nobody_else_can_read_the_files(self, tmp_path: Path):
        kept = keep_certificate(tmp_path / "tls", NAMES, NOW)
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (kept.certificate, kept.key)]
        assert modes == [0o600, 0o600]
        assert stat.S_IMODE(kept.key.parent.stat().st_mode) == 0o700

    def test_it_is_kept(self, tmp_path: Path):
        first = keep_certificate(tmp_path, NAMES, NOW)
        again = keep_certificate(tmp_path, reversed(NAMES[:3]), NOW + timedelta(days=360))
        assert (first.made, again.made) == (True, False)
        assert first.fingerprint == again.fingerprint

    @pytest.mark.parametrize(
        ("names", "days"),
        [([*NAMES, "192.0.2.8"], 1), ([*NAMES, "new.local"], 1), (NAMES, 370), (NAMES, 800), (NAMES, -30)],
    )
    def test_it_is_renewed(self, tmp_path: Path, names: list[str], days: int):
        first = keep_certificate(tmp_path, NAMES, NOW)
        again = keep_certificate(tmp_path, names, NOW + timedelta(days=days))
        assert again.made
        assert again.fingerprint != first.fingerprint
        assert not keep_certificate(tmp_path, names, NOW + timedelta(days=days)).made

    @pytest.mark.parametrize("name", ["certificate.pem", "key.pem"])
    @pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
    def test_broken_files_are_replaced(self, tmp_path: Path, name: str, content: bytes | None):
        keep_certificate(tmp_path, NAMES, NOW)
        (tmp_path / name).unlink()
        if content is not None:
            (tmp_path / name).write_bytes(content)
        assert keep_certificate(tmp_path, NAMES, NOW).made
        assert not keep_certificate(tmp_path, NAMES, NOW).made

    def test_the_key_of_another_certificate_is_replaced(self, tmp_path: Path):
        one, other = (keep_certificate(tmp_path / name, NAMES, NOW) for name in ("one", "other"))
        other.key.replace(one.key)
        assert keep_certificate(tmp_path / "one", NAMES, NOW).made

    def test_a_folder_that_cannot_be_is_named(self, tmp_path: Path):
        (tmp_path / "file").write_text("")
        with pytest.raises(CertificateError, match="file/tls: cannot keep a certificate"):
            keep_certificate(tmp_path / "file" / "tls", NAMES, NOW)

    def test_nothing_else_is_left_in_the_folder(self, tmp_path: Path):
        keep_certificate(tmp_path, NAMES, NOW)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["certificate.pem", "key.pem"]


def test_own_names_begin_with_this_machine(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("socket.gethostname", lambda: "desk")
    assert own_names(["192.0.2.7"]) == ["localhost", "127.0.0.1", "::1", "desk", "desk.local", "192.0.2.7"]


def test_addresses_that_nobody_else_can_use_are_left_out():
    found = ["127.0.0.1", "::1", "fe80::1%eth0", "169.254.3.4", "fd00::2", "10.0.0.5", "192.0.2.7", "0.0.0.0"]
    assert usable(found, "192.0.2.7") == ["192.0.2.7", "10.0.0.5", "fd00::2"]


def test_the_addresses_of_this_machine_are_addresses():
    for address in lan_addresses():
        assert not ipaddress.ip_address(address).is_loopback


def test_which_hosts_stay_on_this_machine():
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.1.2.3", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.0.2.7", "desk.local")))
    assert all(map(is_every, ("0.0.0.0", "::")))
    assert not is_every("127.0.0.1")


class TestWhereTlsIsUsed:
    def test_by_default_only_where_others_can_reach_it(self):
        assert not wants_tls(Settings())
        assert wants_tls(Settings(host="0.0.0.0"))
        assert not wants_tls(Settings(host="0.0.0.0", tls=False))
        assert wants_tls(Settings(tls=True))

    def test_who_asks_for_it_without_an_address_means_the_network(self, tmp_path: Path):
        assert secure(Settings(tls=True), tmp_path)[0].host == "0.0.0.0"
        assert secure(Settings(tls=True, host="127.0.0.1"), tmp_path)[0].host == "127.0.0.1"

    def test_a_certificate_of_ones_own_goes_first(self, tmp_path: Path):
        own = keep_certificate(tmp_path / "own", NAMES)
        given = Settings(tls_certificate=own.certificate, tls_key=own.key)
        settings, kept = secure(given, tmp_path / "kept")
        assert (settings.tls_certificate, settings.host, kept) == (own.certificate, "127.0.0.1", None)
        assert not (tmp_path / "kept").exists()

    def test_without_it_no_certificate_is_used(self, tmp_path: Path):
        own = keep_certificate(tmp_path / "own", NAMES)
        given = Settings(tls=False, tls_certificate=own.certificate, tls_key=own.key)
        settings, kept = secure(given, tmp_path / "kept")
        assert (settings.tls_certificate, settings.tls_key, kept) == (None, None, None)

    def test_the_address_that_was_named_is_in_the_certificate(self, tmp_path: Path):
        _, kept = secure(Settings(host="desk.example"), tmp_path)
        assert kept is not None
        names = load(kept.certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert "desk.example" in names.get_values_for_type(x509.DNSName)
