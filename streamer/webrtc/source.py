"""A source whose camera is a browser or another WebRTC publisher."""

import asyncio
import time

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from streamer.errors import SourceEnded, SourceLost, SourceStalled
from streamer.model import Frame, VideoInfo
from streamer.pixels import must_convert, to_frame
from streamer.ports import FrameReceiver

STALL_S = 5.0
"""A publisher that is there and sends nothing: its camera is covered, muted or taken by another program."""


class PeerSource:
    """Takes one publisher's track after another: one that lost its connection may come back.

    ``first_wait_s`` / ``resume_wait_s``: how long to wait for the first / the next track.
    """

    def __init__(self, first_wait_s: float, resume_wait_s: float) -> None:
        self.publishing = True  # from the offer on: the place is taken
        self.codec = ""  # as negotiated, "vp8" or "h264"
        self._wait_s = first_wait_s
        self._resume_wait_s = resume_wait_s
        self._camera: _Camera | None = None
        self._arrived = asyncio.Event()

    def attach(self, track: MediaStreamTrack) -> None:
        """A publisher's camera has come; it is read from now on, whether ``run`` runs or not."""
        self._camera = _Camera(track)
        self._arrived.set()

    def request_keyframe(self) -> bool:
        return False

    def detach(self) -> None:
        """The publisher is gone, with its camera or before there was one."""
        self.publishing = False
        if self._camera is not None:
            self._camera.close()

    async def run(self, receiver: FrameReceiver) -> None:
        try:
            await asyncio.wait_for(self._arrived.wait(), self._wait_s)
        except TimeoutError:
            raise SourceEnded("the camera has left") from None
        self._wait_s = self._resume_wait_s
        camera, size = self._camera, None
        assert camera is not None
        while True:
            try:
                async with asyncio.timeout(STALL_S):
                    picture = await camera.newest.get()
            except TimeoutError:
                raise SourceStalled("no picture comes from the camera") from None
            if picture is None:
                if camera is self._camera:
                    self._arrived.clear()
                raise SourceLost("waiting for the camera to come back")
            frame = await _frame(picture)
            if size != (frame.width, frame.height):
                size = (frame.width, frame.height)
                receiver.opened(VideoInfo(frame.width, frame.height, self.codec))
            receiver.put(frame)


class _Camera:
    """Reads one track to its end and keeps the newest picture: aiortc's own queue has no bound."""

    def __init__(self, track: MediaStreamTrack) -> None:
        self.newest: asyncio.Queue[VideoFrame | None] = asyncio.Queue(maxsize=1)  # None: the end
        self._track = track
        self._reader = asyncio.create_task(self._read(), name=f"camera-{track.id[:8]}")

    def close(self) -> None:
        """aiortc ends no track whose connection never came to be: this does."""
        self._reader.cancel()
        self._track.stop()
        self._put(None)

    async def _read(self) -> None:
        try:
            while True:
                picture = await self._track.recv()
                assert isinstance(picture, VideoFrame)
                self._put(picture)
        except MediaStreamError:
            self._put(None)

    def _put(self, picture: VideoFrame | None) -> None:
        if self.newest.full():
            self.newest.get_nowait()
        self.newest.put_nowait(picture)


async def _frame(picture: VideoFrame) -> Frame:
    assert picture.pts is not None
    mono, unix = time.monotonic(), time.time()
    if must_convert(picture):
        return await asyncio.to_thread(to_frame, picture, picture.pts, mono, unix)
    return to_frame(picture, picture.pts, mono, unix)
