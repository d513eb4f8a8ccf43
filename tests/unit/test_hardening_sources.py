"""A peer may name as many sources (SSRC) as it likes, and the clock may jump: neither fills the service, nor
ends what it tells the peer."""

import struct
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport, RTCRtpReceiver
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack, StreamStatistics
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtpPacket
from pylibsrtp import Error, Policy, Session

from streamer.webrtc import patches
from streamer.webrtc.hardening import MAX_SOURCES
from streamer.webrtc.receiving import Reception
from tests.publisher import CODECS, SERVER_SSRC

KEY = bytes(30)
LIVE = 7
MANY = 1000


@pytest.fixture(autouse=True)
def _applied() -> None:
    patches.apply()


@pytest.fixture
async def publisher() -> AsyncIterator[Any]:
    """The transport from a publisher, with a camera's receiver behind it."""
    transport: Any = RTCDtlsTransport(
        RTCIceTransport(RTCIceGatherer()), [RTCCertificate.generateCertificate()]
    )
    transport._rx_srtp = Session(Policy(KEY, Policy.SSRC_ANY_INBOUND))
    receiver: Any = RTCRtpReceiver("video", transport)
    receiver._track = RemoteStreamTrack("video")
    receiver._set_rtcp_ssrc(SERVER_SSRC)
    await receiver.receive(RTCRtpReceiveParameters(codecs=[CODECS["vp8"]]))
    Reception(receiver)
    transport.receiver = receiver
    yield transport
    await receiver.stop()


def rtp(ssrc: int, number: int) -> bytes:
    packet = RtpPacket(payload_type=96, sequence_number=number, timestamp=0, marker=1)
    packet.ssrc, packet.payload = ssrc, b"\x10\x01"
    return packet.serialize()


def tables(transport: Any) -> list[int]:
    inner = vars(transport.receiver)
    names = ("active_ssrc", "remote_streams", "lsr", "lsr_time")
    found = [inner[f"_RTCRtpReceiver__{name}"] for name in names]
    return [len(transport._rtp_router.ssrc_table), *map(len, found)]


async def test_only_the_last_sources_are_known_and_the_one_in_use_among_them(
    publisher: Any,
) -> None:
    sender = Session(Policy(KEY, Policy.SSRC_ANY_OUTBOUND))
    known = publisher._rx_srtp
    for number in range(MANY):
        for ssrc in (LIVE, 1000 + number):
            data = known.unprotect(sender.protect(rtp(ssrc, number)))
            await publisher._handle_rtp_data(data, arrival_time_ms=0)
        report = known.unprotect_rtcp(sender.protect_rtcp(bytes(RtcpRrPacket(ssrc=5000 + number))))
        await publisher._handle_rtcp_data(report)
    assert max(tables(publisher)) <= MAX_SOURCES
    live = publisher.receiver._RTCRtpReceiver__remote_streams[LIVE]
    assert live.packets_received == MANY
    with pytest.raises(Error):
        known.remove_stream(1000)  # libsrtp has forgotten it, too
    known.remove_stream(1000 + MANY - 1)
    with pytest.raises(Error):
        known.remove_stream(5000)  # nor does it know what only reports came from
    known.remove_stream(5000 + MANY - 1)


async def test_a_source_that_was_forgotten_may_come_back(publisher: Any) -> None:
    for ssrc in (LIVE, *range(1000, 1000 + MAX_SOURCES), LIVE):
        await publisher._handle_rtp_data(rtp(ssrc, 1), arrival_time_ms=0)
    assert publisher.receiver._RTCRtpReceiver__remote_streams[LIVE].packets_received == 1


def test_report_can_be_made_after_the_clock_was_put_forward_by_years(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    statistics = StreamStatistics(90_000)
    now_s = 0.0
    monkeypatch.setattr(time, "time", lambda: now_s)
    for number in range(10):
        packet = RtpPacket(sequence_number=number, timestamp=number * 3000)
        statistics.add(packet)
        now_s += 1.7e9 if number == 8 else 1 / 30
    info = RtcpReceiverInfo(1, 0, 0, statistics.max_seq or 0, statistics.jitter, 0, 0)
    try:
        report = bytes(RtcpRrPacket(ssrc=2, reports=[info]))
    except struct.error as error:
        pytest.fail(f"no report can be made: {error}")
    assert len(report) == 32
