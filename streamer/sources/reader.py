"""Reading and decoding one connection to a camera: the work of a camera's child."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from streamer.aio import assert_off_loop
from streamer.errors import SourceLost, SourceUnusable
from streamer.isolation.pictures import MAX_PIXELS
from streamer.model import VIDEO_CLOCK_HZ, VideoInfo
from streamer.pixels import to_frame
from streamer.ports import FrameReceiver
from streamer.sources.forwarder import Forwarder, MediaClock
from streamer.sources.live_edge import Pace

logger = logging.getLogger(__name__)

MAX_DECODE_FAILURES = 100
"""Packets in a row that could not be decoded: no loss on the network looks like this."""

MAX_WAIT_FOR_PICTURE_S = 30.0
"""Some cameras send a key frame only every 20 s, and nothing can be decoded before the first."""

CODECS = ("h264", "hevc", "mjpeg")
"""What cameras send."""

Watched = Callable[[], contextlib.AbstractContextManager[None]]
"""Around what a stranger's data could make hang: whoever watches ends it after a while."""


@dataclass(slots=True)
class Progress:
    """How far a connection has come.

    ``last_packet_mono``: seconds of the monotonic clock; None until the camera plays.
    """

    last_packet_mono: float | None = None
    frames: int = 0
    failed_packets: int = 0
    skipped_packets: int = 0
    profile: str | None = None
    keyframe_interval_s: float | None = None


class VideoReader:
    """One connection: ``run`` blocks its thread; ``quit`` comes from another."""

    def __init__(
        self,
        place: str,
        receiver: FrameReceiver,
        codecs: tuple[str, ...] = CODECS,
        decoding: Watched = contextlib.nullcontext,
    ) -> None:
        """``place`` is how messages call the camera; ``codecs`` is what it may send."""
        self.progress = Progress()
        self._decoding = decoding
        self._place = place
        self._receiver = receiver
        self._codecs = codecs
        self._quit = threading.Event()
        self._video: VideoInfo | None = None
        self._failures = 0
        self._last_picture_mono = 0.0
        self._last_key_pts: int | None = None

    def quit(self) -> None:
        """``run`` returns with the next packet."""
        self._quit.set()

    def run(self, open_container: Callable[[], InputContainer]) -> None:
        """Returns only after ``quit``. Raises one of our errors, or what opening raises.

        FFmpeg's errors repeat the URL with its credentials: none may stay in ours as their cause.
        """
        assert_off_loop()
        with open_container() as container:
            try:
                self._decode(container, _camera_video(container, self._codecs))
            except (av.error.FFmpegError, OSError) as error:
                raise SourceLost(f"the connection to the camera broke: {error.strerror}") from None

    def _decode(self, container: InputContainer, stream: VideoStream) -> None:
        self.progress.profile = stream.codec_context.profile
        self.progress.last_packet_mono = self._last_picture_mono = time.monotonic()
        clock = MediaClock(stream)
        forwarder = Forwarder(self._receiver, stream)
        for packet, received_mono, received_at in self._packets(container, stream):
            if packet.is_keyframe and packet.pts is not None:
                self._note_key_frame(clock.ticks(packet.pts, received_mono))
            forwarder.offer(packet, clock, received_mono)
            for picture in self._pictures(packet, stream, received_mono):
                pts = clock.ticks(picture.pts, received_mono)
                self._announce(picture, stream)
                self.progress.frames += 1
                self._receiver.put(to_frame(picture, pts, received_mono, received_at))
        if not self._quit.is_set():
            raise SourceLost("the camera ended the connection")

    def _packets(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator[tuple["av.Packet[VideoStream]", float, float]]:
        """What is to be decoded, with its time of arrival (monotonic, Unix), until the end."""
        asked_mono = time.monotonic()
        pace = Pace(asked_mono)
        for packet in container.demux(stream):
            came_mono = time.monotonic()
            if self._quit.is_set() or packet.size == 0:  # FFmpeg marks the end with an empty packet
                return
            self.progress.last_packet_mono = came_mono
            if pace.must_skip(asked_mono, came_mono, packet.is_keyframe):
                self.progress.skipped_packets += 1
            else:
                yield packet, came_mono, time.time()
            asked_mono = time.monotonic()

    def _pictures(
        self, packet: "av.Packet[VideoStream]", stream: VideoStream, received_mono: float
    ) -> list[av.VideoFrame]:
        """Most often one; none when the packet is damaged or comes before the first key frame."""
        try:
            with self._decoding():
                pictures = packet.decode()
        except (av.error.FFmpegError, OSError) as error:
            self._failures += 1
            self.progress.failed_packets += 1
            logger.debug("a packet of %s could not be decoded: %s", self._place, error.strerror)
            check_size(stream)
            if self._failures >= MAX_DECODE_FAILURES:
                raise SourceUnusable("the camera's video can't be decoded") from error
            return []
        self._failures = 0
        if pictures:
            self._last_picture_mono = received_mono
        elif received_mono - self._last_picture_mono > MAX_WAIT_FOR_PICTURE_S:
            raise SourceUnusable("the camera sends video without a key frame")
        return pictures

    def _announce(self, picture: av.VideoFrame, stream: VideoStream) -> None:
        width, height = picture.width & ~1, picture.height & ~1
        if self._video is None or (self._video.width, self._video.height) != (width, height):
            self._video = VideoInfo(width, height, stream.codec_context.name, claimed_fps(stream))
            self._receiver.opened(self._video)

    def _note_key_frame(self, pts: int) -> None:
        if self._last_key_pts is not None:
            self.progress.keyframe_interval_s = (pts - self._last_key_pts) / VIDEO_CLOCK_HZ
        self._last_key_pts = pts


def _camera_video(container: InputContainer, codecs: tuple[str, ...]) -> VideoStream:
    stream = first_video(container)
    if stream is None or stream.codec_context.name not in codecs:
        raise SourceUnusable(
            "the camera sends no H.264, H.265 or MJPEG video: set it to one of them"
        )
    stream.thread_type = "SLICE"  # threads by frame would hold back a frame each
    check_size(stream)
    return stream


def first_video(container: InputContainer) -> VideoStream | None:
    """The first video, if FFmpeg can decode it; it will decode none that is too large."""
    stream = next(iter(container.streams.video), None)
    # A codec that FFmpeg does not know has no context, whatever PyAV's annotations say.
    if stream is None or getattr(stream, "codec_context", None) is None:
        return None
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream


def check_size(stream: VideoStream) -> None:
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MAX_PIXELS:
        raise SourceUnusable(
            f"the video has {width}x{height}, more than 3840x2160: choose a smaller one"
        )


def claimed_fps(stream: VideoStream) -> float | None:
    """What the camera claims, if it can be true."""
    rate = float(stream.average_rate or 0)
    return rate if 0 < rate <= 240 else None
