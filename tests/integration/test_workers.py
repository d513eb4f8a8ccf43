"""Real video through real children: one that dies or hangs is replaced, and nobody else notices."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from streamer.aio import in_daemon_thread
from streamer.app import camera_source
from streamer.breaker import MAX_DEATHS
from streamer.config import (
    AnySource,
    Config,
    FilesConfig,
    FileSource,
    PoseConfig,
    RtspSource,
    StreamConfig,
    WorkersConfig,
)
from streamer.errors import DecoderDied, SourceUnusable, StreamerError
from streamer.isolation.child import failures
from streamer.isolation.landlock import NOTHING
from streamer.isolation.pictures import MAX_AGE_S
from streamer.isolation.roles import ROLES
from streamer.model import Packet, StreamState
from streamer.ports import CameraSource
from streamer.retry import RetryPolicy
from streamer.session import Session
from streamer.sinks import MessageFeed
from streamer.sources.events import Progressed
from streamer.sources.file import FileCamera
from streamer.sources.remote import RemoteReader
from streamer.sources.rtsp import RtspCamera
from streamer.webrtc.decoding import VideoDecoder
from streamer.webrtc.source import PeerSource
from tests.fakes import PATIENCE_S, FakeEstimators, FakePainter, RecordingListener, RecordingSink
from tests.in_process import Service
from tests.publisher import Publisher, Receiver
from tests.rigs import lying_camera
from tests.rigs.clips import Clips
from tests.rigs.recorder import Recorder
from tests.rigs.rtsp import RtspServer
from tests.rigs.workers import Worker, is_alive, workers_of

WORKERS = WorkersConfig()
StartServer = Callable[..., RtspServer]


class RealCameras(Service):
    """The service with fakes for everything but its cameras."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, config=Config(workers=WORKERS))
        self.streams._workshop = replace(self.streams._workshop, camera_source=self._real_camera)

    def _real_camera(self, source: AnySource) -> CameraSource:
        return camera_source(source, self._config)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[RealCameras]:
    made = RealCameras(tmp_path)
    yield made
    await made.close()
    assert workers_of(os.getpid()) == []


def worker_of(name: str) -> Worker:
    (found,) = (each for each in workers_of(os.getpid()) if each.name.endswith(name))
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
async def test_camera_whose_decoder_is_lost_is_back_and_another_loses_no_frame(
    service: RealCameras,
    rtsp_server: StartServer,
    clips: Clips,
    number: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = rtsp_server({"/door": clips.person, "/yard": clips.person})
    door, yard = RecordingSink(), Recorder()
    config = StreamConfig(id="door", source=RtspSource(url=server.url("/door")))
    service.streams.add_camera(config, keep=False).session.subscribe(door)
    other = asyncio.create_task(
        RtspCamera(RtspSource(url=server.url("/yard")), Config().rtsp).run(yard)
    )
    try:
        await door.results_come(5)
        await yard.frames_come(5)
        lost, kept = worker_of("/door"), worker_of("/yard")
        assert lost.role == "camera"
        os.kill(lost.pid, number)
        await door.state_comes(StreamState.RECONNECTING)
        assert door.statuses[-1].error_kind == "worker-died"
        await door.state_comes(StreamState.LIVE)
        await door.results_come(len(door.results) + 5)
        assert not is_alive(lost.pid)
        assert ("died of SIGKILL" if number == signal.SIGKILL else "hung") in caplog.text
        assert worker_of("/yard") == kept
        pts = [frame.pts for frame in yard.frames]
        assert all(abs(b - a - 3000) < 10 for a, b in zip(pts, pts[1:], strict=False)), (
            "all of them"
        )
    finally:
        other.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await other


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
async def test_publisher_whose_decoder_is_lost_stays_and_goes_on_with_a_key_frame(
    number: int,
) -> None:
    source, receiver, publisher = PeerSource(5.0, 0.01, "cam", WORKERS), Receiver(), Publisher()
    await publisher.connect()
    source.attach(publisher.receiver)
    running = asyncio.create_task(source.run(receiver))
    await asyncio.sleep(0)
    while not receiver.frames:
        await publisher.show(key=True)
        await asyncio.sleep(0.05)
    first = worker_of("cam")
    assert first.role == "decoder"
    asked = publisher.transport.keyframe_requests
    os.kill(first.pid, number)
    await publisher.show()  # which only the first could have decoded
    await publisher.transport.keyframe_requests_come(asked + 1)
    seen = len(receiver.frames)
    await publisher.show(key=True)
    await receiver.shows(seen + 1)
    assert receiver.frames[-1].pts == publisher.pts
    assert not is_alive(first.pid)
    assert not running.done(), "the publisher has not noticed"
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await publisher.close()
    assert workers_of(os.getpid()) == []


async def test_publisher_whose_every_decoder_dies_is_left_alone_and_told_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before, each of its key frames was another process, for ever."""
    monkeypatch.setitem(ROLES, "decoder", "tests.rigs.crashing_decoder")
    monkeypatch.setattr("streamer.breaker.WINDOW_S", 3600.0)  # however slow the machine
    before, hasty = failures["decoder", "died"], RetryPolicy(first_s=0.01, cap_s=0.01, open_s=0.2)
    source, publisher, listener = (
        PeerSource(5.0, 0.01, "cam", WORKERS, hasty),
        Publisher(),
        RecordingListener(),
    )
    session = Session("cam", source, FakeEstimators(), PoseConfig(), FakePainter(), hasty)
    feed, sink = MessageFeed("cam"), RecordingSink()
    feed.listen(listener)
    for each in (feed, sink):
        session.subscribe(each)
    async with contextlib.AsyncExitStack() as closing:
        closing.push_async_callback(publisher.close)
        closing.push_async_callback(session.close)
        await publisher.connect()
        source.attach(publisher.receiver)
        session.start()
        for deaths in (MAX_DEATHS, MAX_DEATHS + 1):  # the second time one is on trial
            async with asyncio.timeout(PATIENCE_S):
                while not (sink.states[-1] is StreamState.FAILED and session.status.retry_in_s):
                    await publisher.show(key=True)
                    await asyncio.sleep(0.02)
            assert failures["decoder", "died"] - before == deaths
            assert workers_of(os.getpid()) == []
            assert session.status.retry_in_s == hasty.open_s * (1 + deaths - MAX_DEATHS)
            assert "died of SIGABRT" in session.status.detail
            assert '"error":"worker-died"' in listener.heard[-1]
            await sink.state_comes(StreamState.RECONNECTING)


async def test_file_plays_from_a_child_and_its_errors_say_what_is_wrong(
    clips: Clips, tmp_path: Path
) -> None:
    files = FilesConfig(folders=[str(clips.person.parent), str(tmp_path)])
    recorder = Recorder()
    playing = asyncio.create_task(
        FileCamera(FileSource(path=clips.person.name), files).run(recorder)
    )
    await recorder.frames_come(3)
    assert worker_of(clips.person.name).role == "camera"
    assert recorder.frames[0].i420.std() > 10, "a picture, not a grey field"
    playing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await playing
    (tmp_path / "words.mp4").write_text("this is no video\n" * 50)
    with pytest.raises(SourceUnusable, match="no video that can be played"):
        await FileCamera(FileSource(path="words.mp4"), files).run(recorder)
    assert workers_of(os.getpid()) == []


@pytest.mark.parametrize("lie", lying_camera.LIES)
async def test_child_that_lies_about_its_pictures_is_ended(
    monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    monkeypatch.setitem(ROLES, "camera", "tests.rigs.lying_camera")
    recorder = Recorder()
    started = time.monotonic()
    with pytest.raises(StreamerError) as caught:
        await FileCamera(FileSource(path=lie), FilesConfig(folders=["/"])).run(recorder)
    if lie.startswith("of "):
        (frame,) = recorder.frames
        assert started - MAX_AGE_S < frame.received_mono < time.monotonic()
        assert 0 <= frame.decode_ms <= (MAX_AGE_S + 1) * 1000, (
            "it goes into the figures of all frames"
        )
    elif lie == "late words":
        assert str(caught.value) == "look:[31m<b>"
    else:
        assert isinstance(caught.value, DecoderDied)
        assert recorder.frames == []
        assert len(recorder.videos) < lying_camera.FLOOD


async def test_child_that_says_packets_come_tomorrow_hides_no_silence() -> None:
    reader = RemoteReader("door", {"what": "rtsp"}, NOTHING, Recorder(), WORKERS)
    claim = Progressed(
        last_packet_mono=1e12,
        frames=0,
        failed_packets=0,
        skipped_packets=0,
        profile=None,
        keyframe_interval_s=None,
    )
    reader._take(claim, memoryview(b""))
    assert reader.progress.last_packet_mono is not None
    assert reader.progress.last_packet_mono <= time.monotonic()


async def test_publishers_decoder_that_lies_is_ended_and_its_words_are_not_repeated(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(ROLES, "decoder", "tests.rigs.lying_decoder")
    loop, anew, before = asyncio.get_running_loop(), asyncio.Event(), failures["decoder", "lied"]
    recorder = Recorder()

    def ask_for_keyframe() -> None:
        loop.call_soon_threadsafe(anew.set)

    decoder = VideoDecoder(recorder, ask_for_keyframe, "door", WORKERS)
    running = in_daemon_thread("video-decoder", decoder.run)
    decoder.put(Packet(b"key", "vp8", 0, True, time.monotonic()))
    await anew.wait()
    decoder.close()
    await asyncio.wrap_future(running)
    assert failures["decoder", "lied"] == before + 1
    assert recorder.frames == []
    assert all(len(record.getMessage()) < 200 for record in caplog.records)
