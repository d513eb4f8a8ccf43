"""Readers of landmarks, all in one light process: of a message they read the number and the time only.

Reads jobs (JSON, one a line) and answers each with one line; see ``readers.py``, which asks.
"""

from __future__ import annotations

import asyncio
import re
import struct
import time
from typing import Any

import aiohttp
import numpy as np

from streamer.wire import PROTOCOL
from tests.bench.jobs import serve_jobs
from tests.bench.machine import tree_cpu_s

_SEQ_AT, _RECEIVED_AT = 8, 32  # docs/protocol.md, "Pose messages in binary"
_JSON = re.compile(r'"seq":(\d+),.*?"received_at":([0-9.]+)')


class Reader:
    """``seen``: (seq, Unix s of the frame's arrival, Unix s of the message's)."""

    def __init__(self, form: str) -> None:
        self.seen: list[tuple[int, float, float]] = []
        self._protocols = (PROTOCOL,) if form == "binary" else ()

    async def run(self, http: aiohttp.ClientSession, url: str) -> None:
        async with http.ws_connect(url, protocols=self._protocols) as websocket:
            async for message in websocket:
                now = time.time()
                if message.type is aiohttp.WSMsgType.BINARY:
                    (seq,) = struct.unpack_from("<I", message.data, _SEQ_AT)
                    (received_at,) = struct.unpack_from("<d", message.data, _RECEIVED_AT)
                    self.seen.append((seq, received_at, now))
                elif match := _JSON.search(message.data[:300]):
                    self.seen.append((int(match[1]), float(match[2]), now))


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """Let ``readers`` of ``stream`` at ``url`` read for ``seconds``; the server is process ``pid``."""
    readers = [Reader(job["form"]) for _ in range(job["readers"])]
    stream = f"{job['url']}/api/v1/streams/{job['stream']}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        tasks = [asyncio.create_task(each.run(http, f"{stream}/landmarks")) for each in readers]
        try:
            await asyncio.sleep(job["warm_up_s"])
            before = await stats(http, stream)
            begun, used_s, own_s = time.time(), tree_cpu_s(job["pid"]), time.process_time()
            await asyncio.sleep(job["seconds"])
            ended = time.time()
            cpu, own = tree_cpu_s(job["pid"]) - used_s, time.process_time() - own_s
            after = await stats(http, stream)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    seconds = ended - begun
    seen = [[one for one in each.seen if begun <= one[2] < ended] for each in readers]
    late_ms = [1000 * (now - received_at) for each in seen for _, received_at, now in each]
    return {
        "cpu": cpu / seconds,
        "readers_cpu": own / seconds,
        "fps": (after["frames_processed"] - before["frames_processed"]) / seconds,
        "dropped": after["frames_dropped"] - before["frames_dropped"],
        "total_p95_ms": after["latency_ms"]["total"]["p95"],
        "messages_per_s": [len(each) / seconds for each in seen],
        "lost": sum(each[-1][0] - each[0][0] + 1 - len(each) for each in seen if each),
        "lateness_ms": {str(p): float(np.percentile(late_ms, p)) for p in (50, 99)}
        if late_ms
        else None,
    }


async def stats(http: aiohttp.ClientSession, stream: str) -> dict[str, Any]:
    async with http.get(stream) as response:
        found: dict[str, Any] = (await response.json())["stats"]
        return found


if __name__ == "__main__":
    serve_jobs(run)
