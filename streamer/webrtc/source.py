"""A source whose camera is a browser or another WebRTC publisher."""

import asyncio
import time

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from streamer.errors import SourceEnded, SourceLost, SourceStalled
from streamer.model import VideoInfo
from streamer.pixels import must_convert, to_frame
from streamer.ports import FrameReceiver

STALL_S = 5.0
"""A publisher that is there and sends nothing: its camera is covered, muted or taken by another program."""


class PeerSource:
    """Takes one track after another: a publisher that lost its connection may come back with a new one.

    ``first_wait_s`` / ``resume_wait_s``: how long to wait for the first / the next track.
    """

    def __init__(self, first_wait_s: float, resume_wait_s: float) -> None:
        self._wait_s = first_wait_s
        self._resume_wait_s = resume_wait_s
        self._next: asyncio.Queue[MediaStreamTrack] = asyncio.Queue(maxsize=1)
        self.publishing = True  # from the offer on: the place is taken
        self.codec = ""  # as negotiated, "vp8" or "h264"

    def attach(self, track: MediaStreamTrack) -> None:
        """A publisher's camera; it replaces one that was attached and not yet begun."""
        if self._next.full():
            self._next.get_nowait().stop()
        self._next.put_nowait(track)

    async def run(self, receiver: FrameReceiver) -> None:
        try:
            track = await asyncio.wait_for(self._next.get(), self._wait_s)
        except TimeoutError:
            raise SourceEnded("the camera has left") from None
        self._wait_s = self._resume_wait_s
        try:
            await self._pump(track, receiver)
        except SourceStalled:
            if not self.publishing:  # its peer is gone; aiortc ends no track that never began
                track.stop()
                raise SourceLost("waiting for the camera to come back") from None
            if self._next.empty():
                self.attach(track)  # the same publisher, when it goes on
            raise
        except BaseException:
            track.stop()
            raise

    async def _pump(self, track: MediaStreamTrack, receiver: FrameReceiver) -> None:
        size: tuple[int, int] | None = None
        while True:
            try:
                async with asyncio.timeout(STALL_S):
                    picture = await track.recv()
            except MediaStreamError:
                raise SourceLost("waiting for the camera to come back") from None
            except TimeoutError:
                raise SourceStalled("no picture comes from the camera") from None
            assert isinstance(picture, VideoFrame) and picture.pts is not None
            mono, unix = time.monotonic(), time.time()
            if must_convert(picture):
                frame = await asyncio.to_thread(to_frame, picture, picture.pts, mono, unix)
            else:
                frame = to_frame(picture, picture.pts, mono, unix)
            if size != (frame.width, frame.height):
                size = (frame.width, frame.height)
                receiver.opened(VideoInfo(frame.width, frame.height, self.codec))
            receiver.put(frame)
