"""A publisher's RTP and RTCP, from behind the decryption to whole pictures and our answers."""

from typing import Any

from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport, RTCRtpReceiver
from aiortc.rtcrtpparameters import (
    RTCRtpDecodingParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpReceiveParameters,
    RTCRtpRtxParameters,
)
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtp import is_rtcp

from streamer.webrtc import patches, receiving
from streamer.webrtc.receiving import Reception
from tests.fuzz.pieces import at_end, records, run
from tests.publisher import CODECS, RTX, RTX_SSRC, SERVER_SSRC, SSRC

_MAX_PACKET_BYTES = 1500


class _Publisher:
    """One for all inputs: making one takes milliseconds."""

    def __init__(self) -> None:
        ice = RTCIceTransport(RTCIceGatherer())
        self.transport: Any = RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()])
        setattr(self.transport, "_send_rtp", self._swallow)  # noqa: B010
        self.transport._set_state(self.transport._state.__class__.CONNECTED)
        self.receiver: Any = RTCRtpReceiver("video", self.transport)
        self.receiver._track = RemoteStreamTrack("video")
        self.receiver._set_rtcp_ssrc(SERVER_SSRC)

    async def _swallow(self, data: bytes) -> None:
        assert len(data) <= _MAX_PACKET_BYTES, "an answer larger than a packet"

    async def connect(self) -> None:
        encoding = RTCRtpDecodingParameters(
            ssrc=SSRC, payloadType=96, rtx=RTCRtpRtxParameters(ssrc=RTX_SSRC)
        )
        extension = RTCRtpHeaderExtensionParameters(id=5, uri=patches.TRANSPORT_CC_URI)
        await self.receiver.receive(
            RTCRtpReceiveParameters(
                codecs=[*CODECS.values(), RTX], headerExtensions=[extension], encodings=[encoding]
            )
        )

    def anew(self) -> Reception:
        """The receiver as if nothing had come before."""
        for name in ("_handle_rtp_packet", "_handle_rtcp_packet"):
            vars(self.receiver).pop(name, None)
        self.receiver._RTCRtpReceiver__active_ssrc.clear()
        self.receiver._RTCRtpReceiver__remote_streams.clear()
        return Reception(self.receiver)


async def _connected() -> _Publisher:
    patches.apply()
    publisher = _Publisher()
    await publisher.connect()
    at_end(publisher.receiver.stop)
    return publisher


_publisher = run(_connected())


class _Clock:
    """In the place of ``time`` in the modules under test: a record's first byte moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


async def _feed(data: bytes) -> None:
    clock = _Clock()
    reception: Any = _publisher.anew()
    reception._buffer._clock = reception._retransmissions._clock = clock.monotonic
    last_pts = -1
    pictures: list[Any] = []
    reception.on_packet = pictures.append
    reception.on_sender_report = lambda *report: None
    module: Any = receiving
    stock, module.time = module.time, clock
    try:
        for record in records(data):
            if len(record) < 3:
                continue
            clock.now_s += record[0] / 100
            packet = record[1:]
            if is_rtcp(packet):
                await _publisher.transport._handle_rtcp_data(packet)
            else:
                await _publisher.transport._handle_rtp_data(packet, 0)
    finally:
        module.time = stock
    for picture in pictures:
        assert picture.data and picture.codec in ("vp8", "h264")
        last_pts = picture.pts
    assert len(reception._buffer._packets) <= 2 * 2048
    assert last_pts >= -1 << 33


def fuzz(data: bytes) -> None:
    run(_feed(data))
