"""Programs that connect and then read nothing, beside one that reads everything."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from tests.chaos import Result
from tests.chaos.stage import Stage, Times, make_clip, staged
from tests.rigs.processes import usage_of_tree

NAME = "slow readers"
PASS = "closed <= 25 s, others lose nothing, memory <= +20 MB"
LIMIT_S = 25.0
"""10 s in which a reader may take nothing, and the time until what lies between both is full."""

MAX_GROWTH_BYTES = 20e6
RECEIVE_BYTES = 4096
WAYS = ("websocket", "events", "mjpeg")
CLIP_SIZE, CLIP_FPS = (640, 480), 15
"""Large enough that the buffers between both are full within seconds."""


async def run(times: int) -> Result:
    """So many readers at once, of each kind in turn; what is asked for comes back by one that reads."""
    with tempfile.TemporaryDirectory() as folder:
        clip = await asyncio.to_thread(make_clip, Path(folder) / "clip.mp4", CLIP_SIZE, CLIP_FPS)
        async with staged([clip]) as stage:
            return await _flood(stage, times)


async def _flood(stage: Stage, times: int) -> Result:
    reader = stage.readers["cam1"]
    await asyncio.sleep(5.0)
    gaps, dropped = reader.gaps, (await stage.stats("cam1"))["frames_dropped"]
    memory, highest = _memory(stage), 0
    closed = Times(LIMIT_S)
    with ExitStack() as stack:
        port = urlsplit(stage.server.url).port
        assert port is not None
        slow = [_SlowReader(port, WAYS[number % len(WAYS)]) for number in range(times)]
        for each in slow:
            stack.callback(each.close)
        waiting = list(slow)
        begun = time.monotonic()
        while waiting and time.monotonic() - begun < 2 * LIMIT_S:
            await asyncio.sleep(0.25)
            highest = max(highest, _memory(stage))
            for each in [each for each in waiting if each.is_closed(stage.server.pid)]:
                closed.note(time.monotonic() - begun)
                waiting.remove(each)
    closed.failures += [f"{each.way}: still open after {2 * LIMIT_S:.0f} s" for each in waiting]
    lost = reader.gaps - gaps
    dropped = (await stage.stats("cam1"))["frames_dropped"] - dropped
    grown = max(0, highest - memory) / 1e6
    passed = closed.passed(times) and not lost and 1e6 * grown <= MAX_GROWTH_BYTES
    figure = f"{closed}; others lost {lost} messages, {dropped} frames; +{grown:.0f} MB"
    return Result(figure, passed and not reader.closed, tuple(closed.failures))


def _memory(stage: Stage) -> int:
    return sum(usage.own_bytes for usage in usage_of_tree(stage.server.pid))


class _SlowReader:
    """A connection of which nothing is ever read."""

    def __init__(self, port: int, way: str) -> None:
        self.way = way
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self._socket.connect(("127.0.0.1", port))
        self._local: int = self._socket.getsockname()[1]
        path = "mjpeg" if way == "mjpeg" else "landmarks"
        head = f"GET /api/v1/streams/cam1/{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        if way == "websocket":
            key = base64.b64encode(os.urandom(16)).decode()
            head += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            head += f"Sec-WebSocket-Key: {key}\r\n"
        elif way == "events":
            head += "Accept: text/event-stream\r\n"
        self._socket.sendall(f"{head}\r\n".encode())

    def is_closed(self, server_pid: int) -> bool:
        """The server has no such connection open any more (it may still be sending the rest: Linux tells
        that nobody has the socket, by the inode 0)."""
        for line in Path(f"/proc/{server_pid}/net/tcp").read_text("ascii").splitlines()[1:]:
            fields = line.split()
            if int(fields[2].partition(":")[2], 16) == self._local and fields[9] != "0":
                return False
        return True

    def close(self) -> None:
        self._socket.close()
