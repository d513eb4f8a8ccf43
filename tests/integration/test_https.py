"""https by the server's own authority, as Python's ssl sees it; and what becomes of plain http."""

import asyncio
import contextlib
import datetime
import functools
import hashlib
import itertools
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509

from streamer import certificates
from streamer.aio import cancel_and_wait
from streamer.app import serve
from streamer.certificates import Authority
from streamer.config import Config, LimitsConfig, ServerConfig
from streamer.errors import ConfigError
from streamer.server.application import make_application
from streamer.server.door import Doorman, listening
from streamer.server.https import Https, open_https
from tests.fakes import PATIENCE_S
from tests.in_process import Service
from tests.rigs.certificate import make_certificate
from tests.rigs.net import free_port

TOKEN = "0123456789-s3cret-token"


@dataclass
class Running:
    https: Https
    authority: Authority
    port: int
    http_port: int

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.port}{path}"

    def plain_url(self, path: str, port: int | None = None) -> str:
        return f"http://127.0.0.1:{port or self.port}{path}"

    def trusting(self) -> ssl.SSLContext:
        """Knows this server's authority and no other."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.authority.pem.decode())
        return context


@contextlib.asynccontextmanager
async def running(folder: Path, limits: LimitsConfig | None = None) -> AsyncIterator[Running]:
    port, http_port = free_port(), free_port()
    config = ServerConfig(
        tls="auto", port=port, http_port=http_port, token=TOKEN, allowed_hosts=["pose.example"]
    )
    service = Service(folder, server=config, limits=limits)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(service.close)
        https = await open_https(config, folder / "tls")
        assert https is not None and https.authority is not None
        service.services.authority = https.authority
        runner = web.AppRunner(make_application(config, service.services), shutdown_timeout=1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        listener, plain = (
            stack.enter_context(socket.create_server(("127.0.0.1", each)))
            for each in (port, http_port)
        )
        limits = service.services.limits
        await stack.enter_async_context(
            listening(runner, config, limits, (listener, https), (plain, None))
        )
        yield Running(https, https.authority, port, http_port)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path) as one:
        yield one


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


async def shown_certificate(server: Running, name: str) -> x509.Certificate:
    """That of a new connection, checked against the authority and the name."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", server.port, ssl=server.trusting(), server_hostname=name
    )
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
    del reader
    return x509.load_der_x509_certificate(shown)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "pose.example"])
async def test_client_that_trusts_our_authority_alone_verifies_the_server(
    server: Running, name: str
) -> None:
    await shown_certificate(server, name)


async def test_server_is_nobody_else(server: Running) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await shown_certificate(server, "evil.example")


async def test_name_beyond_the_authoritys_limits_is_worth_nothing_even_with_its_key(
    server: Running,
) -> None:
    signed = server.authority._sign([x509.DNSName("bank.example"), x509.DNSName("localhost")])
    server.authority.server_file.write_bytes(certificates._pem(signed))
    server.https.context.load_cert_chain(server.authority.server_file)
    for name in ("bank.example", "localhost"):
        with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
            await shown_certificate(server, name)


@contextlib.asynccontextmanager
async def looked_twice(
    server: Running, monkeypatch: pytest.MonkeyPatch, renew: Callable[[], bool]
) -> AsyncIterator[None]:
    """Keeps the certificate fresh with ``renew``; what its first call led to is done."""
    loop, again, calls = asyncio.get_running_loop(), asyncio.Event(), itertools.count()

    def counted() -> bool:
        if next(calls) == 1:
            loop.call_soon_threadsafe(again.set)
        return renew()

    monkeypatch.setattr(server.authority, "renew", counted)
    fresh = asyncio.create_task(server.https.keep_fresh(interval_s=0))
    async with asyncio.timeout(PATIENCE_S):
        await again.wait()
    yield
    await cancel_and_wait(fresh)


async def test_new_address_is_served_without_a_restart(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await shown_certificate(server, "localhost")
    server.authority._hosts = lambda: {"localhost", "10.9.8.7"}
    async with looked_twice(server, monkeypatch, server.authority.renew):
        after = await shown_certificate(server, "10.9.8.7")
    assert after.serial_number != before.serial_number


@pytest.mark.parametrize("kind", [OSError, ValueError])
async def test_renewal_that_fails_is_told_and_the_server_goes_on(
    server: Running,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Exception],
) -> None:
    def fail() -> bool:
        raise kind("disk full")

    async with looked_twice(server, monkeypatch, fail):
        await shown_certificate(server, "localhost")
    assert "disk full" in caplog.text


# -- plain http ---------------------------------------------------------------------------------------


async def test_plain_http_on_the_same_port_is_sent_to_https(
    server: Running, client: aiohttp.ClientSession
) -> None:
    url = server.plain_url("/streams/door?a=b")
    response = await client.get(url, allow_redirects=False)
    assert response.status == 308
    assert response.headers["Location"] == server.url("/streams/door?a=b")


async def test_plain_port_sends_to_the_https_port(
    server: Running, client: aiohttp.ClientSession
) -> None:
    url = server.plain_url("/webcam", server.http_port)
    for host, name in (("127.0.0.1", "127.0.0.1"), ("[::1]", "[::1]"), ("pose.example", None)):
        headers = {"Host": host if name is None else f"{host}:{server.http_port}"}
        response = await client.get(url, allow_redirects=False, headers=headers)
        assert response.headers["Location"] == server.url("/webcam", name or host)


async def test_stranger_name_is_sent_nowhere(
    server: Running, client: aiohttp.ClientSession
) -> None:
    headers = {"Host": "evil.example"}
    response = await client.get(server.plain_url("/"), allow_redirects=False, headers=headers)
    assert response.status == 421


@pytest.mark.parametrize("host", ["127.0.0.1:99999", "127.0.0.1:x", "localhost:-1"])
async def test_port_that_is_none_is_misdirected(
    server: Running, client: aiohttp.ClientSession, host: str
) -> None:
    headers = {"Host": host}
    response = await client.get(server.plain_url("/"), allow_redirects=False, headers=headers)
    assert response.status == 421


@pytest.mark.parametrize("path", ["/api/v1/login", "/whip/door", "/api/v1/streams"])
async def test_plain_http_can_send_nothing(
    server: Running, client: aiohttp.ClientSession, path: str
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    response = await client.post(server.plain_url(path), json={"token": TOKEN}, headers=headers)
    assert response.status == 403
    body = await response.json()
    assert body["type"] == "urn:streamer:problem:https-needed"
    assert server.url("/") in body["detail"]


@pytest.mark.parametrize("way", ["https", "http on the same port", "http_port"])
async def test_trust_is_open_to_everybody_on_every_way(
    server: Running, client: aiohttp.ClientSession, way: str
) -> None:
    url: Callable[[str], str] = server.url
    trusting = server.trusting()
    if way != "https":
        port = server.http_port if way == "http_port" else server.port
        url = functools.partial(server.plain_url, port=port)
    page = await client.get(url("/trust"), ssl=trusting)
    assert page.status == 200 and "trust.js" in await page.text()
    for path in ("/static/trust.js", "/static/style.css", "/healthz"):
        async with client.get(url(path), ssl=trusting) as file:
            assert file.status == 200
    shown = (await (await client.get(url("/trust/authority"), ssl=trusting)).json())["authority"]
    certificate = await client.get(url("/trust/ca.crt"), ssl=trusting)
    assert certificate.content_type == "application/x-x509-ca-cert"
    der = ssl.PEM_cert_to_DER_cert(await certificate.text())
    assert shown["sha256"] == hashlib.sha256(der).digest().hex(":").upper()
    assert shown["name"].startswith("Streamer on ")
    assert datetime.date.fromisoformat(shown["until"]).year > datetime.date.today().year + 8
    for path in ("/", "/api/v1/streams", "/trust/", "/trust/server.pem", "/trust/authority.pem"):
        async with client.get(url(path), ssl=trusting, allow_redirects=False) as refused:
            assert refused.status in (401, 308)


async def test_fingerprint_is_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="streamer"):
        async with running(tmp_path) as server:
            assert server.authority.fingerprint in caplog.text


async def test_connections_that_say_nothing_or_rubbish_hold_up_nobody(
    tmp_path: Path, client: aiohttp.ClientSession
) -> None:
    async with running(tmp_path, LimitsConfig(header_timeout_s=2.0)) as server:
        await check_that_they_hold_up_nobody(server, client)


async def check_that_they_hold_up_nobody(server: Running, client: aiohttp.ClientSession) -> None:
    writers = []
    for words in (b"", b"\x16", b"\x16\x03\x01\x00\x05rubbish", b"\x00\xff", b"GET / HT"):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(words)
        writers.append((words, reader, writer))
    response = await client.get(server.url("/healthz"), ssl=server.trusting())
    assert response.status == 200
    for _, reader, writer in writers:
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionError):
                await reader.read()
        writer.close()


async def test_server_ends_though_somebody_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admitted = asyncio.Event()
    admit = Doorman._admit

    async def noted(self: Doorman, accepted: socket.socket, address: str) -> None:
        admitted.set()
        await admit(self, accepted, address)

    monkeypatch.setattr(Doorman, "_admit", noted)
    async with asyncio.timeout(PATIENCE_S):
        async with running(tmp_path) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            await admitted.wait()
        assert await reader.read() == b""
    writer.close()


# -- configuration ------------------------------------------------------------------------------------


async def test_broken_certificate_of_ones_own_is_told(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("rubbish")
    both = str(tmp_path / "cert.pem")
    with pytest.raises(ConfigError, match="tls_cert, tls_key: can't be used"):
        await open_https(ServerConfig(tls_cert=both, tls_key=both), tmp_path)


async def test_certificate_that_has_run_out_is_told_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cert, key = make_certificate(tmp_path, "localhost", days_left=-1)
    await open_https(ServerConfig(tls_cert=str(cert), tls_key=str(key)), tmp_path)
    assert "has run out" in caplog.text


async def test_state_folder_that_cannot_hold_certificates_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    state = str(tmp_path / "file" / "streams.json")
    with pytest.raises(ConfigError, match="certificates can't be kept"):
        await serve(Config(server=ServerConfig(port=0, tls="auto", state_file=state)), Config)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"tls": "auto", "tls_cert": "a", "tls_key": "b"}, "leave tls_cert and tls_key out"),
        ({"tls": "yes"}, "auto"),
        ({"http_port": 8081}, "http_port is for a server that speaks https"),
        ({"tls": "auto", "http_port": 8080}, "another port"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(keys: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ServerConfig.model_validate(keys)
