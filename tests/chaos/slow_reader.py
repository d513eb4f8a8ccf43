"""Programs that connect and then read nothing, beside a reader and a WebRTC viewer that take everything."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.bench.lateness import nearest_pts
from tests.bench.viewers_worker import Viewer
from tests.chaos import Result
from tests.chaos.stage import Stage, Times, make_clip, staged
from tests.rigs.processes import usage_of_tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.lateness import Arrivals

NAME = "slow readers"
PASS = "closed <= 25 s, others lose 0 messages and 0 frames, memory <= +20 MB"
LIMIT_S = 25.0
"""10 s in which a reader may take nothing, and the time until what lies between both is full."""

MAX_GROWTH_BYTES = 20e6
RECEIVE_BYTES = 4096
WAYS = ("websocket", "events", "mjpeg")
CLIP_SIZE, CLIP_FPS = (640, 480), 15
"""Large enough that the buffers between both are full within seconds."""

LOOK_S = 0.5
ON_ITS_WAY_S = 5.0
"""For the picture of a frame whose message is here already."""


async def run(times: int) -> Result:
    """So many readers at once, of each kind in turn; what is asked for comes back by one that reads."""
    with tempfile.TemporaryDirectory() as folder:
        clip = await asyncio.to_thread(make_clip, Path(folder) / "clip.mp4", CLIP_SIZE, CLIP_FPS)
        async with staged([clip]) as stage:
            viewer = Viewer(has_video=True, has_channel=True, codec=None)
            await viewer.join(stage.http, f"{stage.server.url}/whep/cam1")
            try:
                return await _flood(stage, viewer, times)
            finally:
                await viewer.leave(stage.http)


async def _flood(stage: Stage, viewer: Viewer, times: int) -> Result:
    reader = stage.readers["cam1"]
    at_rest = await stage.losses_at_rest()
    made_before, gaps = len(reader.seen), reader.gaps
    dropped = (await stage.stats("cam1"))["frames_dropped"]
    memory, highest = _memory(stage), 0
    closed = Times(LIMIT_S)
    begun = time.monotonic()
    with ExitStack() as stack:
        port = urlsplit(stage.server.url).port
        assert port is not None
        slow = [_SlowReader(port, WAYS[number % len(WAYS)]) for number in range(times)]
        for each in slow:
            stack.callback(each.close)
        waiting = list(slow)
        while waiting and time.monotonic() - begun < 2 * LIMIT_S:
            await asyncio.sleep(LOOK_S)
            highest = max(highest, _memory(stage))
            still_open = _open_connections(stage.server.pid)
            for each in [each for each in waiting if each.is_over(still_open)]:
                closed.note(time.monotonic() - begun)
                waiting.remove(each)
    closed.failures += [f"{each.way}: still open after {2 * LIMIT_S:.0f} s" for each in waiting]
    dropped = (await stage.stats("cam1"))["frames_dropped"] - dropped
    watched_min = (time.monotonic() - begun) / 60.0
    lost = reader.gaps - gaps
    made = [seen.pts for seen in reader.seen[made_before:]]
    unseen = await _not_shown(viewer, made)
    grown = max(0, highest - memory) / 1e6
    figure = (
        f"{closed}; others lost {lost} messages, {dropped} frames ({dropped / watched_min:.1f} a"
        f" minute, without a fault {at_rest:.1f}); a viewer was not sent {unseen} of {len(made)}"
        f" that were made; +{grown:.0f} MB"
    )
    all_stay = not reader.closed and viewer.state == "connected"
    nothing_lost = bool(made) and not (lost or dropped or unseen)
    passed = closed.passed(times) and nothing_lost and 1e6 * grown <= MAX_GROWTH_BYTES
    return Result(figure, passed and all_stay, tuple(closed.failures))


async def _not_shown(viewer: Viewer, made: Sequence[int]) -> int:
    """``unseen`` of a viewer, once what is on its way has come."""
    until = time.monotonic() + ON_ITS_WAY_S
    while True:
        count = unseen(made, viewer.frames, viewer.origin)
        if not count or time.monotonic() >= until:
            return count
        await asyncio.sleep(LOOK_S)


def unseen(made: Sequence[int], frames: Arrivals, origin: int | None) -> int:
    """How many of the frames that were made (their stream times, rising) were not sent as a picture. By
    their times and not by number: the viewer sees others before and after."""
    if origin is None:
        return len(made)  # it was told nothing by which its pictures could be known
    return len(set(made) - {nearest_pts(rtp, origin, made) for rtp, _ in frames})


def _open_connections(pid: int) -> set[int]:
    """The other sides' ports of all that a process still has open. (It may still be sending the rest of one
    that it has closed: Linux tells that nobody has the socket, by the inode 0.)"""
    lines = Path(f"/proc/{pid}/net/tcp").read_text("ascii").splitlines()[1:]
    fields = [line.split() for line in lines]
    return {int(each[2].partition(":")[2], 16) for each in fields if each[9] != "0"}


def _memory(stage: Stage) -> int:
    return sum(usage.own_bytes for usage in usage_of_tree(stage.server.pid))


class _SlowReader:
    """A connection of which nothing is ever read."""

    def __init__(self, port: int, way: str) -> None:
        self.way = way
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self._socket.connect(("127.0.0.1", port))
        self._port: int = self._socket.getsockname()[1]
        self._was_open = False
        path = "mjpeg" if way == "mjpeg" else "landmarks"
        head = f"GET /api/v1/streams/cam1/{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        if way == "websocket":
            key = base64.b64encode(os.urandom(16)).decode()
            head += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            head += f"Sec-WebSocket-Key: {key}\r\n"
        elif way == "events":
            head += "Accept: text/event-stream\r\n"
        self._socket.sendall(f"{head}\r\n".encode())

    def is_over(self, still_open: set[int]) -> bool:
        """The server has closed it; one that it has not accepted yet looks the same before."""
        is_open = self._port in still_open
        self._was_open |= is_open
        return self._was_open and not is_open

    def close(self) -> None:
        self._socket.close()
