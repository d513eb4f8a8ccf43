"""A browser's camera as a source: read whether anybody asks or not, lost, silent, back again."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import numpy as np
import pytest
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from streamer.errors import SourceEnded, SourceLost, SourceStalled
from streamer.model import Frame, Packet, VideoInfo
from streamer.webrtc import source as source_module
from streamer.webrtc.source import PeerSource


class FakeTrack(MediaStreamTrack):
    """Gives what is put into it; None is the end."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.pictures: asyncio.Queue[VideoFrame | None] = asyncio.Queue()

    async def recv(self) -> VideoFrame:
        picture = await self.pictures.get()
        if picture is None:
            raise MediaStreamError
        return picture

    def show(self, pts: int, width: int = 64) -> None:
        picture = VideoFrame.from_ndarray(np.zeros((72, width), np.uint8), "yuv420p")
        picture.pts = pts
        self.pictures.put_nowait(picture)


class FakeReceiver:
    def __init__(self) -> None:
        self.videos: list[VideoInfo] = []
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()

    def opened(self, video: VideoInfo) -> None:
        self.videos.append(video)

    def forward(self, packet: Packet) -> None: ...

    def put(self, frame: Frame) -> None:
        self.frames.put_nowait(frame)


@pytest.fixture
async def source() -> AsyncIterator[PeerSource]:
    made = PeerSource(first_wait_s=5.0, resume_wait_s=0.01)
    yield made
    made.detach()


async def pts_of(receiver: FakeReceiver) -> int:
    return (await receiver.frames.get()).pts


async def test_frames_of_an_attached_track_reach_the_receiver(source: PeerSource) -> None:
    receiver, track = FakeReceiver(), FakeTrack()
    running = asyncio.create_task(source.run(receiver))
    source.attach(track)
    track.show(1)
    assert await pts_of(receiver) == 1
    track.show(2, width=32)
    assert await pts_of(receiver) == 2
    assert [video.width for video in receiver.videos] == [64, 32]
    track.pictures.put_nowait(None)
    with pytest.raises(SourceLost):
        await running


async def test_source_that_nobody_publishes_to_any_more_ends(source: PeerSource) -> None:
    source.attach(FakeTrack())
    source.detach()
    with pytest.raises(SourceLost):
        await source.run(FakeReceiver())
    with pytest.raises(SourceEnded):
        await source.run(FakeReceiver())
    assert not source.publishing


async def test_publisher_that_vanishes_without_a_word_ends_the_run(source: PeerSource) -> None:
    receiver = FakeReceiver()
    running = asyncio.create_task(source.run(receiver))
    track = FakeTrack()
    source.attach(track)
    track.show(1)
    await pts_of(receiver)
    source.detach()
    with pytest.raises(SourceLost):
        await running
    assert track.readyState == "ended"


async def test_run_that_was_cancelled_can_begin_again_on_the_same_track(source: PeerSource) -> None:
    receiver, track = FakeReceiver(), FakeTrack()
    source.attach(track)
    for pts in (1, 2):
        running = asyncio.create_task(source.run(receiver))
        track.show(pts)
        assert await pts_of(receiver) == pts
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_silent_publisher_is_said_so_and_goes_on_when_it_does(
    source: PeerSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "STALL_S", 0.01)
    receiver, track = FakeReceiver(), FakeTrack()
    source.attach(track)
    with pytest.raises(SourceStalled):
        await source.run(receiver)
    monkeypatch.setattr(source_module, "STALL_S", 5.0)
    running = asyncio.create_task(source.run(receiver))
    track.show(7)
    assert await pts_of(receiver) == 7
    running.cancel()


async def test_pictures_that_nobody_takes_do_not_pile_up(source: PeerSource) -> None:
    track = FakeTrack()
    source.attach(track)
    for pts in range(100):
        track.show(pts)
    for _ in itertools.repeat(None, 1000):
        if track.pictures.empty():
            break
        await asyncio.sleep(0)
    receiver = FakeReceiver()
    running = asyncio.create_task(source.run(receiver))
    assert await pts_of(receiver) == 99
    running.cancel()


async def test_publisher_who_comes_back_is_read_from_its_new_track(source: PeerSource) -> None:
    receiver, first, second = FakeReceiver(), FakeTrack(), FakeTrack()
    source.attach(first)
    source.detach()
    with pytest.raises(SourceLost):
        await source.run(receiver)
    source.attach(second)
    running = asyncio.create_task(source.run(receiver))
    second.show(5)
    assert await pts_of(receiver) == 5
    running.cancel()
