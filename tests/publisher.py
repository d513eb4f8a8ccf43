"""A publisher without a network: real VP8 or H.264 in RTP packets, handed to a real aiortc receiver."""

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from aiortc import RTCRtpReceiver
from aiortc.codecs import get_encoder
from aiortc.rtcrtpparameters import (
    RTCRtpCodecParameters,
    RTCRtpDecodingParameters,
    RTCRtpReceiveParameters,
    RTCRtpRtxParameters,
)
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtp import (
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    RtpPacket,
    wrap_rtx,
)

from streamer.model import Frame, Packet, VideoInfo
from streamer.pixels import to_av
from tests.fakes import PATIENCE_S, make_frame

if TYPE_CHECKING:
    from av import VideoFrame

SERVER_SSRC, SSRC, RTX_SSRC = 77, 88, 99
CODECS = {
    "vp8": RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=96),
    "h264": RTCRtpCodecParameters(mimeType="video/H264", clockRate=90_000, payloadType=98),
}
RTX = RTCRtpCodecParameters(
    mimeType="video/rtx", clockRate=90_000, payloadType=97, parameters={"apt": 96}
)


class FakeTransport:
    """Keeps what the receiver sends."""

    _stats_id = "transport"

    def __init__(self) -> None:
        self.state = "new"
        self.sent: list[bytes] = []
        self.error: Exception | None = None
        self.news = asyncio.Event()

    async def _send_rtp(self, data: bytes) -> None:
        if self.error:
            raise self.error
        self.sent.append(data)
        self.news.set()

    def _register_rtp_receiver(self, *_: object) -> None: ...

    def _unregister_rtp_receiver(self, *_: object) -> None: ...

    def _rtcp(self, kind: type[Any], fmt: int) -> list[Any]:
        # aiortc reads no transport-wide feedback (205, 15): it is left out here.
        parts = [part for data in self.sent if data[:2] != b"\x8f\xcd" for part in parse(data)]
        return [part for part in parts if isinstance(part, kind) and part.fmt == fmt]

    @property
    def keyframe_requests(self) -> int:
        return len(self._rtcp(RtcpPsfbPacket, 1))

    async def keyframe_requests_come(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.keyframe_requests < count:
                self.news.clear()
                await self.news.wait()

    @property
    def nacks(self) -> list[list[int]]:
        return [part.lost for part in self._rtcp(RtcpRtpfbPacket, 1)]


def parse(data: bytes) -> list[Any]:
    return list(RtcpPacket.parse(data)) if data[1] != 205 or data[0] & 0x1F != 15 else []


class Publisher:
    """Its pictures are ``luma`` grey. ``first_timestamp`` and ``first_number``: where RTP begins."""

    def __init__(
        self, codec: str = "vp8", *, first_timestamp: int = 0, first_number: int = 0
    ) -> None:
        self.transport = FakeTransport()
        self.receiver: Any = RTCRtpReceiver("video", self.transport)  # type: ignore[arg-type]
        self.receiver._track = RemoteStreamTrack("video")
        self.receiver._set_rtcp_ssrc(SERVER_SSRC)
        self.pts = -3000
        self._codec = CODECS[codec]
        self._encoder = get_encoder(self._codec)
        self._first_timestamp = first_timestamp
        self._number = first_number

    async def connect(self) -> None:
        """As aiortc does when a connection is made: its decoder thread starts."""
        encoding = RTCRtpDecodingParameters(
            ssrc=SSRC, payloadType=96, rtx=RTCRtpRtxParameters(ssrc=RTX_SSRC)
        )
        await self.receiver.receive(
            RTCRtpReceiveParameters(codecs=[*CODECS.values(), RTX], encodings=[encoding])
        )

    async def close(self) -> None:
        await self.receiver.stop()

    def packets(
        self, *, key: bool = False, luma: int = 100, width: int = 64, noise: bool = False
    ) -> list[RtpPacket]:
        """The packets of the next picture, 33 ms after the last one."""
        self.pts += 3000
        frame = make_frame(self.pts, width=width, height=48, luma=luma)
        if noise:
            frame.i420[:] = np.random.default_rng(self.pts).integers(16, 235, frame.i420.shape)
        picture: VideoFrame = to_av(frame)
        payloads, _ = self._encoder.encode(picture, force_keyframe=key)
        return [
            self._packet(payload, self.pts, marker=place == len(payloads) - 1)
            for place, payload in enumerate(payloads)
        ]

    def _packet(self, payload: bytes, timestamp: int, *, marker: bool) -> RtpPacket:
        packet = RtpPacket(
            self._codec.payloadType or 0,
            int(marker),
            self._number & 0xFFFF,
            (self._first_timestamp + timestamp) & 0xFFFFFFFF,
            SSRC,
            payload,
        )
        packet.extensions.transport_sequence_number = self._number & 0xFFFF
        self._number += 1
        return packet

    async def deliver(self, *packets: RtpPacket) -> None:
        for packet in packets:
            await self.receiver._handle_rtp_packet(packet, 0)

    async def show(self, **picture: Any) -> None:
        await self.deliver(*self.packets(**picture))

    async def resend(self, packet: RtpPacket) -> None:
        await self.deliver(wrap_rtx(packet, RTX.payloadType or 0, packet.sequence_number, RTX_SSRC))

    async def report(self, unix_s: float, pts: int, ssrc: int = SSRC) -> None:
        """An RTCP sender report."""
        ntp = round((unix_s + 2_208_988_800) * (1 << 32))
        timestamp = (self._first_timestamp + pts) & 0xFFFFFFFF
        await self.receiver._handle_rtcp_packet(
            RtcpSrPacket(ssrc, RtcpSenderInfo(ntp, timestamp, packet_count=1, octet_count=1))
        )


class Receiver:
    """A FrameReceiver that remembers; from any thread."""

    def __init__(self) -> None:
        self.videos: list[VideoInfo] = []
        self.packets: list[Packet] = []
        self.frames: list[Frame] = []
        self.threads: set[str] = set()
        self.gate = threading.Event()  # closed, the next frame waits inside ``put``
        self.gate.set()
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()

    def opened(self, video: VideoInfo) -> None:
        self.videos.append(video)

    def forward(self, packet: Packet) -> None:
        self.packets.append(packet)

    def put(self, frame: Frame) -> None:
        self.threads.add(threading.current_thread().name)
        self.frames.append(frame)
        self._loop.call_soon_threadsafe(self._news.set)
        assert self.gate.wait(PATIENCE_S)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Waits for frames until it is so."""
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():
                self._news.clear()
                await self._news.wait()

    async def shows(self, count: int) -> list[Frame]:
        await self.until(lambda: len(self.frames) >= count)
        return self.frames
