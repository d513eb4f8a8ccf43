"""A WebRTC viewer for a bad network: it asks again for what is lost, decodes, and tells of each picture.

python -m tests.chaos.viewer_program http://10.77.0.1:8080/whep/cam1

Prints a line of JSON for each picture: ``{"at": …}``, seconds of the machine's monotonic clock; ends with
its standard input or its connection.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from tests.rigs.probe_receiver import BrowserReceiver
from tests.rigs.webrtc_probe import post_offer


async def view(url: str) -> None:
    """Until the track ends."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transceiver = peer.addTransceiver("video", direction="recvonly")
    mender = BrowserReceiver(transceiver.receiver, None)
    await peer.setLocalDescription(await peer.createOffer())
    async with aiohttp.ClientSession() as http:
        answer, _, _ = await post_offer(http, url, peer.localDescription.sdp)
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    async with asyncio.TaskGroup() as group:
        mending = group.create_task(mender.run())
        try:
            while True:
                await transceiver.receiver.track.recv()
                print(json.dumps({"at": time.monotonic()}), flush=True)
        except MediaStreamError:
            mending.cancel()
    await peer.close()


async def main() -> None:
    """View until there is nobody to tell."""
    viewing = asyncio.create_task(view(sys.argv[1]))
    end = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    await asyncio.wait({viewing, end}, return_when=asyncio.FIRST_COMPLETED)
    if viewing.done():
        viewing.result()
    viewing.cancel()


if __name__ == "__main__":
    asyncio.run(main())
