"""The places where aiortc 1.16 is not what live pose needs, each mended in the smallest way.

1. ``MarkerJitterBuffer``: a frame leaves when it is complete, not when the next one begins; and
   ``improve_receiver``: after a repaired loss all that are complete leave at once.
2. ``TransportFeedback``: transport-wide congestion control, without which Chromium sends a camera of
   640x480 at a quarter of its size.
3. ``FastVp8Encoder``, ``FastH264Encoder``: encoder settings for speed.

``apply`` puts them in place; tests/unit/test_patches.py fails when aiortc changes under them.
"""

import os
import struct
import time
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any, cast

import aiortc.codecs.vpx
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
import av
from aiortc import RTCRtpReceiver
from aiortc.codecs import CODECS, HEADER_EXTENSIONS, get_encoder
from aiortc.codecs.base import Encoder
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder, number_of_threads
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.mediastreams import VIDEO_TIME_BASE
from aiortc.rtcrtpparameters import (
    RTCRtcpFeedback,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
)
from aiortc.rtp import RtpPacket

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
    receiver_module: Any = aiortc.rtcrtpreceiver
    receiver_module.JitterBuffer = MarkerJitterBuffer
    sender_module: Any = aiortc.rtcrtpsender
    sender_module.get_encoder = _get_fast_encoder
    vpx_module: Any = aiortc.codecs.vpx
    vpx_module.DEFAULT_BITRATE = START_BITRATE
    HEADER_EXTENSIONS["video"].append(
        RTCRtpHeaderExtensionParameters(id=_TRANSPORT_CC_ID, uri=TRANSPORT_CC_URI)
    )
    _add_h264_profiles()
    for codec in CODECS["video"]:
        if codec.rtcpFeedback:  # not the retransmission "codecs"
            codec.rtcpFeedback.append(RTCRtcpFeedback(type="transport-cc"))
            codec.parameters["x-google-start-bitrate"] = CAMERA_START_KBPS


def _add_h264_profiles() -> None:
    """Main and high, which aiortc does not know, for cameras whose own packets are forwarded."""
    known = [codec for codec in CODECS["video"] if codec.mimeType == "video/H264"]
    payload_type = max(codec.payloadType or 0 for codec in CODECS["video"]) + 1
    for profile_level_id in ("4d001f", "64001f"):
        parameters = {**known[0].parameters, "profile-level-id": profile_level_id}
        codec = replace(
            known[0],
            payloadType=payload_type,
            parameters=parameters,
            rtcpFeedback=list(known[0].rtcpFeedback),
        )
        retransmission = RTCRtpCodecParameters(
            mimeType="video/rtx",
            clockRate=codec.clockRate,
            payloadType=payload_type + 1,
            parameters={"apt": payload_type},
        )
        CODECS["video"] += [codec, retransmission]
        payload_type += 2


class MarkerJitterBuffer(JitterBuffer):
    """Releases a video frame on its RTP marker bit (RFC 3551, section 4.1).

    The stock buffer takes a frame for complete when the first packet of the next one arrives: 33 ms
    later at 30 fps.
    """

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        frame = super()._remove_frame(sequence_number)
        if frame is not None and self._is_video and not frame.data:
            # Padding that follows a frame already released; an empty frame would end the decoder.
            frame = super()._remove_frame(sequence_number)
        if frame is not None or not self._is_video or self._origin is None:
            return frame
        packets: list[RtpPacket] = []
        for offset in range(self.capacity):
            packet = self._packets[(self._origin + offset) % self._capacity]
            if packet is None or (packets and packet.timestamp != packets[0].timestamp):
                return None
            packets.append(packet)
            if packet.marker:
                break
        self.remove(len(packets))
        data = b"".join(cast("Any", packet)._data for packet in packets)
        return JitterFrame(data=data, timestamp=packets[0].timestamp)


class TransportFeedback:
    """Collects arrival times of one receiver's packets and reports them every 50 ms.

    Format: draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1.
    """

    INTERVAL_S = 0.05
    MAX_STATUSES = 512  # at most 1.2 kB, which always fits a packet
    _TICKS_PER_S = 4000  # receive deltas count 250 us
    _TICKS_PER_REFERENCE = 256  # the reference time counts 64 ms

    def __init__(self) -> None:
        self._arrivals: dict[int, int] = {}  # unwrapped transport sequence number -> ticks
        self._base: int | None = None
        self._count = 0
        self._reported_at = 0.0

    def add(self, sequence_number: int, arrival_s: float) -> None:
        if self._base is None:
            self._base = sequence_number
        distance = (sequence_number - self._base + 0x8000) % 0x10000 - 0x8000
        if distance >= 0:  # an older one has been reported as lost already
            self._arrivals.setdefault(self._base + distance, int(arrival_s * self._TICKS_PER_S))

    def due(self, now_s: float) -> bool:
        return bool(self._arrivals) and now_s - self._reported_at >= self.INTERVAL_S

    def report(self, sender_ssrc: int, media_ssrc: int, now_s: float) -> bytes:
        """One RTCP packet on everything that came since the last one; call it when ``due``."""
        assert self._base is not None
        first, last = self._base, max(self._arrivals)
        if last - first >= self.MAX_STATUSES:  # after a long silence: report the newest only
            first = last - self.MAX_STATUSES + 1
        reference = min(self._arrivals.values()) // self._TICKS_PER_REFERENCE
        symbols, deltas = self._encode(first, last, reference * self._TICKS_PER_REFERENCE)
        head = struct.pack("!IIHH", sender_ssrc, media_ssrc, first & 0xFFFF, last - first + 1)
        head += (reference & 0xFFFFFF).to_bytes(3, "big") + bytes([self._count & 0xFF])
        self._count += 1
        self._base, self._arrivals, self._reported_at = last + 1, {}, now_s
        return _rtcp_packet(head + symbols + deltas)

    def _encode(self, first: int, last: int, ticks: int) -> tuple[bytes, bytes]:
        symbols, deltas = [], b""
        for sequence_number in range(first, last + 1):
            arrival = self._arrivals.get(sequence_number)
            if arrival is None:
                symbols.append(0)
                continue
            delta = max(-0x8000, min(0x7FFF, arrival - ticks))  # what 16 bits hold: 8 s
            ticks += delta
            if 0 <= delta <= 0xFF:
                symbols.append(1)
                deltas += bytes([delta])
            else:
                symbols.append(2)
                deltas += struct.pack("!h", delta)
        return _status_vectors(symbols), deltas


def _status_vectors(symbols: list[int]) -> bytes:
    """Chunks of seven two-bit symbols each (section 3.1.4)."""
    chunks = b""
    for start in range(0, len(symbols), 7):
        chunk = 0xC000
        for position, symbol in enumerate(symbols[start : start + 7]):
            chunk |= symbol << (12 - 2 * position)
        chunks += struct.pack("!H", chunk)
    return chunks


def _rtcp_packet(body: bytes) -> bytes:
    """A transport-layer feedback message (RFC 4585, section 6.1), FMT 15."""
    padding = -len(body) % 4
    if padding:
        body += bytes(padding - 1) + bytes([padding])
    return struct.pack("!BBH", 0x80 | (0x20 if padding else 0) | 15, 205, len(body) // 4) + body


def improve_receiver(receiver: RTCRtpReceiver) -> None:
    """Makes this receiver answer with transport-wide feedback instead of its own bitrate estimate, and
    hand on every frame that is complete: the stock one releases a frame a packet, and so stays behind
    for ever after one repaired loss."""
    inner: Any = receiver
    inner._RTCRtpReceiver__remote_bitrate_estimator = None
    stock_handler = inner._handle_rtp_packet
    feedback = TransportFeedback()

    async def handle(packet: RtpPacket, arrival_time_ms: int) -> None:
        number = packet.extensions.transport_sequence_number
        if number is not None:
            now_s = time.monotonic()
            feedback.add(number, now_s)
            sender_ssrc = inner._RTCRtpReceiver__rtcp_ssrc
            if sender_ssrc is not None and feedback.due(now_s):
                report = feedback.report(sender_ssrc, packet.ssrc, now_s)
                try:
                    await receiver.transport._send_rtp(report)
                except ConnectionError:
                    return  # the peer is going; its end is noticed elsewhere
        await stock_handler(packet, arrival_time_ms)
        _release_all(inner, packet.payload_type)

    inner._handle_rtp_packet = handle


def _release_all(receiver: Any, payload_type: int) -> None:
    codecs = receiver._RTCRtpReceiver__codecs
    codec = codecs.get(payload_type)
    if codec is not None and codec.name.lower() == "rtx":
        codec = codecs.get(codec.parameters.get("apt"))
    if codec is None or receiver._RTCRtpReceiver__decoder_thread is None:
        return
    buffer = receiver._RTCRtpReceiver__jitter_buffer
    while buffer._origin is not None and (frame := buffer._remove_frame(0)) is not None:
        frame.timestamp = receiver._RTCRtpReceiver__timestamp_mapper.map(frame.timestamp)
        receiver._RTCRtpReceiver__decoder_queue.put((codec, frame))


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
