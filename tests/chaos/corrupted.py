"""Cameras whose video is damaged, one after another and some at a time, beside one that is well."""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from streamer.app import EXECUTOR_THREADS
from tests.chaos import Result
from tests.chaos.stage import Reader, Seen, Stage, make_clip, staged
from tests.rigs.corrupted_video import Film, corrupted, film_of
from tests.rigs.scripted_camera import Script, scripted_camera
from tests.rigs.workers import workers_of

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "corrupted streams"
PASS = "the other stream loses 0 frames, all is given back"
AT_ONCE = 4
LOOK_S = 0.1
"""Between two requests for each: they are work for the service, too."""

MOST_S = 2.5
"""For a damaged stream to fail; after that it is taken away as it is, silent or playing."""

SETTLE_S = 15.0
HEALTHY_FPS = 5
SERVER = "tests.rigs.instant_server"
"""The service with an estimator that costs nothing: a frame that is lost for want of CPU would prove nothing
about decoding."""

CODECS = {"h264": "clip.mp4", "h265": "h265.mp4", "mjpeg": "clip.avi"}


@dataclass(frozen=True)
class Holdings:
    """Of the service: what must come back to where it was."""

    fds: int
    threads: int
    children: int

    def fits(self, before: Holdings) -> bool:
        """Nothing was kept. The threads that all share come one by one, as they are needed."""
        return (
            self.fds <= before.fds
            and self.children <= before.children
            and self.threads <= before.threads + EXECUTOR_THREADS
        )


@dataclass
class Outcomes:
    """By what the service said of a damaged stream: how many."""

    count: dict[str, int] = field(default_factory=dict)

    def note(self, outcome: str) -> None:
        self.count[outcome] = self.count.get(outcome, 0) + 1

    def __str__(self) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in sorted(self.count.items()))


async def run(times: int) -> Result:
    """So many damaged cameras."""
    with tempfile.TemporaryDirectory() as folder:
        damaged = await asyncio.to_thread(films, Path(folder))
        clip = Path(folder) / "healthy.mp4"
        await asyncio.to_thread(make_clip, clip, fps=HEALTHY_FPS)
        async with staged([clip], module=SERVER) as stage:
            at_rest = await stage.losses_at_rest()
            result = await beside(stage, damaged, range(times))
    return replace(result, figure=f"{result.figure}, without a fault {at_rest:.1f} a minute")


async def beside(stage: Stage, films: list[Film], numbers: Sequence[int]) -> Result:
    """Damaged cameras of these numbers come and go beside the first stream of the stage."""
    (healthy,) = stage.readers.values()
    await _visit(stage, films, numbers[:AT_ONCE], Outcomes())  # what the first use loads stays
    before, begun = await settled(stage, None), healthy.seen[-1]
    outcomes = Outcomes()
    share = [numbers[place::AT_ONCE] for place in range(AT_ONCE)]
    await asyncio.gather(*(_visit(stage, films, each, outcomes) for each in share))
    after = await settled(stage, before)
    await healthy.first(lambda _: True)
    notes = _losses(healthy, begun)
    if not after.fits(before):
        notes.append(f"of {before} became {after}")
    if notes:
        said = stage.server.log_tail(100_000).splitlines()
        notes += ["the log but for the damaged streams:", *(x for x in said if "bad-" not in x)][
            -60:
        ]
    lost = healthy.gaps + healthy.seen[-1].dropped - begun.dropped
    figure = f"{len(numbers)} streams ({outcomes}), {lost} frames lost of {len(healthy.seen)}"
    return Result(figure, not notes, tuple(notes))


def _losses(healthy: Reader, begun: Seen) -> list[str]:
    last = healthy.seen[-1]
    lost = last.dropped - begun.dropped
    return [
        *([f"{healthy.gaps} messages are missing"] if healthy.gaps else []),
        *([f"{lost} frames were dropped"] if lost else []),
        *(["the healthy stream began anew"] if last.epoch != begun.epoch else []),
        *(["its reader was cut off"] if healthy.closed else []),
    ]


async def _visit(
    stage: Stage, films: list[Film], numbers: Sequence[int], outcomes: Outcomes
) -> None:
    """One damaged camera after another."""

    def script_of(path: str) -> Script:
        return corrupted(int(path.strip("/").partition("/")[0] or 0), films)[1]

    connector = aiohttp.TCPConnector(
        force_close=True
    )  # kept ones would be descriptors of the service's
    async with (
        scripted_camera(script_of) as port,
        aiohttp.ClientSession(connector=connector, raise_for_status=True) as http,
    ):
        for number in numbers:
            url = f"rtsp://127.0.0.1:{port}/{number}"
            outcomes.note(await _watch(http, stage.server.url, number, url))


async def _watch(http: aiohttp.ClientSession, server: str, number: int, url: str) -> str:
    """Adds the camera, waits until the service has had enough of it, and takes it away again. What the
    service said."""
    streams, name = f"{server}/api/v1/streams", f"bad-{number}"
    begun = time.monotonic()
    body = {"id": name, "source": {"type": "rtsp", "url": url}}
    async with http.post(streams, json=body):
        pass
    outcome = "connecting"
    while time.monotonic() - begun < MOST_S:
        async with http.get(f"{streams}/{name}") as response:
            told = await response.json()
        if told["last_error"]:
            outcome = told["last_error"]["type"].rpartition(":")[2]
            break
        outcome = told["state"]
        await asyncio.sleep(LOOK_S)
    async with http.delete(f"{streams}/{name}"):
        pass
    return outcome


async def settled(stage: Stage, wanted: Holdings | None) -> Holdings:
    """What the service holds, once that has not changed for a second, or is what is wanted."""
    deadline = time.monotonic() + SETTLE_S
    last, since = _holdings(stage), time.monotonic()
    while time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        now = await asyncio.to_thread(_holdings, stage)
        if wanted is not None and now.fits(wanted):
            return now
        if now != last:
            last, since = now, time.monotonic()
        if wanted is None and time.monotonic() - since > 1.0:
            return now
    return last


def _holdings(stage: Stage) -> Holdings:
    server = stage.server
    return Holdings(server.fds(), server.threads(), len(workers_of(server.pid)))


def films(folder: Path) -> list[Film]:
    """Small clips, as bare pictures; the first one's file is the healthy camera's."""
    return [
        film_of(make_clip(folder / name, codec=codec, seconds=4), codec)
        for codec, name in CODECS.items()
    ]
