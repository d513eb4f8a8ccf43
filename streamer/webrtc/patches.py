"""The places where aiortc 1.16 is not what live pose needs, each mended in the smallest way.

1. Answers speak of transport-wide congestion control, without which Chromium sends a camera of 640x480
   at a quarter of its size.
2. ``FastVp8Encoder``, ``FastH264Encoder``: encoder settings for speed.

``apply`` puts them in place; tests/unit/test_patches.py fails when aiortc changes under them. What is
mended in receivers is in receiving.py.
"""

import os
from fractions import Fraction
from functools import cache
from typing import Any

import aiortc.codecs.vpx
import aiortc.rtcrtpsender
import av
from aiortc.codecs import CODECS, HEADER_EXTENSIONS, get_encoder
from aiortc.codecs.base import Encoder
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder, number_of_threads
from aiortc.mediastreams import VIDEO_TIME_BASE
from aiortc.rtcrtpparameters import (
    RTCRtcpFeedback,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
)

from streamer.aio import assert_off_loop

TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
_TRANSPORT_CC_ID = 5  # free in aiortc's table of extensions

CAMERA_START_KBPS = 1500
"""Where Chromium's estimate for its camera begins, in kbit/s. From its own 300 it scales 1280x720 down
to 320x180 and takes 24 s to come back; with transport-wide feedback it leaves this at once where the
network is slower."""

START_BITRATE = 1_000_000
"""Bits per second until the viewer's own estimate arrives; aiortc's 500 k shows blocks at 640x480."""


@cache
def apply() -> None:
    """Before the first peer is made; again is harmless."""
    sender_module: Any = aiortc.rtcrtpsender
    sender_module.get_encoder = _get_fast_encoder
    vpx_module: Any = aiortc.codecs.vpx
    vpx_module.DEFAULT_BITRATE = START_BITRATE
    HEADER_EXTENSIONS["video"].append(
        RTCRtpHeaderExtensionParameters(id=_TRANSPORT_CC_ID, uri=TRANSPORT_CC_URI)
    )
    for codec in CODECS["video"]:
        if codec.rtcpFeedback:  # not the retransmission "codecs"
            codec.rtcpFeedback.append(RTCRtcpFeedback(type="transport-cc"))
            codec.parameters["x-google-start-bitrate"] = CAMERA_START_KBPS


def _get_fast_encoder(codec: RTCRtpCodecParameters) -> Encoder:
    fast = {"video/vp8": FastVp8Encoder, "video/h264": FastH264Encoder}
    make = fast.get(codec.mimeType.lower())
    return make() if make else get_encoder(codec)


class FastVp8Encoder(Vp8Encoder):
    """libvpx at cpu-used -8 without its denoiser: two thirds of the CPU of aiortc's settings, and a
    higher PSNR on real clips. The denoiser is meant for a camera's own encoder; ours sees pictures that
    were decoded already."""

    def encode(self, frame: Any, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        assert_off_loop()
        if _needs_context(self.codec, frame, self.target_bitrate):
            self.codec = _vp8_context(frame.width, frame.height, self.target_bitrate)
        return super().encode(frame, force_keyframe)


def _needs_context(codec: Any, frame: Any, bit_rate: int) -> bool:
    """By the stock encoders' own rule, so that they find a context that suits them and keep it."""
    return (
        codec is None
        or (codec.width, codec.height) != (frame.width, frame.height)
        or abs(bit_rate - codec.bit_rate) / codec.bit_rate > 0.1
    )


def _vp8_context(width: int, height: int, bit_rate: int) -> Any:
    codec = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height = width, height
    codec.bit_rate = bit_rate
    codec.pix_fmt = "yuv420p"
    codec.time_base = VIDEO_TIME_BASE
    codec.gop_size = 3000  # key frames come on request
    codec.qmin, codec.qmax = 2, 56
    codec.thread_count = number_of_threads(width * height, os.cpu_count() or 1)
    codec.options = {
        "deadline": "realtime",
        "cpu-used": "-8",
        "noise-sensitivity": "0",
        "static-thresh": "1",
        "lag-in-frames": "0",
        "minrate": str(bit_rate),
        "maxrate": str(bit_rate),
        "bufsize": str(bit_rate),
        "overshoot-pct": "15",
        "undershoot-pct": "100",
    }
    return codec


class FastH264Encoder(H264Encoder):
    """libx264 at ``superfast``: a sixth of the CPU of aiortc's ``medium`` at the same PSNR."""

    def encode(self, frame: Any, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        assert_off_loop()
        if _needs_context(self.codec, frame, self.target_bitrate):
            self.codec = _h264_context(frame.width, frame.height, self.target_bitrate)
        return super().encode(frame, force_keyframe)


def _h264_context(width: int, height: int, bit_rate: int) -> Any:
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height = width, height
    codec.bit_rate = bit_rate
    codec.pix_fmt = "yuv420p"
    codec.framerate = Fraction(30, 1)
    codec.time_base = VIDEO_TIME_BASE
    codec.profile = "Baseline"
    codec.options = {"preset": "superfast", "tune": "zerolatency"}
    return codec
