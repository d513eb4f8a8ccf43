"""What a source sends: the answer to ``streamer probe``."""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Protocol

from streamer.aio import cancel_and_wait
from streamer.errors import SourceEnded, SourceLost
from streamer.model import VIDEO_CLOCK_HZ, Frame, Packet, VideoInfo
from streamer.ports import Source
from streamer.sources.reader import Progress

WATCH_S = 2.0
"""How long to look at a camera once its first picture is there."""


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """``fps`` as measured; ``keyframe_interval_s`` is None when less than two key frames came,
    ``transport`` where there is no network."""

    codec: str
    profile: str | None
    width: int
    height: int
    fps: float | None
    transport: str | None
    time_to_first_frame_s: float
    keyframe_interval_s: float | None


class _Witness:
    """A FrameReceiver that remembers what was there."""

    def __init__(self) -> None:
        self.video: VideoInfo | None = None
        self.first: Frame | None = None
        self.last: Frame | None = None
        self.frames = 0
        self.seen = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def opened(self, video: VideoInfo) -> None:
        self.video = video

    def forward(self, packet: Packet) -> None: ...

    def put(self, frame: Frame) -> None:
        self.frames += 1
        self.last = frame
        if self.first is None:
            self.first = frame
            self._loop.call_soon_threadsafe(self.seen.set)

    def fps(self) -> float | None:
        if self.first is None or self.last is None or self.last.pts <= self.first.pts:
            return None
        return (self.frames - 1) * VIDEO_CLOCK_HZ / (self.last.pts - self.first.pts)


class Camera(Source, Protocol):
    """A source that tells more of itself than its pictures."""

    @property
    def transport(self) -> str | None: ...

    @property
    def progress(self) -> Progress: ...


async def probe(camera: Camera) -> ProbeReport:
    """Opens the camera and looks at it for two seconds.

    Raises SourceForbidden, SourceRejected or a SourceError: what is wrong.
    """
    witness = _Witness()
    started = time.monotonic()
    running = asyncio.ensure_future(camera.run(witness))
    seen = asyncio.ensure_future(witness.seen.wait())
    try:
        await asyncio.wait({running, seen}, return_when=asyncio.FIRST_COMPLETED)
        if seen.done():
            await asyncio.wait({running}, timeout=WATCH_S)
        if running.done():
            with contextlib.suppress(SourceEnded):  # a short file: what came of it will do
                running.result()
    finally:
        await cancel_and_wait(running, seen)
    if witness.video is None or witness.first is None:
        raise SourceLost("the camera sent no picture")
    return ProbeReport(
        codec=witness.video.codec,
        profile=camera.progress.profile,
        width=witness.video.width,
        height=witness.video.height,
        fps=witness.fps(),
        transport=camera.transport,
        time_to_first_frame_s=witness.first.received_mono - started,
        keyframe_interval_s=camera.progress.keyframe_interval_s,
    )
