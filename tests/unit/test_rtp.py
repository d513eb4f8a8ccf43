"""H.264 as RTP in RTSP frames: what comes out is what went in, in the order and at the times of the RFCs."""

import struct
import time
from collections.abc import Iterator

import numpy as np
import pytest
from aiortc.codecs.h264 import H264PayloadDescriptor

from streamer.encoders import VideoEncoder
from streamer.model import Frame, Packet
from streamer.outputs.rtp import MAX_PAYLOAD_BYTES, RtpPacker, describe

UNIT = b"\x65" + bytes(range(1, 250))
SETS = b"\0\0\0\1\x67\x42\xc0\x1f\x8c\0\0\0\1\x68\xce\x3c\x80"


def picture(data: bytes, pts: int = 0) -> Packet:
    return Packet(data, "h264", pts, is_keyframe=True, received_mono=time.monotonic())


def packets(framed: bytes) -> Iterator[tuple[int, bytes]]:
    """(channel, packet) of what stands in RTSP frames, and nothing else does."""
    while framed:
        assert framed[:1] == b"$"
        length = int.from_bytes(framed[2:4], "big")
        yield framed[1], framed[4 : 4 + length]
        assert len(framed) >= 4 + length
        framed = framed[4 + length :]


def header(packet: bytes) -> tuple[int, int, int, int, int]:
    """Version and flags, marker, sequence number, timestamp, SSRC."""
    flags, kind, number, timestamp, ssrc = struct.unpack_from("!BBHII", packet)
    assert kind & 0x7F == 96
    return flags, kind >> 7, number, timestamp, ssrc


def depayloaded(framed: bytes) -> bytes:
    """By aiortc's reader: in Annex B form, with long start codes."""
    return b"".join(H264PayloadDescriptor.parse(packet[12:])[1] for _, packet in packets(framed))


@pytest.mark.parametrize("size", [2, 1399, 1400, 1401, 2799, 2800, 100_000])
def test_units_of_any_size_come_back_whole(size: int) -> None:
    unit = (b"\x65" + UNIT * (size // len(UNIT) + 1))[:size]
    framed = RtpPacker().pack(picture(SETS + b"\0\0\0\1" + unit))
    assert depayloaded(framed) == SETS + b"\0\0\0\1" + unit
    assert all(len(packet) <= 12 + MAX_PAYLOAD_BYTES for _, packet in packets(framed))


def test_short_start_codes_and_zeros_between_units_are_no_part_of_them() -> None:
    framed = RtpPacker().pack(picture(b"\0\0\1\x67\x42\0\0\0\0\1" + UNIT + b"\0"))
    assert [packet[12:] for _, packet in packets(framed)] == [b"\x67\x42", UNIT]


def test_only_the_last_packet_of_a_picture_is_marked_and_numbers_rise_by_one() -> None:
    packer = RtpPacker()
    found = [
        header(packet)
        for pts in range(0, 70_000 * 3000, 3000)
        for _, packet in packets(packer.pack(picture(SETS, pts)))
    ]
    assert {flags for flags, *_ in found} == {0x80}
    assert [marker for _, marker, *_ in found[:6]] == [0, 1, 0, 1, 0, 1]
    steps = {
        (after[2] - before[2]) % 65536 for before, after in zip(found, found[1:], strict=False)
    }
    assert steps == {1}
    assert len({ssrc for *_, ssrc in found}) == 1


def test_timestamps_are_the_stream_s_own_time_at_any_frame_rate() -> None:
    packer = RtpPacker()
    times = [0, 3000, 3001, 90_000, 2**32 + 5]
    stamps = []
    for pts in times:
        framed = packer.pack(picture(SETS, pts))
        (stamp,) = {header(packet)[3] for _, packet in packets(framed)}
        stamps.append(stamp)
    assert [(stamp - stamps[0]) % 2**32 for stamp in stamps] == [0, 3000, 3001, 90_000, 5]


def test_sender_report_says_which_moment_a_timestamp_is() -> None:
    packer = RtpPacker()
    sent = picture(SETS, pts=90_000)
    (_, first), _ = packets(packer.pack(sent))
    ((channel, report),) = packets(packer.sender_report(sent))
    fields = struct.unpack("!BBHIIIIII", report)
    assert (channel, fields[:3]) == (1, (0x80, 200, 6))
    *_, timestamp, ssrc = header(first)
    assert fields[3] == ssrc
    assert abs(fields[4] + fields[5] / 2**32 - 2_208_988_800 - time.time()) < 2
    assert (fields[6] - timestamp) % 2**32 < 2 * 90_000, "a moment after the picture's"
    assert fields[7:] == (2, 9), "packets, and bytes without headers"


def test_the_description_has_what_a_decoder_must_know() -> None:
    encoder = VideoEncoder("h264", 64, 48, 500_000)
    frame = Frame(np.full((72, 64), 100, np.uint8), 0, 0.0, 0.0)
    lines = describe(encoder.encode(frame, 0)).split("\r\n")
    assert lines[0] == "v=0" and lines[-1] == ""
    (parameters,) = [line for line in lines if line.startswith("a=fmtp:96 ")]
    assert "packetization-mode=1;" in parameters
    assert "profile-level-id=42c0" in parameters, "constrained baseline"
    sets = parameters.partition("sprop-parameter-sets=")[2].split(",")
    assert len(sets) == 2 and sets[0].startswith("Z0") and sets[1].startswith("aM")
