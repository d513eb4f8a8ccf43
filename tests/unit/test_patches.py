"""The mended places of aiortc: each fails here when aiortc changes under it, and does what it is for."""

import random
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import aiortc.codecs.vpx
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
import av
import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCRtpReceiver
from aiortc.codecs import CODECS, HEADER_EXTENSIONS, get_decoder
from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import Vp8Encoder, vp8_depayload
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket, unpack_header_extensions

from streamer.pixels import to_av
from streamer.webrtc import patches
from streamer.webrtc.patches import (
    FastH264Encoder,
    FastVp8Encoder,
    MarkerJitterBuffer,
    TransportFeedback,
)
from tests.fakes import make_frame

VP8 = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=96)
H264 = RTCRtpCodecParameters(mimeType="video/H264", clockRate=90_000, payloadType=98)


@pytest.fixture(autouse=True)
def _applied() -> None:
    patches.apply()


# -- the seams in aiortc ----------------------------------------------------------------------------


async def test_receivers_are_built_with_our_jitter_buffer() -> None:
    peer = RTCPeerConnection()
    receiver = peer.addTransceiver("video").receiver
    assert type(_private(receiver, "jitter_buffer")) is MarkerJitterBuffer
    await peer.close()


@pytest.mark.parametrize(
    ("codec", "encoder"), [(VP8, FastVp8Encoder), (H264, FastH264Encoder)], ids=["VP8", "H264"]
)
def test_senders_make_our_encoders(codec: RTCRtpCodecParameters, encoder: type) -> None:
    sender_module: Any = aiortc.rtcrtpsender
    assert type(sender_module.get_encoder(codec)) is encoder


def test_audio_keeps_aiortcs_own_encoder() -> None:
    sender_module: Any = aiortc.rtcrtpsender
    opus = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48_000, channels=2)
    assert type(sender_module.get_encoder(opus)).__module__ == "aiortc.codecs.opus"


def test_encoders_begin_with_our_bit_rate() -> None:
    assert FastVp8Encoder().target_bitrate == FastH264Encoder().target_bitrate == 1_000_000


async def test_receivers_have_the_private_parts_that_are_used() -> None:
    peer = RTCPeerConnection()
    receiver = peer.addTransceiver("video").receiver
    assert _private(receiver, "remote_bitrate_estimator") is not None
    assert isinstance(_private(receiver, "rtcp_ssrc"), int)
    assert callable(receiver._handle_rtp_packet)
    assert callable(receiver.transport._send_rtp)
    await peer.close()


async def test_connections_have_the_private_parts_that_liveness_uses() -> None:
    peer = RTCPeerConnection()
    transport: Any = peer.addTransceiver("video").receiver.transport
    (stats,) = transport._get_stats().values()
    assert (stats.type, stats.packetsReceived) == ("transport", 0)
    connection = transport.transport._connection
    assert connection._nominated == {}
    assert callable(connection.build_request)
    assert hasattr(connection, "remote_password")
    await peer.close()


async def test_offers_and_answers_speak_of_transport_wide_feedback_once() -> None:
    patches.apply()
    peer = RTCPeerConnection()
    peer.addTransceiver("video")
    sdp = (await peer.createOffer()).sdp
    assert sdp.count(patches.TRANSPORT_CC_URI) == 1
    lines = [line for line in sdp.splitlines() if line.endswith("transport-cc")]
    assert lines and len(lines) == len(set(lines))
    codecs = [codec for codec in CODECS["video"] if not codec.name.lower() == "rtx"]
    assert len(lines) == len(codecs)
    ids = [extension.id for extension in HEADER_EXTENSIONS["video"]]
    assert len(ids) == len(set(ids))
    await peer.close()


def _private(receiver: RTCRtpReceiver, name: str) -> Any:
    return getattr(receiver, f"_RTCRtpReceiver__{name}")


# -- the jitter buffer ------------------------------------------------------------------------------


def packet(sequence: int, timestamp: int, data: bytes, *, marker: bool) -> RtpPacket:
    made: Any = RtpPacket(
        sequence_number=sequence % 0x10000, timestamp=timestamp, marker=int(marker)
    )
    made._data = data
    return made  # type: ignore[no-any-return] # only to set _data, which aiortc's receiver sets too


def frame_packets(sequence: int, timestamp: int, count: int) -> list[RtpPacket]:
    """The packets of one frame; each one's data tells its place."""
    return [
        packet(sequence + n, timestamp, b"%d.%d " % (timestamp, n), marker=n == count - 1)
        for n in range(count)
    ]


def data_of(timestamp: int, count: int) -> bytes:
    return b"".join(b"%d.%d " % (timestamp, n) for n in range(count))


def new_buffer(capacity: int = 512) -> MarkerJitterBuffer:
    return MarkerJitterBuffer(capacity=capacity, is_video=True)


def feed(buffer: JitterBuffer, packets: Iterable[RtpPacket]) -> list[JitterFrame]:
    return [frame for each in packets if (frame := buffer.add(each)[1]) is not None]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_complete_frame_leaves_with_its_last_packet(count: int) -> None:
    buffer = new_buffer()
    for number in range(5):
        packets = frame_packets(number * count, number * 3000, count)
        assert feed(buffer, packets[:-1]) == []
        (frame,) = feed(buffer, packets[-1:])
        assert (frame.timestamp, frame.data) == (number * 3000, data_of(number * 3000, count))


def test_packets_may_come_in_any_order() -> None:
    buffer = new_buffer()
    feed(buffer, frame_packets(0, 0, 3))
    packets = frame_packets(3, 3000, 4)
    frames = feed(buffer, [packets[3], packets[1], packets[2], packets[0]])
    assert [frame.data for frame in frames] == [data_of(3000, 4)]


def test_frame_with_a_lost_packet_waits_until_it_comes() -> None:
    buffer = new_buffer()
    feed(buffer, frame_packets(0, 0, 3))
    second, third = frame_packets(3, 3000, 3), frame_packets(6, 6000, 3)
    assert feed(buffer, [second[0], second[2], *third]) == []
    assert [frame.timestamp for frame in feed(buffer, [second[1]])] == [3000]


def test_sequence_numbers_wrap_around() -> None:
    buffer = new_buffer()
    first = 0x10000 - 7
    packets = [p for n in range(6) for p in frame_packets(first + 3 * n, n * 3000, 3)]
    assert [frame.timestamp for frame in feed(buffer, packets)] == [n * 3000 for n in range(6)]


def test_frames_without_markers_leave_as_from_the_stock_buffer() -> None:
    packets = [packet(n, n // 3 * 3000, b"%d " % n, marker=False) for n in range(60)]
    ours = feed(new_buffer(), packets)
    stock = feed(JitterBuffer(capacity=512, is_video=True), packets)
    assert [vars(frame) for frame in ours] == [vars(frame) for frame in stock]
    assert len(ours) == 19


def test_padding_between_frames_is_no_frame() -> None:
    """Libwebrtc may send packets without payload after a frame, with its timestamp."""
    buffer = new_buffer()
    (first,) = feed(buffer, frame_packets(0, 0, 2))
    assert feed(buffer, [packet(n, 0, b"", marker=False) for n in (2, 3)]) == []
    (second,) = feed(buffer, frame_packets(4, 3000, 1))
    (third,) = feed(buffer, frame_packets(5, 6000, 2))
    assert [f.timestamp for f in (first, second, third)] == [0, 3000, 6000]
    assert second.data == data_of(3000, 1)


def test_audio_is_left_to_the_stock_buffer() -> None:
    buffer = MarkerJitterBuffer(capacity=16, prefetch=4)
    assert feed(buffer, [packet(0, 0, b"a", marker=True)]) == []


class Network:
    """Reorders packets, brings some late, as retransmission does, and loses some for ever."""

    def __init__(self, seed: int, *, late: float, lost: float) -> None:
        self.chance = random.Random(seed)
        self._late, self._lost = late, lost
        self._shuffle = self.chance.choice([0, 3, 8])

    def carry(self, packets: Iterable[RtpPacket]) -> list[RtpPacket]:
        first, *rest = packets  # where the buffer begins is not the matter here
        arrivals = []
        for number, each in enumerate(rest):
            delay = self.chance.uniform(0, self._shuffle)
            if self.chance.random() < self._late:
                delay += self.chance.uniform(5, 60)
            if self.chance.random() >= self._lost:
                arrivals.append((number + delay, number, each))
        return [first, *(each for _, _, each in sorted(arrivals, key=lambda item: item[:2]))]


def film(chance: random.Random, frames: int) -> tuple[list[RtpPacket], dict[int, bytes]]:
    """Packets of frames of many sizes, with padding here and there, and timestamp -> data."""
    packets: list[RtpPacket] = []
    data: dict[int, bytes] = {}
    sequence = chance.randrange(0x10000)
    for timestamp in range(0, frames * 3000, 3000):
        count = chance.choice([1, 1, 2, 5, 12])
        packets += frame_packets(sequence, timestamp, count)
        data[timestamp] = data_of(timestamp, count)
        sequence += count
        if chance.random() < 0.1:
            packets.append(packet(sequence, timestamp, b"", marker=False))
            sequence += 1
    return packets, data


@pytest.mark.parametrize("seed", range(30))
def test_frames_are_those_of_the_stock_buffer_when_all_packets_come_in_the_end(seed: int) -> None:
    network = Network(seed, late=0.1, lost=0.0)
    sent, data = film(network.chance, 300)
    received = network.carry(sent)
    ours = [(frame.timestamp, frame.data) for frame in feed(new_buffer(), received)]
    stock = feed(JitterBuffer(capacity=512, is_video=True), received)
    assert ours == list(data.items())[: len(ours)]
    assert ours[: len(stock)] == [(frame.timestamp, frame.data) for frame in stock]
    assert len(stock) <= len(ours)


@pytest.mark.parametrize("lost", [0.002, 0.02, 0.2])
def test_losses_cost_no_more_than_with_the_stock_buffer_and_order_is_kept(lost: float) -> None:
    whole, stock_whole, cut, stock_cut = 0, 0, 0, 0
    for seed in range(20):
        network = Network(seed, late=0.05, lost=lost)
        sent, data = film(network.chance, 300)
        received = network.carry(sent)
        ours = feed(new_buffer(64), received)
        stock = feed(JitterBuffer(capacity=64, is_video=True), received)
        timestamps = [frame.timestamp for frame in ours]
        assert timestamps == sorted(set(timestamps))
        assert all(frame.data for frame in ours)
        whole += sum(frame.data == data[frame.timestamp] for frame in ours)
        cut += sum(frame.data != data[frame.timestamp] for frame in ours)
        stock_whole += sum(frame.data == data[frame.timestamp] for frame in stock)
        stock_cut += sum(frame.data != data[frame.timestamp] for frame in stock)
    assert whole >= stock_whole
    assert cut <= stock_cut


# -- transport-wide feedback ------------------------------------------------------------------------


@dataclass
class Report:
    """A feedback message, read by the letter of the draft and by none of our code."""

    sender_ssrc: int
    media_ssrc: int
    count: int
    arrivals: dict[int, float | None]  # sequence number, 16 bits -> seconds, None: lost


def read_report(message: bytes) -> Report:
    head, kind, words = struct.unpack("!BBH", message[:4])
    assert (head >> 6, head & 0x1F, kind) == (2, 15, 205)
    assert len(message) == 4 * (words + 1)
    if head & 0x20:
        message = message[: -message[-1]]
    sender, media, first, statuses = struct.unpack("!IIHH", message[4:16])
    time_ticks = int.from_bytes(message[16:19], "big") * 256
    symbols, rest = read_symbols(message[20:], statuses)
    arrivals: dict[int, float | None] = {}
    for offset, symbol in enumerate(symbols):
        if symbol == 0:
            arrivals[(first + offset) & 0xFFFF] = None
            continue
        size = {1: 1, 2: 2}[symbol]
        time_ticks += int.from_bytes(rest[:size], "big", signed=symbol == 2)
        rest = rest[size:]
        arrivals[(first + offset) & 0xFFFF] = time_ticks / 4000
    assert rest == b""
    return Report(sender, media, message[19], arrivals)


def read_symbols(data: bytes, count: int) -> tuple[list[int], bytes]:
    symbols: list[int] = []
    while len(symbols) < count:
        (chunk,) = struct.unpack("!H", data[:2])
        data = data[2:]
        if not chunk & 0x8000:
            symbols += [chunk >> 13 & 3] * (chunk & 0x1FFF)
        elif chunk & 0x4000:
            symbols += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            symbols += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    assert not any(symbols[count:])
    return symbols[:count], data


def report_of(arrivals: dict[int, float]) -> Report:
    """Arrivals in the order of the dict."""
    feedback = TransportFeedback()
    for sequence, at_s in arrivals.items():
        feedback.add(sequence & 0xFFFF, at_s)
    return read_report(feedback.report(1, 2, 1000.0))


def times(report: Report) -> list[float]:
    return [at_s for at_s in report.arrivals.values() if at_s is not None]


def test_report_names_each_packet_and_its_time_to_a_quarter_of_a_millisecond() -> None:
    arrivals = {100 + n: 7.0 + 0.0031 * n for n in range(20)}
    report = report_of(arrivals)
    assert (report.sender_ssrc, report.media_ssrc) == (1, 2)
    assert list(report.arrivals) == list(arrivals)
    assert times(report) == pytest.approx(list(arrivals.values()), abs=0.00026)


def test_lost_packets_are_told() -> None:
    report = report_of({10: 1.0, 13: 1.001, 14: 1.002, 30: 1.003})
    assert [number for number, at_s in report.arrivals.items() if at_s is not None] == [
        10,
        13,
        14,
        30,
    ]
    assert list(report.arrivals) == list(range(10, 31))


def test_packets_out_of_order_have_times_that_run_back() -> None:
    report = report_of({5: 1.0, 7: 1.010, 6: 1.030, 8: 1.020})
    assert times(report) == pytest.approx([1.0, 1.030, 1.010, 1.020], abs=0.00026)


def test_transport_sequence_numbers_wrap_around() -> None:
    arrivals = {n: 5.0 + 0.001 * (n - 65530) for n in range(65530, 65545)}
    report = report_of(arrivals)
    assert list(report.arrivals) == [n & 0xFFFF for n in arrivals]
    assert times(report) == pytest.approx(list(arrivals.values()), abs=0.00026)


def test_pause_between_packets_is_kept() -> None:
    report = report_of({1: 1.0, 2: 1.001, 3: 8.5, 4: 8.501})
    assert times(report) == pytest.approx([1.0, 1.001, 8.5, 8.501], abs=0.00026)


def test_pause_beyond_what_a_delta_holds_is_caught_up_with() -> None:
    report = report_of({1: 1.0, 2: 12.0, 3: 12.001})
    assert times(report)[-1] == pytest.approx(12.001, abs=0.00026)


def test_jump_in_numbers_is_reported_by_its_end() -> None:
    report = report_of({1: 1.0, 2: 1.001, 9000: 1.002, 9001: 1.003})
    assert len(report.arrivals) == TransportFeedback.MAX_STATUSES
    assert list(report.arrivals)[-1] == 9001
    assert times(report) == pytest.approx([1.002, 1.003], abs=0.00026)


def test_packet_that_comes_after_its_report_is_not_told_again() -> None:
    feedback = TransportFeedback()
    feedback.add(1, 1.0)
    feedback.add(3, 1.001)
    feedback.report(1, 2, 1.001)
    feedback.add(2, 1.002)
    assert not feedback.due(9.0)
    feedback.add(4, 1.003)
    assert list(read_report(feedback.report(1, 2, 1.1)).arrivals) == [4]


def test_gap_between_two_reports_is_in_the_second() -> None:
    feedback = TransportFeedback()
    feedback.add(1, 1.0)
    feedback.report(1, 2, 1.0)
    feedback.add(4, 1.1)
    assert read_report(feedback.report(1, 2, 1.1)).arrivals == {
        2: None,
        3: None,
        4: pytest.approx(1.1, abs=0.00026),
    }


def test_reports_are_counted_in_a_byte() -> None:
    feedback = TransportFeedback()
    counts = []
    for number in range(300):
        feedback.add(number, 1.0 + number)
        counts.append(read_report(feedback.report(1, 2, 1.0 + number)).count)
    assert counts == [n & 0xFF for n in range(300)]


def test_report_is_due_every_fifty_milliseconds_and_only_with_something_to_tell() -> None:
    feedback = TransportFeedback()
    assert not feedback.due(1000.0)
    feedback.add(1, 999.99)
    assert feedback.due(1000.0)
    feedback.report(1, 2, 1000.0)
    feedback.add(2, 1000.04)
    assert not feedback.due(1000.049)
    assert feedback.due(1000.051)


@pytest.mark.parametrize("seed", range(40))
def test_reports_tell_every_packet_once_and_in_its_time_whatever_comes(seed: int) -> None:
    chance = random.Random(seed)
    feedback, told = TransportFeedback(), {}
    number, now_s = chance.randrange(0x10000), 100.0
    arrivals: dict[int, float] = {}
    for _ in range(2000):
        now_s += chance.choice([0.0, 0.0002, 0.003, 0.08, 0.5])
        number += chance.choice([1, 1, 1, 1, 2, 40])
        arrivals[number & 0xFFFF] = now_s
        feedback.add(number & 0xFFFF, now_s)
        if feedback.due(now_s):
            report = read_report(feedback.report(1, 2, now_s))
            told.update({n: at for n, at in report.arrivals.items() if at is not None})
    recent = list(arrivals.items())[-200:]
    for each, at_s in recent[:-30]:
        assert told[each] == pytest.approx(at_s, abs=0.00026)


# -- the feedback on a receiver ---------------------------------------------------------------------


class FakeTransport:
    def __init__(self) -> None:
        self.state = "new"
        self.sent: list[bytes] = []
        self.error: Exception | None = None

    async def _send_rtp(self, data: bytes) -> None:
        if self.error:
            raise self.error
        self.sent.append(data)


async def receive(transport: FakeTransport, count: int, *, numbered: bool) -> RTCRtpReceiver:
    made: Any = RTCRtpReceiver("video", transport)  # type: ignore[arg-type] # a fake
    made._set_rtcp_ssrc(77)
    patches.improve_receiver(made)
    for number in range(count):
        each = RtpPacket(payload_type=96, sequence_number=number, timestamp=0)
        each.ssrc = 88
        if numbered:
            each.extensions.transport_sequence_number = number
        await made._handle_rtp_packet(each, 0)
    return made  # type: ignore[no-any-return] # it is one


async def test_receiver_answers_with_feedback_in_place_of_its_own_estimate() -> None:
    transport = FakeTransport()
    receiver = await receive(transport, 3, numbered=True)
    assert _private(receiver, "remote_bitrate_estimator") is None
    report = read_report(transport.sent[0])
    assert (report.sender_ssrc, report.media_ssrc, list(report.arrivals)) == (77, 88, [0])


async def test_after_a_repaired_loss_all_complete_frames_leave_at_once() -> None:
    """The stock receiver hands on one frame a packet, and would stay three frames late for ever."""
    made: Any = RTCRtpReceiver("video", FakeTransport())  # type: ignore[arg-type] # a fake
    codec = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90000, payloadType=96)
    made._RTCRtpReceiver__codecs = {96: codec}
    made._RTCRtpReceiver__decoder_thread = object()
    patches.improve_receiver(made)
    for number in (0, 2, 3, 4, 1):
        each = RtpPacket(payload_type=96, marker=1, sequence_number=number, timestamp=3000 * number)
        each.payload = b"\x10" + bytes([number])
        await made._handle_rtp_packet(each, 0)
    handed_on = [frame.timestamp for _, frame in _private(made, "decoder_queue").queue]
    assert handed_on == [0, 3000, 6000, 9000, 12000]


async def test_receiver_of_a_sender_without_the_extension_sends_no_feedback() -> None:
    transport = FakeTransport()
    await receive(transport, 3, numbered=False)
    assert transport.sent == []


async def test_feedback_that_can_not_be_sent_disturbs_nobody() -> None:
    transport = FakeTransport()
    transport.error = ConnectionError()
    await receive(transport, 3, numbered=True)


def test_extension_is_read_by_aiortc_under_our_id() -> None:
    header_extensions = HeaderExtensionsMap()
    header_extensions.configure(RTCRtpParameters(headerExtensions=HEADER_EXTENSIONS["video"]))
    profile, value = 0xBEDE, bytes([5 << 4 | 1, 0x12, 0x34, 0])
    assert unpack_header_extensions(profile, value) == [(5, b"\x12\x34")]
    assert header_extensions.get(profile, value).transport_sequence_number == 0x1234


# -- the encoders -----------------------------------------------------------------------------------

ENCODERS = pytest.mark.parametrize(
    ("make", "codec"), [(FastVp8Encoder, VP8), (FastH264Encoder, H264)], ids=["VP8", "H264"]
)
Encoder = Vp8Encoder | FastH264Encoder


def picture(number: int, width: int = 320, height: int = 240) -> av.VideoFrame:
    """A grey picture with a light square that moves."""
    frame = make_frame(number * 3000, width=width, height=height, luma=60)
    left = 4 * number % (width - 32)
    frame.planes()[0][40:72, left : left + 32] = 200
    return to_av(frame)


def encoded(encoder: Encoder, frame: av.VideoFrame, *, key: bool = False) -> bytes:
    payloads, timestamp = encoder.encode(frame, force_keyframe=key)
    assert timestamp == frame.pts
    depayload = vp8_depayload if isinstance(encoder, Vp8Encoder) else h264_depayload
    return b"".join(depayload(payload) for payload in payloads)


def is_key_frame(encoder: Encoder, data: bytes) -> bool:
    if isinstance(encoder, Vp8Encoder):
        return not data[0] & 1  # RFC 7741, section 4.3
    types = [data[at + 4] & 0x1F for at in range(len(data) - 4) if data[at : at + 4] == b"\0\0\0\1"]
    return 5 in types  # an IDR slice, RFC 6184, section 1.3


@ENCODERS
def test_encoded_video_is_decoded_to_the_pictures_that_went_in(
    make: type[Encoder], codec: RTCRtpCodecParameters
) -> None:
    encoder, decoder = make(), get_decoder(codec)
    for number in range(20):
        sent = picture(number)
        data = encoded(encoder, sent)
        (back,) = decoder.decode(JitterFrame(data, number * 3000))
        assert isinstance(back, av.VideoFrame)
        difference = back.to_ndarray(format="gray").astype(int) - sent.to_ndarray(format="gray")
        assert np.abs(difference).mean() < 4


@ENCODERS
def test_key_frames_come_first_and_on_request_only(
    make: type[Encoder], codec: RTCRtpCodecParameters
) -> None:
    encoder = make()
    asked = {0, 25, 40}
    keys = {
        number
        for number in range(60)
        if is_key_frame(encoder, encoded(encoder, picture(number), key=number in asked - {0}))
    }
    assert keys == asked


@ENCODERS
def test_change_of_size_goes_on_with_a_key_frame_of_the_new_size(
    make: type[Encoder], codec: RTCRtpCodecParameters
) -> None:
    encoder, decoder = make(), get_decoder(codec)
    for number, (width, height) in enumerate([(320, 240), (320, 240), (640, 360), (176, 144)]):
        data = encoded(encoder, picture(number, width, height))
        (back,) = decoder.decode(JitterFrame(data, number * 3000))
        assert isinstance(back, av.VideoFrame)
        assert (back.width, back.height) == (width, height)


@ENCODERS
def test_encoder_is_rebuilt_for_a_bit_rate_that_differs_by_more_than_a_tenth(
    make: type[Encoder], codec: RTCRtpCodecParameters
) -> None:
    encoder = make()
    encoded(encoder, picture(0))
    first = encoder.codec
    encoder.target_bitrate = 1_050_000
    encoded(encoder, picture(1))
    assert encoder.codec is first
    encoder.target_bitrate = 1_400_000
    encoded(encoder, picture(2))
    assert encoder.codec is not first and encoder.codec is not None
    assert encoder.codec.bit_rate == 1_400_000


@ENCODERS
def test_encoder_understands_all_our_settings_and_the_stock_code_keeps_them(
    make: type[Encoder], codec: RTCRtpCodecParameters
) -> None:
    encoder = make()
    encoded(encoder, picture(0))
    context = encoder.codec
    assert context is not None and context.is_open
    assert context.options == {}  # where FFmpeg leaves what it did not understand
    encoded(encoder, picture(1))
    assert encoder.codec is context


def test_vp8_is_encoded_with_our_settings_and_not_with_the_stock_ones() -> None:
    fast, stock = FastVp8Encoder(), Vp8Encoder()
    context = patches._vp8_context(320, 240, patches.START_BITRATE)
    settings = {name: context.options[name] for name in ("cpu-used", "noise-sensitivity")}
    assert settings == {"cpu-used": "-8", "noise-sensitivity": "0"}
    by_settings = [b"".join(bytes(p) for p in context.encode(picture(n))) for n in range(10)]
    assert [encoded(fast, picture(n)) for n in range(10)] == by_settings
    by_stock = [stock.encode(picture(n))[0] for n in range(10)]
    assert [b"".join(map(vp8_depayload, payloads)) for payloads in by_stock] != by_settings


def test_x264_says_itself_that_it_runs_fast() -> None:
    """x264 writes its settings into the stream: subme is 1 at superfast and 7 at medium."""
    data = encoded(FastH264Encoder(), picture(0))
    assert b"subme=1 " in data and b"bframes=0 " in data


@ENCODERS
def test_no_frame_is_held_back(make: type[Encoder], codec: RTCRtpCodecParameters) -> None:
    encoder = make()
    assert all(encoded(encoder, picture(number)) for number in range(5))


@ENCODERS
async def test_encoding_on_the_event_loop_is_refused(
    make: type[Encoder], codec: RTCRtpCodecParameters
) -> None:
    with pytest.raises(RuntimeError, match="event loop"):
        make().encode(picture(0))
