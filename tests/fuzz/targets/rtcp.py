"""A viewer's RTCP: reports, estimates, requests for key frames and for repeats."""

import asyncio
from typing import Any

from aiortc import RTCRtpSender
from aiortc.rtcrtpparameters import (
    RTCRtcpParameters,
    RTCRtpCodecParameters,
    RTCRtpSendParameters,
)
from aiortc.rtp import RtcpPacket

from streamer.webrtc.sending import MAX_REPEATS, VideoSender, ViewerEvents
from tests.fuzz.pieces import at_end, records, run

SSRC = 0x01020304
_VP8 = RTCRtpCodecParameters("video/VP8", 90_000, None, 100)
_RTX = RTCRtpCodecParameters("video/rtx", 90_000, None, 101, [], {"apt": 100})


class _Transport:
    state = "connected"
    _stats_id = "transport"

    def __init__(self) -> None:
        self.sent = 0

    async def _send_rtp(self, data: bytes) -> None:
        self.sent += 1

    def _register_rtp_sender(self, sender: object, parameters: object) -> None: ...

    def _unregister_rtp_sender(self, sender: object) -> None: ...


class _Viewer:
    def __init__(self) -> None:
        self.transport = _Transport()
        self.stock: Any = RTCRtpSender("video", self.transport)  # type: ignore[arg-type] # a fake
        self.stock._ssrc = SSRC
        self.losses: list[float] = []
        self.estimates: list[int] = []
        self.ready = asyncio.Event()
        events = ViewerEvents(
            self.ready.set, lambda: None, self.estimates.append, self.losses.append
        )
        self.sender: Any = VideoSender(self.stock, events)

    async def start(self) -> None:
        await self.stock.send(
            RTCRtpSendParameters(codecs=[_VP8, _RTX], rtcp=RTCRtcpParameters(cname="streamer"))
        )
        await self.ready.wait()
        self.sender._sequence_number = 0xFFFE
        await self.sender.send([b"one", b"two", b"three"], 0)


async def _started() -> _Viewer:
    viewer = _Viewer()
    await viewer.start()
    at_end(viewer.stock.stop)
    return viewer


_viewer = run(_started())


async def _feed(data: bytes) -> None:
    _viewer.losses.clear()
    _viewer.estimates.clear()
    _viewer.sender._reported = None
    _viewer.sender._repeats = MAX_REPEATS
    sent = _viewer.transport.sent
    for record in records(data):
        try:
            packets = RtcpPacket.parse(record)
        except ValueError:
            continue
        for packet in packets:
            await _viewer.stock._handle_rtcp_packet(packet)
    assert _viewer.transport.sent - sent <= MAX_REPEATS + 1
    assert all(0 <= loss <= 1 for loss in _viewer.losses)
    assert all(rate >= 0 for rate in _viewer.estimates)


def fuzz(data: bytes) -> None:
    run(_feed(data))
