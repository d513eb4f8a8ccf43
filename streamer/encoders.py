"""Interim."""

from fractions import Fraction

import av

from streamer.aio import assert_off_loop
from streamer.model import Codec, Frame
from streamer.pixels import to_av


class VideoEncoder:
    def __init__(self, codec: Codec, width: int, height: int, bit_rate: int) -> None:
        self.width, self.height = width, height
        self._codec_name, self._bit_rate = codec, bit_rate
        self._open()
        self._fresh = True

    def _open(self) -> None:
        name = "libvpx" if self._codec_name == "vp8" else "libx264"
        c = self._c = av.CodecContext.create(name, "w")
        c.width, c.height, c.bit_rate, c.pix_fmt = (
            self.width,
            self.height,
            self._bit_rate,
            "yuv420p",
        )
        c.time_base = Fraction(1, 90000)
        c.framerate = Fraction(30, 1)
        c.gop_size = 3000
        c.thread_count = 1
        b = str(self._bit_rate)
        if name == "libvpx":
            c.qmin, c.qmax = 2, 56
            c.options = {
                "deadline": "realtime",
                "cpu-used": "-8",
                "noise-sensitivity": "0",
                "static-thresh": "1",
                "lag-in-frames": "0",
                "minrate": b,
                "maxrate": b,
                "bufsize": b,
                "overshoot-pct": "15",
                "undershoot-pct": "100",
            }
        else:
            c.profile = "Baseline"
            c.options = {
                "preset": "superfast",
                "tune": "zerolatency",
                "x264-params": "repeat-headers=1:scenecut=0",
            }

    def set_bit_rate(self, bits: int) -> None:
        if bits != self._bit_rate:
            self._bit_rate = bits
            self._open()
            self._fresh = True

    def encode(self, frame: Frame, pts: int, *, force_keyframe: bool = False) -> tuple[bytes, bool]:
        assert_off_loop()
        picture = to_av(frame, pts)
        picture.pict_type = (
            av.video.frame.PictureType.I
            if force_keyframe or self._fresh
            else av.video.frame.PictureType.NONE
        )
        self._fresh = False
        packets = self._c.encode(picture)
        return b"".join(bytes(p) for p in packets), any(p.is_keyframe for p in packets)

    def close(self) -> None: ...
