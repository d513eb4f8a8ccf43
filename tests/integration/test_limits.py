"""What is answered to those who want too much, or hold on with too little; and that it harms nobody."""

import asyncio
import contextlib
import json
import os
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from streamer.config import LimitsConfig, ServerConfig
from streamer.server import door, http_protocol
from streamer.server.application import make_application
from streamer.server.connections import Connections
from streamer.server.door import listening
from streamer.server.landmarks import READERS
from tests.fakes import PATIENCE_S
from tests.in_process import SDP, Http, Service, WebcamPeer, close_code, limit, serving

HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
POST = (
    b"POST /api/v1/streams HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 60000\r\n\r\n{"
)
CAMERA = {"type": "rtsp", "url": "rtsp://127.0.0.1:9/a"}


@dataclass
class Running:
    url: str
    port: int
    connections: Connections


@contextlib.asynccontextmanager
async def running(app: web.Application, limits: LimitsConfig) -> AsyncIterator[Running]:
    """The server's own port."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with listening(runner, ServerConfig(), limits, (listener, None)) as connections:
            yield Running(f"http://127.0.0.1:{port}", port, connections)
            await runner.cleanup()


@contextlib.asynccontextmanager
async def serving_within(folder: Path, **limits: float) -> AsyncIterator[Running]:
    some = LimitsConfig.model_validate(limits)
    service = Service(folder, limits=some)
    async with running(make_application(service.server_config, service.services), some) as server:
        try:
            yield server
        finally:
            await service.close()


async def said(port: int, words: bytes, drop: bytes = b"") -> bytes:
    """All that is answered to these words, until the server ends the connection; meanwhile drop by drop."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(words)
    answer = asyncio.create_task(reader.read())
    async with asyncio.timeout(PATIENCE_S):
        while not answer.done():
            await asyncio.wait([answer], timeout=0.02)
            with contextlib.suppress(ConnectionError):
                writer.write(drop)
    writer.close()
    return b"" if answer.exception() else answer.result()


async def until(condition: Callable[[], bool]) -> None:
    """For what has no event."""
    async with asyncio.timeout(2 * PATIENCE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def problem(answer: bytes, status: int, kind: str) -> None:
    """Checks a raw answer; no version of anything is in it."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1\.[01] %d " % status, head), answer
    assert b"application/problem+json" in head and b"aiohttp" not in head and b"Python" not in head
    assert json.loads(body)["type"] == f"urn:streamer:problem:{kind}"


# -- those who hold on ------------------------------------------------------------------------------


@pytest.mark.parametrize("drop", [b"", b"x"])
async def test_half_a_head_is_not_waited_for(tmp_path: Path, drop: bytes) -> None:
    async with serving_within(tmp_path, header_timeout_s=0.2) as server:
        answer = await said(server.port, HEAD, drop)
        if answer or not drop:  # who goes on sending may lose it
            problem(answer, 408, "request-timeout")
        assert len(server.connections) == 0
        assert server.connections.figures.late == 1


async def test_second_request_has_the_same_deadline(tmp_path: Path) -> None:
    async with serving_within(tmp_path, header_timeout_s=0.5) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(HEAD + b"\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        async with asyncio.timeout(PATIENCE_S):
            assert b"408 Request Timeout" in await reader.read()
        writer.close()


async def test_who_says_nothing_is_hung_up_on(tmp_path: Path) -> None:
    async with serving_within(tmp_path, header_timeout_s=0.2) as server:
        assert await said(server.port, b"") == b""


async def test_who_says_nothing_more_is_hung_up_on(tmp_path: Path) -> None:
    async with serving_within(tmp_path, idle_timeout_s=0.2) as server:
        assert b"200 OK" in await said(server.port, HEAD + b"\r\n\r\n")


@pytest.mark.parametrize("drop", [b"", b" "])
async def test_half_a_body_is_not_waited_for(tmp_path: Path, drop: bytes) -> None:
    async with serving_within(tmp_path, body_timeout_s=0.2) as server:
        answer = await said(server.port, POST, drop)
        # Who goes on sending to a closed connection may lose what was said before its end.
        assert b"408 Request Timeout" in answer or (drop and not answer)


async def test_answer_that_nobody_takes_is_not_kept(tmp_path: Path) -> None:
    async def large(_: web.Request) -> web.Response:
        return web.Response(body=bytes(32 * 1024 * 1024))

    app = web.Application()
    app.router.add_get("/large", large)
    async with running(app, LimitsConfig(answer_timeout_s=0.2)) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: len(server.connections) == 1)
        await until(lambda: len(server.connections) == 0)
        writer.close()


@pytest.mark.parametrize("words", [b"", HEAD, POST])
async def test_crowd_that_holds_all_places_keeps_nobody_out(tmp_path: Path, words: bytes) -> None:
    patient = {"header_timeout_s": 3600.0, "body_timeout_s": 3600.0}
    async with serving_within(tmp_path, max_connections=4, **patient) as server:
        crowd = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(12)]
        for _, writer in crowd:
            writer.write(words)
        async with aiohttp.ClientSession() as http:
            for _ in range(5):
                assert (await http.get(f"{server.url}/healthz")).status == 200
        assert len(server.connections) <= 4
        for _, writer in crowd:
            writer.close()


async def test_full_server_says_so_and_lets_in_again(tmp_path: Path) -> None:
    async with serving_within(tmp_path, max_connections=2) as server:
        async with aiohttp.ClientSession() as http:
            await http.post(f"{server.url}/api/v1/streams", json={"id": "door", "source": CAMERA})
        async with aiohttp.ClientSession() as http:
            url = f"{server.url}/api/v1/streams/door/landmarks"
            async with http.ws_connect(url) as first, http.ws_connect(url) as second:
                await first.receive()
                await second.receive()
                async with http.get(f"{server.url}/healthz") as response:
                    assert response.status == 503
                    assert int(response.headers["Retry-After"]) > 0
                    assert (await response.json(content_type=None))["type"].endswith(
                        "limit-reached"
                    )
            async with http.get(f"{server.url}/healthz") as response:
                assert response.status == 200


async def test_port_stays_open_whatever_happens_to_one_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "ACCEPT_RETRY_S", 0.01)
    loop, faults = asyncio.get_running_loop(), iter([RuntimeError("can't start new thread")])
    accept = loop.sock_accept

    async def accept_the_second(listener: socket.socket) -> tuple[socket.socket, Any]:
        for fault in faults:
            raise fault
        return await accept(listener)

    monkeypatch.setattr(loop, "sock_accept", accept_the_second)
    async with serving_within(tmp_path) as server:
        words = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        assert (await said(server.port, words)).startswith(b"HTTP/1.1 200")


# -- heads and addresses ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "status", "kind"),
    [
        (b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "uri-too-long"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 5000 + b"\r\n\r\n", 431, "header-too-large"),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 200 + b"\r\n", 431, "header-too-large"),
        (b"\x00\x01\x02 rubbish\r\n\r\n", 400, "bad-request"),
        (HEAD + b"\r\nExpect: a miracle\r\n\r\n", 417, "expectation-failed"),
    ],
)
async def test_head_that_is_too_long_is_told_so(
    tmp_path: Path, words: bytes, status: int, kind: str
) -> None:
    async with serving_within(tmp_path, max_url_bytes=1024, max_header_bytes=4096) as server:
        problem(await said(server.port, words), status, kind)


async def test_one_field_of_a_head_is_not_all_of_it(tmp_path: Path) -> None:
    """The fields that aiohttp takes apart cost time that grows with the square of their length."""
    async with serving_within(tmp_path) as server:
        words = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: " + b"a;" * 5000 + b"\r\n\r\n"
        problem(await said(server.port, words), 431, "header-too-large")


@pytest.mark.parametrize("path", ["/api/v1/login", "/api/v1/images"])
@pytest.mark.parametrize("piece", [";", '"', "a;"])
async def test_type_of_a_body_that_no_body_has_costs_nothing(
    http: Http, path: str, piece: str
) -> None:
    """``email``, with which aiohttp reads it, takes seconds for some KiB: nobody needs a token for that."""
    headers = {"Content-Type": piece * (8000 // len(piece)) + path}  # aiohttp remembers some
    begun_s = time.thread_time()
    async with http.post(path, data=b"{}", headers=headers) as response:
        assert response.status == 415
    assert time.thread_time() - begun_s < 0.15


async def test_head_that_grows_without_end_is_ended(tmp_path: Path) -> None:
    async with serving_within(tmp_path, max_header_bytes=4096) as server:
        answer = await said(server.port, HEAD + b"a\r\n", b"Y: " + b"b" * 500 + b"\r\n")
        if answer:  # who goes on sending may lose it
            problem(answer, 431, "header-too-large")
        assert server.connections.figures.late == 0


async def test_head_that_never_ends_is_refused(tmp_path: Path) -> None:
    fields = b"".join(b"Y%d: %s\r\n" % (number, b"b" * 60) for number in range(80))
    async with serving_within(tmp_path, max_header_bytes=4096) as server:
        problem(await said(server.port, HEAD + b"a\r\n" + fields), 431, "header-too-large")


async def test_whole_head_that_is_too_large_is_refused(tmp_path: Path) -> None:
    fields = b"".join(b"Y%d: %s\r\n" % (number, b"b" * 60) for number in range(80))
    async with serving_within(tmp_path, max_header_bytes=4096) as server:
        head = HEAD + b"a\r\nConnection: close\r\n" + fields + b"\r\n"
        problem(await said(server.port, head), 431, "header-too-large")


async def test_rest_of_a_refused_body_is_no_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was told so, unasked, and the client took that for the answer to its next request."""
    monkeypatch.setattr(http_protocol, "LINGERING_S", PATIENCE_S)
    async with serving_within(tmp_path, max_header_bytes=4096) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = b"POST /api/v1/images HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 9000\r\n\r\n"
        for words, status in (
            (head, 421),
            (bytes(9000) + b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200),
        ):
            for at in range(
                0, len(words), 3000
            ):  # in pieces: the first ones have no request's beginning
                writer.write(words[at : at + 3000])
                await writer.drain()
                await asyncio.sleep(0.02)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 %d" % status)
            length = re.search(rb"Content-Length: (\d+)", answer)
            assert length is not None
            await reader.readexactly(int(length[1]))
        writer.close()
        await writer.wait_closed()


async def test_no_answer_names_a_version(http: Http) -> None:
    for path in ("/healthz", "/", "/nowhere", "/static/style.css"):
        assert (await http.get(path)).headers["Server"] == "Streamer"


# -- how often --------------------------------------------------------------------------------------


@pytest.fixture
async def proxied(tmp_path: Path) -> AsyncIterator[Http]:
    """Behind a proxy, which tells whose requests it passes on: two a minute of each."""
    limits = LimitsConfig(offers_per_minute=2, changes_per_minute=2)
    config = ServerConfig(trusted_proxies=["127.0.0.1"])
    async with serving(Service(tmp_path, server=config, limits=limits)) as http:
        yield http


@pytest.mark.parametrize(
    ("path", "headers"), [("/whip", SDP), ("/api/v1/streams", {"Content-Type": "application/json"})]
)
async def test_who_asks_too_often_waits_and_others_do_not(
    proxied: Http, path: str, headers: dict[str, str]
) -> None:
    async def ask(client: str) -> aiohttp.ClientResponse:
        return await proxied.post(path, data="x", headers=headers | {"X-Forwarded-For": client})

    assert [(await ask("203.0.113.7")).status for _ in range(3)] == [400, 400, 429]
    refused = await ask("203.0.113.7")
    assert 0 < int(refused.headers["Retry-After"]) <= 30
    assert (await refused.json(content_type=None))["type"].endswith("too-many-requests")
    assert (await ask("203.0.113.7:50123")).status == 429  # as some proxies tell it
    assert (await ask("203.0.113.8")).status == 400
    assert [(await ask(f"[2001:db8::{n}]:5012{n}")).status for n in range(3)] == [400, 400, 429]
    assert [(await ask("127.0.0.1")).status for _ in range(5)] == [400] * 5


async def test_peer_may_not_trickle_for_ever(tmp_path: Path) -> None:
    service = Service(tmp_path, limits=LimitsConfig(max_candidates=2))
    peer = WebcamPeer()
    offer = re.sub(r"a=candidate:.*\r\n", "", await peer.offer())
    candidate = "a=candidate:1 1 udp 2113937151 192.168.1.7 50000 typ host\r\n"
    fragment = {"Content-Type": "application/trickle-ice-sdpfrag"}
    async with serving(service) as http:
        offer = offer.replace("a=end-of-candidates\r\n", "", 1).replace(
            "a=mid:0\r\n", "a=mid:0\r\n" + candidate, 1
        )
        opened = await http.post("/webcam", data=offer, headers=SDP)
        assert opened.status == 201
        answers = [
            (await http.patch(opened.headers["Location"], data=each, headers=fragment)).status
            for each in (candidate, candidate, "", "", "")
        ]
        assert answers == [204, 400, 400, 400, 429]
    await peer.close()


# -- what peers and readers send --------------------------------------------------------------------


@pytest.mark.parametrize("flood", ["messages", "bytes", "channels"])
async def test_peer_that_floods_its_channels_is_closed(tmp_path: Path, flood: str) -> None:
    """Each kind without being one of the others."""
    a_minute = 30 if flood == "messages" else 100_000
    service = Service(tmp_path, limits=LimitsConfig(messages_per_minute=a_minute))
    peer = WebcamPeer()
    async with serving(service) as http:
        await peer.join(http)
        async with asyncio.timeout(2 * PATIENCE_S):
            while not peer.messages:
                peer.news.clear()
                await peer.news.wait()
            assert len(service.peers) == 1
            sctp: Any = peer.connection.sctp
            (channel,) = sctp._data_channels.values()
            for number in range(8 if flood == "channels" else 0):
                peer.connection.createDataChannel(str(number))
            for _ in range(100 if flood == "messages" else 0):
                channel.send("x")
            if flood == "bytes":
                channel.send("x" * 60_000)
            await until(lambda: len(service.peers) == 0)
    await peer.close()


@pytest.mark.parametrize("what", ["send_str", "ping", "pong"])
async def test_reader_that_talks_without_end_is_sent_away(http: Http, what: str) -> None:
    await http.post("/api/v1/streams", json={"id": "door", "source": CAMERA})
    limit(http, messages_per_minute=5)
    async with http.ws_connect("/api/v1/streams/door/landmarks") as websocket:
        for _ in range(10):
            await getattr(websocket, what)(b"x" if what != "send_str" else "x")
        assert await close_code(websocket) == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_reader_that_leaves_in_the_middle_of_a_flood_is_no_fault_of_ours(
    http: Http, caplog: pytest.LogCaptureFixture
) -> None:
    """Each would write a traceback into the log."""
    await http.post("/api/v1/streams", json={"id": "door", "source": CAMERA})
    limit(http, messages_per_minute=1_000_000)
    async with http.ws_connect("/api/v1/streams/door/landmarks", autoping=False) as websocket:
        connection = websocket._response.connection
        assert connection is not None and connection.transport is not None
        for _ in range(1000):
            await websocket.ping(b"x" * 100)
        connection.transport.abort()
    readers = http.server.app[READERS]  # type: ignore[attr-defined]
    await until(lambda: len(readers) == 0)
    assert [each.message for each in caplog.records if each.levelname == "ERROR"] == []


async def test_pings_of_readers_are_answered(http: Http) -> None:
    await http.post("/api/v1/streams", json={"id": "door", "source": CAMERA})
    async with http.ws_connect("/api/v1/streams/door/landmarks", autoping=False) as websocket:
        await websocket.ping(b"there?")
        async with asyncio.timeout(PATIENCE_S):
            while (message := await websocket.receive()).type is not aiohttp.WSMsgType.PONG:
                pass
        assert message.data == b"there?"


# -- the disk ---------------------------------------------------------------------------------------


async def test_camera_that_can_not_be_remembered_is_not_added(tmp_path: Path) -> None:
    service = Service(tmp_path, limits=LimitsConfig(min_free_bytes=1 << 62))
    async with serving(service) as http:
        response = await http.post("/api/v1/streams", json={"id": "door", "source": CAMERA})
        told: Any = await response.json(content_type=None)
        assert (response.status, told.get("type")) == (507, "urn:streamer:problem:storage-full")
        assert "was not added" in told["detail"] and str(tmp_path) not in told["detail"]
        assert await (await http.get("/api/v1/streams")).json() == []
        assert not service.services.storage_ok
        assert "streams.json" not in os.listdir(tmp_path)


async def test_change_that_can_not_be_remembered_holds_until_the_end(tmp_path: Path) -> None:
    service = Service(tmp_path)
    async with serving(service) as http:
        await http.post("/api/v1/streams", json={"id": "door", "source": CAMERA})
        before = (tmp_path / "streams.json").read_bytes()
        service.streams._memory._file._min_free_bytes = 1 << 62
        response = await http.patch("/api/v1/streams/door", json={"listed": False})
        assert response.status == 507
        assert "The change holds" in (await response.json(content_type=None))["detail"]
        shown = await (await http.get("/api/v1/streams/door")).json()
        assert shown["listed"] is False
        assert (tmp_path / "streams.json").read_bytes() == before
        service.streams._memory._file._min_free_bytes = 0
        assert (await http.patch("/api/v1/streams/door", json={"listed": True})).status == 200
        assert service.services.storage_ok


async def test_server_remembers_again_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.state.SAVE_AGAIN_S", 0.05)
    service = Service(tmp_path)
    async with serving(service) as http:
        await http.post("/api/v1/streams", json={"id": "door", "source": CAMERA})
        service.streams._memory._file._min_free_bytes = 1 << 62
        assert (await http.delete("/api/v1/streams/door")).status == 204
        await until(lambda: not service.services.storage_ok)
        service.streams._memory._file._min_free_bytes = 0
        await until(lambda: service.services.storage_ok)
        assert json.loads((tmp_path / "streams.json").read_text()) == []
