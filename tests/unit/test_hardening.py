"""Packets that froze, ended or filled the service before: each is dropped, and the next one is taken."""

import asyncio
import struct
import time
from typing import Any

import pytest
from aioice import stun
from aiortc import RTCSctpTransport, rtcsctptransport
from aiortc.rtcsctptransport import DataChunk, HeartbeatChunk, InitChunk, SackChunk
from aiortc.rtp import RtcpPacket, RtpPacket

from streamer.webrtc import hardening, patches
from tests.fakes import PATIENCE_S
from tests.fuzz.targets.sctp import TAG, packet_of

OPEN = struct.pack("!BBHLHH", 3, 0x82, 0, 0, 9, 0) + b"landmarks"  # RFC 8832, section 5.1
DCEP, STRING = 50, 51


@pytest.fixture(autouse=True)
def _applied() -> None:
    patches.apply()


class Dtls:
    state = "connected"
    _role = "server"

    async def _send_data(self, data: bytes) -> None: ...


@pytest.fixture
async def sctp() -> Any:
    made: Any = RTCSctpTransport(Dtls(), 5000)  # type: ignore[arg-type] # a fake
    made._local_verification_tag, made._last_received_tsn = TAG, 0
    made._remote_port, made._data_channel_id, made._inbound_streams_count = 5000, 1, 65535
    made._set_state(made.State.ESTABLISHED)
    yield made
    made._set_state(made.State.CLOSED)
    for timer in ("_t1_cancel", "_t2_cancel", "_t3_cancel", "_reconfig_timer_cancel"):
        getattr(made, timer)()


def data(tsn: int, body: bytes, protocol: int = STRING, flags: int = 3) -> bytes:
    chunk = DataChunk(flags=flags)
    chunk.tsn, chunk.stream_id, chunk.stream_seq, chunk.protocol = tsn, 0, 0, protocol
    chunk.user_data = body
    return bytes(chunk)


async def is_well(sctp: Any) -> bool:
    """A data channel can still be opened."""
    opened = asyncio.Event()
    sctp.on("datachannel", lambda channel: opened.set())
    await sctp._handle_data(packet_of(data(sctp._last_received_tsn + 1, OPEN, DCEP)))
    return opened.is_set()


@pytest.mark.parametrize("length", [0, 1, 3])
async def test_parameter_shorter_than_its_head_ends_nothing(sctp: Any, length: int) -> None:
    heartbeat = struct.pack("!BBHHH", HeartbeatChunk.type, 0, 8, 1, length)
    await asyncio.wait_for(sctp._handle_data(packet_of(heartbeat)), PATIENCE_S)
    assert await is_well(sctp)


@pytest.mark.parametrize("length", [0, 1, 3])
def test_parameter_shorter_than_its_head_is_malformed(length: int) -> None:
    with pytest.raises(ValueError, match="shorter"):
        rtcsctptransport.decode_params(struct.pack("!HH", 1, length))


def test_parameters_are_read_as_before() -> None:
    body = struct.pack("!HH3sx", 7, 7, b"abc") + struct.pack("!HH", 8, 4)
    assert hardening.read_parameters(body) == [(7, b"abc"), (8, b"")]


async def test_sack_of_numbers_that_were_never_sent_costs_no_time(sctp: Any) -> None:
    sack = SackChunk()
    sack.cumulative_tsn, sack.advertised_rwnd = sctp._last_sacked_tsn, 1000
    sack.gaps = [(1, 65535)] * 300
    begun = time.process_time()
    await sctp._handle_data(packet_of(bytes(sack)))
    assert time.process_time() - begun < 0.1  # of CPU; it took a second and more
    assert await is_well(sctp)


async def test_data_beyond_the_window_is_not_kept(sctp: Any) -> None:
    piece = bytes(1200)
    for tsn in range(2, 3000):  # the first never comes, so that none is complete
        await sctp._handle_data(packet_of(data(tsn, piece, flags=0)))
    kept = sum(len(chunk.user_data) for chunk in sctp._inbound_streams[0].reassembly)
    assert kept <= 1024 * 1024
    assert sctp._advertised_rwnd >= 0


async def test_empty_pieces_that_are_never_complete_are_not_kept_without_end(sctp: Any) -> None:
    sctp._sack_misordered.update(range(10, 10 + hardening.MAX_MISORDERED))
    await sctp._handle_data(packet_of(data(99_999, b"x", flags=0)))
    assert 99_999 not in sctp._sack_misordered


@pytest.mark.parametrize(
    "chunk", [bytes(4) + b"\0\1", b"\x82\0\0\x0a\0\x0d\0\x06ab", b"\1\0\0\4" * 2]
)
async def test_chunk_that_is_cut_off_ends_no_connection(sctp: Any, chunk: bytes) -> None:
    await sctp._handle_data(packet_of(chunk))
    assert await is_well(sctp)


async def test_chunks_that_make_no_sense_together_end_no_connection(sctp: Any) -> None:
    hello = InitChunk()
    hello.initiate_tag, hello.advertised_rwnd, hello.initial_tsn = 1, 1000, 1
    hello.outbound_streams = hello.inbound_streams = 1
    hello.params = []
    await sctp._handle_data(
        packet_of(2 * bytes(hello))
    )  # it stands alone (RFC 9260, section 3.3.2)
    assert await is_well(sctp)


@pytest.mark.parametrize(
    ("kind", "packet"),
    [
        ("rtp", b"\x90\x60\0\1\0\0\0\0\0\0\0\1\xbe\xde\0\1\x50\0\0\0"),
        ("rtcp", b"\x81\xc9\0\1\0\0\0\1"),
        ("stun", b"\0\1\0\x08\x21\x12\xa4\x42" + bytes(12) + b"\0\x24\0\1\5\0\0\0"),
        ("sctp", packet_of(b"\3\0\0\6ab")),
    ],
    ids=["rtp", "rtcp", "stun", "sctp"],
)
def test_malformed_packet_is_a_value_error_which_aiortc_expects(kind: str, packet: bytes) -> None:
    parses: dict[str, Any] = {
        "rtp": RtpPacket.parse,
        "rtcp": RtcpPacket.parse,
        "stun": stun.parse_message,
        "sctp": rtcsctptransport.parse_packet,
    }
    arguments: list[Any] = [packet]
    if kind == "rtp":
        from aiortc.rtcrtpparameters import (
            RTCRtpHeaderExtensionParameters,
            RTCRtpReceiveParameters,
        )
        from aiortc.rtp import HeaderExtensionsMap

        known = HeaderExtensionsMap()
        extension = RTCRtpHeaderExtensionParameters(id=5, uri=patches.TRANSPORT_CC_URI)
        known.configure(RTCRtpReceiveParameters(headerExtensions=[extension]))
        arguments.append(known)
    assert isinstance(error_of(parses[kind], *arguments), ValueError)


def error_of(parse: Any, *arguments: Any) -> Exception | None:
    try:
        parse(*arguments)
    except Exception as error:
        return error
    return None
