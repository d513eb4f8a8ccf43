"""The disk with the service's state fills up (a small tmpfs: needs root), and has room again later."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from tests.chaos import Result
from tests.rigs.server import StreamerServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = "full disk"
PASS = "goes on, says so (507, log, /readyz), keeps the old file, saves when there is room"
DISK = "4m"
TIMES_A_TURN = 10
"""A turn takes ten seconds, since readiness looks every five; in the long form there are five of them."""

# The server stops before a disk is full; this is about one that others have filled.
CONFIG = "[server]\nmax_streams = 200\n[limits]\nmin_free_bytes = 0\n"
CAMERA = {"type": "rtsp", "url": "rtsp://127.0.0.1:9/cam"}
SAVED_WITHIN_S = 10.0


async def run(times: int) -> Result:
    """Again and again: a camera is refused while the disk is full, and another is added when there
    is room."""
    turns = -(-times // TIMES_A_TURN)
    if os.geteuid() != 0:
        return Result("needs root, to mount a small disk", passed=False)
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as name, small_disk(Path(name) / "state"):
        folder = Path(name)
        with StreamerServer(folder, CONFIG) as server:
            async with aiohttp.ClientSession(server.url) as http:
                for turn in range(turns):
                    wrong = await _fill_and_free(http, folder, server.log, turn)
                    notes += [f"turn {turn + 1}: {each}" for each in wrong]
    good = turns - len({note.partition(":")[0] for note in notes})
    return Result(f"{good}/{turns}", good == turns, tuple(notes))


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of 4 MB at ``folder``."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK},nr_inodes=64", "chaos", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def _fill_and_free(
    http: aiohttp.ClientSession, folder: Path, log: Path, turn: int
) -> list[str]:
    """What was not as it should be."""
    state, ballast = folder / "state/streamer/streams.json", folder / "state/ballast"
    before = _content(state)
    _fill(ballast)
    wrong = []
    name = f"full{turn}"
    if (status := await _add(http, name)) != 507:
        wrong.append(f"adding a camera to a full disk: {status}")
    async with http.get(f"/api/v1/streams/{name}") as response:
        if response.status != 404:
            wrong.append(f"the camera that can't be remembered: {response.status}")
    # Once is enough: what the log has said it does not say again within the next minute.
    if not await _becomes(lambda: b"No space left" in _content(log)):
        wrong.append("the log says nothing of the disk")
    if _content(state) != before:
        wrong.append("the file of the state was changed")
    async with http.get("/healthz") as response:
        if response.status != 200:
            wrong.append(f"/healthz: {response.status}")
    if not await _readiness(http, lambda status, text: status == 503 and "full" in text):
        wrong.append("/readyz says nothing of the disk")
    ballast.unlink()
    await _add(http, f"room{turn}")
    if not await _becomes(lambda: f'"room{turn}"'.encode() in _content(state)):
        wrong.append("nothing was saved when there was room")
    if not await _readiness(http, lambda status, _: status == 200):
        wrong.append("/readyz does not see that there is room")
    for each in (name, f"room{turn}"):
        await http.delete(f"/api/v1/streams/{each}")
    if not await _becomes(lambda: b"room" not in _content(state)):  # else a save would be under way
        wrong.append("the end of the cameras was not saved")
    return wrong


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _fill(ballast: Path) -> None:
    """Until nothing more goes in."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1024))
        except OSError:
            return


async def _add(http: aiohttp.ClientSession, name: str) -> int:
    async with http.post("/api/v1/streams", json={"id": name, "source": CAMERA}) as response:
        return response.status


async def _readiness(http: aiohttp.ClientSession, is_so: Callable[[int, str], bool]) -> bool:
    """It looks every 5 s."""
    for _ in range(int(SAVED_WITHIN_S)):
        async with http.get("/readyz") as response:
            if is_so(response.status, await response.text()):
                return True
        await asyncio.sleep(1.0)
    return False


async def _becomes(is_so: Callable[[], bool]) -> bool:
    """The service writes its file and its log when it gets to it, and sends nobody an event."""
    for _ in range(int(SAVED_WITHIN_S / 0.05)):
        if is_so():
            return True
        await asyncio.sleep(0.05)
    return False
