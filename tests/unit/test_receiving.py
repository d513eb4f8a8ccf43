"""aiortc's receiver, taken over: whole pictures come out of it, and it asks for what it lacks."""

import asyncio
import random
import threading
from typing import TYPE_CHECKING, Any

import pytest
from aiortc import RTCPeerConnection
from aiortc.rtp import RtcpByePacket, RtpPacket

from streamer.webrtc.receiving import Reception
from tests.fakes import PATIENCE_S
from tests.publisher import SERVER_SSRC, SSRC, Publisher

if TYPE_CHECKING:
    from streamer.model import Packet


class Taken:
    """A publisher whose receiver is taken over, and what came of it."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.packets: list[Packet] = []
        self.reports: list[tuple[float, int, int]] = []
        self.reception = Reception(publisher.receiver)
        self.reception.on_packet = self.packets.append
        self.reception.on_sender_report = lambda *report: self.reports.append(report)


async def test_receivers_have_the_private_parts_that_are_used() -> None:
    peer = RTCPeerConnection()
    receiver: Any = peer.addTransceiver("video").receiver
    for name in (
        "remote_bitrate_estimator",
        "nack_generator",
        "jitter_buffer",
        "decoder_thread",
        "decoder_queue",
        "stop_decoder",
        "codecs",
        "rtcp_ssrc",
    ):
        assert hasattr(receiver, f"_RTCRtpReceiver__{name}"), name
    for method in ("_handle_rtp_packet", "_handle_rtcp_packet", "_send_rtcp_pli"):
        assert callable(getattr(receiver, method))
    assert callable(receiver.transport._send_rtp)
    await peer.close()


@pytest.mark.parametrize("connected_first", [True, False])
@pytest.mark.parametrize("codec", ["vp8", "h264"])
async def test_pictures_come_whole_whether_taken_over_before_or_after_the_connection(
    codec: str, connected_first: bool
) -> None:
    publisher = Publisher(codec)
    if connected_first:
        await publisher.connect()
    taken = Taken(publisher)
    if not connected_first:
        await publisher.connect()
    for number in range(5):
        await publisher.show(noise=True)
        assert len(taken.packets) == number + 1
    assert [packet.is_keyframe for packet in taken.packets] == [True, *4 * [False]]
    assert [packet.pts for packet in taken.packets] == [0, 3000, 6000, 9000, 12000]
    assert {packet.codec for packet in taken.packets} == {codec}
    queue = publisher.receiver._RTCRtpReceiver__decoder_queue
    assert queue.empty() and publisher.receiver.track._queue.empty()
    await publisher.close()
    assert taken.reception.ended.done()


async def test_media_time_begins_at_zero_and_grows_where_timestamps_and_numbers_wrap() -> None:
    publisher = Publisher(first_timestamp=(1 << 32) - 5000, first_number=0xFFFE)
    taken = Taken(publisher)
    await publisher.connect()
    for _ in range(5):
        await publisher.show()
    assert [packet.pts for packet in taken.packets] == [0, 3000, 6000, 9000, 12000]
    await publisher.close()


@pytest.mark.parametrize("over_rtx", [True, False])
async def test_lost_packet_is_asked_for_and_its_retransmission_repairs_all(over_rtx: bool) -> None:
    publisher = Publisher()
    taken = Taken(publisher)
    await publisher.connect()
    await publisher.show(key=True)
    (lost,), (later,) = publisher.packets(), publisher.packets()
    await publisher.deliver(later)
    assert publisher.transport.nacks == [[lost.sequence_number]]
    assert len(taken.packets) == 1
    await (publisher.resend(lost) if over_rtx else publisher.deliver(lost))
    assert [packet.pts for packet in taken.packets] == [0, 3000, 6000]
    assert publisher.transport.keyframe_requests == 0
    await publisher.close()


async def test_stream_that_does_not_begin_with_a_key_frame_is_asked_for_one() -> None:
    publisher = Publisher()
    taken = Taken(publisher)
    await publisher.connect()
    publisher.packets(key=True)
    await publisher.show()
    assert (taken.packets, publisher.transport.keyframe_requests) == ([], 1)
    await publisher.show(key=True)
    await publisher.show(key=False)
    assert len(taken.packets) == 2
    await publisher.close()


async def test_wishes_for_a_key_frame_are_sent_at_once_and_as_one() -> None:
    publisher = Publisher()
    taken = Taken(publisher)
    await publisher.connect()
    taken.reception.request_keyframe()  # of whom? nothing has come yet
    await publisher.show(key=True)
    for _ in range(5):
        taken.reception.request_keyframe()
        await asyncio.sleep(0)
    assert publisher.transport.keyframe_requests <= 1
    await publisher.close()


async def test_it_answers_with_feedback_in_place_of_aiortcs_own_estimate() -> None:
    publisher = Publisher()
    Taken(publisher)
    await publisher.connect()
    await publisher.show()
    (report,) = [
        data for data in publisher.transport.sent if data[:2] in (b"\x8f\xcd", b"\xaf\xcd")
    ]
    assert report[4:12] == SERVER_SSRC.to_bytes(4, "big") + SSRC.to_bytes(4, "big")
    assert publisher.receiver._RTCRtpReceiver__remote_bitrate_estimator is None
    await publisher.close()


async def test_sender_without_the_extension_gets_no_feedback() -> None:
    publisher = Publisher()
    Taken(publisher)
    await publisher.connect()
    for packet in publisher.packets():
        packet.extensions.transport_sequence_number = None
        await publisher.deliver(packet)
    assert publisher.transport.sent == []
    await publisher.close()


async def test_what_can_not_be_sent_disturbs_nobody() -> None:
    publisher = Publisher()
    taken = Taken(publisher)
    await publisher.connect()
    publisher.transport.error = ConnectionError()
    await publisher.show()
    assert len(taken.packets) == 1
    await publisher.close()


async def test_sender_reports_tell_the_cameras_clock_on_the_scale_of_its_pictures() -> None:
    first = (1 << 32) - 9000
    publisher = Publisher(first_timestamp=first)
    taken = Taken(publisher)
    await publisher.connect()
    await publisher.report(1_760_000_000.0, pts=0)  # nothing has come to compare it with
    for _ in range(4):
        await publisher.show()
    await publisher.report(1_760_000_000.25, pts=6000)
    await publisher.report(1_760_000_001.5, pts=100_000)
    await publisher.report(1_760_000_000.25, pts=6000, ssrc=5)  # of another stream
    assert [each[0] for each in taken.reports] == pytest.approx(
        [1_760_000_000.25, 1_760_000_001.5], abs=1e-5
    )
    assert [each[1:] for each in taken.reports] == [
        (first + 6000, 6000),
        ((first + 100_000) % (1 << 32), 100_000),
    ]
    await publisher.close()


@pytest.mark.parametrize("way", ["stopped", "said farewell", "connection lost", "ended by us"])
async def test_end_is_noticed_at_once_and_leaves_no_thread(way: str) -> None:
    before = set(threading.enumerate())
    publisher = Publisher()
    taken = Taken(publisher)
    await publisher.connect()
    (thread,) = set(threading.enumerate()) - before
    await publisher.show()
    match way:
        case "stopped":
            await publisher.close()
        case "said farewell":
            await publisher.receiver._handle_rtcp_packet(RtcpByePacket([SSRC]))
        case "connection lost":
            publisher.receiver._handle_disconnect()
        case _:
            taken.reception.end()
    assert taken.reception.ended.done()
    assert publisher.receiver.track.readyState == "ended"
    await asyncio.to_thread(thread.join, PATIENCE_S)
    assert not thread.is_alive()
    await publisher.show()
    assert len(taken.packets) == 1
    await publisher.close()


@pytest.mark.parametrize("seed", range(4))
async def test_pictures_are_those_that_were_sent_however_packets_come(seed: int) -> None:
    chance = random.Random(seed)
    publisher, undisturbed = Publisher(), Publisher()
    taken, expected = Taken(publisher), Taken(undisturbed)
    publishers = (publisher, undisturbed)
    for one in publishers:
        await one.connect()
    sent = [publisher.packets(noise=True, width=256) for _ in range(30)]
    for packets in sent:
        await undisturbed.deliver(*packets)
    late: list[RtpPacket] = []
    for packets in sent:
        chance.shuffle(packets) if packets is not sent[0] else None
        now = [each for each in packets if packets is sent[0] or chance.random() > 0.2]
        for each in late:
            await publisher.resend(each)
        late = [each for each in packets if each not in now]
        await publisher.deliver(*now, *now)
    for each in late:
        await publisher.resend(each)
    assert [packet.data for packet in taken.packets] == [p.data for p in expected.packets]
    assert len(taken.packets) == 30
    for one in publishers:
        await one.close()
