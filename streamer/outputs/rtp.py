"""H.264 as RTP, in the frames of an RTSP connection: RFC 6184 (payload), RFC 3550 (RTP), RFC 8866 (SDP)."""

import base64
import random
import struct
import time
from collections.abc import Iterator

from streamer.model import (
    H264_PARAMETER_SET,
    VIDEO_CLOCK_HZ,
    Packet,
    h264_profile,
    h264_units,
)

MAX_PAYLOAD_BYTES = 1400
"""Servers pass the packets on to viewers by UDP as they are."""

TRACK = "streamid=0"
RTP_CHANNEL, RTCP_CHANNEL = 0, 1

_PAYLOAD_TYPE = 96  # the first dynamic one (RFC 3551, section 3)
_FU_A = 28
_H264_PICTURE_PARAMETER_SET = 8
_NTP_EPOCH_S = 2_208_988_800  # from 1900 to 1970 (RFC 3550, section 4)


class RtpPacker:
    """Makes the packets of one session."""

    def __init__(self) -> None:
        self._ssrc = random.getrandbits(32)
        self._sequence_number = random.getrandbits(16)
        self._origin = random.getrandbits(32)
        self._packets = 0
        self._bytes = 0

    def pack(self, picture: Packet) -> bytes:
        """All packets of a picture, each in its RTSP frame (RFC 2326, section 10.12)."""
        payloads = [payload for unit in _units(picture.data) for payload in _fragments(unit)]
        timestamp = self._timestamp(picture.pts)
        framed = bytearray()
        for payload in payloads:
            marker = 0x80 if payload is payloads[-1] else 0
            header = (0x80, marker | _PAYLOAD_TYPE, self._sequence_number, timestamp, self._ssrc)
            framed += _framed(RTP_CHANNEL, struct.pack("!BBHII", *header) + payload)
            self._sequence_number = (self._sequence_number + 1) & 0xFFFF
            self._packets += 1
            self._bytes += len(payload)
        return bytes(framed)

    def sender_report(self, picture: Packet) -> bytes:
        """Which moment is which timestamp (RFC 3550, section 6.4.1), told by the picture just sent."""
        age_s = time.monotonic() - picture.received_mono
        seconds, fraction = divmod(time.time() + _NTP_EPOCH_S, 1)
        now = self._timestamp(picture.pts + round(age_s * VIDEO_CLOCK_HZ))
        times = (int(seconds), int(fraction * 2**32), now)
        sent = (self._packets & 0xFFFFFFFF, self._bytes & 0xFFFFFFFF)
        report = struct.pack("!BBHIIIIII", 0x80, 200, 6, self._ssrc, *times, *sent)
        return _framed(RTCP_CHANNEL, report)

    def _timestamp(self, pts: int) -> int:
        return (self._origin + pts) & 0xFFFFFFFF


def describe(keyframe: Packet) -> str:
    """The SDP of a session that begins with this picture, which has its parameter sets."""
    sets = [
        base64.b64encode(unit).decode()
        for unit in _units(keyframe.data)
        if unit[0] & 0x1F in (H264_PARAMETER_SET, _H264_PICTURE_PARAMETER_SET)
    ]
    level = next(u[3] for u in _units(keyframe.data) if u[0] & 0x1F == H264_PARAMETER_SET)
    profile = (h264_profile(keyframe.data) or b"").hex() + f"{level:02x}"
    parameters = f"profile-level-id={profile};sprop-parameter-sets={','.join(sets)}"
    lines = [
        "v=0",
        "o=- 0 0 IN IP4 0.0.0.0",
        "s=Streamer",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        f"m=video 0 RTP/AVP {_PAYLOAD_TYPE}",
        f"a=rtpmap:{_PAYLOAD_TYPE} H264/{VIDEO_CLOCK_HZ}",
        f"a=fmtp:{_PAYLOAD_TYPE} packetization-mode=1;{parameters}",
        f"a=control:{TRACK}",
    ]
    return "\r\n".join(lines) + "\r\n"


def _units(annex_b: bytes) -> Iterator[bytes]:
    """The NAL units, without start codes and the zeros that may follow a unit."""
    starts = [at for _, at in h264_units(annex_b)]
    for start, after in zip(starts, [*(at - 3 for at in starts[1:]), len(annex_b)], strict=True):
        unit = annex_b[start:after].rstrip(b"\0")
        if unit:
            yield unit


def _fragments(unit: bytes) -> Iterator[bytes]:
    """The unit as it is, or in fragments (FU-A, RFC 6184, section 5.8)."""
    if len(unit) <= MAX_PAYLOAD_BYTES:
        yield unit
        return
    indicator, kind = unit[0] & 0xE0 | _FU_A, unit[0] & 0x1F
    step = MAX_PAYLOAD_BYTES - 2
    for at in range(1, len(unit), step):
        first = 0x80 if at == 1 else 0
        last = 0x40 if at + step >= len(unit) else 0
        yield bytes((indicator, first | last | kind)) + unit[at : at + step]


def _framed(channel: int, packet: bytes) -> bytes:
    return b"$" + struct.pack("!BH", channel, len(packet)) + packet
