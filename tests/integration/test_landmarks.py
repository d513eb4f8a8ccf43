"""Landmarks for programs: the WebSocket and the server-sent events of a stream."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from streamer.config import LimitsConfig, ServerConfig
from streamer.server import landmarks
from streamer.server.landmarks import MAX_WAITING, READERS, Outbox
from streamer.wire import PROTOCOL, decode_pose
from tests.fakes import PATIENCE_S, RecordingSink, make_frame
from tests.in_process import Http, Service, close_code, has_connection, limit, serving

DOOR = "/api/v1/streams/door"
LANDMARKS = f"{DOOR}/landmarks"
CAMERA = {"type": "rtsp", "url": "rtsp://127.0.0.1:9/a"}


class Door:
    """A stream `door` whose camera is in the test's hands."""

    def __init__(self, service: Service, sink: RecordingSink) -> None:
        self._service = service
        self._sink = sink
        self._frames = 0

    async def see(self, count: int = 1) -> None:
        """So many frames are processed, one after the other."""
        for _ in range(count):
            self._service.cameras[0].put(make_frame(self._frames * 3000))
            self._frames += 1
            await self._sink.results_come(self._frames)


@pytest.fixture
async def door(http: Http, service: Service) -> Door:
    await http.post("/api/v1/streams", json={"id": "door", "source": CAMERA})
    sink = RecordingSink()
    service.streams.get("door").session.subscribe(sink)
    await service.cameras[0].connected()
    one = Door(service, sink)
    await one.see()
    return one


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in response.content:
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


async def left(http: Http, readers: int = 0) -> None:
    """Waits until the server has noticed that readers have left."""
    app = http.server.app  # type: ignore[attr-defined]
    async with asyncio.timeout(PATIENCE_S):
        while len(app[READERS]) > readers:
            await http.get("/healthz")


async def test_reader_gets_the_state_and_then_every_frame(http: Http, door: Door) -> None:
    async with http.ws_connect(LANDMARKS) as websocket:
        assert (await websocket.receive_json())["state"] == "live"
        await door.see(3)
        messages = [await websocket.receive_json() for _ in range(3)]
    assert [message["seq"] for message in messages] == [1, 2, 3]
    assert all(message["stream"] == "door" for message in messages)
    assert len(messages[0]["poses"][0]["landmarks"]) == 33


async def test_reader_that_asks_for_it_gets_poses_in_binary_and_news_in_json(
    http: Http, door: Door
) -> None:
    async with http.ws_connect(LANDMARKS, protocols=["x", PROTOCOL]) as websocket:
        assert websocket.protocol == PROTOCOL
        assert (await websocket.receive_json())["type"] == "state"
        await door.see()
        message = decode_pose(await websocket.receive_bytes(), "door")
    assert message["seq"] == 1 and len(message["poses"]) == 1


async def test_unknown_subprotocol_is_not_agreed_to(http: Http, door: Door) -> None:
    async with http.ws_connect(LANDMARKS, protocols=["soap"]) as websocket:
        assert websocket.protocol is None
        await websocket.receive_json()
        await door.see()
        assert (await websocket.receive_json())["type"] == "pose"


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*", "text/html, */*;q=0.8"])
async def test_events_carry_the_same_messages(http: Http, door: Door, accept: str) -> None:
    async with http.get(LANDMARKS, headers={"Accept": accept}) as response:
        assert response.status == 200 and response.content_type == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        messages = events(response)
        assert (await anext(messages))["state"] == "live"
        await door.see()
        assert (await anext(messages))["seq"] == 1
    await left(http)


async def test_other_forms_are_not_to_be_had(http: Http, door: Door) -> None:
    response = await http.get(LANDMARKS, headers={"Accept": "application/xml"})
    assert response.status == 406
    assert (await response.json())["type"] == "urn:streamer:problem:not-acceptable"


@pytest.mark.parametrize("upgrade", [True, False])
async def test_unknown_stream_is_not_found(http: Http, upgrade: bool) -> None:
    if upgrade:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect("/api/v1/streams/nobody/landmarks")
        assert refused.value.status == 404
    else:
        assert (await http.get("/api/v1/streams/nobody/landmarks")).status == 404


async def test_end_of_the_stream_ends_its_readers(http: Http, door: Door) -> None:
    async with http.ws_connect(LANDMARKS) as websocket, http.get(LANDMARKS) as response:
        await websocket.receive_json()
        assert (await http.delete(DOOR)).status == 204
        assert (await websocket.receive_json())["state"] == "ended"
        assert await close_code(websocket) == aiohttp.WSCloseCode.OK
        assert [message["state"] async for message in events(response)] == ["live", "ended"]
    await left(http)


async def test_server_that_stops_says_that_it_goes_away(tmp_path: Path) -> None:
    service = Service(tmp_path)
    async with serving(service) as http:
        await http.post("/api/v1/streams", json={"id": "door", "source": CAMERA})
        websocket = await http.ws_connect(LANDMARKS)
        await websocket.receive_json()
        stopping = asyncio.create_task(http.server.close())
        assert await close_code(websocket) == aiohttp.WSCloseCode.GOING_AWAY
        await stopping


async def test_readers_wake_a_stream_that_rests_and_let_it_rest(
    http: Http, service: Service, door: Door
) -> None:
    watchers = service.streams.get("door").session.watchers
    watchers.idle = "pause"
    async with http.ws_connect(LANDMARKS) as websocket:
        await websocket.receive_json()
        assert watchers._count == 1
    await left(http)
    assert watchers._count == 0


async def test_too_many_readers_are_asked_to_come_back(tmp_path: Path) -> None:
    service = Service(tmp_path, server=ServerConfig(max_readers=1))
    async with serving(service) as http:
        await http.post("/api/v1/streams", json={"id": "door", "source": CAMERA})
        async with http.ws_connect(LANDMARKS) as websocket:
            await websocket.receive_json()
            response = await http.get(LANDMARKS)
            assert response.status == 503 and response.headers.get("Retry-After")
            assert "max_readers" in (await response.json())["detail"]
        await left(http)
        async with http.ws_connect(LANDMARKS) as websocket:
            await websocket.receive_json()


async def test_what_a_reader_says_is_not_kept(http: Http, door: Door) -> None:
    async with http.ws_connect(LANDMARKS) as websocket:
        await websocket.receive_json()
        await websocket.send_str("hello")
        await door.see()
        assert (await websocket.receive_json())["seq"] == 1
        await websocket.send_str("x" * (LimitsConfig().max_message_bytes + 1))
        assert await close_code(websocket) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_reader_that_takes_nothing_is_hung_up_on_and_holds_up_nobody(
    http: Http, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(http, write_timeout_s=0.2)
    monkeypatch.setattr(landmarks, "BUFFER_BYTES", 4096)
    stuck = socket.create_connection(("127.0.0.1", http.port or 0))
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.sendall(f"GET {LANDMARKS} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n".encode())
    async with http.ws_connect(LANDMARKS) as websocket:
        await websocket.receive_json()
        app = http.server.app  # type: ignore[attr-defined]
        assert has_connection(http, stuck.getsockname())
        seen = 0
        async with asyncio.timeout(2 * PATIENCE_S):
            while len(app[READERS]) != 1 or seen == 0:
                await door.see()
                seen += 1
                assert (await websocket.receive_json())["seq"] == seen
        assert not has_connection(http, stuck.getsockname())
    stuck.close()


@pytest.mark.parametrize("is_websocket", [False, True])
async def test_stuck_reader_does_not_hold_up_the_end_of_the_server(
    http: Http, door: Door, monkeypatch: pytest.MonkeyPatch, is_websocket: bool
) -> None:
    limit(http, write_timeout_s=3600.0)
    monkeypatch.setattr("streamer.server.slow_readers.LAST_WRITE_TIMEOUT_S", 0.1)
    monkeypatch.setattr(landmarks, "BUFFER_BYTES", 4096)
    app = http.server.app  # type: ignore[attr-defined]
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    upgrade += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", http.port or 0))
        head = f"GET {LANDMARKS} HTTP/1.1\r\nHost: 127.0.0.1\r\n{upgrade * is_websocket}\r\n"
        stuck.sendall(head.encode())
        async with asyncio.timeout(2 * PATIENCE_S):
            while not any(box.dropped for box in app[READERS]._open):
                await door.see()
            await app.shutdown()
            while has_connection(http, stuck.getsockname()) or len(app[READERS]):
                await http.get("/healthz")


# -- the box of one reader --------------------------------------------------------------------------


async def test_slow_reader_loses_the_oldest_poses_and_no_news() -> None:
    box = Outbox("json")
    box.news("state 1")
    for number in range(MAX_WAITING + 5):
        box.pose(f"pose {number}")
    box.news("state 2")
    box.close()
    taken = []
    while (message := await box.take()) is not None:
        taken.append(message)
    assert len(taken) == MAX_WAITING
    assert taken[0] == "state 1" and taken[-1] == "state 2"
    assert taken[1] == "pose 7" and taken[-2] == f"pose {MAX_WAITING + 4}"
    assert box.dropped == 7


async def test_box_full_of_news_keeps_the_newest() -> None:
    box = Outbox("json")
    for number in range(MAX_WAITING + 1):
        box.news(f"state {number}")
    assert await box.take() == "state 1"


async def test_waiting_reader_is_woken() -> None:
    box = Outbox("json")
    waiting = asyncio.create_task(box.take())
    await asyncio.sleep(0)
    box.pose("one")
    assert await waiting == "one"
    waiting = asyncio.create_task(box.take())
    await asyncio.sleep(0)
    box.close()
    assert await waiting is None


FRIEND = "https://friend.example"


@pytest.mark.parametrize(
    ("origin", "status"), [("https://evil.example", 403), ("", 403), (FRIEND, 200)]
)
async def test_events_are_for_no_page_of_another_origin_but_a_named_one(
    tmp_path: Path, origin: str, status: int
) -> None:
    service = Service(tmp_path, server=ServerConfig(allowed_origins=[FRIEND]))
    async with serving(service) as http:
        await http.post("/api/v1/streams", json={"id": "door", "source": CAMERA})
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
        headers |= {"Origin": origin} if origin else {}
        async with http.get(LANDMARKS, headers=headers) as response:
            assert response.status == status
