"""The server's own certificate authority: kept, private, limited; its certificate never runs out."""

import datetime
import ipaddress
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from streamer import certificates
from streamer.certificates import Authority, machine_hosts
from streamer.errors import ConfigError

HOSTS = {"localhost", "127.0.0.1", "192.168.1.10", "pose.example"}


@pytest.fixture
def hosts() -> set[str]:
    return set(HOSTS)


@pytest.fixture
def authority(tmp_path: Path, hosts: set[str]) -> Authority:
    return Authority(tmp_path / "tls", lambda: set(hosts)).open()


def server_certificate(authority: Authority) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.server_file.read_bytes())


def names_of(authority: Authority) -> set[str]:
    kind = x509.SubjectAlternativeName
    names = server_certificate(authority).extensions.get_extension_for_class(kind).value
    return {str(name.value) for name in names}


def life_of(certificate: x509.Certificate) -> datetime.timedelta:
    return certificate.not_valid_after_utc - certificate.not_valid_before_utc


def test_certificate_is_for_all_hosts_and_for_no_longer_than_browsers_take(
    authority: Authority,
) -> None:
    assert names_of(authority) == HOSTS
    assert life_of(server_certificate(authority)) <= datetime.timedelta(days=397)
    assert life_of(authority.certificate) == datetime.timedelta(days=3650)
    server_certificate(authority).verify_directly_issued_by(authority.certificate)


def test_keys_are_their_owners_alone(authority: Authority) -> None:
    files = list(authority.server_file.parent.iterdir())
    assert len(files) == 2
    for file in files:
        assert b"PRIVATE KEY" in file.read_bytes()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"PRIVATE" not in authority.pem


def test_authority_can_sign_for_nobody_else(authority: Authority) -> None:
    extensions = authority.certificate.extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical and basic.value.ca and basic.value.path_length == 0
    limits = extensions.get_extension_for_class(x509.NameConstraints)
    permitted = [each.value for each in limits.value.permitted_subtrees or ()]
    assert limits.critical and "pose.example" in permitted and "com" not in permitted
    networks = [each for each in permitted if not isinstance(each, str)]
    assert not any(ipaddress.ip_address("8.8.8.8") in network for network in networks)


def test_second_start_changes_nothing(authority: Authority, tmp_path: Path) -> None:
    before = {file: file.read_bytes() for file in (tmp_path / "tls").iterdir()}
    again = Authority(tmp_path / "tls", lambda: HOSTS).open()
    assert again.fingerprint == authority.fingerprint
    assert {file: file.read_bytes() for file in (tmp_path / "tls").iterdir()} == before


@pytest.mark.parametrize("life_days", [0.5, 20], ids=["run out", "about to"])
def test_certificate_that_runs_out_is_renewed_and_the_authority_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, life_days: float
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "CERTIFICATE_LIFE", datetime.timedelta(days=life_days))
        old = Authority(tmp_path, lambda: HOSTS).open()
        serial = server_certificate(old).serial_number
    new = Authority(tmp_path, lambda: HOSTS).open()
    assert new.fingerprint == old.fingerprint
    assert server_certificate(new).serial_number != serial
    assert not new.renew()


def test_new_address_makes_a_new_certificate_and_a_lost_one_does_not(
    authority: Authority, hosts: set[str]
) -> None:
    hosts.remove("192.168.1.10")
    assert not authority.renew()
    hosts.add("10.0.0.7")
    assert authority.renew()
    assert names_of(authority) == {"localhost", "127.0.0.1", "10.0.0.7", "pose.example"}


def test_name_that_the_authority_may_not_sign_is_left_out_and_told_once(
    authority: Authority, hosts: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    hosts |= {"later.example", "8.8.8.8", "münchen.example", "tv.pose.example", "new.local"}
    assert authority.renew()
    assert names_of(authority) == HOSTS | {"tv.pose.example", "new.local"}
    assert "8.8.8.8, later.example, münchen.example" in caplog.text
    caplog.clear()
    assert not authority.renew()
    assert not caplog.text


def test_authority_that_runs_out_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "AUTHORITY_LIFE", datetime.timedelta(days=300))
        old = Authority(tmp_path, lambda: HOSTS).open()
    new = Authority(tmp_path, lambda: HOSTS).open()
    assert new.fingerprint != old.fingerprint and "run out" in caplog.text
    server_certificate(new).verify_directly_issued_by(new.certificate)


def test_servers_file_of_something_else_is_made_anew(authority: Authority) -> None:
    for rubbish in (b"", b"rubbish", b"\xff\xfe", authority.pem):
        authority.server_file.write_bytes(rubbish)
        assert authority.renew()
        assert names_of(authority) == HOSTS


def test_authority_that_is_no_authority_is_neither_used_nor_overwritten(
    authority: Authority, tmp_path: Path
) -> None:
    file = authority.server_file.with_name("authority.pem")
    foreign = certificates._Signed(authority.certificate, ec.generate_private_key(ec.SECP256R1()))
    for broken in (b"", b"rubbish", authority.pem, certificates._pem(foreign)):
        file.write_bytes(broken)
        with pytest.raises(ConfigError, match="Put back what was there"):
            Authority(tmp_path / "tls", lambda: HOSTS).open()
        assert file.read_bytes() == broken


def test_folder_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="Make that folder writable, or set"):
        Authority(tmp_path / "file" / "tls", lambda: HOSTS).open()


def test_machine_is_known_by_its_names_and_addresses() -> None:
    hosts = machine_hosts()
    assert {"localhost", "127.0.0.1", "::1"} < hosts
    assert any(host.endswith(".local") for host in hosts)
    assert not any(host.startswith("fe80") or "%" in host for host in hosts)
