"""Viewers of one stream, all in one light process: they receive and count, and decode nothing.

DTLS, SRTP, SCTP and receiver reports are aiortc's own. Of an RTP packet only the header is read, after
its decryption; a frame's arrival is that of its packet with the marker bit, as this process gets to it.

Reads jobs (JSON, one a line) and answers each with one line; see ``viewers.py``, which asks.
"""

from __future__ import annotations

import asyncio
import struct
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, pack_remb_fci

from tests.bench.jobs import serve_jobs
from tests.bench.lateness import lateness_s, origin_beside
from tests.bench.machine import tree_cpu_s
from tests.rigs.probe_media import TICKS_PER_S
from tests.rigs.probe_messages import BINARY_PROTOCOL, read_message
from tests.rigs.probe_receiver import FixedEstimate
from tests.rigs.webrtc_probe import ENOUGH_BITRATE, START_TIMEOUT_S, post_offer, prefer_codec

if TYPE_CHECKING:
    from collections.abc import Sequence

JOINS_AT_ONCE = 4
_RTP = struct.Struct("!BBHII")
_EXTRA_S = 1.0  # messages of the first measured frames may have come before, of the last after


class Header(NamedTuple):
    """What aiortc's statistics want of a packet."""

    sequence_number: int
    timestamp: int


class Viewer:
    """One WHEP peer. ``frames``: (RTP timestamp, Unix s) of each frame's last packet."""

    def __init__(self, has_video: bool, has_channel: bool, codec: str | None) -> None:
        self.frames: list[tuple[int, float]] = []
        self.messages: list[tuple[float, int, dict[str, Any]]] = []  # (Unix s, bytes, message)
        self.origin: int | None = None
        self.received_bytes = 0
        self.lost = 0
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._location: str | None = None
        self._ready = asyncio.Event()
        self._receiver: Any = None
        self._estimate = FixedEstimate(ENOUGH_BITRATE)
        self._last_sequence: int | None = None
        if has_video:
            transceiver = self._peer.addTransceiver("video", direction="recvonly")
            prefer_codec(transceiver, codec)
            self._receiver = transceiver.receiver
        if has_channel:
            channel = self._peer.createDataChannel(
                "landmarks", ordered=False, maxRetransmits=0, protocol=BINARY_PROTOCOL
            )
            channel.on("message", self._on_message)

    @property
    def state(self) -> str:
        """Of its connection: "connected", "failed", …"""
        return self._peer.connectionState

    async def join(self, http: aiohttp.ClientSession, url: str) -> None:
        """Until the first frame, or without video the first message, has come."""
        async with asyncio.timeout(START_TIMEOUT_S):
            await self._peer.setLocalDescription(await self._peer.createOffer())
            offer = self._peer.localDescription.sdp
            answer, self._location, _ = await post_offer(http, url, offer)
            if self._receiver is not None:
                self._receiver.transport._handle_rtp_data = self._on_rtp
            await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            await self._ready.wait()

    async def leave(self, http: aiohttp.ClientSession) -> None:
        if self._location is not None:
            await http.delete(self._location)
        await self._peer.close()

    def _on_message(self, content: str | bytes) -> None:
        message = read_message(content)
        if message is None:
            return
        if message["type"] == "clock" and "rtp_origin" in message:
            self.origin = message["rtp_origin"]
        elif message["type"] == "pose":
            self.messages.append((time.time(), len(content), message))
            if self._receiver is None:
                self._ready.set()

    async def _on_rtp(self, data: bytes, arrival_time_ms: int) -> None:
        now = time.time()
        _, marker_and_type, sequence_number, timestamp, ssrc = _RTP.unpack_from(data)
        codec = self._receiver._RTCRtpReceiver__codecs.get(marker_and_type & 0x7F)
        if codec is None or codec.name.lower() == "rtx":
            return
        streams = self._receiver._RTCRtpReceiver__remote_streams  # receiver reports are made of it
        if ssrc not in streams:
            streams[ssrc] = StreamStatistics(TICKS_PER_S)
        streams[ssrc].add(Header(sequence_number, timestamp))
        if self._last_sequence is not None:
            step = (sequence_number - self._last_sequence) % (1 << 16)
            self.lost += step - 1 if 0 < step < 1 << 15 else 0
        self._last_sequence = sequence_number
        self.received_bytes += len(data)
        if marker_and_type & 0x80:
            self.frames.append((timestamp, now))
            self._ready.set()
        if (said := self._estimate.add(ssrc=ssrc)) is not None:
            await self._receiver._send_rtcp(
                RtcpPsfbPacket(
                    fmt=RTCP_PSFB_APP,
                    ssrc=self._receiver._RTCRtpReceiver__rtcp_ssrc,
                    media_ssrc=0,
                    fci=pack_remb_fci(*said),
                )
            )


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """Let ``viewers`` of ``url`` watch for ``seconds``; the server is process ``pid``.

    ``channels``: how many of them have a landmark channel, the first ones; ``has_video`` False: no
    video section is offered.
    """
    viewers = [
        Viewer(job["has_video"], number < job["channels"], job.get("codec"))
        for number in range(job["viewers"])
    ]
    async with aiohttp.ClientSession() as http:
        try:
            gate = asyncio.Semaphore(JOINS_AT_ONCE)

            async def join(viewer: Viewer) -> None:
                async with gate:
                    await viewer.join(http, job["url"])

            async with asyncio.TaskGroup() as group:
                for viewer in viewers:
                    group.create_task(join(viewer))
            await asyncio.sleep(job["warm_up_s"])
            begun_at, used_s, own_s = time.time(), tree_cpu_s(job["pid"]), time.process_time()
            received = sum(viewer.received_bytes for viewer in viewers)
            lost = sum(viewer.lost for viewer in viewers)
            await asyncio.sleep(job["seconds"])
            ended_at = time.time()
            seconds = ended_at - begun_at
            found = {
                "cpu": (tree_cpu_s(job["pid"]) - used_s) / seconds,
                "viewers_cpu": (time.process_time() - own_s) / seconds,
                "lost_packets": sum(viewer.lost for viewer in viewers) - lost,
                "kbps": (sum(viewer.received_bytes for viewer in viewers) - received)
                * 8
                / 1000
                / seconds
                / max(1, len(viewers)),
            }
        finally:
            for viewer in viewers:
                await viewer.leave(http)
    return found | reduce(viewers, begun_at, ended_at)


def reduce(viewers: Sequence[Viewer], begun_at: float, ended_at: float) -> dict[str, Any]:
    """Frames and messages per second of each viewer, and lateness of all frames of all viewers."""
    seconds = ended_at - begun_at
    frames = [[f for f in viewer.frames if begun_at <= f[1] < ended_at] for viewer in viewers]
    messages = [[m for m in viewer.messages if begun_at <= m[0] < ended_at] for viewer in viewers]
    received_at = {
        message["pts"]: message["received_at"]
        for viewer in viewers[:1]
        for at, _, message in viewer.messages
        if begun_at - _EXTRA_S <= at < ended_at + _EXTRA_S and "received_at" in message
    }
    late_s: list[float] = []
    for viewer, its_frames in zip(viewers, frames, strict=True):
        origin = viewer.origin
        if origin is None and viewers[0].origin is not None:
            origin = origin_beside(its_frames, frames[0], viewers[0].origin)
        if origin is not None:
            late_s += lateness_s(its_frames, origin, received_at)
    totals = [m["latency_ms"]["total"] for each in messages[:1] for _, _, m in each]
    sizes = [size for each in messages for _, size, _ in each]
    return {
        "fps": [len(each) / seconds for each in frames],
        "messages_per_s": [len(each) / seconds for each in messages if each],
        "message_bytes": float(np.mean(sizes)) if sizes else None,
        "server_total_p50_ms": float(np.median(totals)) if totals else None,
        "lateness_ms": {
            str(percent): 1000 * float(np.percentile(late_s, percent)) for percent in (50, 95, 99)
        }
        if late_s
        else None,
        "lateness_frames": len(late_s),
    }


if __name__ == "__main__":
    serve_jobs(run)
