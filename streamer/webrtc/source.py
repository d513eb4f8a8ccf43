"""A source whose camera is a browser or another WebRTC publisher."""

import asyncio
import logging
import time

from aiortc import RTCRtpReceiver

from streamer.aio import in_daemon_thread
from streamer.breaker import Breaker
from streamer.config import WorkersConfig
from streamer.errors import SourceEnded, SourceLost, SourceStalled
from streamer.ports import FrameReceiver
from streamer.retry import RetryPolicy
from streamer.webrtc.decoding import VideoDecoder
from streamer.webrtc.receiving import Reception, SenderReports

logger = logging.getLogger(__name__)

STALL_S = 7.0
"""A publisher that is there and sends nothing: its camera is covered, muted or taken by another program.
Longer than a peer may be out of reach (``liveness.py``) and takes to send a key frame again."""

KILLED_S = 2.0
"""For the thread to end once its child was killed."""


async def _leave(thread: "asyncio.Future[None]") -> None:
    """Its child was killed. Whoever waits for the source must not wait for what hangs there all the same."""
    await asyncio.wait({thread}, timeout=KILLED_S)
    if not thread.done():
        logger.warning("a decoder's thread hangs and was abandoned")
        thread.cancel()
    elif not thread.cancelled():
        thread.exception()  # it has been told, or concerns nobody any more


class PeerSource:
    """Takes one publisher's camera after another: one that lost its connection may come back.

    ``first_wait_s`` / ``resume_wait_s``: how long to wait for the first / the next camera.
    ``name``: the stream's. ``retry``: when a decoder that died is replaced.
    ``on_sender_report``: called on the event loop with each of the publisher's RTCP sender reports.
    """

    def __init__(
        self,
        first_wait_s: float,
        resume_wait_s: float,
        name: str = "publisher",
        workers: WorkersConfig | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self.publishing = True  # from the offer on: the place is taken
        self.on_sender_report: SenderReports | None = None
        self._name = name
        self._workers = workers
        self._decoders = Breaker(retry or RetryPolicy())
        self._wait_s = first_wait_s
        self._resume_wait_s = resume_wait_s
        self._camera: Reception | None = None
        self._arrived = asyncio.Event()

    def attach(self, receiver: RTCRtpReceiver) -> None:
        """A publisher's camera has come. Its pictures are dropped undecoded while ``run`` does not run."""
        self._camera = Reception(receiver)
        self._camera.on_sender_report = self._report
        self._arrived.set()

    def detach(self) -> None:
        """The publisher is gone, with its camera or before there was one."""
        self.publishing = False
        self.on_sender_report = None
        if self._camera is not None:
            self._camera.end()

    def request_keyframe(self) -> bool:
        """For viewers of the camera's own packets; many requests at once become one. False while there
        is no camera."""
        if self._camera is None:
            return False
        self._camera.request_keyframe()
        return True

    async def run(self, receiver: FrameReceiver) -> None:
        try:
            async with asyncio.timeout(self._wait_s):
                await self._arrived.wait()
        except TimeoutError:
            raise SourceEnded("the camera has left") from None
        self._wait_s = self._resume_wait_s
        camera = self._camera
        assert camera is not None
        await self._read(camera, receiver)
        if camera is self._camera:
            self._arrived.clear()
        raise SourceLost("waiting for the camera to come back")

    async def _read(self, camera: Reception, receiver: FrameReceiver) -> None:
        """Returns when the camera is gone. Raises SourceStalled, SourceUnusable, DecoderGivenUp."""
        loop = asyncio.get_running_loop()

        def ask_for_keyframe() -> None:
            loop.call_soon_threadsafe(camera.request_keyframe)

        decoder = VideoDecoder(
            receiver, ask_for_keyframe, self._name, self._workers, self._decoders
        )
        thread = asyncio.wrap_future(in_daemon_thread("video-decoder", decoder.run))
        camera.on_packet = decoder.put
        camera.request_keyframe()
        try:
            while not camera.ended.done():
                left_s = STALL_S - (time.monotonic() - decoder.last_picture_mono)
                if left_s <= 0:
                    raise SourceStalled("no picture comes from the camera")
                ends: list[asyncio.Future[None]] = [camera.ended, thread]
                await asyncio.wait(ends, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                if thread.done():
                    thread.result()  # it ends by itself only with an error
        finally:
            camera.on_packet = None
            decoder.close()
            await _leave(thread)

    def _report(self, unix_s: float, timestamp: int, pts: int) -> None:
        if self.on_sender_report is not None:
            self.on_sender_report(unix_s, timestamp, pts)
