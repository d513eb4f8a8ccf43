"""A FrameReceiver for tests of sources."""

import asyncio
import time

from streamer.model import Frame, Packet, VideoInfo


class Recorder:
    """A FrameReceiver that keeps what comes; ``frames_come`` waits for more of it."""

    def __init__(self) -> None:
        self.videos: list[VideoInfo] = []
        self.frames: list[Frame] = []
        self.packets: list[Packet] = []
        self.ages_s: list[float] = []
        self._loop = asyncio.get_running_loop()
        self._came = asyncio.Event()

    def opened(self, video: VideoInfo) -> None:
        self.videos.append(video)

    def forward(self, packet: Packet) -> None:
        self.packets.append(packet)

    def put(self, frame: Frame) -> None:
        self.frames.append(frame)
        self.ages_s.append(time.monotonic() - frame.received_mono)
        self._loop.call_soon_threadsafe(self._came.set)

    async def frames_come(self, count: int) -> None:
        while len(self.frames) < count:
            self._came.clear()
            await self._came.wait()
