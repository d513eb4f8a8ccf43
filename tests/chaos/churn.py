"""Webcams that come and go by the hundred, with a farewell or without, and what they leave behind."""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import aiohttp

from streamer.app import EXECUTOR_THREADS
from tests.chaos import Result
from tests.in_process import WebcamPeer
from tests.rigs.processes import usage_of_tree
from tests.rigs.server import StreamerServer

NAME = "churn"
PASS = "files, threads, processes back to the start, memory <= +5 %"
PEERS_A_TIME = 20
"""``times`` is 50 in the long form: 1,000 peers."""

WARM_UP_PEERS = 60
ROUNDS = 12
OF_ROUNDS = 3
"""Memory at rest varies by a tenth, as the allocator keeps more or less of it: what counts is the median of
the last rounds beside that of the first ones."""

AT_ONCE = 5
MAX_GROWTH = 0.05
REST_WITHIN_S = 20.0
"""8 s in which a silent peer is given up, and what the machine needs for it."""

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
            sum(usage.own_bytes for usage in tree),
        )

    def is_within(self, start: Holdings) -> bool:
        """Nothing is left of what came since; how much memory there is does not matter."""
        return (
            self.files <= start.files
            and self.threads <= start.threads
            and self.processes <= start.processes
        )

    def __str__(self) -> str:
        return f"{self.files} files, {self.threads} threads, {self.processes} processes"


async def run(times: int) -> Result:
    """A warm-up fills caches and pools; then 20 peers for each time, in rounds with a rest after each."""
    a_round = -(-PEERS_A_TIME * times // ROUNDS // AT_ONCE) * AT_ONCE
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        server = StreamerServer(Path(folder), CONFIG)
        try:
            await asyncio.to_thread(server.start)
            threads = Holdings.of(server.pid).threads + EXECUTOR_THREADS  # which the pool keeps
            await come_and_go(server.url, WARM_UP_PEERS)
            await asyncio.sleep(REST_WITHIN_S)
            start = replace(Holdings.of(server.pid), threads=threads)
            found = []
            for _ in range(ROUNDS):
                await come_and_go(server.url, a_round)
                found.append(await _at_rest(server.pid, start))
        finally:
            server.kill()
    return _judge(start, found, ROUNDS * a_round)


def _judge(start: Holdings, found: list[Holdings], peers: int) -> Result:
    memory = [each.memory_bytes / 1e6 for each in found]
    before, after = median(memory[:OF_ROUNDS]), median(memory[-OF_ROUNDS:])
    figure = (
        f"{peers} peers: {start} -> {found[-1]}; memory {before:.0f} -> {after:.0f} MB"
        f" ({100 * (after / before - 1):+.1f} %)"
    )
    passed = found[-1].is_within(start) and after <= (1 + MAX_GROWTH) * before
    return Result(figure, passed)


async def come_and_go(url: str, peers: int) -> None:
    """A few at a time: each is seen, then leaves."""
    async with aiohttp.ClientSession(url) as http:
        for _ in range(0, peers, AT_ONCE):
            batch = [WebcamPeer() for _ in range(AT_ONCE)]
            await asyncio.gather(*(peer.join(http) for peer in batch))
            await asyncio.gather(*(peer.plays(frames=2, poses=2) for peer in batch))
            await asyncio.gather(*(leave(peer, http, way) for way, peer in enumerate(batch)))
            await asyncio.gather(*(peer.close() for peer in batch))


async def leave(peer: WebcamPeer, http: aiohttp.ClientSession, way: int) -> None:
    """In one of five ways: by the book, by closing only, or by falling silent."""
    match way:
        case 0 | 1:
            async with http.delete(peer.location) as response:
                assert response.status == 200
        case 2 | 3:
            await peer.connection.close()
        case _:
            peer.fall_silent()


async def _at_rest(pid: int, start: Holdings) -> Holdings:
    """What it holds once the last peer has been cleaned up, or can't be waited for any longer."""
    deadline = time.monotonic() + REST_WITHIN_S
    while True:
        await asyncio.sleep(1.0)
        found = await asyncio.to_thread(Holdings.of, pid)
        if found.is_within(start) or time.monotonic() > deadline:
            return found
