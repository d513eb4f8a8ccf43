"""An RTSP camera as a source, against a real RTSP server that can be lost, stalled and refused."""

import asyncio
import logging
import os
import signal
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import av
import pytest

from streamer.aio import cancel_and_wait
from streamer.config import RtspConfig, RtspSource
from streamer.errors import (
    InvalidRequest,
    SourceLost,
    SourceNotFound,
    SourceRejected,
    SourceStalled,
    SourceUnreachable,
    SourceUnusable,
    StreamerError,
)
from streamer.model import VIDEO_CLOCK_HZ, VideoInfo
from streamer.sources.probe import probe
from streamer.sources.rtsp import RtspCamera, Transport
from tests.fakes import PATIENCE_S
from tests.rigs.clips import Clips
from tests.rigs.net import free_port
from tests.rigs.recorder import Recorder
from tests.rigs.rtsp import RtspServer
from tests.rigs.workers import is_alive, workers_of

PATIENT = RtspConfig(open_timeout_s=60.0, read_timeout_s=60.0)
SOON = RtspConfig(open_timeout_s=90.0, read_timeout_s=3.0)  # for one that falls silent
QUICK = RtspConfig(open_timeout_s=1.0, read_timeout_s=1.0)  # for one that says nothing
PASSWORD = "p@s/w:%rd#ä"
StartServer = Callable[..., RtspServer]


class Running:
    """A camera that runs in a task."""

    def __init__(self, url: str, transport: Transport | None, config: RtspConfig) -> None:
        self.camera = RtspCamera(RtspSource(url=url, transport=transport), config)
        self.recorder = Recorder()
        self.task = asyncio.create_task(self.camera.run(self.recorder))

    async def frames_come(self, count: int = 1) -> None:
        """Waits for frames, or for the error that comes instead."""
        waiting = asyncio.create_task(self.recorder.frames_come(count))
        await asyncio.wait({waiting, self.task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self.task.done():
            self.task.result()

    async def error(self) -> StreamerError:
        with pytest.raises(StreamerError) as caught:
            async with asyncio.timeout(PATIENCE_S):
                await self.task
        return caught.value

    async def cancel(self) -> None:
        await cancel_and_wait(self.task)


RunCamera = Callable[..., Running]


def reader_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "rtsp-reader"}


async def become_true(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - the life of a thread sets no event
        await asyncio.sleep(0.01)


@pytest.fixture
async def run_camera() -> AsyncIterator[RunCamera]:
    """Run cameras; they end with the test, which fails when one leaves a thread behind."""
    running: list[Running] = []

    def start(
        url: str, transport: Transport | None = None, config: RtspConfig = PATIENT
    ) -> Running:
        running.append(Running(url, transport, config))
        return running[-1]

    yield start
    for one in running:
        await one.cancel()
    await become_true(lambda: not reader_threads())


@pytest.fixture
def mounts(clips: Clips) -> dict[str, Path]:
    return {"/h264": clips.person, "/hevc": clips.person_h265, "/mjpeg": clips.person_mjpeg}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
async def test_frames_come_in_order_at_their_own_pace(
    rtsp_server: StartServer,
    mounts: dict[str, Path],
    run_camera: RunCamera,
    codec: str,
    transport: Transport,
) -> None:
    running = run_camera(rtsp_server(mounts).url(f"/{codec}"), transport)
    await running.frames_come(20)
    recorder = running.recorder
    assert recorder.videos == [VideoInfo(640, 480, codec, 30.0)]
    pts = [frame.pts for frame in recorder.frames]
    steps = [later - earlier for earlier, later in zip(pts, pts[1:], strict=False)]
    assert all(abs(step - VIDEO_CLOCK_HZ / 30) < 10 for step in steps), steps
    assert {(frame.width, frame.height) for frame in recorder.frames} == {(640, 480)}
    assert recorder.frames[0].i420.std() > 10, "a picture, not a grey field"


@pytest.mark.parametrize("auth", ["basic", "digest"])
async def test_camera_with_password_is_let_in(
    rtsp_server: StartServer, mounts: dict[str, Path], run_camera: RunCamera, auth: str
) -> None:
    server = rtsp_server(mounts, auth=auth, user="us er@x", password=PASSWORD)
    await run_camera(server.url("/h264")).frames_come()


@pytest.mark.parametrize("auth", ["basic", "digest"])
@pytest.mark.parametrize("login", [("viewer", "wr0ng-s3cret"), ("", "")])
async def test_wrong_or_missing_password_is_rejected(
    rtsp_server: StartServer,
    mounts: dict[str, Path],
    run_camera: RunCamera,
    auth: str,
    login: tuple[str, str],
) -> None:
    server = rtsp_server(mounts, auth=auth, user="viewer", password="right-s3cret")
    url = server.url("/h264", user=login[0], password=login[1])
    error = await run_camera(url).error()
    assert isinstance(error, SourceRejected)
    assert "user name or password" in str(error)


async def test_unknown_path_is_not_found(
    rtsp_server: StartServer, mounts: dict[str, Path], run_camera: RunCamera
) -> None:
    error = await run_camera(rtsp_server(mounts).url("/nowhere")).error()
    assert isinstance(error, SourceNotFound)


async def test_port_where_nothing_listens_is_unreachable(run_camera: RunCamera) -> None:
    error = await run_camera(f"rtsp://127.0.0.1:{free_port()}/h264").error()
    assert isinstance(error, SourceUnreachable)
    assert "refuses connections" in str(error)


async def test_transport_that_the_camera_refuses_is_replaced_by_the_other_and_remembered(
    rtsp_server: StartServer, mounts: dict[str, Path], run_camera: RunCamera
) -> None:
    over_udp = run_camera(rtsp_server(mounts, transport="udp").url("/h264"), "tcp")
    await over_udp.frames_come()
    assert over_udp.camera.transport == "udp"
    over_tcp = run_camera(rtsp_server(mounts, transport="tcp").url("/h264"), "udp")
    await over_tcp.frames_come()
    assert over_tcp.camera.transport == "tcp"


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_killed_camera_is_lost(
    rtsp_server: StartServer,
    mounts: dict[str, Path],
    run_camera: RunCamera,
    transport: Transport,
) -> None:
    server = rtsp_server(mounts)
    running = run_camera(server.url("/h264"), transport)
    await running.frames_come()
    server.kill()
    assert isinstance(await running.error(), SourceLost)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_camera_that_falls_silent_is_stalled_and_serves_again_once_it_wakes(
    rtsp_server: StartServer,
    mounts: dict[str, Path],
    run_camera: RunCamera,
    transport: Transport,
) -> None:
    server = rtsp_server(mounts)
    running = run_camera(server.url("/h264"), transport, SOON)
    await running.frames_come()
    server.stall()
    assert isinstance(await running.error(), SourceStalled)
    asleep = await run_camera(server.url("/h264"), transport, QUICK).error()
    assert isinstance(asleep, SourceUnreachable)
    server.resume()
    await run_camera(server.url("/h264"), transport).frames_come()


async def cancel_in_time(running: Running) -> None:
    async with asyncio.timeout(PATIENCE_S):  # the promise is one second; the machine may be busy
        await running.cancel()
        await become_true(lambda: not reader_threads())


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_cancelling_ends_a_camera_whatever_it_is_doing(
    rtsp_server: StartServer,
    mounts: dict[str, Path],
    run_camera: RunCamera,
    transport: Transport,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = rtsp_server(mounts)
    live = run_camera(server.url("/h264"), transport)
    await live.frames_come(3)
    await cancel_in_time(live)
    stalled = run_camera(server.url("/h264"), transport)
    await stalled.frames_come()
    server.stall()
    await cancel_in_time(stalled)
    opening = run_camera(server.url("/h264"), transport)
    await become_true(reader_threads)
    await cancel_in_time(opening)
    count = len(live.recorder.frames)
    server.resume()
    await run_camera(server.url("/h264"), transport).frames_come(5)
    assert len(live.recorder.frames) == count, "nothing comes after the end"
    assert "abandoned" not in caplog.text


async def test_reader_that_hangs_is_ended_with_its_camera(
    rtsp_server: StartServer, mounts: dict[str, Path], run_camera: RunCamera
) -> None:
    running = run_camera(rtsp_server(mounts).url("/h264"))
    await running.frames_come()
    (reader,) = workers_of(os.getpid())
    os.kill(reader.pid, signal.SIGSTOP)
    await cancel_in_time(running)
    assert not is_alive(reader.pid)


async def test_backlog_of_a_camera_is_skipped(
    rtsp_server: StartServer, mounts: dict[str, Path], run_camera: RunCamera
) -> None:
    """The second viewer of a shared stream is late for nothing: media time and clock run together."""
    server = rtsp_server(mounts)
    await run_camera(server.url("/h264")).frames_come(10)
    second = run_camera(server.url("/h264"))
    await second.frames_come(15)
    first, last = second.recorder.frames[0], second.recorder.frames[-1]
    media_s = (last.pts - first.pts) / VIDEO_CLOCK_HZ
    assert media_s - (last.received_mono - first.received_mono) < 0.1


async def test_picture_larger_than_4k_is_refused(
    rtsp_server: StartServer, run_camera: RunCamera, tmp_path: Path
) -> None:
    clip = tmp_path / "huge.mp4"
    with av.open(clip, "w") as container:
        stream = container.add_stream("libx264", rate=5, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 4096, 2304, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame(4096, 2304, "yuv420p")))
        container.mux(stream.encode(None))
    error = await run_camera(rtsp_server({"/huge": clip}).url("/huge")).error()
    assert isinstance(error, SourceUnusable)
    assert "4096x2304" in str(error)


async def test_probe_tells_what_the_camera_sends(
    rtsp_server: StartServer, mounts: dict[str, Path]
) -> None:
    report = await probe(RtspCamera(RtspSource(url=rtsp_server(mounts).url("/h264")), PATIENT))
    assert (report.codec, report.profile) == ("h264", "Constrained Baseline")
    assert (report.width, report.height, report.transport) == (640, 480, "tcp")
    assert report.fps == pytest.approx(30.0, abs=0.5)
    assert report.keyframe_interval_s == pytest.approx(0.5, abs=0.02)
    assert 0 < report.time_to_first_frame_s < PATIENT.open_timeout_s


async def test_probe_tells_what_is_wrong(rtsp_server: StartServer, mounts: dict[str, Path]) -> None:
    server = rtsp_server(mounts)
    with pytest.raises(SourceNotFound):
        await probe(RtspCamera(RtspSource(url=server.url("/nowhere")), PATIENT))
    with pytest.raises(InvalidRequest):
        await probe(RtspCamera(RtspSource(url="file:///etc/passwd"), PATIENT))


async def test_no_credential_appears_in_any_error_or_log(
    rtsp_server: StartServer,
    mounts: dict[str, Path],
    run_camera: RunCamera,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    server = rtsp_server(mounts, auth="digest", user="viewer", password="right-s3cret")

    def case(path: str, password: str = "right-s3cret") -> Running:
        return run_camera(server.url(path, password=password))

    errors = [
        await case("/h264", "wrong-s3cret").error(),
        await case("/nowhere").error(),
        await run_camera(f"rtsp://viewer:an0ther-s3cret@127.0.0.1:{free_port()}/x").error(),
    ]
    lost = case("/h264")
    await lost.frames_come()
    server.kill()
    errors.append(await lost.error())
    shown = "".join("".join(traceback.format_exception(error)) for error in errors)
    captured = capfd.readouterr()
    assert "s3cret" not in shown + caplog.text + captured.out + captured.err
