"""A viewer and two cameras (RTSP over TCP and UDP) behind a network that loses packets and goes away.

They live in a network namespace of their own (``tests/rigs/wire.py``), which needs root. The viewer watches
a third camera, which nothing happens to.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from tests.chaos import Result
from tests.chaos.stage import FPS, LITE, PATIENCE_S, Reader, Times, make_clip, running
from tests.rigs.impairment import Conditions
from tests.rigs.rtsp import RtspServer
from tests.rigs.server import StreamerServer
from tests.rigs.wire import Wire, strung_wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NAME = "network"
PASS = "back <= 5 s after 3 s of darkness; up to 5 % loss 80 % of frames come; others lose 0"
LIMIT_S = 5.0
DELAY_S = 0.02
LOSSES = (0.01, 0.05, 0.20)
LOSS_S = 12.0
SETTLE_S = 3.0
DARK_S = 3.0
MOST = 0.8
"""Share of the frames that come with up to 5 % of the packets lost."""


@dataclass
class _Viewer:
    """``viewer_program`` in the namespace. ``pictures``: when each came (monotonic clock)."""

    pictures: list[float] = field(default_factory=list)
    ended: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, wire: Wire, url: str) -> None:
        """Until cancelled, or it ends."""
        command = [*wire.inside, sys.executable, "-m", "tests.chaos.viewer_program", url]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                self.pictures.append(json.loads(line)["at"])
                self._news.set()
            self.ended = True
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def back_after(self, since: float) -> float:
        """How many seconds after ``since`` a picture came again."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.pictures or self.pictures[-1] < since:
                self._news.clear()
                await self._news.wait()
        return next(at for at in self.pictures if at >= since) - since


@dataclass(frozen=True)
class _Scene:
    """``far``: the cameras behind the wire, by their transport; ``near``: the one that is not."""

    wire: Wire
    viewer: _Viewer
    far: dict[str, Reader]
    near: Reader


async def run(times: int) -> Result:
    """Each loss once, for some seconds, then so many blackouts."""
    if os.geteuid() != 0:
        return Result("needs root, for a network namespace", passed=False)
    async with _scene() as scene:
        shares = {loss: await _lose(scene, loss) for loss in LOSSES}
        found = await _go_dark(scene, times)
        notes = [f"{name}: {each}" for name, times_ in found.items() for each in times_.failures]
        if scene.viewer.ended:
            notes.append("the viewer's peer was given up")
        if scene.near.closed or any(reader.closed for reader in scene.far.values()):
            notes.append("a WebSocket was closed")
        epochs = scene.near.seen[-1].epoch - scene.near.seen[0].epoch
        lost = scene.near.gaps + scene.near.seen[-1].dropped - scene.near.seen[0].dropped + epochs
    text = [f"{name} {each}" for name, each in found.items()]
    for loss, share in shares.items():
        got = "/".join(f"{100 * part:.0f}" for part in share.values())
        text.append(f"{100 * loss:.0f} % loss: {got} % of frames")
    enough = all(
        part >= MOST for loss, share in shares.items() if loss <= 0.05 for part in share.values()
    )
    back = all(each.passed(times) for each in found.values())
    text.append(f"others lost {lost}")
    return Result("; ".join(text), back and enough and not lost and not notes, tuple(notes))


@asynccontextmanager
async def _scene() -> AsyncIterator[_Scene]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        clip = await asyncio.to_thread(make_clip, folder / "clip.mp4")
        wire = await stack.enter_async_context(strung_wire())
        far = RtspServer({"/cam": clip}, address=wire.there, inside=wire.inside)
        near = RtspServer({"/cam": clip})
        for camera in (far, near):
            stack.callback(camera.kill)
            await asyncio.to_thread(camera.start)
        urls = {"tcp": far.url("/cam"), "udp": far.url("/cam"), "near": near.url("/cam")}
        config = LITE + "".join(
            f'[[streams]]\nid = "{name}"\nsource = {{ type = "rtsp", url = "{url}",'
            f' transport = "{"udp" if name == "udp" else "tcp"}" }}\n'
            for name, url in urls.items()
        )
        everywhere = ("--host", "0.0.0.0", "--insecure-lan")
        server = StreamerServer(folder, config, arguments=everywhere)
        stack.callback(server.kill)
        await asyncio.to_thread(server.start)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        readers = {name: Reader(name) for name in urls}
        viewer = _Viewer()
        whep = f"http://{wire.here}:{server.port}/whep/near"
        reading = [reader.run(http, server.url) for reader in readers.values()]
        await stack.enter_async_context(running(*reading, viewer.run(wire, whep)))
        await asyncio.gather(*(reader.first(lambda _: True) for reader in readers.values()))
        await viewer.back_after(0.0)
        yield _Scene(
            wire, viewer, {name: readers[name] for name in ("tcp", "udp")}, readers["near"]
        )


async def _lose(scene: _Scene, loss: float) -> dict[str, float]:
    """The share of its frames that each got while so much was lost."""
    scene.wire.change(Conditions(loss=loss, delay_s=DELAY_S))
    await asyncio.sleep(SETTLE_S)
    begun = time.monotonic()
    await asyncio.sleep(LOSS_S)
    wanted = FPS * (time.monotonic() - begun)
    got = {"viewer": sum(at >= begun for at in scene.viewer.pictures)}
    got |= {name: sum(seen.at >= begun for seen in r.seen) for name, r in scene.far.items()}
    scene.wire.change(Conditions(delay_s=DELAY_S))
    await asyncio.sleep(SETTLE_S)
    return {name: count / wanted for name, count in got.items()}


async def _go_dark(scene: _Scene, times: int) -> dict[str, Times]:
    """How long each needs after 3 s in which nothing came through."""
    everybody: dict[str, _Viewer | Reader] = {"viewer": scene.viewer, **scene.far}
    found = {name: Times(LIMIT_S) for name in everybody}

    async def note(name: str, since: float, turn: int) -> None:
        with found[name].one_try(f"blackout {turn + 1}"):
            found[name].note(await everybody[name].back_after(since))

    for turn in range(times):
        await asyncio.sleep(SETTLE_S)
        scene.wire.set_blackout(True)
        await asyncio.sleep(DARK_S)
        scene.wire.set_blackout(False)
        now = time.monotonic()
        await asyncio.gather(*(note(name, now, turn) for name in everybody))
    return found
