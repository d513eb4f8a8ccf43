"""What aiortc 1.16 and aioice read from strangers, with the checks that they lack. Found by ``tests/fuzz``.

1. Malformed packets are dropped. Both mean to, but expect no error but ValueError: one RTP header extension
   or SCTP chunk that was too short ended its connection, and a STUN attribute of the wrong length, which
   anybody may send, wrote a traceback into the log each time.
2. An SCTP parameter of length 0 is malformed, too: it was read without end, on the event loop.
3. Of an SCTP SACK only what was ever sent counts: each of 300 gaps can span 65,536 numbers, which were all
   counted one by one, for seconds.
4. SCTP DATA that the receive window has no room for is dropped: it was kept until memory ends.
5. Of the sources (SSRC) that a peer's packets name the last few are known: each new one was remembered for as
   long as the peer stayed, in five tables here and in libsrtp, and told of in each report, until none could
   be made.
6. The jitter that a report tells fits into its 32 bits. Where the machine's clock is put forward by more than
   eight days, as on one that starts without a battery, it did not: the reports ended, and so did the wait for
   their end, which took ``close`` with it.

``apply`` puts them in place (``patches.apply`` calls it); tests/unit/test_hardening.py fails when aiortc
changes under them.
"""

import contextlib
import logging
from collections.abc import Callable
from functools import wraps
from struct import unpack_from
from typing import Any, Final

import pylibsrtp
from aioice import stun
from aiortc import RTCDtlsTransport, RTCSctpTransport, rtcsctptransport
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtcsctptransport import DataChunk, SackChunk
from aiortc.rtp import RtcpPacket, RtpPacket

logger = logging.getLogger(__name__)

MAX_MISORDERED: Final = 4096
"""SCTP chunks that may wait for one that is missing; for each that comes they are all sorted."""

MAX_SOURCES: Final = 31
"""Of a peer's packets, as many as a report has room for (RFC 3550, section 6.4.2). Beyond, the one that was
not heard of for longest is forgotten: a camera has two, and another two after it began anew."""

_OF_A_SOURCE: Final = ("active_ssrc", "remote_streams", "lsr", "lsr_time")
"""aiortc's receivers have a table of each."""

_PARAMETER_HEAD_BYTES: Final = 4  # RFC 9260, section 3.2.1: it counts itself


def apply() -> None:
    """Once, before the first peer is made."""
    inner: Any = RtpPacket, RtcpPacket, rtcsctptransport, stun
    rtp, rtcp, sctp, stun_messages = inner
    rtp.parse = staticmethod(_with_value_errors(rtp.parse))
    rtcp.parse = staticmethod(_with_value_errors(rtcp.parse))
    stun_messages.parse_message = _with_value_errors(stun_messages.parse_message)
    sctp.parse_packet = _with_value_errors(sctp.parse_packet)
    sctp.decode_params = read_parameters
    transport: Any = RTCSctpTransport
    transport._handle_data = _dropping_nonsense(transport._handle_data)
    transport._receive_sack_chunk = _of_what_was_sent(transport._receive_sack_chunk)
    transport._receive_data_chunk = _within_the_window(transport._receive_data_chunk)
    dtls: Any = RTCDtlsTransport
    dtls._handle_rtp_data = _of_few_sources(dtls._handle_rtp_data, 8)
    dtls._handle_rtcp_data = _of_few_sources(dtls._handle_rtcp_data, 4)
    statistics: Any = StreamStatistics
    statistics.jitter = _within_32_bits(statistics.jitter)


def read_parameters(body: bytes) -> list[tuple[int, bytes]]:
    """Type and value of each of an SCTP chunk's parameters. Raises ValueError."""
    parameters, at = [], 0
    while at + _PARAMETER_HEAD_BYTES <= len(body):
        kind, length = unpack_from("!HH", body, at)
        if length < _PARAMETER_HEAD_BYTES:
            raise ValueError("an SCTP parameter is shorter than its own head")
        parameters.append((kind, body[at + _PARAMETER_HEAD_BYTES : at + length]))
        at += length + -length % 4
    return parameters


def _with_value_errors(parse: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(parse)
    def parse_or_refuse(*arguments: Any) -> Any:
        try:
            return parse(*arguments)
        except ValueError:
            raise
        except Exception as error:  # struct.error, and whatever else comes up
            raise ValueError("malformed") from error

    return parse_or_refuse


def _dropping_nonsense(stock: Callable[..., Any]) -> Callable[..., Any]:
    async def handle(self: RTCSctpTransport, data: bytes) -> None:
        try:
            await stock(self, data)
        except ConnectionError:
            raise  # the way down is gone, which is for those below
        except Exception:  # chunks that can be read, but make no sense at this point
            logger.debug("an SCTP packet was dropped", exc_info=True)

    return handle


def _of_what_was_sent(stock: Callable[..., Any]) -> Callable[..., Any]:
    async def receive(self: RTCSctpTransport, chunk: SackChunk) -> None:
        sent = len(self._sent_queue)  # numbers beyond that are of nothing
        chunk.gaps = [(first, min(last, sent)) for first, last in chunk.gaps if first <= sent]
        chunk.gaps = [(first, last) for first, last in chunk.gaps if first <= last]
        await stock(self, chunk)

    return receive


def _within_the_window(stock: Callable[..., Any]) -> Callable[..., Any]:
    async def receive(self: RTCSctpTransport, chunk: DataChunk) -> None:
        has_room = len(chunk.user_data) <= self._advertised_rwnd
        if has_room and len(self._sack_misordered) < MAX_MISORDERED:
            await stock(self, chunk)

    return receive


def _of_few_sources(stock: Callable[..., Any], at: int) -> Callable[..., Any]:
    """``at``: where a packet's SSRC is, RFC 3550, sections 5.1 and 6.4."""

    async def handle(self: RTCDtlsTransport, data: bytes, *further: Any, **named: Any) -> None:
        sources: dict[int, None] = vars(self).setdefault("_sources", {})  # the newest last
        ssrc = int.from_bytes(data[at : at + 4])
        sources.pop(ssrc, None)
        sources[ssrc] = None
        if len(sources) > MAX_SOURCES:
            oldest = next(iter(sources))
            del sources[oldest]
            _forget_source(self, oldest)
        await stock(self, data, *further, **named)

    return handle


def _forget_source(transport: Any, ssrc: int) -> None:
    if transport._rx_srtp is not None:
        with contextlib.suppress(pylibsrtp.Error):  # it was never there: one table for RTP and RTCP
            transport._rx_srtp.remove_stream(ssrc)
    transport._rtp_router.ssrc_table.pop(ssrc, None)
    for receiver in transport._rtp_router.receivers:
        for table in _OF_A_SOURCE:
            vars(receiver)[f"_RTCRtpReceiver__{table}"].pop(ssrc, None)


def _within_32_bits(stock: property) -> property:
    assert stock.fget is not None
    tell = stock.fget
    return property(lambda self: min(tell(self), 0xFFFFFFFF))
