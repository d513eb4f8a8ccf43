"""Reading and decoding one connection to a camera: the part of the source that has a thread."""

import errno
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from streamer.aio import assert_off_loop
from streamer.errors import (
    SourceLost,
    SourceNotFound,
    SourceRejected,
    SourceUnusable,
    StreamerError,
)
from streamer.model import VIDEO_CLOCK_HZ, VideoInfo
from streamer.pixels import to_frame
from streamer.ports import FrameReceiver
from streamer.sources.forwarder import Forwarder, MediaClock
from streamer.sources.live_edge import LiveEdge, Pace

logger = logging.getLogger(__name__)

Transport = Literal["tcp", "udp"]

MAX_PIXELS = 3840 * 2160
MAX_DECODE_FAILURES = 100
"""Packets in a row that could not be decoded: no loss on the network looks like this."""

MAX_WAIT_FOR_PICTURE_S = 30.0
"""Some cameras send a key frame only every 20 s, and nothing can be decoded before the first."""

_CODECS = ("h264", "hevc", "mjpeg")

_OPEN_OPTIONS = {
    # The SDP says what decoding needs: look at no more than the first packet. Without "nobuffer",
    # which throws that packet away: it is the key frame, and the next may be seconds off.
    "probesize": "32",
    "analyzeduration": "0",
    "allowed_media_types": "video",
    "protocol_whitelist": "rtsp,rtp,tcp,udp",
}


class TransportRefused(Exception):
    """The camera does not offer this transport (RTSP status 461)."""


@dataclass(slots=True)
class Progress:
    """How far a connection has come: written by its thread, read by anyone.

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

    def __init__(self, place: str, receiver: FrameReceiver) -> None:
        """``place`` is how messages call the camera."""
        self.progress = Progress()
        self.edge = LiveEdge(receiver.put)
        self._place = place
        self._receiver = receiver
        self._quit = threading.Event()
        self._video: VideoInfo | None = None
        self._failures = 0
        self._last_picture_mono = 0.0
        self._last_key_pts: int | None = None

    def quit(self) -> None:
        """Nothing reaches the receiver after this; ``run`` returns with the next packet."""
        self._quit.set()
        self.edge.close()

    def run(self, url: str, transport: Transport) -> None:
        """Returns only after ``quit``. Raises one of our errors, or TransportRefused.

        ``url`` holds credentials. FFmpeg's errors repeat it: none may stay in ours as their cause.
        """
        assert_off_loop()
        try:
            container = av.open(
                url, format="rtsp", options={**_OPEN_OPTIONS, "rtsp_transport": transport}
            )
        except (av.error.FFmpegError, OSError) as error:
            raise _explain_open_error(error, self._place) from None
        with container:
            try:
                self._decode(container, _video_stream(container))
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
                self.edge.offer(to_frame(picture, pts, received_mono, received_at))
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
            pictures = packet.decode()
        except (av.error.FFmpegError, OSError) as error:
            self._failures += 1
            self.progress.failed_packets += 1
            logger.debug("a packet of %s could not be decoded: %s", self._place, error.strerror)
            _check_size(stream)
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
            self._video = VideoInfo(width, height, stream.codec_context.name, _fps(stream))
            self._receiver.opened(self._video)

    def _note_key_frame(self, pts: int) -> None:
        if self._last_key_pts is not None:
            self.progress.keyframe_interval_s = (pts - self._last_key_pts) / VIDEO_CLOCK_HZ
        self._last_key_pts = pts


def _video_stream(container: InputContainer) -> VideoStream:
    streams = container.streams.video
    # A codec that FFmpeg does not know has no context, whatever PyAV's annotations say.
    name = getattr(streams[0].codec_context, "name", None) if streams else None
    if name not in _CODECS:
        raise SourceUnusable(
            "the camera sends no H.264, H.265 or MJPEG video: set it to one of them"
        )
    stream = streams[0]
    stream.thread_type = "SLICE"  # threads by frame would hold back a frame each
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    _check_size(stream)
    return stream


def _check_size(stream: VideoStream) -> None:
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MAX_PIXELS:
        raise SourceUnusable(
            f"the camera sends {width}x{height}, more than 3840x2160: choose a smaller stream"
        )


def _fps(stream: VideoStream) -> float | None:
    """What the camera claims, if it can be true."""
    rate = float(stream.average_rate or 0)
    return rate if 0 < rate <= 240 else None


def _explain_open_error(error: Exception, place: str) -> StreamerError | TransportRefused:
    if getattr(error, "errno", None) == errno.EPROTONOSUPPORT:
        return TransportRefused()
    match error:
        case av.error.HTTPUnauthorizedError():
            return SourceRejected("wrong or missing user name or password")
        case av.error.HTTPForbiddenError():
            return SourceRejected("the camera does not let this user see this stream")
        case av.error.HTTPNotFoundError():
            return SourceNotFound(f"{place} answers, but has no stream at this path")
        case _:
            reason = getattr(error, "strerror", None) or "no reason given"
            return SourceUnusable(f"{place} can't be played: {reason}")
