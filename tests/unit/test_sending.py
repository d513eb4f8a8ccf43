"""A viewer's RTP stream, sent through aiortc's own sender and read back by aiortc's own parser."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from aiortc import RTCRtpSender, clock
from aiortc.rtcrtpparameters import (
    RTCRtcpParameters,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpSendParameters,
)
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    HeaderExtensionsMap,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    RtpPacket,
    is_rtcp,
    pack_remb_fci,
)

from streamer.webrtc.sending import (
    HISTORY_PACKETS,
    MAX_REPEATS,
    MIN_REPEATS_PER_S,
    VideoSender,
    ViewerEvents,
)
from tests.fakes import PATIENCE_S, FakeTransport

MID = RTCRtpHeaderExtensionParameters(id=4, uri="urn:ietf:params:rtp-hdrext:sdes:mid")
SEND_TIME = RTCRtpHeaderExtensionParameters(
    id=2, uri="http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
)
VP8 = RTCRtpCodecParameters("video/VP8", 90_000, None, 100)
RTX = RTCRtpCodecParameters("video/rtx", 90_000, None, 101, [], {"apt": 100})


class Bench:
    def __init__(self) -> None:
        self.transport = FakeTransport()
        self.stock = RTCRtpSender("video", self.transport)  # type: ignore[arg-type] # a fake
        self.ready = asyncio.Event()
        self.keyframe_requests = 0
        self.estimates: list[int] = []
        self.losses: list[float] = []
        self.sender = VideoSender(
            self.stock,
            ViewerEvents(
                on_ready=self.ready.set,
                on_keyframe_request=self._on_keyframe_request,
                on_estimate=self.estimates.append,
                on_loss=self.losses.append,
            ),
        )
        self.extensions = HeaderExtensionsMap()

    def _on_keyframe_request(self) -> None:
        self.keyframe_requests += 1

    async def start(self, *codecs: RTCRtpCodecParameters, mid: str = "0") -> None:
        parameters = RTCRtpSendParameters(
            codecs=list(codecs) or [VP8, RTX],
            headerExtensions=[MID, SEND_TIME],
            muxId=mid,
            rtcp=RTCRtcpParameters(cname="streamer"),
        )
        self.extensions.configure(parameters)
        await self.stock.send(parameters)
        await asyncio.wait_for(self.ready.wait(), PATIENCE_S)

    def packets(self) -> list[RtpPacket]:
        return [
            RtpPacket.parse(data, self.extensions)
            for data in self.transport.sent
            if not is_rtcp(data)
        ]

    async def lose(self, *numbers: int) -> None:
        nack = RtcpRtpfbPacket(RTCP_RTPFB_NACK, ssrc=1, media_ssrc=self.stock._ssrc)
        nack.lost = list(numbers)
        await self.stock._handle_rtcp_packet(nack)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await asyncio.wait_for(made.stock.stop(), PATIENCE_S)


async def test_picture_goes_out_as_numbered_packets_of_which_the_last_is_marked(
    bench: Bench,
) -> None:
    await bench.start()
    await bench.sender.send([b"one", b"two", b"three"], 3000)
    await bench.sender.send([b"four"], 6000)
    packets = bench.packets()
    assert [packet.payload for packet in packets] == [b"one", b"two", b"three", b"four"]
    assert [packet.marker for packet in packets] == [0, 0, 1, 1]
    first = packets[0].sequence_number
    assert [p.sequence_number for p in packets] == [(first + n) & 0xFFFF for n in range(4)]
    assert {packet.payload_type for packet in packets} == {100}
    assert {packet.ssrc for packet in packets} == {bench.stock._ssrc}
    assert {packet.extensions.mid for packet in packets} == {"0"}
    assert all(packet.extensions.abs_send_time for packet in packets)


async def test_rtp_time_is_stream_time_and_an_origin_that_is_told(bench: Bench) -> None:
    await bench.start()
    times = [0, 3000, 2**32 - 1, 2**33 + 5]
    for pts in times:
        await bench.sender.send([b"x"], pts)
    origin = bench.sender.rtp_origin
    assert [p.timestamp for p in bench.packets()] == [(pts + origin) % 2**32 for pts in times]


@pytest.mark.parametrize("mid", ["", "a-section-name-longer-than-sixteen-bytes"])
async def test_section_name_that_does_not_fit_is_left_out(bench: Bench, mid: str) -> None:
    await bench.start(mid=mid)
    await bench.sender.send([b"x"], 0)
    (packet,) = bench.packets()
    assert packet.extensions.mid is None and packet.payload == b"x"
    assert packet.extensions.abs_send_time is not None


async def test_extension_whose_id_takes_the_long_form_is_left_out_and_the_peer_can_be_closed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SEND_TIME, "id", 16)
    monkeypatch.setattr(MID, "id", 255)
    await bench.start()
    await bench.sender.send([b"x"], 0)
    (packet,) = bench.packets()
    assert packet.payload == b"x" and packet.extensions.mid is None


async def test_lost_packet_is_repeated_in_the_stream_for_repeats(bench: Bench) -> None:
    await bench.start()
    await bench.sender.send([b"one", b"two"], 3000)
    second = bench.packets()[1]
    await bench.lose(second.sequence_number)
    repeat = bench.packets()[-1]
    assert (repeat.payload_type, repeat.ssrc) == (101, bench.stock._rtx_ssrc)
    assert repeat.payload == second.sequence_number.to_bytes(2, "big") + b"two"
    assert (repeat.timestamp, repeat.marker) == (second.timestamp, 1)


async def test_lost_packet_is_repeated_as_it_was_without_such_a_stream(bench: Bench) -> None:
    await bench.start(VP8)
    await bench.sender.send([b"one", b"two"], 3000)
    first = bench.packets()[0]
    await bench.lose(first.sequence_number)
    repeat = bench.packets()[-1]
    assert (repeat.sequence_number, repeat.payload) == (first.sequence_number, b"one")
    assert (repeat.ssrc, repeat.timestamp) == (first.ssrc, first.timestamp)


async def test_packet_that_was_never_sent_or_is_too_old_is_not_repeated(bench: Bench) -> None:
    await bench.start()
    await bench.sender.send([b"x"], 0)
    number = bench.packets()[0].sequence_number
    await bench.sender.send([b"y"] * HISTORY_PACKETS, 3000)
    sent = len(bench.packets())
    await bench.lose(number, (number - 1) & 0xFFFF)
    assert len(bench.packets()) == sent


async def test_packet_of_a_feed_that_is_no_longer_seen_is_not_repeated(bench: Bench) -> None:
    await bench.start()
    await bench.sender.send([b"x"], 0)
    bench.sender.forget_sent()
    await bench.lose(bench.packets()[0].sequence_number)
    assert len(bench.packets()) == 1


async def test_repeats_have_a_budget(bench: Bench) -> None:
    await bench.start()
    await bench.sender.send([b"x"] * 10, 0)
    numbers = [packet.sequence_number for packet in bench.packets()]
    begun_mono = time.monotonic()
    for _ in range(100):
        await bench.lose(*numbers)
    added = MIN_REPEATS_PER_S * (time.monotonic() - begun_mono)
    assert bench.sender.repeats_sent + bench.sender.repeats_refused == 1000
    assert MAX_REPEATS <= bench.sender.repeats_sent <= MAX_REPEATS + added + 1
    assert len(bench.packets()) == 10 + bench.sender.repeats_sent


async def test_reports_of_the_viewer_are_heard(bench: Bench) -> None:
    await bench.start()
    own = bench.stock._ssrc
    for fci in (pack_remb_fci(700_000, [own]), pack_remb_fci(9, [own ^ 1]), b"no such thing"):
        packet = RtcpPsfbPacket(RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci)
        await bench.stock._handle_rtcp_packet(packet)
    await bench.stock._handle_rtcp_packet(RtcpPsfbPacket(RTCP_PSFB_PLI, 1, own))
    assert [round(bps, -3) for bps in bench.estimates] == [700_000]
    assert bench.keyframe_requests == 1


async def test_losses_are_judged_over_a_hundred_packets_however_often_they_are_reported(
    bench: Bench,
) -> None:
    await bench.start()
    own, wrap = bench.stock._ssrc, 1 << 32
    for highest, lost in [(wrap - 50, 3), (wrap - 40, 8), (9, 9), (50, 23), (60, 30), (250, 22)]:
        report = RtcpReceiverInfo(own, 128, lost, highest % wrap, 0, 0, 0)
        foreign = RtcpReceiverInfo(own ^ 1, 255, 100 * lost, 1000 * lost, 0, 0, 0)
        await bench.stock._handle_rtcp_packet(RtcpRrPacket(1, [report, foreign]))
    assert bench.losses == [0.2, 0.0]


@pytest.mark.parametrize("year", [2026, 2040])
async def test_sender_reports_count_what_was_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, year: int
) -> None:
    """Also beyond 2036, where the time in them begins anew: some machines' clocks start anywhere."""
    ntp = clock.datetime_to_ntp(datetime(year, 1, 1, tzinfo=UTC))
    monkeypatch.setattr(clock, "current_ntp_time", lambda: ntp)
    await bench.start()
    await bench.sender.send([b"abc", b"de"], 3000)
    bench.transport.sent.clear()  # with a report that may have gone out before
    async with asyncio.timeout(PATIENCE_S):
        while not any(is_rtcp(data) for data in bench.transport.sent):
            bench.transport.news.clear()
            await bench.transport.news.wait()  # aiortc sends them by its own clock
    data = next(data for data in bench.transport.sent if is_rtcp(data))
    report = RtcpPacket.parse(data)[0]
    assert isinstance(report, RtcpSrPacket)
    info = report.sender_info
    assert (info.packet_count, info.octet_count) == (2, 5)
    assert info.rtp_timestamp == (3000 + bench.sender.rtp_origin) % 2**32
    assert info.ntp_timestamp == ntp % 2**64


async def test_rate_is_of_what_was_sent_of_late(bench: Bench) -> None:
    await bench.start()
    assert bench.sender.sent_bps() == 0
    await bench.sender.send([bytes(1000)] * 10, 0)
    assert bench.sender.sent_bps() == 8 * 10_000 / 2


async def test_nothing_is_sent_before_the_start_and_after_the_peer_has_gone(bench: Bench) -> None:
    await bench.sender.send([b"early"], 0)
    await bench.start()
    bench.transport.is_broken = True
    await bench.sender.send([b"x"], 3000)
    bench.transport.is_broken = False
    await bench.sender.send([b"late"], 6000)
    await bench.lose(*range(65536))
    assert bench.packets() == []
