"""A user's plain program: sends a person to a pose server over WebRTC and measures what comes back.

It knows nothing of ours but the protocol. Each sent frame carries its number in its picture, which
gives the round trip of every returned frame: from the moment its packets leave (encoded beforehand;
with ``live``, from before its encoding) to the moment its picture is decoded.

    python -m tests.rigs.webrtc_probe --url http://127.0.0.1:8080/webcam --seconds 10 --json
    python -m tests.rigs.webrtc_probe --url http://127.0.0.1:9000/offer --mode offer --streams 2
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import aiohttp
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from tests.rigs.clips import prepare_clips
from tests.rigs.marker import read_number
from tests.rigs.probe_media import (
    BITRATE,
    LiveTrack,
    NumberedClip,
    PacketTrack,
    encode_numbered,
    load_pictures,
    luma_of,
)
from tests.rigs.probe_messages import BINARY_PROTOCOL, read_message
from tests.rigs.probe_receiver import BrowserReceiver
from tests.rigs.probe_record import ProbeRecord, ProbeResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from aiortc import RTCDataChannel
    from numpy.typing import NDArray

    ChangeSdp = Callable[[str], str]

START_TIMEOUT_S = 60.0
ENOUGH_BITRATE = 4_000_000
"""What the probe says that its network bears, bits/s: more than any server here wants to send."""


@dataclass(frozen=True)
class ProbeOptions:
    """What to send where. ``mode`` "webcam" posts an SDP offer and expects 201 with the answer;
    "offer" posts ``{"sdp", "type"}`` as JSON, as the example servers of aiortc want it, with FastRTC's
    ``webrtc_id`` beside them.

    The figures are of ``seconds``, after ``warm_up_s`` that begin with the first returned frame.
    ``binary`` asks for binary pose messages; who does not know them sends JSON. ``live``: encode while
    sending, and let aiortc estimate the network: for networks that lose packets.
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
    bitrate: int = BITRATE
    binary: bool = False
    live: bool = False


@dataclass(frozen=True)
class ProbeMedia:
    """What is sent: pictures (I420, (height * 3 / 2, width)) and, unless sent live, the same encoded."""

    pictures: Sequence[NDArray[np.uint8]]
    clip: NumberedClip | None


def prepare_media(options: ProbeOptions, clip: Path | None = None) -> ProbeMedia:
    """Decode and encode what a probe with these options sends; seconds of CPU for a large picture.

    ``clip`` defaults to the tests' person.
    """
    if clip is None:
        clips = prepare_clips()
        clip = clips.person if options.width * 3 == options.height * 4 else clips.person_720p
    pictures = load_pictures(clip, options.width, options.height)
    if options.live:
        return ProbeMedia(pictures, None)
    codec = options.codec or "VP8"  # what a server that is offered both takes
    return ProbeMedia(pictures, encode_numbered(pictures, codec, options.fps, options.bitrate))


async def run_probe(
    options: ProbeOptions,
    media: ProbeMedia,
    http: aiohttp.ClientSession,
    record: ProbeRecord | None = None,
    change_answer: ChangeSdp | None = None,
    change_offer: ChangeSdp | None = None,
) -> ProbeResult:
    """Stream ``media`` to a server and measure.

    ``record`` is for those who want to know more than the result; ``change_answer`` may turn the
    answer's candidates into others (a bad network's), ``change_offer`` take out the offer's.

    Raises RuntimeError when the server refuses, TimeoutError when nothing comes back for 20 s.
    """
    record = record or ProbeRecord()
    peer, transceiver = _offer_peer(options, media, record)
    receiver = BrowserReceiver(transceiver.receiver, None if options.live else ENOUGH_BITRATE)
    record.received = receiver.received
    references = frozenset(media.clip.luma) if media.clip else frozenset()
    asked_at = time.monotonic()
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            location, stream_id = await _connect(peer, options, http, change_offer, change_answer)
        async with asyncio.TaskGroup() as tasks:
            track = transceiver.receiver.track
            reader = tasks.create_task(_read_frames(track, record, references))
            mender = tasks.create_task(receiver.run())
            async with asyncio.timeout(START_TIMEOUT_S):
                await record.first_frame.wait()
            first_frame_ms = 1000 * (time.monotonic() - asked_at)
            await asyncio.sleep(options.warm_up_s)
            record.begun_at = time.monotonic()
            await asyncio.sleep(options.seconds)
            reader.cancel()
            mender.cancel()
        if location is not None:
            await http.delete(location, headers=_headers(options))
    finally:
        await peer.close()
    return record.summarise(options.seconds, stream_id, first_frame_ms)


def _offer_peer(
    options: ProbeOptions, media: ProbeMedia, record: ProbeRecord
) -> tuple[RTCPeerConnection, RTCRtpTransceiver]:
    """Return a peer that will send the clip and record the messages, and its transceiver."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transceiver = peer.addTransceiver(make_track(media, options.fps, record), direction="sendrecv")
    prefer_codec(transceiver, options.codec)
    protocol = BINARY_PROTOCOL if options.binary else ""
    channel = peer.createDataChannel(
        "landmarks", ordered=False, maxRetransmits=0, protocol=protocol
    )
    _record_messages(channel, record)
    return peer, transceiver


def make_track(media: ProbeMedia, fps: int, record: ProbeRecord) -> MediaStreamTrack:
    """A track that plays ``media`` and notes in ``record`` when each number left."""

    def on_sent(number: int) -> None:
        record.sent_at[number] = time.monotonic()
        record.sent += 1

    if media.clip is None:
        return LiveTrack(media.pictures, fps, on_sent)
    return PacketTrack(media.clip, fps, on_sent)


def prefer_codec(transceiver: RTCRtpTransceiver, codec: str | None) -> None:
    """Offer only ``codec`` ("VP8", "H264")."""
    if codec is None:
        return
    known = RTCRtpReceiver.getCapabilities("video")
    assert known is not None
    transceiver.setCodecPreferences([each for each in known.codecs if each.name == codec])


async def _connect(
    peer: RTCPeerConnection,
    options: ProbeOptions,
    http: aiohttp.ClientSession,
    change_offer: ChangeSdp | None,
    change_answer: ChangeSdp | None,
) -> tuple[str | None, str | None]:
    """Exchange offer and answer; return the peer's resource URL and the stream's id, if told."""
    await peer.setLocalDescription(await peer.createOffer())
    offer = peer.localDescription.sdp
    if change_offer is not None:
        offer = change_offer(offer)
    location = stream_id = None
    if options.mode == "offer":
        wanted = {"sdp": offer, "type": "offer", "webrtc_id": uuid.uuid4().hex}
        async with http.post(options.url, json=wanted) as response:
            response.raise_for_status()
            given = await response.json()
            if "sdp" not in given:
                raise RuntimeError(f"{options.url} answered {given}")
            answer = given["sdp"]
    else:
        answer, location, stream_id = await post_offer(http, options.url, offer, options.token)
    if change_answer is not None:
        answer = change_answer(answer)
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    return location, stream_id


async def post_offer(
    http: aiohttp.ClientSession, url: str, offer: str, token: str | None = None
) -> tuple[str, str, str]:
    """Post an SDP offer to one of our routes: the answer, the peer's resource URL, the stream's id.

    Raises RuntimeError with the server's words when it refuses.
    """
    headers = {"Content-Type": "application/sdp"} | _authorization(token)
    async with http.post(url, data=offer, headers=headers) as response:
        answer = await response.text()
        if response.status != 201:
            raise RuntimeError(f"{url} answered {response.status}: {answer}")
        location = urljoin(url, response.headers["Location"])
        return answer, location, response.headers["X-Stream-Id"]


def _headers(options: ProbeOptions) -> dict[str, str]:
    return _authorization(options.token)


def _authorization(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _record_messages(channel: RTCDataChannel, record: ProbeRecord) -> None:
    """Keep each pose message of the landmark channel with its arrival."""

    @channel.on("message")
    def on_message(content: str | bytes) -> None:
        now = time.monotonic()
        message = read_message(content)
        if message is not None and message["type"] == "pose":
            record.messages.append((now, message))
            record.message_sizes.append((now, len(content)))


async def _read_frames(
    track: MediaStreamTrack, record: ProbeRecord, references: frozenset[int]
) -> None:
    """Note every returned frame's arrival and round trip until the track ends.

    Of the numbers in ``references`` the picture is kept too, from ``record.begun_at`` on.
    """
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        assert isinstance(frame, VideoFrame)
        now = time.monotonic()
        luma = luma_of(frame)
        number = read_number(luma)
        sent_at = record.sent_at.pop(number, None)
        if sent_at is None:
            record.unread.append(now)
        else:
            record.frames.append((now, now - sent_at))
            if number in references and now >= record.begun_at:
                record.kept.append((number, luma.copy()))
        record.size_back = f"{frame.width}x{frame.height}"
        record.first_frame.set()


async def run_probes(
    options: ProbeOptions, streams: int = 1, clip: Path | None = None
) -> list[ProbeResult]:
    """Run ``streams`` probes at once in this process; ``clip`` defaults to the tests' person."""
    media = await asyncio.to_thread(prepare_media, options, clip)
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        probes = [group.create_task(run_probe(options, media, http)) for _ in range(streams)]
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
    parser.add_argument("--binary", action="store_true", help="ask for binary pose messages")
    parser.add_argument("--live", action="store_true", help="encode while sending")
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
        binary=given.binary,
        live=given.live,
    )
    results = [asdict(result) for result in asyncio.run(run_probes(options, given.streams))]
    if given.json:
        sys.stdout.write(json.dumps(results) + "\n")
        return
    for result in results:
        sys.stdout.write("\n".join(f"{name:22} {value}" for name, value in result.items()) + "\n\n")


if __name__ == "__main__":
    main()
