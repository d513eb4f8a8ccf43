"""A viewer of messages alone, whatever the stream's publisher is: WHEP with ``?video=none``, by aiortc."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

TIMEOUT_S = 60.0
RETRY_S = 0.2


class Messages:
    """What has come, and waiting for more."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []
        self._news = asyncio.Event()

    @property
    def poses(self) -> list[dict[str, Any]]:
        """The pose messages that found somebody."""
        return [each for each in self.all if each["type"] == "pose" and each["poses"]]

    @property
    def state(self) -> str:
        """The stream's."""
        states = [each["state"] for each in self.all if each["type"] == "state"]
        return states[-1] if states else ""

    def add(self, text: str) -> None:
        self.all.append(json.loads(text))
        self._news.set()

    async def until(self, reached: Callable[[Messages], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not reached(self):
                self._news.clear()
                await self._news.wait()

    async def until_poses(self, count: int = 30) -> None:
        """So many more than there are now."""
        wanted = len(self.poses) + count
        await self.until(lambda messages: len(messages.poses) >= wanted)


@asynccontextmanager
async def watch_messages(origin: str, stream: str, token: str = "") -> AsyncIterator[Messages]:
    """Join the stream, as soon as there is one of this id."""
    headers = {"Content-Type": "application/sdp"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    messages = Messages()
    channel = connection.createDataChannel("landmarks", ordered=False, maxRetransmits=0)
    channel.on("message", messages.add)
    try:
        await connection.setLocalDescription(await connection.createOffer())
        offer = connection.localDescription.sdp
        async with aiohttp.ClientSession(headers=headers) as http, asyncio.timeout(TIMEOUT_S):
            answer = await _post(http, f"{origin}/whep/{stream}?video=none", offer)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        yield messages
    finally:
        await connection.close()


async def _post(http: aiohttp.ClientSession, url: str, offer: str) -> str:
    while True:
        async with http.post(url, data=offer) as response:
            text = await response.text()
            if response.status == 201:
                return text
            if response.status != 404:  # which means that the publisher is not there yet
                raise AssertionError(f"{url}: {response.status} {text}")
        await asyncio.sleep(RETRY_S)
