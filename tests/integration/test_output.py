"""A stream published to an RTSP server: to real ones that are read back, lost, stalled and guarded, and to
some that lie."""

import asyncio
import contextlib
import ipaddress
import itertools
import json
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamer.app import camera_source, make_estimator
from streamer.config import AnySource, OutputConfig, RtspConfig, VideoConfig
from streamer.errors import SourceLost
from streamer.model import VIDEO_CLOCK_HZ, StreamState
from streamer.outputs.output import Output
from streamer.ports import CameraSource
from streamer.pose.models import Complexity, ensure_models
from streamer.retry import RetryPolicy
from streamer.session import Session
from streamer.sources import address
from streamer.sources.address import IpAddress
from streamer.state import StateFile
from tests.fakes import PATIENCE_S, FakeSource, RecordingListener, RecordingSink, make_frame
from tests.in_process import Http, Service, serving
from tests.rigs.net import free_port
from tests.rigs.rtsp import PYTHON, RtspServer
from tests.rigs.skeleton import best_share, shifted

PLAYER = Path(__file__).parents[1] / "rigs" / "gst_rtsp_player.py"
CAMERA = {"type": "rtsp", "url": "rtsp://127.0.0.1:9/a"}
QUICK = RtspConfig(open_timeout_s=1.0, read_timeout_s=1.0)
SOON = RetryPolicy(first_s=0.05, cap_s=0.1, rejected_s=0.3)
StartServer = Callable[..., RtspServer]


class QuickService(Service):
    """Outputs that wait less, and with ``real`` the real camera and estimator."""

    def __init__(self, folder: Path, *, real: bool = False, rtsp: RtspConfig = QUICK) -> None:
        super().__init__(folder, estimator=make_estimator if real else None)
        self._real = real
        self._rtsp = rtsp
        self.streams._workshop = replace(
            self.streams._workshop, camera_source=self._any_camera, output=self._quick_output
        )

    def _any_camera(self, source: AnySource) -> CameraSource:
        return camera_source(source, self._config) if self._real else self._camera(source)

    def _quick_output(
        self, session: Session, config: OutputConfig, limits: Callable[[], VideoConfig]
    ) -> Output:
        return Output(session, config, self._rtsp, SOON, limits)


@pytest.fixture
async def service(tmp_path: Path) -> Service:
    return QuickService(tmp_path)


@pytest.fixture
async def http(service: Service) -> AsyncIterator[Http]:
    async with serving(service) as http:
        yield http


@contextlib.asynccontextmanager
async def filming(camera: FakeSource, size: tuple[int, int] = (64, 48)) -> AsyncIterator[list[int]]:
    """A frame every 20 ms; their times."""
    times: list[int] = []

    async def film() -> None:
        while True:
            times.append(len(times) * 1800)
            width, height = size
            luma = 40 + len(times) % 160
            camera.put(make_frame(times[-1], width=width, height=height, luma=luma))
            await asyncio.sleep(0.02)

    task = asyncio.create_task(film())
    try:
        yield times
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def add(http: Http, output: object, source: dict[str, str] | None = None) -> dict[str, Any]:
    body = {"id": "door", "source": source or CAMERA, "output": output}
    async with http.post("/api/v1/streams", json=body) as response:
        assert response.status == 201, await response.text()
        return dict(await response.json())


async def patch(http: Http, output: object) -> dict[str, Any]:
    async with http.patch("/api/v1/streams/door", json={"output": output}) as response:
        assert response.status == 200, await response.text()
        return dict(await response.json())


async def output_is(http: Http, state: str, word: str = "") -> dict[str, Any]:
    """Waits until the API shows it so."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            shown = (await (await http.get("/api/v1/streams/door")).json())["output"]
            if shown["state"] == state and word in shown["detail"]:
                return dict(shown)
            await asyncio.sleep(0.02)


def read(url: str, count: int, keep_every: int = 10) -> tuple[list[float], list[Any]]:
    """When the server got so many pictures, in s of its own clock, and some of the pictures in RGB."""
    times: list[float] = []
    kept: list[Any] = []
    options = {
        "rtsp_transport": "tcp",
        "timeout": f"{PATIENCE_S * 1e6:.0f}",
        "analyzeduration": "0",
        "probesize": "32",
    }
    with av.open(url, options=options) as container:
        for picture in container.decode(video=0):
            times.append(picture.time or 0.0)  # the first has none
            if len(times) % keep_every == 0:
                kept.append(picture.to_ndarray(format="rgb24"))
            if len(times) == count:
                return times, kept
    raise AssertionError("the stream ended")


def longest_gap(times: Sequence[float]) -> float:
    return max(after - before for before, after in itertools.pairwise(times))


def output_threads() -> set[str]:
    return {each.name for each in threading.enumerate() if each.name.startswith("output-")}


# -- real servers -------------------------------------------------------------------------------------


async def test_what_is_published_is_read_back_steadily_with_the_skeleton_drawn(
    rtsp_server: StartServer, person_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.outputs.publication.PING_S", 2.0)  # some signs of life meanwhile
    ensure_models([Complexity.FULL])
    server = rtsp_server(
        {"/cam": person_clip}, records={"/in": "/out"}, auth="digest", user="me", password="s@cret"
    )
    service = QuickService(tmp_path, real=True)
    async with serving(service) as http:
        source = {"type": "rtsp", "url": server.url("/cam")}
        await add(http, server.url("/in"), source)
        messages = RecordingListener()
        service.streams.get("door").feed.listen(messages)
        shown = await output_is(http, "live")
        assert shown["url"] == f"rtsp://127.0.0.1:{server.port}/in", "without credentials"
        processed = len(messages.poses)
        times, kept = await asyncio.to_thread(read, server.url("/out"), 240)
        assert len(times) > 0.6 * (len(messages.poses) - processed), "opening takes some, too"
        assert (await output_is(http, "live"))["detail"] == ""
    poses = [json.loads(each) for each in messages.poses]
    stood_still_s = longest_gap([each["pts"] for each in poses]) / VIDEO_CLOCK_HZ
    assert longest_gap(times[30:]) < 2.0 + stood_still_s
    there = [best_share(pixels, poses) for pixels in kept[-20::4]]
    aside = [
        best_share(pixels, [shifted(each, 0.1) for each in poses[::10]]) for pixels in kept[-3:]
    ]
    assert np.median(there) > 0.85
    assert np.median(aside) < 0.6
    assert not output_threads()


async def test_a_strict_player_gets_key_frames_with_parameter_sets_every_two_seconds(
    http: Http, service: Service, rtsp_server: StartServer
) -> None:
    server = rtsp_server({}, records={"/in": "/out"})
    await add(http, {"url": server.url("/in"), "video": "plain"})
    await service.cameras[0].connected()
    async with filming(service.cameras[0]):
        await output_is(http, "live")
        command = [PYTHON, str(PLAYER), server.url("/out"), "250"]
        player = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    assert player.returncode == 0, player.stderr
    got = json.loads(player.stdout)
    assert (got["width"], got["height"]) == (64, 48)
    assert got["profile"] == "constrained-baseline"
    apart = [b - a for a, b in zip(got["keyframes"], got["keyframes"][1:], strict=False)]
    assert apart and all(60 <= each <= 110 for each in apart), "at 50 pictures a second"
    assert got["times"] == sorted(got["times"])


async def test_ffmpeg_as_the_server_takes_it_with_its_times(http: Http, service: Service) -> None:
    """Another implementation of the other side: FFmpeg's demuxer, told to listen."""
    url = f"rtsp://127.0.0.1:{free_port()}/in"
    await add(http, {"url": url, "video": "plain"})
    await service.cameras[0].connected()

    def record() -> list[float]:
        found = []
        with av.open(
            url, options={"rtsp_flags": "listen", "listen_timeout": f"{PATIENCE_S:.0f}"}
        ) as container:
            for packet in container.demux(video=0):
                if packet.pts is not None and packet.time_base is not None:
                    found.append(float(packet.pts * packet.time_base))
                if len(found) == 60:
                    return found
        raise AssertionError("the stream ended")

    async with filming(service.cameras[0]):
        times = await asyncio.wait_for(asyncio.to_thread(record), PATIENCE_S)
    steps = [after - before for before, after in zip(times, times[1:], strict=False)]
    assert all(abs(step / 0.02 - round(step / 0.02)) < 0.02 for step in steps), "the camera's own"


async def test_a_server_that_is_lost_is_published_to_again_when_it_is_back(
    http: Http, service: Service, rtsp_server: StartServer
) -> None:
    server = rtsp_server({}, records={"/in": "/out"})
    await add(http, server.url("/in"))
    await service.cameras[0].connected()
    async with filming(service.cameras[0]):
        await output_is(http, "live")
        server.kill()
        await output_is(http, "reconnecting", "refuses connections")
        server.restart()
        await output_is(http, "live")
        await asyncio.to_thread(read, server.url("/out"), 10)


async def test_a_server_that_stalls_disturbs_nobody(
    tmp_path: Path, rtsp_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.outputs.publication.PING_S", 1.0)
    server = rtsp_server({}, records={"/in": "/out"})
    service = QuickService(tmp_path)
    async with serving(service) as http:
        await add(http, server.url("/in"))
        await service.cameras[0].connected()
        async with filming(service.cameras[0], (320, 240)) as times:
            await output_is(http, "live")
            await asyncio.to_thread(read, server.url("/out"), 125)  # it has answered a sign of life
            server.stall()
            begun = len(times)
            await output_is(http, "reconnecting", "")
            await service.estimators.frames_come(begun + 50)
            stats = service.streams.get("door").session.stats()
            assert stats.frames_dropped < 0.2 * stats.frames_in
            assert len(output_threads()) <= 1
            server.resume()
            await output_is(http, "live")


async def test_a_wrong_password_is_told_and_tried_rarely(
    http: Http, service: Service, rtsp_server: StartServer
) -> None:
    server = rtsp_server({}, records={"/in": "/out"}, auth="digest", user="me", password="right")
    await add(http, server.url("/in", password="wr0ng-secret"))
    await service.cameras[0].connected()
    async with filming(service.cameras[0]):
        shown = await output_is(http, "failed", "password")
        assert shown["retry_in_s"] == SOON.rejected_s
        assert "wr0ng" not in json.dumps(shown)
        await patch(http, server.url("/in"))
        await output_is(http, "live")
        await patch(http, None)
        assert (await (await http.get("/api/v1/streams/door")).json())["output"] is None
        assert not output_threads()


async def test_a_camera_that_changes_its_size_goes_on_in_a_new_session(
    http: Http, service: Service, rtsp_server: StartServer
) -> None:
    server = rtsp_server({}, records={"/in": "/out"})
    await add(http, server.url("/in"))
    await service.cameras[0].connected()
    for size in ((64, 48), (96, 64)):
        async with filming(service.cameras[0], size):
            await output_is(http, "live")

            def sizes() -> set[tuple[int, int]]:
                try:
                    container = av.open(server.url("/out"), options={"rtsp_transport": "tcp"})
                except av.error.HTTPServerError:
                    return set()  # the old session has ended, the new one is not there yet
                with container:
                    frames = (frame for frame in container.decode(video=0))
                    return {(next(frames).width, next(frames).height) for _ in range(3)}

            async with asyncio.timeout(PATIENCE_S):
                while await asyncio.to_thread(sizes) != {size}:
                    pass


async def test_a_lost_camera_is_published_as_its_notice_and_nothing_before_its_first_frame(
    http: Http, service: Service, rtsp_server: StartServer
) -> None:
    server = rtsp_server({}, records={"/in": "/out"})
    shown = await add(http, server.url("/in"))
    assert shown["output"]["state"] == "connecting"
    assert shown["output"]["detail"] == "waiting for the first picture"
    camera = service.cameras[0]
    await camera.connected()
    async with filming(camera):
        await output_is(http, "live")
    camera.end(SourceLost("gone"))
    await asyncio.to_thread(read, server.url("/out"), 3)  # a notice every half second
    await output_is(http, "live")


# -- servers that lie -----------------------------------------------------------------------------------

OK = b"RTSP/1.0 200 OK\r\nCSEQ\r\nSession: 1;timeout=60\r\n\r\n"


@contextlib.asynccontextmanager
async def liar(*answers: bytes, visits: list[str] | None = None) -> AsyncIterator[str]:
    """A server that gives these answers in turn, the last of them for ever; the URL to publish to."""
    met: list[str] = [] if visits is None else visits

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            for answer in itertools.chain(answers, itertools.repeat(answers[-1])):
                request = (await reader.readuntil(b"\r\n\r\n")).decode()
                met.append(request)
                headers = dict(line.split(": ", 1) for line in request.split("\r\n")[1:-2])
                await reader.readexactly(int(headers.get("Content-Length", 0)))
                writer.write(answer.replace(b"CSEQ", f"CSeq: {headers['CSeq']}".encode()))
                await writer.drain()
                if request.startswith("RECORD"):
                    await reader.read()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as listening:
        yield f"rtsp://me:s3cret@127.0.0.1:{listening.sockets[0].getsockname()[1]}/in?key=k3y"


@pytest.mark.parametrize(
    ("answer", "state", "word"),
    [
        (
            b"RTSP/1.0 302 Moved\r\nCSEQ\r\nLocation: rtsp://10.0.0.1/x\r\n\r\n",
            "failed",
            "redirects",
        ),
        (
            b"RTSP/1.0 401 No\r\nCSEQ\r\nWWW-Authenticate: Negotiate\r\n\r\n",
            "reconnecting",
            "login",
        ),
        (
            b'RTSP/1.0 401 No\r\nCSEQ\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n',
            "failed",
            "password",
        ),
        (b"RTSP/1.0 403 Forbidden\r\nCSEQ\r\n\r\n", "failed", "publish"),
        (b"RTSP/1.0 404 Not Found\r\nCSEQ\r\n\r\n", "reconnecting", "path"),
        (b"RTSP/1.0 455 Not\x07 Valid\r\nCSEQ\r\n\r\n", "reconnecting", "455 Not Valid"),
        (b"RTSP/1.0 200 OK\r\nCSeq: 999\r\n\r\n", "reconnecting", "does not answer"),
        (b"HTTP/1.1 400 Bad Request\r\nCSEQ\r\n\r\n", "reconnecting", "does not speak RTSP"),
        (b"x" * 100_000, "reconnecting", "does not speak RTSP"),
        (b"RTSP/1.0 200 OK\r\nCSEQ\r\nContent-Length: 99999999\r\n\r\n", "reconnecting", "RTSP"),
        (b"RTSP/1.0 200 OK\r\nCSEQ\r\nContent-Length: -1\r\n\r\n", "reconnecting", "RTSP"),
        (
            b"RTSP/1.0 200 OK\r\nCSEQ\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
            "reconnecting",
            "RTSP",
        ),
        (b"$\x00\xff\xffshort", "reconnecting", "does not answer"),
    ],
)
async def test_a_server_that_lies_is_named_and_gets_no_further(
    answer: bytes, state: str, word: str, http: Http, service: Service
) -> None:
    async with liar(answer) as url:
        await add(http, url)
        await service.cameras[0].connected()
        async with filming(service.cameras[0]):
            shown = await output_is(http, state, word)
            assert "s3cret" not in json.dumps(shown) and "k3y" not in json.dumps(shown)
            await patch(http, None)


async def test_the_login_is_sent_to_nobody_who_has_not_asked(http: Http, service: Service) -> None:
    visits: list[str] = []
    async with liar(OK, visits=visits) as url:
        await add(http, url)
        await service.cameras[0].connected()
        async with filming(service.cameras[0]):
            await output_is(http, "live")
            await patch(http, None)
    assert [visit.partition(" ")[0] for visit in visits] == ["ANNOUNCE", "SETUP", "RECORD"]
    assert not any("s3cret" in visit or "Authorization" in visit for visit in visits)


@pytest.mark.parametrize(
    ("url", "status", "word"),
    [
        ("http://127.0.0.1/x", 400, "rtsp://"),
        ("rtsp://127.0.0.1:8554/a b", 400, "spaces"),
        ("rtsp://169.254.169.254/x", 403, "link-local"),
        ("rtsp://8.8.8.8/x", 403, "allowed_networks"),
        ("x" * 3000, 400, "url"),
        ({"url": "rtsp://127.0.0.1/x", "video": "none"}, 400, "video"),
        ({"video": "plain"}, 400, "url"),
        (7, 400, "output"),
        ({"url": "rtsp://127.0.0.1/x", "speed": 1}, 400, "speed"),
    ],
)
async def test_an_output_that_can_not_be_is_refused_and_the_one_before_goes_on(
    url: object, status: int, word: str, http: Http
) -> None:
    body = {"id": "door", "source": CAMERA, "output": url}
    async with http.post("/api/v1/streams", json=body) as response:
        assert response.status == status
        assert word in (await response.json(content_type=None))["detail"]
    assert await (await http.get("/api/v1/streams")).json() == []
    await add(http, "rtsp://127.0.0.1:9/old")
    async with http.patch("/api/v1/streams/door", json={"output": url}) as response:
        assert response.status == status
    shown = await (await http.get("/api/v1/streams/door")).json()
    assert shown["output"]["url"] == "rtsp://127.0.0.1:9/old"


async def test_a_name_that_means_a_forbidden_address_by_now_is_not_published_to(
    http: Http, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = ipaddress.ip_address("127.0.0.1")

    def look_up(host: str) -> Future[list[IpAddress]]:
        known: Future[list[IpAddress]] = Future()
        known.set_result([now])
        return known

    monkeypatch.setattr(address, "look_up", look_up)
    await add(http, "rtsp://recorder.invalid:9/in")
    now = ipaddress.ip_address("203.0.113.7")
    await service.cameras[0].connected()
    async with filming(service.cameras[0]):
        await output_is(http, "failed", "allowed_networks")


# -- what is remembered, and what it keeps awake -----------------------------------------------------


async def saved(service: Service) -> None:
    await service.streams._memory.written()


async def test_an_output_is_remembered_with_its_password_and_shown_without(
    http: Http, service: Service, tmp_path: Path
) -> None:
    await add(http, "rtsp://me:s3cret@127.0.0.1:9/in?token=t0ken")
    shown = json.dumps(await (await http.get("/api/v1/streams/door")).json())
    assert "s3cret" not in shown and "t0ken" not in shown
    assert "rtsp://127.0.0.1:9/in?token=…" in json.loads(shown)["output"]["url"]
    await saved(service)
    (kept,) = StateFile(tmp_path / "streams.json").load()
    assert kept.output == OutputConfig(url="rtsp://me:s3cret@127.0.0.1:9/in?token=t0ken")
    changed = await patch(http, {"url": "rtsp://127.0.0.1:9/in", "video": "plain"})
    assert changed["output"]["video"] == "plain"
    await patch(http, None)
    await saved(service)
    (kept,) = StateFile(tmp_path / "streams.json").load()
    assert kept.output is None


async def test_a_stream_with_an_output_does_not_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.screens.IDLE_AFTER_S", 0.1)
    service = QuickService(tmp_path)
    async with serving(service) as http:
        await add(http, f"rtsp://127.0.0.1:{free_port()}/in")
        stream = service.streams.get("door")
        service.streams.set_video(stream, VideoConfig(idle="pause"))
        await service.cameras[0].connected()
        async with filming(service.cameras[0]):
            await output_is(http, "reconnecting", "refuses")
            assert not stream.session.watchers.may_rest
            assert stream.session.status.state is StreamState.LIVE
        await patch(http, None)
        sink = RecordingSink()
        stream.session.subscribe(sink)
        await sink.state_comes(StreamState.PAUSED)
