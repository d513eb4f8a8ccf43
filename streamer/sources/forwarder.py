"""Handing on a camera's own packets, for viewers that draw themselves."""

from fractions import Fraction
from typing import TYPE_CHECKING

from av.video.stream import VideoStream

from streamer.model import H264_IDR, VIDEO_CLOCK_HZ, Packet, h264_profile, h264_units
from streamer.ports import FrameReceiver

if TYPE_CHECKING:
    import av


class MediaClock:
    """A stream's timestamps in 90 kHz ticks; one that is missing (the first often is) is placed by
    its arrival."""

    def __init__(self, stream: VideoStream) -> None:
        self._ticks_per_unit = VIDEO_CLOCK_HZ * (stream.time_base or Fraction(1, VIDEO_CLOCK_HZ))
        self._last: tuple[int, float] | None = None

    def ticks(self, pts: int | None, received_mono: float) -> int:
        if pts is not None:
            ticks = round(pts * self._ticks_per_unit)
        elif self._last is not None:
            ticks = self._last[0] + round((received_mono - self._last[1]) * VIDEO_CLOCK_HZ)
        else:
            ticks = 0  # where FFmpeg's clock of an RTSP stream starts
        self._last = (ticks, received_mono)
        return ticks


class Forwarder:
    """Forwards H.264 whose pictures come in the order in which they are shown.

    Browsers decode no pictures that refer to later ones (B-frames), and a stream does not say whether
    it has any. So the first group of pictures is only looked at: if its times rise, forwarding begins
    with the next key frame, and it ends for good should one ever run back.
    """

    def __init__(self, receiver: FrameReceiver, stream: VideoStream) -> None:
        self._receiver = receiver
        self._stream = stream
        self._is_fit = stream.codec_context.name == "h264"
        self._key_frames = 0
        self._last_pts: int | None = None

    def offer(
        self, packet: "av.Packet[VideoStream]", clock: MediaClock, received_mono: float
    ) -> None:
        """Called with every packet, before it is decoded."""
        if not self._is_fit or packet.pts is None:
            return
        if self._last_pts is not None and packet.pts <= self._last_pts:
            self._is_fit = False
            return
        self._last_pts = packet.pts
        data = bytes(packet)
        # FFmpeg also calls a picture key from which a stream recovers bit by bit; browsers can't begin there.
        is_keyframe = packet.is_keyframe and any(kind == H264_IDR for kind, _ in h264_units(data))
        self._key_frames += is_keyframe
        if self._key_frames < 2:
            return
        if is_keyframe and h264_profile(data) is None:  # of many, only the SDP has them
            data = (self._stream.codec_context.extradata or b"") + data
        pts = clock.ticks(packet.pts, received_mono)
        self._receiver.forward(Packet(data, "h264", pts, is_keyframe, received_mono))
