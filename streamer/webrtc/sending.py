"""One viewer's video on the wire: RTP packets numbered, encrypted and sent; repeats; what it reports.

aiortc's own sender runs a task and an encoder for each viewer. Here pictures come encoded, for all
viewers at once (``feeds.py``); what is left for each is a header and the encryption.
"""

import asyncio
import logging
import random
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from aiortc import RTCRtpSender, clock
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)

from streamer.model import ALWAYS, Rule

logger = logging.getLogger(__name__)

HISTORY_PACKETS = 1024
"""Kept for repeats: a second of 1920x1080 at its highest rate, and longer than any round trip."""

REPEAT_SHARE = 0.25
MIN_REPEATS_PER_S = 25.0
MAX_REPEATS = 100.0
"""The budget for repeats: a share of what is sent, at least so many a second, and so many at once. A
viewer on a link that is too narrow asks for ever more, and answering makes it narrower."""

LOSS_WINDOW_PACKETS = 100
"""libwebrtc reports with each request for repeats, many times a second, on a handful of packets each."""

RATE_WINDOW_S = 2.0
MAX_RATE_PICTURES = 500

_RTP_VERSION = 0x80
_EXTENDED = 0x10
_MARKER = 0x80
_ONE_BYTE_EXTENSIONS = 0xBEDE  # RFC 8285, section 4.2
_MAX_EXTENSION_ID = 14


@dataclass(slots=True)
class ViewerEvents:
    """What a viewer's RTCP says. ``on_loss`` gets the share of packets lost of the last hundred or more."""

    on_ready: Callable[[], None]
    on_keyframe_request: Callable[[], None]
    on_estimate: Callable[[int], None]
    on_loss: Callable[[float], None]


class VideoSender:
    """Takes an ``RTCRtpSender`` over before it starts; ``events.on_ready`` is called when it has.

    ``rtp_origin``: the RTP timestamp of stream time 0. A picture of stream time ``pts`` goes out as
    (pts + rtp_origin) modulo 2**32.
    """

    def __init__(self, sender: RTCRtpSender, events: ViewerEvents) -> None:
        self.rtp_origin = random.getrandbits(32)
        self.repeats_sent = 0
        self.repeats_refused = 0
        self._sender = cast("Any", sender)
        self._events = events
        self._payload_type = 0
        self._sequence_number = random.getrandbits(15)  # as aiortc: SRTP dislikes an early wrap
        self._first_byte = _RTP_VERSION
        self._ssrc = b""
        self._extensions = b""
        self._send_time_at: int | None = None
        self._sent: deque[tuple[float, int]] = deque()  # (monotonic s, bytes) of the last pictures
        self._history: dict[int, tuple[int, bytes, bytes, Rule]] = {}
        self._reported: tuple[int, int] | None = None  # highest sequence number, packets lost
        self._repeats = MAX_REPEATS
        self._refilled_at = time.monotonic()
        self._is_open = False
        self._stock_rtcp = sender._handle_rtcp_packet
        self._sender._run_rtp = self._run
        self._sender._send_keyframe = events.on_keyframe_request
        self._sender._handle_rtcp_packet = self._on_rtcp
        self._sender._retransmit = self._repeat

    async def send(self, payloads: Sequence[bytes], pts: int, rule: Rule = ALWAYS) -> None:
        """One picture's RTP payloads. Nothing happens when the peer is not there any more; once ``rule`` is
        over no more of them goes out, also as a repeat."""
        if not self._is_open:
            return
        timestamp = (pts + self.rtp_origin) & 0xFFFFFFFF
        ntp = clock.current_ntp_time()
        extensions = self._stamped(ntp)
        last = len(payloads) - 1
        try:
            for index, payload in enumerate(payloads):
                if rule.over:
                    return
                marker = _MARKER if index == last else 0
                number = self._sequence_number
                self._sequence_number = (number + 1) & 0xFFFF
                kind = self._payload_type | marker
                head = struct.pack("!BBHL", self._first_byte, kind, number, timestamp)
                self._history[number % HISTORY_PACKETS] = (number, head, payload, rule)
                packet = head + self._ssrc + extensions + payload
                await self._sender.transport._send_rtp(packet)
        except ConnectionError:
            self._is_open = False  # the peer is going; its end is noticed elsewhere
            return
        self._count(payloads, timestamp, ntp)

    def forget_sent(self) -> None:
        """What follows begins with a key frame: repeats of what came before would only delay it, and must
        not have used up its own."""
        self._history.clear()
        self._repeats = MAX_REPEATS

    def sent_bps(self) -> float:
        """Bits per second that the viewer has been sent of late, without repeats."""
        since = time.monotonic() - RATE_WINDOW_S
        while self._sent and self._sent[0][0] < since:
            self._sent.popleft()
        return 8 * sum(size for _, size in self._sent) / RATE_WINDOW_S

    async def _run(self, codec: RTCRtpCodecParameters) -> None:
        """In the place of aiortc's loop; it waits for these two events when it stops."""
        inner = self._sender
        inner._RTCRtpSender__rtp_started.set()
        try:
            self._payload_type = codec.payloadType or 0
            self._ssrc = struct.pack("!L", inner._ssrc)
            self._prepare_extensions()
            self._is_open = True
            self._events.on_ready()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass  # how aiortc stops it
        except Exception:  # the peer gets no video; it can still be closed
            logger.exception("a viewer's video could not be started")
        finally:
            self._is_open = False
            inner._RTCRtpSender__rtp_exited.set()

    def _prepare_extensions(self) -> None:
        """The header extensions that the peer knows; of these only the sending time ever changes."""
        ids = self._sender._RTCRtpSender__rtp_header_extensions_map._HeaderExtensionsMap__ids
        mid = (self._sender._RTCRtpSender__mid or "").encode()
        elements = b""
        if ids.abs_send_time and ids.abs_send_time <= _MAX_EXTENSION_ID:
            self._send_time_at = 5
            elements += bytes([ids.abs_send_time << 4 | 2, 0, 0, 0])
        if ids.mid and ids.mid <= _MAX_EXTENSION_ID and 0 < len(mid) <= 16:
            elements += bytes([ids.mid << 4 | len(mid) - 1]) + mid
        self._first_byte = _RTP_VERSION | (_EXTENDED if elements else 0)
        if elements:
            elements += bytes(-len(elements) % 4)
            head = struct.pack("!HH", _ONE_BYTE_EXTENSIONS, len(elements) // 4)
            self._extensions = head + elements

    def _stamped(self, ntp: int) -> bytes:
        """The extensions with the time of sending: 24 bits, 6.18 fixed-point seconds."""
        at = self._send_time_at
        if at is None:
            return self._extensions
        stamp = (ntp >> 14 & 0xFFFFFF).to_bytes(3, "big")
        return self._extensions[:at] + stamp + self._extensions[at + 3 :]

    def _count(self, payloads: Sequence[bytes], timestamp: int, ntp: int) -> None:
        """For aiortc's sender reports."""
        inner = self._sender
        # Its seconds begin anew in 2036 (RFC 5905, section 6); aiortc's go on, and fit into no report then.
        inner._RTCRtpSender__ntp_timestamp = ntp & 0xFFFFFFFFFFFFFFFF
        inner._RTCRtpSender__rtp_timestamp = timestamp
        size = sum(map(len, payloads))
        self._sent.append((time.monotonic(), size))
        if len(self._sent) > MAX_RATE_PICTURES:
            self._sent.popleft()
        inner._RTCRtpSender__octet_count += size
        inner._RTCRtpSender__packet_count += len(payloads)
        self._repeats = min(MAX_REPEATS, self._repeats + REPEAT_SHARE * len(payloads))

    async def _repeat(self, sequence_number: int) -> None:
        """A packet that the viewer lost, in a stream of its own if it takes that (RFC 4588)."""
        sequence_number &= 0xFFFF  # aiortc's reading of a NACK counts on beyond the wrap
        kept = self._history.get(sequence_number % HISTORY_PACKETS)
        if kept is None or kept[0] != sequence_number or not self._is_open:
            return
        number, head, payload, rule = kept
        if rule.over:
            return
        if not self._may_repeat():
            self.repeats_refused += 1
            return
        self.repeats_sent += 1
        inner, ssrc = self._sender, self._ssrc
        rtx_payload_type = inner._RTCRtpSender__rtx_payload_type
        if rtx_payload_type is not None:
            payload = struct.pack("!H", number) + payload
            rtx_number = inner._RTCRtpSender__rtx_sequence_number
            inner._RTCRtpSender__rtx_sequence_number = (rtx_number + 1) & 0xFFFF
            second_byte = rtx_payload_type | (head[1] & _MARKER)
            head = struct.pack("!BBH", self._first_byte, second_byte, rtx_number) + head[4:]
            ssrc = struct.pack("!L", inner._rtx_ssrc)
        extensions = self._stamped(clock.current_ntp_time())
        await inner.transport._send_rtp(head + ssrc + extensions + payload)

    def _may_repeat(self) -> bool:
        now = time.monotonic()
        self._repeats += (now - self._refilled_at) * MIN_REPEATS_PER_S
        self._repeats = min(MAX_REPEATS, self._repeats)
        self._refilled_at = now
        if self._repeats < 1:
            return False
        self._repeats -= 1
        return True

    async def _on_rtcp(self, packet: AnyRtcpPacket) -> None:
        own_ssrc = self._sender._ssrc
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == own_ssrc:
                    self._on_report(report)
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            bitrate = _estimate(packet, own_ssrc)
            if bitrate is not None:
                self._events.on_estimate(bitrate)
            return
        await self._stock_rtcp(packet)

    def _on_report(self, report: RtcpReceiverInfo) -> None:
        """Its sums (RFC 3550, section 6.4.1) since the one that was last judged by; a repeat that came
        as a second copy counts against the losses."""
        before, now = self._reported, (report.highest_sequence, report.packets_lost)
        if before is None:
            self._reported = now
            return
        sent = (now[0] - before[0]) & 0xFFFFFFFF
        if sent >= LOSS_WINDOW_PACKETS:
            self._reported = now
            self._events.on_loss(min(1.0, max(0.0, (now[1] - before[1]) / sent)))


def _estimate(packet: RtcpPsfbPacket, ssrc: int) -> int | None:
    """Bits per second that the viewer believes in (draft-alvestrand-rmcat-remb-03)."""
    try:
        bitrate, ssrcs = unpack_remb_fci(packet.fci)
    except (ValueError, struct.error):
        return None  # cut off, or another application's message
    return bitrate if ssrc in ssrcs else None
