"""A camera of the bench: publishes the probe's numbered clip by WHIP until it is ended.

python -m tests.bench.publisher --url http://127.0.0.1:8080/whip/bench --size 640x480
"""

from __future__ import annotations

import argparse
import asyncio
import sys

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.rigs.probe_record import ProbeRecord
from tests.rigs.webrtc_probe import (
    START_TIMEOUT_S,
    ProbeMedia,
    ProbeOptions,
    make_track,
    post_offer,
    prefer_codec,
    prepare_media,
)


async def publish(options: ProbeOptions, media: ProbeMedia) -> None:
    """Until standard input ends or the connection does."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connected, ended = asyncio.Event(), asyncio.Event()

    @peer.on("connectionstatechange")
    def on_state() -> None:
        if peer.connectionState == "connected":
            connected.set()
        elif peer.connectionState in ("failed", "closed"):
            ended.set()

    transceiver = peer.addTransceiver(
        make_track(media, options.fps, ProbeRecord()), direction="sendonly"
    )
    prefer_codec(transceiver, options.codec)
    await peer.setLocalDescription(await peer.createOffer())
    async with aiohttp.ClientSession() as http, asyncio.timeout(START_TIMEOUT_S):
        answer, _, _ = await post_offer(http, options.url, peer.localDescription.sdp)
        await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await connected.wait()
    print("READY", flush=True)
    reader = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    watcher = asyncio.create_task(ended.wait())
    await asyncio.wait((reader, watcher), return_when=asyncio.FIRST_COMPLETED)
    await peer.close()


def main() -> None:
    """Print READY when the connection stands."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--size", default="640x480", metavar="WxH")
    parser.add_argument("--codec", default="VP8")
    given = parser.parse_args()
    width, height = (int(part) for part in given.size.split("x"))
    options = ProbeOptions(given.url, width=width, height=height, codec=given.codec)
    asyncio.run(publish(options, prepare_media(options)))


if __name__ == "__main__":
    main()
