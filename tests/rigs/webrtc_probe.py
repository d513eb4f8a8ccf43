"""A user's plain program: sends a person to a pose server over WebRTC and measures what comes back.

It knows nothing of ours but the protocol. Each sent frame carries its number in its picture, which
gives the round trip of every returned frame, from before its encoding to after its decoding.

    python -m tests.rigs.webrtc_probe --url http://127.0.0.1:8080/webcam --seconds 10 --json
    python -m tests.rigs.webrtc_probe --url http://127.0.0.1:9000/offer --mode offer --streams 2
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import aiohttp
import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from tests.rigs.clips import prepare_clips
from tests.rigs.marker import NUMBERS, burn_number, read_number
from tests.rigs.probe_record import ProbeRecord, ProbeResult

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aiortc import RTCDataChannel
    from aiortc.rtp import RtpPacket
    from numpy.typing import NDArray

CLIP_FRAMES = 120
START_TIMEOUT_S = 20.0
TICKS_PER_S = 90_000


@dataclass(frozen=True)
class ProbeOptions:
    """What to send where. ``mode`` "webcam" posts an SDP offer and expects 201 with the answer;
    "offer" posts ``{"sdp", "type"}`` as JSON, as the example servers of aiortc want it.

    The figures are of ``seconds``, after ``warm_up_s`` that begin with the first returned frame.
    """

    url: str
    mode: str = "webcam"
    width: int = 640
    height: int = 480
    fps: int = 30
    seconds: float = 10.0
    warm_up_s: float = 2.0
    codec: str | None = None
    token: str | None = None


class MarkerJitterBuffer(JitterBuffer):
    """Releases a frame on its RTP marker bit, as browsers do.

    aiortc's own waits for the first packet of the next frame: a frame time more in every figure.
    """

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        packets: list[RtpPacket] = []
        for offset in range(self.capacity):
            assert self._origin is not None
            packet = self._packets[(self._origin + offset) % self.capacity]
            if packet is None:
                return None
            packets.append(packet)
            if packet.marker:
                self.remove(len(packets))
                data = b"".join(part._data for part in packets)  # type: ignore[attr-defined] # set by the depayloader
                return JitterFrame(data, packet.timestamp)
        return None


class ClipTrack(MediaStreamTrack):
    """Plays pictures forward and backward for ever at ``fps``, numbering each in ``record``."""

    kind = "video"

    def __init__(
        self, pictures: Sequence[NDArray[np.uint8]], fps: int, record: ProbeRecord
    ) -> None:
        super().__init__()
        self._pictures = pictures
        self._fps = fps
        self._record = record
        self._started_at: float | None = None

    async def recv(self) -> VideoFrame:
        if self._started_at is None:
            self._started_at = time.monotonic()
        number = self._record.sent
        wait_s = self._started_at + number / self._fps - time.monotonic()
        await asyncio.sleep(max(0.0, wait_s))
        position = number % (2 * len(self._pictures))
        picture = self._pictures[min(position, 2 * len(self._pictures) - 1 - position)].copy()
        burn_number(picture[: picture.shape[0] * 2 // 3], number)
        self._record.sent_at[number % NUMBERS] = time.monotonic()
        self._record.sent += 1
        frame = VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, frame.time_base = number * TICKS_PER_S // self._fps, Fraction(1, TICKS_PER_S)
        return frame


def load_pictures(clip: Path, width: int, height: int) -> list[NDArray[np.uint8]]:
    """Decode the first 4 s of a clip to I420 pictures of shape (height * 3 / 2, width)."""
    pictures: list[NDArray[np.uint8]] = []
    with av.open(clip) as container:
        for frame in container.decode(video=0):
            scaled = frame.reformat(width=width, height=height, format="yuv420p")
            pictures.append(scaled.to_ndarray().astype(np.uint8, copy=False))
            if len(pictures) == CLIP_FRAMES:
                break
    return pictures


async def run_probe(
    options: ProbeOptions,
    pictures: Sequence[NDArray[np.uint8]],
    http: aiohttp.ClientSession,
    record: ProbeRecord | None = None,
) -> ProbeResult:
    """Stream ``pictures`` to a server and measure.

    ``record`` is for those who want to know more than the result.

    Raises RuntimeError when it refuses, TimeoutError when nothing comes back for 20 s.
    """
    record = record or ProbeRecord()
    peer, receiver = _offer_peer(options, pictures, record)
    asked_at = time.monotonic()
    try:
        location, stream_id = await _connect(peer, options, http)
        async with asyncio.TaskGroup() as tasks:
            reader = tasks.create_task(_read_frames(receiver.track, record))
            async with asyncio.timeout(START_TIMEOUT_S):
                await record.first_frame.wait()
            first_frame_ms = 1000 * (time.monotonic() - asked_at)
            await asyncio.sleep(options.warm_up_s)
            record.begun_at = time.monotonic()
            await asyncio.sleep(options.seconds)
            reader.cancel()
        if location is not None:
            await http.delete(location, headers=_headers(options))
    finally:
        await peer.close()
    return record.summarise(options.seconds, stream_id, first_frame_ms)


def _offer_peer(
    options: ProbeOptions, pictures: Sequence[NDArray[np.uint8]], record: ProbeRecord
) -> tuple[RTCPeerConnection, RTCRtpReceiver]:
    """Return a peer that will send the clip and record the messages, and its receiver."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    track = ClipTrack(pictures, options.fps, record)
    transceiver = peer.addTransceiver(track, direction="sendrecv")
    if options.codec is not None:
        known = RTCRtpReceiver.getCapabilities("video")
        assert known is not None
        wanted = [codec for codec in known.codecs if codec.name == options.codec]
        transceiver.setCodecPreferences(wanted)
    buffer = MarkerJitterBuffer(capacity=512, is_video=True)
    setattr(transceiver.receiver, "_RTCRtpReceiver__jitter_buffer", buffer)  # noqa: B010 (mypy)
    channel = peer.createDataChannel("landmarks", ordered=False, maxRetransmits=0)
    _record_messages(channel, record)
    return peer, transceiver.receiver


async def _connect(
    peer: RTCPeerConnection, options: ProbeOptions, http: aiohttp.ClientSession
) -> tuple[str | None, str | None]:
    """Exchange offer and answer; return the peer's resource URL and the stream's id, if told."""
    await peer.setLocalDescription(await peer.createOffer())
    offer = peer.localDescription
    if options.mode == "offer":
        async with http.post(options.url, json={"sdp": offer.sdp, "type": "offer"}) as response:
            response.raise_for_status()
            answer = (await response.json())["sdp"]
            location, stream_id = None, None
    else:
        headers = {"Content-Type": "application/sdp"} | _headers(options)
        async with http.post(options.url, data=offer.sdp, headers=headers) as response:
            answer = await response.text()
            if response.status != 201:
                raise RuntimeError(f"{options.url} answered {response.status}: {answer}")
            location = urljoin(options.url, response.headers["Location"])
            stream_id = response.headers["X-Stream-Id"]
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    return location, stream_id


def _headers(options: ProbeOptions) -> dict[str, str]:
    return {} if options.token is None else {"Authorization": f"Bearer {options.token}"}


def _record_messages(channel: RTCDataChannel, record: ProbeRecord) -> None:
    """Keep each pose message of the landmark channel with its arrival."""

    @channel.on("message")
    def on_message(content: str | bytes) -> None:
        message = json.loads(content)
        if message["type"] == "pose":
            record.messages.append((time.monotonic(), message))


async def _read_frames(track: MediaStreamTrack, record: ProbeRecord) -> None:
    """Note every returned frame's arrival and round trip until the track ends."""
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        assert isinstance(frame, VideoFrame)
        now = time.monotonic()
        plane = frame.planes[0]
        luma = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
            :, : frame.width
        ]
        sent_at = record.sent_at.pop(read_number(luma), None)
        if sent_at is None:
            record.unread.append(now)
        else:
            record.frames.append((now, now - sent_at))
        record.size_back = f"{frame.width}x{frame.height}"
        record.first_frame.set()


async def run_probes(
    options: ProbeOptions, streams: int = 1, clip: Path | None = None
) -> list[ProbeResult]:
    """Run ``streams`` probes at once in this process; ``clip`` defaults to the tests' person."""
    if clip is None:
        clips = prepare_clips()
        clip = clips.person if options.width * 3 == options.height * 4 else clips.person_720p
    pictures = load_pictures(clip, options.width, options.height)
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        probes = [group.create_task(run_probe(options, pictures, http)) for _ in range(streams)]
    return [probe.result() for probe in probes]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the probe from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", required=True, help="where the offer is posted")
    parser.add_argument("--mode", choices=["webcam", "offer"], default="webcam")
    parser.add_argument("--size", default="640x480", metavar="WIDTHxHEIGHT")
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm-up", type=float, default=2.0, metavar="S")
    parser.add_argument("--codec", choices=["VP8", "H264"])
    parser.add_argument("--token")
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON list instead of lines")
    given = parser.parse_args(arguments)
    width, height = (int(part) for part in given.size.split("x"))
    options = ProbeOptions(
        given.url,
        mode=given.mode,
        width=width,
        height=height,
        fps=given.fps,
        seconds=given.seconds,
        warm_up_s=given.warm_up,
        codec=given.codec,
        token=given.token,
    )
    results = [asdict(result) for result in asyncio.run(run_probes(options, given.streams))]
    if given.json:
        sys.stdout.write(json.dumps(results) + "\n")
        return
    for result in results:
        sys.stdout.write("\n".join(f"{name:22} {value}" for name, value in result.items()) + "\n\n")


if __name__ == "__main__":
    main()
