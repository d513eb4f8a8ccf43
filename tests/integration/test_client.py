"""The Python client against a whole server."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from streamer.client import Client, ClientError, Model, PoseFrame, State, landmarks
from streamer.config import ServerConfig
from streamer.messages import model_message
from streamer.model import ModelStatus
from streamer.wire import KIND_POSE
from tests.fakes import PATIENCE_S, make_frame
from tests.in_process import Http, Service, serving
from tests.rigs.net import free_port

CAMERA = {"type": "rtsp", "url": "rtsp://127.0.0.1:9/a"}
TOKEN = "0123456789-s3cret-token"


def url_of(http: Http) -> str:
    return str(http.make_url("")).rstrip("/")


class Cinema:
    """A stream `door` that shows a new frame each time the one before was processed."""

    def __init__(self, service: Service) -> None:
        self._camera = service.cameras[0]
        self._frames = 0

    async def show(self) -> None:
        await self._camera.connected()
        while True:
            self._camera.put(make_frame(self._frames * 3000))
            self._frames += 1
            await asyncio.sleep(0.005)


@pytest.fixture
async def cinema(http: Http, service: Service) -> AsyncIterator[str]:
    """Its server's address."""
    await http.post("/api/v1/streams", json={"id": "door", "source": CAMERA})
    showing = asyncio.create_task(Cinema(service).show())
    yield url_of(http)
    showing.cancel()


async def some(frames: AsyncIterator[PoseFrame], count: int) -> list[PoseFrame]:
    async with asyncio.timeout(PATIENCE_S):
        return [await anext(frames) for _ in range(count)]


async def test_frames_come_as_arrays(cinema: str) -> None:
    async with Client(cinema) as client:
        frames = client.landmarks("door")
        (frame,) = await some(frames, 1)
        await frames.aclose()
    assert (frame.stream, frame.epoch, frame.width, frame.height) == ("door", 1, 64, 48)
    assert frame.poses[0].landmarks.shape == (33, 5) and frame.poses[0].world.shape == (33, 3)
    assert frame.poses[0].landmarks[0, :2] == pytest.approx([0.5, 0.5], abs=1e-3)
    assert frame.time_s == frame.pts / 90_000


async def test_program_without_asyncio_iterates_too(cinema: str) -> None:
    def read() -> list[int]:
        frames = landmarks(cinema, "door")
        seen = [next(frames).seq for _ in range(3)]
        frames.close()
        return seen

    seen = await asyncio.wait_for(asyncio.to_thread(read), PATIENCE_S)
    assert seen == sorted(set(seen)) and len(seen) == 3
    assert not [each for each in threading.enumerate() if "client" in each.name]


async def test_end_of_the_stream_ends_the_iteration(cinema: str, http: Http) -> None:
    async with Client(cinema) as client:
        messages = client.messages("door")
        assert isinstance(await anext(messages), State)
        await http.delete("/api/v1/streams/door")
        async with asyncio.timeout(PATIENCE_S):
            rest = [message async for message in messages]
    assert rest[-1] == State("door", "ended", "stopped")


async def test_unknown_stream_is_an_error_with_the_servers_words(cinema: str) -> None:
    async with Client(cinema) as client:
        with pytest.raises(ClientError, match="no stream with this id") as caught:
            await anext(client.landmarks("nobody"))
    assert (caught.value.status, caught.value.kind) == (404, "not-found")


async def test_token_is_needed_and_enough(tmp_path: Path) -> None:
    async with serving(Service(tmp_path, server=ServerConfig(token=TOKEN))) as http:
        async with Client(url_of(http)) as stranger:
            with pytest.raises(ClientError, match="access token"):
                await anext(stranger.landmarks("door"))
            with pytest.raises(ClientError, match="access token"):
                await stranger.streams()
        async with Client(url_of(http), token=TOKEN) as friend:
            assert await friend.streams() == []


async def test_streams_are_listed(cinema: str) -> None:
    async with Client(cinema) as client:
        assert [stream["id"] for stream in await client.streams()] == ["door"]


async def test_server_that_is_not_there_is_an_error_for_those_who_do_not_wait() -> None:
    async with Client(f"http://127.0.0.1:{free_port()}") as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await anext(client.landmarks("door", reconnect=False))


class Flaky:
    """A server that speaks for a while, each time another way, and hangs up."""

    def __init__(self) -> None:
        self.visits = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.visits += 1
        if self.visits == 1:
            raise web.HTTPServiceUnavailable
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        if self.visits == 2:
            await websocket.send_str(json.dumps({"type": "mood", "v": 7}))
            await websocket.send_bytes(bytes([9, KIND_POSE]) + b"later")
            await websocket.send_str('{"type":"state","state":"live","detail":"","stream":"door"}')
            await websocket.send_str(model_message("door", ModelStatus(0, 1, "overload")))
            return websocket
        await websocket.send_str('{"type":"state","state":"ended","detail":"","stream":"door"}')
        return websocket


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[Flaky]:
    monkeypatch.setattr("streamer.client.FIRST_RETRY_S", 0.01)
    yield Flaky()


async def test_client_comes_back_until_the_stream_ends(flaky: Flaky) -> None:
    app = web.Application()
    app.router.add_get("/pose/api/v1/streams/door/landmarks", flaky.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with Client(f"http://127.0.0.1:{port}/pose/") as client, asyncio.timeout(PATIENCE_S):
        states = [m.state async for m in client.messages("door") if isinstance(m, State)]
        flaky.visits = 1
        models = [m async for m in client.all_messages("door") if isinstance(m, Model)]
    await runner.cleanup()
    assert states == ["connecting", "live", "connecting", "ended"]
    assert models == [Model("door", 0, 1, "overload")]
    assert flaky.visits == 3
