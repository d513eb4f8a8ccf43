"""The service's children are killed and stopped, one at a time; other streams and all viewers go on."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import tempfile
import time
from dataclasses import dataclass
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
                at_rest = await stage.losses_at_rest()
                found = {number: Times(LIMIT_S) for number in SIGNALS}
                blows: list[_Blow] = []
                for turn, number in zip(range(times), itertools.cycle(SIGNALS), strict=False):
                    with found[number].one_try(f"turn {turn + 1}, {number.name}"):
                        blows.append(await _strike(stage, watches, turn, number, found[number]))
                notes = [note for watch in watches.values() for note in watch.notes()]
    killed, stopped = found.values()
    losses = [loss for blow in blows for loss in blow.losses()]
    figure = (
        f"killed {killed}; stopped {stopped}; others lost frames in {len(losses)}/{times}, each"
        f" {_rate(blows):.1f} a minute, without a fault {at_rest:.1f};"
        f" {', '.join(sorted({blow.role for blow in blows}))}"
    )
    in_time = killed.passed(times - times // 2) and stopped.passed(times // 2)
    notes += [*killed.failures, *stopped.failures, *losses]
    return Result(figure, in_time and not notes, tuple(notes))


@dataclass(frozen=True)
class _Blow:
    """``lost``: by each other stream, in the ``watched_s`` from the signal until a moment after its stream
    was back."""

    turn: int
    signal: signal.Signals
    role: str
    lost: dict[str, int]
    watched_s: float

    def losses(self) -> list[str]:
        """A sentence for each stream that lost something."""
        what = f"turn {self.turn + 1}, {self.signal.name} to a {self.role}"
        return [f"{what}: {other} lost {count}" for other, count in self.lost.items() if count]


def _rate(blows: list[_Blow]) -> float:
    """What another stream lost in a minute, as ``Stage.losses_at_rest`` has it."""
    lost = sum(sum(blow.lost.values()) for blow in blows)
    watched_s = sum(len(blow.lost) * blow.watched_s for blow in blows)
    return 60.0 * lost / watched_s if watched_s else 0.0


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
) -> _Blow:
    """Strike one child and wait until its stream is back. Each child in its turn: what dies too often is left
    alone for a while."""
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
    lost = {other: await stage.losses(other) - before[other] for other in others}
    return _Blow(turn, number, victim.role, lost, time.monotonic() - begun)


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
