"""Webcams that come and go by the hundred, with a farewell or without, and what they leave behind."""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.chaos import Result
from tests.in_process import WebcamPeer
from tests.rigs.processes import usage_of_tree
from tests.rigs.server import StreamerServer

NAME = "churn"
PASS = "files, threads, processes back to the start, memory <= +5 %"
PEERS_A_TIME = 20
"""``times`` is 50 in the long form: 1,000 peers."""

WARM_UP_PEERS = 60
AT_ONCE = 5
MAX_GROWTH = 0.05
BACK_WITHIN_S = 60.0
# A publisher that vanished may come back to its stream; here nobody does.
CONFIG = "[server]\nmax_streams = 40\n[webrtc]\nresume_timeout_s = 0.1\nconnect_timeout_s = 5.0\n"


@dataclass(frozen=True)
class Holdings:
    """What a server and its children hold."""

    files: int
    threads: int
    processes: int
    memory_bytes: int

    @classmethod
    def of(cls, pid: int) -> Holdings:
        tree = usage_of_tree(pid)
        return cls(
            sum(usage.fds for usage in tree),
            sum(usage.threads for usage in tree),
            len(tree),
            sum(usage.pss_bytes for usage in tree),
        )

    def is_within(self, start: Holdings) -> bool:
        """Nothing is left of what came since, and the memory is about the same."""
        return (
            self.files <= start.files
            and self.threads <= start.threads
            and self.processes <= start.processes
            and self.memory_bytes <= (1 + MAX_GROWTH) * start.memory_bytes
        )

    def __str__(self) -> str:
        memory = f"{self.memory_bytes / 1e6:.0f} MB"
        return f"{self.files} files, {self.threads} threads, {self.processes} processes, {memory}"


async def run(times: int) -> Result:
    """A warm-up fills caches and pools; then 20 peers for each time."""
    peers = PEERS_A_TIME * times
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        server = StreamerServer(Path(folder), CONFIG)
        try:
            await asyncio.to_thread(server.start)
            await come_and_go(server.url, WARM_UP_PEERS)
            start = await _at_rest(server.pid, None)
            await come_and_go(server.url, peers)
            end = await _at_rest(server.pid, start)
        finally:
            server.kill()
    growth = 100 * (end.memory_bytes / start.memory_bytes - 1)
    return Result(f"{peers} peers: {start} -> {end} ({growth:+.1f} %)", end.is_within(start))


async def come_and_go(url: str, peers: int) -> None:
    """A few at a time: each is seen, then leaves."""
    async with aiohttp.ClientSession(url) as http:
        for _ in range(0, peers, AT_ONCE):
            batch = [WebcamPeer() for _ in range(AT_ONCE)]
            await asyncio.gather(*(peer.join(http) for peer in batch))
            await asyncio.gather(*(peer.plays(frames=2, poses=2) for peer in batch))
            await asyncio.gather(*(_leave(peer, http, way) for way, peer in enumerate(batch)))
            await asyncio.gather(*(peer.close() for peer in batch))


async def _leave(peer: WebcamPeer, http: aiohttp.ClientSession, way: int) -> None:
    """In one of five ways: by the book, by closing only, or by falling silent."""
    match way:
        case 0 | 1:
            async with http.delete(peer.location) as response:
                assert response.status == 200
        case 2 | 3:
            await peer.connection.close()
        case _:
            peer.fall_silent()


async def _at_rest(pid: int, start: Holdings | None) -> Holdings:
    """What it holds when the last peer has been cleaned up: as soon as it is no more than at the
    ``start``, else the least of a minute."""
    found = [await asyncio.to_thread(Holdings.of, pid)]
    deadline = time.monotonic() + BACK_WITHIN_S
    while time.monotonic() < deadline and not (start and found[-1].is_within(start)):
        await asyncio.sleep(1.0)
        found.append(await asyncio.to_thread(Holdings.of, pid))
    return min(found, key=lambda each: (each.files, each.threads, each.memory_bytes))
