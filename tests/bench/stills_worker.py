"""Readers of MJPEG, all in one light process: they count pictures and decode nothing.

Reads jobs (JSON, one a line) and answers each with one line; see ``stills.py``, which asks.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from tests.bench.jobs import serve_jobs
from tests.bench.machine import tree_cpu_s


class Reader:
    """One connection. ``pictures``: whole ones so far."""

    def __init__(self) -> None:
        self.pictures = 0
        self.received_bytes = 0

    async def read(self, http: aiohttp.ClientSession, url: str) -> None:
        async with http.get(url) as response:
            response.raise_for_status()
            length = 0
            while line := await response.content.readline():
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
                elif line == b"\r\n" and length:
                    await response.content.readexactly(length)
                    self.pictures += 1
                    self.received_bytes += length
                    length = 0


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """The server's CPU (cores) and what each reader got, over so many seconds."""
    readers = [Reader() for _ in range(job["readers"])]
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        tasks = [asyncio.create_task(reader.read(http, job["url"])) for reader in readers]
        try:
            await asyncio.sleep(job["warm_up_s"])
            used_s, before = tree_cpu_s(job["pid"]), [reader.pictures for reader in readers]
            received = sum(reader.received_bytes for reader in readers)
            await asyncio.sleep(job["seconds"])
            used_s = tree_cpu_s(job["pid"]) - used_s
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    got = [reader.pictures - count for reader, count in zip(readers, before, strict=True)]
    received = sum(reader.received_bytes for reader in readers) - received
    return {
        "cpu": used_s / job["seconds"],
        "fps": [count / job["seconds"] for count in got],
        "picture_bytes": received / max(1, sum(got)),
    }


if __name__ == "__main__":
    serve_jobs(run)
