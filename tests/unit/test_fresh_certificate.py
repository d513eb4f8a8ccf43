"""https for longer than a certificate lasts: another one on the disk is taken without a restart."""

import asyncio
import os
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509

from streamer.aio import cancel_and_wait
from streamer.certificates import Authority, certificate_until
from streamer.server.https import Https
from tests.fakes import PATIENCE_S
from tests.rigs.certificate import make_certificate


def shown(https: Https) -> x509.Certificate:
    """What a new connection gets."""
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(to_client, to_server)
    server = https.context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pass  # the other side is next
    der = client.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


@pytest.fixture
def newer(tmp_path: Path) -> tuple[bytes, bytes]:
    """A certificate and its key that are still to be put in place."""
    folder = tmp_path / "newer"
    folder.mkdir()
    cert, key = make_certificate(folder, "pose.example", days_left=90)
    return cert.read_bytes(), key.read_bytes()


def test_renewed_certificate_is_taken_and_its_end_is_told(
    tmp_path: Path, newer: tuple[bytes, bytes]
) -> None:
    cert, key = make_certificate(tmp_path, "pose.example")
    https = Https(cert, key)
    first, first_until = shown(https), https.until()
    assert not https.renew()
    cert.write_bytes(newer[0])
    key.write_bytes(newer[1])
    assert https.renew()
    assert shown(https).serial_number != first.serial_number
    assert https.until() == certificate_until(cert) != first_until


def test_certificate_whose_key_is_still_to_come_spoils_nothing(
    tmp_path: Path, newer: tuple[bytes, bytes]
) -> None:
    cert, key = make_certificate(tmp_path, "pose.example")
    https = Https(cert, key)
    first, first_until = shown(https), https.until()
    cert.write_bytes(newer[0])
    for _ in range(2):
        with pytest.raises(OSError, match="KEY_VALUES_MISMATCH"):
            https.renew()
        assert shown(https) == first
        assert https.until() == first_until  # of the one in use: all is not well yet
    key.write_bytes(newer[1])
    assert https.renew()
    assert shown(https) != first


def test_certificate_that_is_gone_stays_in_use(tmp_path: Path, newer: tuple[bytes, bytes]) -> None:
    cert, key = make_certificate(tmp_path, "pose.example")
    https = Https(cert, key)
    first = shown(https)
    os.unlink(cert)
    with pytest.raises(FileNotFoundError):
        https.renew()
    assert shown(https) == first
    cert.write_bytes(newer[0])
    key.write_bytes(newer[1])
    assert https.renew()


def test_what_our_authority_made_is_taken_also_if_that_failed_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = {"localhost"}
    authority = Authority(tmp_path, lambda: set(hosts)).open()
    https = Https(authority.server_file, None, authority)
    first = shown(https)
    hosts.add("127.0.0.1")
    with monkeypatch.context() as no_descriptor_left:

        def fail(*_: object) -> ssl.SSLContext:
            raise OSError("Too many open files")

        no_descriptor_left.setattr(ssl, "create_default_context", fail)
        with pytest.raises(OSError, match="Too many"):
            https.renew()
    assert https.renew()
    assert shown(https) != first


async def test_disk_that_hangs_takes_no_thread_of_those_that_all_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    https = Https(*make_certificate(tmp_path, "pose.example"))
    loop, looking, goes_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    threads: list[str] = []

    def hang() -> bool:
        threads.append(threading.current_thread().name)
        loop.call_soon_threadsafe(looking.set)
        return goes_on.wait(PATIENCE_S)

    monkeypatch.setattr(https, "renew", hang)
    fresh = asyncio.create_task(https.keep_fresh(interval_s=0))
    await asyncio.wait_for(looking.wait(), PATIENCE_S)
    await cancel_and_wait(fresh)  # and the end of the service does not wait for it
    goes_on.set()
    assert threads == ["certificate"]
