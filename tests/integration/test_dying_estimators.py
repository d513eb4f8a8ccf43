"""The real server while a stream's estimator is killed, and stopped: its readers stay, others see nothing."""

import asyncio
import os
import signal
from collections.abc import Callable
from itertools import groupby, pairwise
from typing import Any

import aiohttp
import pytest

from streamer.client import Client, PoseFrame, State
from tests.fakes import PATIENCE_S
from tests.rigs.clips import Clips
from tests.rigs.server import StreamerServer
from tests.rigs.workers import is_alive, workers_of


class Reader:
    """Of one stream's messages, through one connection for the whole test."""

    def __init__(self, client: Client, stream: str) -> None:
        self.frames: list[PoseFrame] = []
        self.states: list[State] = []
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._read(client, stream))

    async def _read(self, client: Client, stream: str) -> None:
        async for message in client.messages(stream):
            if isinstance(message, PoseFrame):
                self.frames.append(message)
            else:
                self.states.append(message)
            self._news.set()

    async def more(self, count: int) -> None:
        wanted = len(self.frames) + count
        while len(self.frames) < wanted:
            assert not self.task.done(), "the connection was closed"
            self._news.clear()
            await self._news.wait()


def estimator_of(server: StreamerServer, stream: str) -> int:
    """The process, which there is once."""
    (pid,) = {
        each.pid
        for each in workers_of(server.pid)
        if (each.role, each.name) == ("estimator", stream)
    }
    return pid


def words_of_end(detail: str) -> str:
    """What became of an estimator, as a state tells it; on a busy machine it may tell of silence, too."""
    return detail.partition(" of one ")[2]


async def stats_of(url: str, stream: str) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession(url) as http,
        http.get(f"/api/v1/streams/{stream}") as response,
    ):
        shown = await response.json()
        assert shown["state"] == "live"
        stats: dict[str, Any] = shown["stats"]
        return stats


@pytest.mark.e2e
async def test_killed_and_stopped_estimator_is_replaced_and_nobody_else_sees_it(
    server: Callable[..., StreamerServer], clips: Clips
) -> None:
    source = f'{{type = "file", path = "{clips.person.name}", loop = true}}'
    streams = "".join(f'[[streams]]\nid = "{id_}"\nsource = {source}\n' for id_ in ("one", "two"))
    running = server(f'[files]\nfolders = ["{clips.person.parent}"]\n{streams}')
    async with Client(running.url) as client, asyncio.timeout(2 * PATIENCE_S):
        one, two = Reader(client, "one"), Reader(client, "two")
        await asyncio.gather(one.more(5), two.more(5))
        untouched = estimator_of(running, "two")
        for number in (signal.SIGKILL, signal.SIGSTOP):
            victim = estimator_of(running, "one")
            os.kill(victim, number)
            while is_alive(victim):  # noqa: ASYNC110 - the server's event
                await asyncio.sleep(0.05)
            await asyncio.gather(one.more(10), two.more(10))
        assert estimator_of(running, "two") == untouched
        for reader in (one, two):
            reader.task.cancel()
    for reader in (one, two):
        places = [(frame.epoch, frame.seq, frame.pts) for frame in reader.frames]
        assert all(
            later == (epoch, seq + 1, later[2]) and later[2] > pts
            for (epoch, seq, pts), later in pairwise(places)
        )
        assert reader.frames[-1].poses
    restarts = [
        (await stats_of(running.url, stream))["worker_restarts"] for stream in ("one", "two")
    ]
    assert restarts == [2, 0]
    assert {state.state for state in one.states} <= {"connecting", "live"}
    told = [words for words, _ in groupby(words_of_end(state.detail) for state in one.states)]
    ends = ["died of SIGKILL; another one starts", "hung and was ended; another one starts"]
    assert told == ["", ends[0], "", ends[1], ""]
    assert not [state for state in two.states if words_of_end(state.detail)]
