"""Snapshots and MJPEG over HTTP: what a reader gets, what it costs the others, and when it is told no."""

import asyncio
import base64
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from aiohttp import ClientResponse
from numpy.typing import NDArray

from streamer.config import ServerConfig, VideoConfig
from streamer.errors import SourceEnded, SourceLost, SourceRejected
from streamer.model import Frame, StreamState
from streamer.outputs import stills
from streamer.pixels import to_jpeg
from streamer.server import stills as routes
from streamer.server.slow_readers import WRITES
from tests.fakes import PATIENCE_S, FakeSource, RecordingSink, make_frame
from tests.in_process import Http, Service, has_connection, limit, serving

CAMERA = {"type": "rtsp", "url": "rtsp://127.0.0.1:9/a"}
TOKEN = "0123456789-s3cret-token"
SNAPSHOT = "/api/v1/streams/door/snapshot.jpg"
MJPEG = "/api/v1/streams/door/mjpeg"


class Filming:
    """A camera that gives a frame every 20 ms until it is told to stop; each brighter than the last."""

    def __init__(self, camera: FakeSource, *, is_noise: bool = False) -> None:
        self.frames = 0
        self._camera = camera
        self._noise = np.random.default_rng(1).integers(0, 255, (360, 320), np.uint8)
        self._is_noise = is_noise
        self._task = asyncio.create_task(self._film())

    async def _film(self) -> None:
        while True:
            frame = make_frame(self.frames * 1800, luma=40 + self.frames % 160)
            self._camera.put(replace(frame, i420=self._noise) if self._is_noise else frame)
            self.frames += 1
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@asynccontextmanager
async def filming(
    service: Service, http: Http, *, is_noise: bool = False
) -> AsyncIterator[FakeSource]:
    """The stream "door" with a camera that films. ``is_noise``: of 60 kB a picture."""
    camera = await added(service, http)
    await camera.connected()
    film = Filming(camera, is_noise=is_noise)
    try:
        yield camera
    finally:
        await film.stop()


async def added(service: Service, http: Http) -> FakeSource:
    body = {"id": "door", "source": CAMERA}
    assert (await http.post("/api/v1/streams", json=body)).status == 201
    return service.cameras[-1]


async def problem(response: ClientResponse, status: int, kind: str) -> str:
    body = await response.json(content_type="application/problem+json")
    assert (response.status, body["type"]) == (status, f"urn:streamer:problem:{kind}")
    return str(body["detail"])


def decoded(jpeg: bytes) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture.astype(np.uint8, copy=False)


class Parts:
    """Reads a multipart answer as strictly as RFC 2046 has it, with the length that each part tells."""

    def __init__(self, response: ClientResponse) -> None:
        assert response.status == 200
        assert response.content_type == "multipart/x-mixed-replace"
        self.headers: list[dict[str, str]] = []
        self._content = response.content
        name = response.headers["Content-Type"].partition("boundary=")[2]
        self._boundary = f"--{name}\r\n".encode()
        self._end = f"--{name}--\r\n".encode()

    async def next(self) -> bytes | None:
        """The next part's body; None at the proper end."""
        async with asyncio.timeout(PATIENCE_S):
            line = await self._content.readline()
            if line == self._end:
                assert await self._content.read() == b""
                return None
            assert line == self._boundary
            headers = {}
            while (line := await self._content.readline()) != b"\r\n":
                name, _, value = line.decode().strip().partition(": ")
                headers[name] = value
            body = await self._content.readexactly(int(headers["Content-Length"]))
            assert await self._content.readexactly(2) == b"\r\n"
            self.headers.append(headers)
            return body

    async def some(self, count: int) -> list[bytes]:
        return [part for _ in range(count) if (part := await self.next()) is not None]


async def state_comes(service: Service, state: StreamState) -> None:
    sink = RecordingSink()
    service.streams.get("door").session.subscribe(sink)
    await sink.state_comes(state)


# -- snapshots --------------------------------------------------------------------------------------


async def test_a_snapshot_is_the_picture_now_with_its_place_in_the_stream(
    http: Http, service: Service
) -> None:
    async with filming(service, http):
        response = await http.get(SNAPSHOT)
        assert (response.status, response.content_type) == (200, "image/jpeg")
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert int(response.headers["X-Pts"]) >= 0
        assert response.headers["X-Received-At"] == "1760000000.000"
        annotated = decoded(await response.read())
        assert annotated.shape == (48, 64, 3)
        plain = decoded(await (await http.get(SNAPSHOT, params={"video": "plain"})).read())
        assert plain.std() < 3 < annotated.std(), "one person drawn in the middle, and none"


async def test_a_snapshot_shows_the_colours_of_the_frame_in_full_range(
    http: Http, service: Service
) -> None:
    camera = await added(service, http)
    await camera.connected()
    asked = asyncio.create_task(http.get(SNAPSHOT, params={"video": "plain"}))
    screens = service.streams.get("door").session.screens
    while not screens.plain:  # noqa: ASYNC110 - a screen's coming sets no event for tests
        await asyncio.sleep(0.01)
    camera.put(make_frame(luma=235))
    assert decoded(await (await asked).read()).min() > 250, "235 is white"


@pytest.mark.parametrize(
    ("width", "shape"), [(32, (24, 32, 3)), (33, (24, 32, 3)), (640, (48, 64, 3))]
)
async def test_a_snapshot_is_made_narrower_and_never_wider(
    http: Http, service: Service, width: int, shape: tuple[int, ...]
) -> None:
    async with filming(service, http):
        response = await http.get(SNAPSHOT, params={"width": width, "t": "12345"})
        assert decoded(await response.read()).shape == shape


@pytest.mark.parametrize(
    "query", ["width=0", "width=wide", "video=none", "width=99999", "notice=x"]
)
async def test_a_query_that_makes_no_sense_is_refused_by_its_key(
    http: Http, service: Service, query: str
) -> None:
    await added(service, http)
    detail = await problem(await http.get(f"{SNAPSHOT}?{query}"), 400, "invalid-request")
    assert query.partition("=")[0] in detail


@pytest.mark.parametrize("query", ["fps=0", "fps=nan", "fps=1000", "video=both"])
async def test_mjpeg_query_that_makes_no_sense_is_refused(
    http: Http, service: Service, query: str
) -> None:
    await added(service, http)
    await problem(await http.get(f"{MJPEG}?{query}"), 400, "invalid-request")


@pytest.mark.parametrize("path", [SNAPSHOT, MJPEG])
async def test_an_unknown_stream_has_no_pictures(http: Http, path: str) -> None:
    await problem(await http.get(path), 404, "not-found")


async def test_a_paused_stream_wakes_for_a_snapshot_and_rests_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.screens.IDLE_AFTER_S", 0.05)
    service = Service(tmp_path, video=VideoConfig(idle="pause"))
    async with serving(service) as http:
        camera = await added(service, http)
        await state_comes(service, StreamState.PAUSED)
        while not camera._connections.empty():
            await camera.connected()
        asked = asyncio.create_task(http.get(SNAPSHOT))
        await camera.connected()
        film = Filming(camera)
        assert (await asked).status == 200
        await film.stop()
        await state_comes(service, StreamState.PAUSED)
        assert service.streams.get("door").stills.readers == 0


async def test_a_camera_that_opens_and_gives_nothing_is_waited_for_and_then_named(
    http: Http, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "FIRST_PICTURE_S", 0.2)
    camera = await added(service, http)
    await camera.connected()
    response = await http.get(SNAPSHOT)
    assert response.headers.get("Retry-After") == "5"
    assert "connecting" in await problem(response, 503, "no-picture")


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (SourceLost("the camera has gone"), "reconnecting"),
        (SourceRejected("wrong password"), "failed"),
    ],
)
async def test_a_stream_that_is_down_says_why_or_shows_it(
    http: Http, service: Service, error: Exception, word: str
) -> None:
    camera = await added(service, http)
    await camera.connected()
    camera.put(make_frame(luma=200))
    await state_comes(service, StreamState.LIVE)
    camera.end(error)
    await state_comes(service, StreamState(word))
    response = await http.get(SNAPSHOT)
    assert response.headers.get("Retry-After") == "5"
    assert str(error) in await problem(response, 503, "no-picture")
    notice = await http.get(SNAPSHOT, params={"notice": "1"})
    assert notice.status == 200
    assert "X-Received-At" not in notice.headers
    assert decoded(await notice.read()).shape[1] in (64, 640)


# -- MJPEG ------------------------------------------------------------------------------------------


async def test_mjpeg_sends_one_picture_after_the_other_each_with_its_length(
    http: Http, service: Service
) -> None:
    async with filming(service, http), http.get(MJPEG) as response:
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        parts = Parts(response)
        pictures = await parts.some(10)
        assert len({decoded(each).mean() for each in pictures}) > 5, "they move"
        times = [int(headers["X-Pts"]) for headers in parts.headers]
        assert times == sorted(set(times))
        stream = await (await http.get("/api/v1/streams/door")).json()
        assert stream["viewers"] == 1
    await nobody_reads(service)
    assert service.streams.get("door").viewers == 0


async def nobody_reads(service: Service) -> None:
    async with asyncio.timeout(PATIENCE_S):
        stream = service.streams.get("door")
        while stream.stills.readers or stream.session.screens:  # noqa: ASYNC110 - sets no event
            await asyncio.sleep(0.01)


def count_encodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The times of the frames that are made JPEG from now on."""
    encoded: list[int] = []

    def counting(frame: Frame, width: int | None) -> bytes:
        encoded.append(frame.pts)
        return to_jpeg(frame, width)

    monkeypatch.setattr(stills, "to_jpeg", counting)
    return encoded


async def test_all_readers_share_one_encoding_and_nothing_is_encoded_for_nobody(
    http: Http, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = count_encodings(monkeypatch)
    async with filming(service, http):
        await service.estimators.frames_come(5)
        assert encoded == []
        responses = [await http.get(MJPEG) for _ in range(8)]
        await asyncio.gather(*(Parts(each).some(10) for each in responses))
        assert len(encoded) == len(set(encoded)), "no frame twice"
        for response in responses:
            response.close()
        await nobody_reads(service)
        count = len(encoded)
        await service.estimators.frames_come(len(service.estimators.frames) + 5)
        assert len(encoded) == count


async def test_few_pictures_a_second_are_as_few_encodings(
    http: Http, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = count_encodings(monkeypatch)
    async with filming(service, http), http.get(MJPEG, params={"fps": "10"}) as response:
        parts, begun_mono = Parts(response), time.monotonic()
        await parts.some(6)
        took_s = time.monotonic() - begun_mono
        assert took_s > 0.8 * 5 / 10, "the camera gives five times as many"
        assert len(encoded) <= 10 * took_s + 2


async def test_a_stuck_reader_is_sent_away_and_costs_the_others_nothing(
    http: Http, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(http, write_timeout_s=1.0)
    async with filming(service, http, is_noise=True):
        with socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect(("127.0.0.1", http.port or 0))
            stuck.sendall(f"GET {MJPEG} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            responses = [await http.get(MJPEG) for _ in range(19)]
            readers = [Parts(response) for response in responses]
            stream = service.streams.get("door")
            assert stream.stills.readers == 20
            async with asyncio.timeout(3 * PATIENCE_S):
                while stream.stills.readers == 20:
                    await asyncio.gather(*(reader.some(3) for reader in readers))
            assert stream.stills.readers == 19
        for response in responses:
            response.close()


@pytest.mark.parametrize("path", [SNAPSHOT, MJPEG])
async def test_a_stuck_reader_of_one_picture_or_many_does_not_hold_up_the_end_of_the_server(
    http: Http, service: Service, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    limit(http, write_timeout_s=3600.0)
    monkeypatch.setattr("streamer.server.slow_readers.LAST_WRITE_TIMEOUT_S", 0.1)
    larger_than_buffers = bytes(1 << 24)
    monkeypatch.setattr(stills, "to_jpeg", lambda frame, width: larger_than_buffers)
    async with filming(service, http), asyncio.timeout(PATIENCE_S):
        with socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect(("127.0.0.1", http.port or 0))
            stuck.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            while not http.app[WRITES]._timeouts:
                await http.get("/healthz")
            assert service.streams.get("door").stills.readers == 1
            await http.app.shutdown()
            while has_connection(http, stuck.getsockname()):
                await http.get("/healthz")


async def test_head_of_a_snapshot_has_its_length_and_no_body(http: Http, service: Service) -> None:
    async with filming(service, http):
        response = await http.head(SNAPSHOT)
        assert response.status == 200 and (response.content_length or 0) > 0
        assert (await http.get(SNAPSHOT)).status == 200


async def test_a_lost_camera_is_shown_dimmed_as_to_all_viewers(
    http: Http, service: Service
) -> None:
    camera = await added(service, http)
    await camera.connected()
    async with http.get(MJPEG, params={"video": "plain"}) as response:
        parts = Parts(response)
        blank = await parts.next()
        assert blank is not None
        assert decoded(blank).shape == (360, 640, 3), "a notice from the first moment on"
        film = Filming(camera)
        async with asyncio.timeout(PATIENCE_S):
            while decoded(await parts.next() or b"").shape[0] == 360:
                pass
        await film.stop()
        camera.put(make_frame(10**6, luma=200))
        bright = decoded(await parts.next() or b"").mean()
        camera.end(SourceRejected("wrong password"))
        async with asyncio.timeout(PATIENCE_S):
            while "X-Received-At" in parts.headers[-1]:
                dimmed = decoded(await parts.next() or b"")
        assert dimmed.mean() < 0.7 * bright


async def test_mjpeg_ends_properly_with_its_stream(http: Http, service: Service) -> None:
    async with filming(service, http) as camera, http.get(MJPEG) as response:
        parts = Parts(response)
        await parts.some(2)
        camera.end(SourceEnded("its publisher has left"))
        async with asyncio.timeout(PATIENCE_S):
            while await parts.next() is not None:
                pass


async def test_mjpeg_ends_properly_when_the_server_does(tmp_path: Path) -> None:
    service = Service(tmp_path)
    async with serving(service) as http:
        camera = await added(service, http)
        await camera.connected()
        slow = await http.get(MJPEG, params={"fps": "0.1"})
        response = await http.get(MJPEG)
        assert await Parts(slow).next() is not None
        parts = Parts(response)
        assert await parts.next() is not None
        async with asyncio.timeout(PATIENCE_S):
            await http.app.shutdown()
            while await parts.next() is not None:
                pass


async def test_readers_beyond_the_limit_are_told_to_come_later(tmp_path: Path) -> None:
    service = Service(tmp_path, server=ServerConfig(max_picture_readers=2))
    async with serving(service) as http, filming(service, http):
        readers = [await http.get(MJPEG), await http.get(MJPEG)]
        for path in (MJPEG, SNAPSHOT):
            response = await http.get(path)
            assert response.headers.get("Retry-After") == "5"
            assert "max_picture_readers" in await problem(response, 503, "limit-reached")
        readers[0].close()
        async with asyncio.timeout(PATIENCE_S):
            while (await http.get(SNAPSHOT)).status != 200:
                pass
        readers[1].close()


# -- who may ask --------------------------------------------------------------------------------------


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.parametrize("path", [SNAPSHOT, MJPEG])
async def test_pictures_need_the_token_or_the_cookie_of_our_own_pages(
    tmp_path: Path, path: str
) -> None:
    service = Service(tmp_path, server=ServerConfig(token=TOKEN))
    async with serving(service) as http:
        http.session.headers["Authorization"] = f"Bearer {TOKEN}"
        async with filming(service, http):
            del http.session.headers["Authorization"]
            await problem(await http.get(path), 401, "token-needed")
            login = await http.post("/api/v1/login", json={"token": TOKEN})
            cookie = login.headers["Set-Cookie"].partition(";")[0]
            login_of_players = basic("anybody", TOKEN)
            for headers in (
                {"Authorization": f"Bearer {TOKEN}"},
                {"Authorization": login_of_players},
                {"Cookie": cookie},
            ):
                async with http.get(path, headers=headers) as response:
                    assert response.status == 200


@pytest.mark.parametrize("password", ["wrong", "", TOKEN[:-1]])
async def test_a_wrong_password_is_refused_and_only_players_are_asked_for_one(
    tmp_path: Path, password: str
) -> None:
    async with serving(Service(tmp_path, server=ServerConfig(token=TOKEN))) as http:
        for agent, challenge in (("VLC/3.0", "Basic"), ("Mozilla/5.0 (X11)", "Bearer")):
            headers = {"User-Agent": agent, "Authorization": basic("x", password)}
            response = await http.get(SNAPSHOT, headers=headers)
            await problem(response, 401, "token-needed")
            assert ("Basic" in response.headers["WWW-Authenticate"]) == (challenge == "Basic")
        for broken in ("Basic", "Basic \xff", "Basic ====", "Basic //8=", f"Basic {TOKEN}"):
            await problem(
                await http.get(SNAPSHOT, headers={"Authorization": broken}), 401, "token-needed"
            )


@pytest.mark.parametrize("path", [SNAPSHOT, MJPEG])
@pytest.mark.parametrize(
    ("site", "mode", "dest", "status"),
    [
        ("cross-site", "no-cors", "image", 403),
        ("same-site", "no-cors", "image", 403),
        ("same-origin", "no-cors", "image", 200),
        ("none", "navigate", "document", 200),
        ("cross-site", "navigate", "document", 200),
        ("cross-site", "navigate", None, 200),
        ("cross-site", "navigate", "iframe", 403),
        ("same-site", "navigate", "object", 403),
    ],
)
async def test_a_page_of_another_origin_wakes_no_camera(
    http: Http, service: Service, path: str, site: str, mode: str, dest: str | None, status: int
) -> None:
    async with filming(service, http):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
        headers |= {"Sec-Fetch-Dest": dest} if dest else {}
        async with http.get(path, headers=headers) as response:
            assert response.status == status
