"""Taking a camera's video from aiortc's receiver as whole encoded pictures.

aiortc's own way from there on (its jitter buffer, its decoder thread and a queue without end) stays
empty; what it does well, from DTLS to the unwrapping of retransmissions, stays in use.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpReceiver
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket, RtpPacket

from streamer.model import Codec, Packet
from streamer.webrtc.feedback import KeyframeRequests, Retransmissions, TransportFeedback
from streamer.webrtc.jitter import PATIENCE_S, EncodedPicture, PictureBuffer, RtpClock

NTP_TO_UNIX_S = 2_208_988_800  # RFC 5905: from 1900 to 1970

MAX_PATIENCE_S = 0.5
"""On a long way a lost picture is waited for longer: for two retransmissions, but no more than this."""


SenderReports = Callable[[float, int, int], None]
"""Takes the camera's own time (Unix seconds), the RTP timestamp of that moment, and the ``pts`` that a
picture of that moment has."""


_CODECS: dict[str, Codec] = {"video/vp8": "vp8", "video/h264": "h264"}


class Reception:
    """One camera's receiver, taken over. Belongs to the event loop.

    ``on_packet`` is called with each picture. ``ended`` is done when the camera's track is.
    """

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_packet: Callable[[Packet], None] | None = None
        self.on_sender_report: SenderReports | None = None
        self._receiver: Any = receiver
        self._feedback = TransportFeedback()
        self._retransmissions = Retransmissions()
        self._keyframes = KeyframeRequests()
        self._buffer = PictureBuffer(self._codec_of)
        self._clock = RtpClock()
        self._asking: asyncio.Task[None] | None = None
        self._joining: asyncio.Future[None] | None = None
        self._take_over()

    def request_keyframe(self) -> None:
        """Now, unless one was asked for a moment ago, and again until it comes."""
        self._keyframes.want()
        if (ssrc := self._buffer.ssrc) is not None and self._keyframes.due(time.monotonic()):
            self._asking = asyncio.create_task(
                self._receiver._send_rtcp_pli(ssrc), name="keyframe-request"
            )

    def end(self) -> None:
        """Called by aiortc when the camera says farewell or its connection is over, and by us, since
        aiortc ends no track whose connection never came to be. Twice is safe."""
        self.on_packet = None
        self._receiver.track.stop()
        if not self.ended.done():
            self.ended.set_result(None)
        thread = self._receiver._RTCRtpReceiver__decoder_thread
        if thread is not None:
            self._receiver._RTCRtpReceiver__decoder_thread = None
            self._receiver._RTCRtpReceiver__decoder_queue.put(None)
            # aiortc would wait for it on the event loop.
            self._joining = asyncio.get_running_loop().run_in_executor(None, thread.join)

    def _take_over(self) -> None:
        inner = self._receiver
        inner._RTCRtpReceiver__remote_bitrate_estimator = None  # transport-wide feedback instead
        inner._RTCRtpReceiver__nack_generator = self._retransmissions
        inner._RTCRtpReceiver__jitter_buffer = self._buffer
        inner._RTCRtpReceiver__stop_decoder = self.end
        self._stock_rtp, inner._handle_rtp_packet = inner._handle_rtp_packet, self._on_rtp
        self._stock_rtcp, inner._handle_rtcp_packet = inner._handle_rtcp_packet, self._on_rtcp

    def _codec_of(self, payload_type: int) -> Codec | None:
        codec = self._receiver._RTCRtpReceiver__codecs.get(payload_type)
        return _CODECS.get(codec.mimeType.lower()) if codec is not None else None

    # -- packets ------------------------------------------------------------------------------------

    async def _on_rtp(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        now = time.monotonic()
        await self._report_arrival(packet, now)
        await self._stock_rtp(packet, arrival_time_ms)
        buffer = self._buffer
        for picture in buffer.take():
            if picture.is_keyframe:
                self._keyframes.came()
            self._give(picture)
        self._retransmissions.forget_before(buffer.next_sequence_number)
        round_trip_s = self._retransmissions.round_trip_s or 0.0
        buffer.patience_s = min(max(PATIENCE_S, 2.5 * round_trip_s), MAX_PATIENCE_S)
        if buffer.wants_keyframe:
            self._keyframes.want()
        if buffer.ssrc is not None and self._keyframes.due(now):
            await self._receiver._send_rtcp_pli(buffer.ssrc)

    async def _report_arrival(self, packet: RtpPacket, now: float) -> None:
        number = packet.extensions.transport_sequence_number
        ssrc = self._receiver._RTCRtpReceiver__rtcp_ssrc
        if number is None or ssrc is None:
            return
        self._feedback.add(number, now)
        if self._feedback.due(now):
            with contextlib.suppress(
                ConnectionError
            ):  # the peer is going; its end is noticed elsewhere
                for report in self._feedback.reports(ssrc, packet.ssrc, now):
                    await self._receiver.transport._send_rtp(report)

    def _give(self, picture: EncodedPicture) -> None:
        pts = self._clock.place(picture.timestamp)
        if self.on_packet is not None:
            self.on_packet(
                Packet(
                    data=picture.data,
                    codec=picture.codec,
                    pts=pts,
                    is_keyframe=picture.is_keyframe,
                    received_mono=picture.received_mono,
                )
            )

    async def _on_rtcp(self, packet: AnyRtcpPacket) -> None:
        await self._stock_rtcp(packet)
        if not isinstance(packet, RtcpSrPacket) or packet.ssrc != self._buffer.ssrc:
            return
        pts = self._clock.of(packet.sender_info.rtp_timestamp)
        if pts is not None and self.on_sender_report is not None:
            unix_s = packet.sender_info.ntp_timestamp / (1 << 32) - NTP_TO_UNIX_S
            self.on_sender_report(unix_s, packet.sender_info.rtp_timestamp, pts)
