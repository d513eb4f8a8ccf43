"""The service's children are killed and stopped, one at a time; other streams and all viewers go on."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import tempfile
import time
from pathlib import Path

from tests.bench.viewers_worker import Viewer
from tests.chaos import Result
from tests.chaos.stage import PATIENCE_S, Stage, Times, make_clip, running, staged
from tests.rigs.workers import Worker, children_of, nursery_of

NAME = "worker killed or stopped"
PASS = "killed: back <= 3 s, stopped: replaced <= 3 s, others lose 0 frames, all viewers stay"
LIMIT_S = 3.0
"""Of a stopped one, ``[workers] hang_timeout_s`` (2 s) go by before anybody can know that it hangs: it is its
replacement that is measured, not the first frame after it."""

CAMERAS = 3
CALM_S = 1.0
SIGNALS = (signal.SIGKILL, signal.SIGSTOP)


async def run(times: int) -> Result:
    """SIGKILL and SIGSTOP in turn, to any child that belongs to a stream."""
    with tempfile.TemporaryDirectory() as folder:
        clip = await asyncio.to_thread(make_clip, Path(folder) / "clip.mp4")
        async with staged([clip] * CAMERAS) as stage:
            watches = {name: _Watch(stage, name) for name in stage.cameras}
            async with running(*(watch.run() for watch in watches.values())):
                await asyncio.gather(*(watch.joined.wait() for watch in watches.values()))
                at_rest = await stage.at_rest()
                found = {number: Times(LIMIT_S) for number in SIGNALS}
                roles: set[str] = set()
                losses: list[str] = []
                frames = 0
                begun = time.monotonic()
                for turn, number in zip(range(times), itertools.cycle(SIGNALS), strict=False):
                    with found[number].one_try(f"turn {turn + 1}, {number.name}"):
                        role, lost = await _strike(stage, watches, turn, number, found[number])
                        roles.add(role)
                        frames += sum(lost.values())
                        losses += [
                            f"turn {turn + 1}, {number.name} to a {role}: {other} lost {count}"
                            for other, count in lost.items()
                            if count
                        ]
                took_s = time.monotonic() - begun
                notes = [note for watch in watches.values() for note in watch.notes()]
    killed, stopped = found.values()
    figure = (
        f"killed {killed}; stopped {stopped}; others lost frames in {len(losses)}/{times}: {frames} in"
        f" {took_s:.0f} s, beside {at_rest}; {', '.join(sorted(roles))}"
    )
    in_time = killed.passed(times - times // 2) and stopped.passed(times // 2)
    notes += [*killed.failures, *stopped.failures, *losses]
    return Result(figure, in_time and not notes, tuple(notes))


class _Watch:
    """A WebRTC viewer of a stream that stays, beside the stage's WebSocket."""

    def __init__(self, stage: Stage, stream: str) -> None:
        self.joined = asyncio.Event()
        self._stage = stage
        self._stream = stream
        self._viewer = Viewer(has_video=True, has_channel=True, codec=None)

    async def run(self) -> None:
        """Until cancelled."""
        http = self._stage.http
        await self._viewer.join(http, f"{self._stage.server.url}/whep/{self._stream}")
        self.joined.set()
        try:
            await asyncio.Event().wait()
        finally:
            await self._viewer.leave(http)

    async def pictures_come(self) -> None:
        """The viewer is sent pictures again, on the same connection."""
        self._viewer.frames.clear()
        async with asyncio.timeout(PATIENCE_S):
            while not self._viewer.frames:  # noqa: ASYNC110 - the bench's viewer sets no event
                await asyncio.sleep(0.05)
        self._viewer.messages.clear()

    def notes(self) -> list[str]:
        """What became of the viewers, if it is not what should."""
        wrong = []
        if self._viewer.state != "connected":
            wrong.append(f"{self._stream}: the peer is {self._viewer.state}")
        if self._stage.readers[self._stream].closed:
            wrong.append(f"{self._stream}: the WebSocket was closed")
        return wrong


async def _strike(
    stage: Stage, watches: dict[str, _Watch], turn: int, number: signal.Signals, found: Times
) -> tuple[str, dict[str, int]]:
    """Strike one child and wait until its stream is back: its role, and what other streams have lost. Each
    child in its turn: what dies too often is left alone for a while."""
    await asyncio.sleep(CALM_S)
    nursery = await asyncio.to_thread(nursery_of, stage.server.pid)
    assert nursery is not None
    there = sorted(children_of(nursery), key=lambda each: (each.role, each.name))
    victim = there[turn // len(SIGNALS) % len(there)]
    name = _stream_of(stage, victim)
    others = [other for other in stage.readers if other != name]
    before = {other: await stage.losses(other) for other in others}
    begun = time.monotonic()
    os.kill(victim.pid, number)
    await _replaced(nursery, victim)
    now = time.monotonic()
    back_s = await stage.readers[name].back_after(now)
    found.note(now - begun + (back_s if number is signal.SIGKILL else 0.0))
    await watches[name].pictures_come()
    await asyncio.sleep(CALM_S)
    return victim.role, {other: await stage.losses(other) - before[other] for other in others}


def _stream_of(stage: Stage, worker: Worker) -> str:
    """A child of a camera is called by its address, the others by their streams."""
    by_port = {f":{camera.port}/": name for name, camera in stage.cameras.items()}
    found = [name for port, name in by_port.items() if port in worker.name]
    return found[0] if found else worker.name


async def _replaced(nursery: int, victim: Worker) -> None:
    """Waits until another child has its place."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            there = children_of(nursery)
            same = [each for each in there if (each.role, each.name) == (victim.role, victim.name)]
            if same and victim not in same:
                return
            await asyncio.sleep(0.01)
