"""The thread that decodes one publisher's video, as long as its source runs."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

import av
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext

from streamer.aio import assert_off_loop
from streamer.errors import SourceUnusable
from streamer.model import VIDEO_CLOCK_HZ, Codec, Packet, VideoInfo
from streamer.pixels import to_frame
from streamer.ports import FrameReceiver

logger = logging.getLogger(__name__)

MAX_WAITING = 15
"""Packets, half a second at 30 fps: a decoder further behind than this shows the past."""

CATCH_UP = 0.5
MAX_DISTANCE_S = 0.02
MAX_BURST = 4
"""Behind a packet that had to be sent again, two or three pictures come at once. Handed on so, all but
the last would be dropped by whoever takes the newest only: at 5 % loss and 50 ms round trip that was a
sixth of all. So two pictures keep half of their own distance, 20 ms at most, until they have caught up;
with four more waiting one is handed on at once, since the present is worth more."""

COMPLAINT_INTERVAL_S = 5.0

MAX_PIXELS = 3840 * 2160

_DECODERS: dict[Codec, str] = {"vp8": "vp8", "h264": "h264"}
"""In FFmpeg's names. Its own VP8 decoder takes 4 to 10 % less CPU than libvpx, for the same pictures."""


class VideoDecoder:
    """``put`` and ``close`` never block and come from the event loop; ``run`` is the thread's.

    It begins with a key frame. ``ask_for_keyframe`` is called from both, when only one helps.
    """

    def __init__(self, receiver: FrameReceiver, ask_for_keyframe: Callable[[], None]) -> None:
        self.last_picture_mono = time.monotonic()  # or when it began
        self._receiver = receiver
        self._ask_for_keyframe = ask_for_keyframe
        self._waiting: deque[Packet] = deque()
        self._changed = threading.Condition()
        self._has_begun = False
        self._is_in_order = True  # no picture refers to a later one: viewers could not decode that
        self._last_pts = -(1 << 62)
        self._must_begin_anew = True
        self._closed = False
        self._codec: Codec | None = None
        self._context: VideoCodecContext | None = None
        self._video: VideoInfo | None = None
        self._complained_mono = float("-inf")
        self._shown: tuple[int, float] | None = None  # the last picture's pts, and when

    def put(self, packet: Packet) -> None:
        """Hands it on to the receiver, and to the thread; the decoder that has fallen behind goes on
        with the next key frame."""
        self._has_begun |= packet.is_keyframe
        self._is_in_order &= packet.pts > self._last_pts
        self._last_pts = packet.pts
        if self._has_begun and self._is_in_order:
            self._receiver.forward(packet)
        if self._must_begin_anew and not packet.is_keyframe:
            return
        self._must_begin_anew = False
        with self._changed:
            self._waiting.append(packet)
            if len(self._waiting) > MAX_WAITING:
                self._drop_the_past()
            self._changed.notify()

    def close(self) -> None:
        """``run`` returns after the picture in work."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify()

    def run(self) -> None:
        assert_off_loop()
        while (packet := self._next()) is not None:
            for picture in self._decode(packet):
                self._show(picture, packet)

    def _drop_the_past(self) -> None:
        keys = [place for place, packet in enumerate(self._waiting) if packet.is_keyframe]
        if keys and keys[-1] > 0:
            for _ in range(keys[-1]):
                self._waiting.popleft()
            return
        self._waiting.clear()
        self._must_begin_anew = True
        self._ask_for_keyframe()

    def _next(self) -> Packet | None:
        """Waits; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting)
            return None if self._closed else self._waiting.popleft()

    def _decode(self, packet: Packet) -> list[av.VideoFrame]:
        if self._context is None or self._codec != packet.codec:
            self._codec, self._context = packet.codec, _context(packet.codec)
        encoded = av.Packet(packet.data)
        encoded.pts = packet.pts
        try:
            return self._context.decode(encoded)
        except (av.FFmpegError, MemoryError) as error:
            _check_size(self._context, packet)
            # Its state stays: what follows can still be decoded, or asks for the same key frame.
            now = time.monotonic()
            if now - self._complained_mono > COMPLAINT_INTERVAL_S:
                self._complained_mono = now
                logger.debug("a picture could not be decoded: %s", error)
            self._ask_for_keyframe()
            return []

    def _show(self, picture: av.VideoFrame, packet: Packet) -> None:
        pts = packet.pts if picture.pts is None else picture.pts
        received_at = time.time() - (time.monotonic() - packet.received_mono)
        frame = to_frame(picture, pts, packet.received_mono, received_at)
        size = (frame.width, frame.height)
        if self._video is None or (self._video.width, self._video.height) != size:
            self._video = VideoInfo(*size, packet.codec)
            self._receiver.opened(self._video)
        self._keep_distance(pts)
        self.last_picture_mono = time.monotonic()
        self._receiver.put(frame)

    def _keep_distance(self, pts: int) -> None:
        """Waits while the picture before is too near, unless so many are behind that it is late."""
        if self._shown is not None:
            before_pts, before_mono = self._shown
            distance_s = min(CATCH_UP * (pts - before_pts) / VIDEO_CLOCK_HZ, MAX_DISTANCE_S)
            left_s = before_mono + distance_s - time.monotonic()
            if left_s > 0:
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._closed or len(self._waiting) >= MAX_BURST, left_s
                    )
        self._shown = (pts, time.monotonic())


def _check_size(context: VideoCodecContext, packet: Packet) -> None:
    """FFmpeg decodes nothing that is too large, and does not say so. Raises SourceUnusable."""
    width, height = context.width, context.height
    if packet.codec == "vp8" and packet.is_keyframe and len(packet.data) >= 10:
        # It does not even keep the size (RFC 6386, section 9.1: 14 bits each, little-endian).
        width, height = (
            int.from_bytes(packet.data[place : place + 2], "little") & 0x3FFF for place in (6, 8)
        )
    if width * height > MAX_PIXELS:
        raise SourceUnusable(
            f"the video has {width}x{height}, more than 3840x2160: send a smaller one"
        )


def _context(codec: Codec) -> VideoCodecContext:
    """One thread: two would hold back a picture or cost more than they save."""
    context = av.CodecContext.create(_DECODERS[codec], "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    context.flags |= Flags.low_delay
    context.options = {"max_pixels": str(MAX_PIXELS)}
    return context
