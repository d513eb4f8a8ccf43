"""Sockets that hold on for as long as they can with as little as they can, and those who mean well beside
them: ``python -m tests.rigs.slow_loris`` prints what becomes of either, and fails if it is not good."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import itertools
import json
import multiprocessing
import ssl
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from tests.bench.table import figure, print_table
from tests.rigs.certificate import make_certificate
from tests.rigs.clips import prepare_clips
from tests.rigs.server import StreamerServer

if TYPE_CHECKING:
    from collections.abc import Sequence

SOCKETS = 500
HEALTHY_P99_MS = 500.0
REAPED_S = 20.0
PATIENCE_S = 30.0
DROP_S = 1.0
BREAK_S = 1.0
REQUEST_S = 0.05
BEFORE_S = 6.0
STREAM = "door"

HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
BODY = (
    b"POST /api/v1/streams HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 60000\r\n\r\n"
)
CLIENT_HELLO = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # its first 11 bytes of 517 (RFC 8446)
)


@dataclass(frozen=True)
class Kind:
    """``first``: what is sent at once; ``drop``: what then comes each second, if anything."""

    name: str
    first: bytes = b""
    drop: bytes = b""
    tls: bool = False


PLAIN = (
    Kind("silent"),
    Kind("half a head", HEAD),
    Kind("a byte of head a second", HEAD, b"x"),
    Kind("half a body", BODY + b"{"),
    Kind("a byte of body a second", BODY, b" "),
)
SECURE = (
    Kind("https: silent"),
    Kind("https: half a handshake", CLIENT_HELLO),
    Kind("https: silent after the handshake", tls=True),
    Kind("https: half a head", HEAD, tls=True),
    Kind("https: a byte of body a second", BODY, b" ", tls=True),
)


@dataclass
class Tally:
    """``lives_s``: how long each socket of a kind was held; ``left``: those that still are."""

    lives_s: list[float] = field(default_factory=list)
    left: int = 0


@dataclass
class Health:
    """What those who mean well saw: the time of each request, what failed, and the stream's messages."""

    requests_ms: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    messages: int = 0
    longest_gap_s: float = 0.0

    @property
    def p99_ms(self) -> float:
        return statistics.quantiles(self.requests_ms, n=100)[98]


async def hold_on(port: int, kind: Kind, tally: Tally, *, again: bool) -> None:
    """One socket, and with ``again`` the next, until cancelled."""
    context = _trusting() if kind.tls else None
    while True:
        began = time.monotonic()
        tally.left += 1
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            with contextlib.closing(writer):
                writer.write(kind.first)
                ended = asyncio.create_task(_until_end(reader))
                try:
                    while not ended.done():
                        await asyncio.wait([ended], timeout=DROP_S)
                        if kind.drop and not ended.done():
                            writer.write(kind.drop)
                finally:
                    ended.cancel()
        except OSError:
            pass  # reset: it is reaped
        tally.lives_s.append(time.monotonic() - began)
        tally.left -= 1
        if not again:
            return
        await asyncio.sleep(BREAK_S)


async def _until_end(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(4096):
            pass


async def ask(url: str, health: Health) -> None:
    """Requests one after the other, each on a connection of its own, until cancelled."""
    connector = aiohttp.TCPConnector(force_close=True, ssl=_trusting())
    async with aiohttp.ClientSession(connector=connector) as http:
        for path in itertools.cycle(("/healthz", "/api/v1/streams", f"/api/v1/streams/{STREAM}")):
            began = time.monotonic()
            try:
                async with http.get(url + path) as response:
                    await response.read()
                    if response.status != 200:
                        health.failed.append(f"{path}: {response.status}")
            except (aiohttp.ClientError, TimeoutError) as error:
                health.failed.append(f"{path}: {error!r}")
            health.requests_ms.append(1000 * (time.monotonic() - began))
            await asyncio.sleep(REQUEST_S)


async def watch(url: str, health: Health) -> None:
    """Landmarks over a WebSocket, until cancelled."""
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}/api/v1/streams/{STREAM}/landmarks", ssl=_trusting()) as websocket,
    ):
        last = time.monotonic()
        async for message in websocket:
            if json.loads(message.data)["type"] == "pose":
                now = time.monotonic()
                health.longest_gap_s = max(health.longest_gap_s, now - last)
                health.messages, last = health.messages + 1, now
    health.failed.append("the WebSocket was closed")


@functools.cache
def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _hold_on_all(
    port: int, kinds: Sequence[Kind], sockets: int, *, again: bool
) -> dict[str, Tally]:
    """All kinds at once: until the last socket is reaped, or with ``again`` for ``REAPED_S``."""
    tallies = {kind.name: Tally() for kind in kinds}
    slow = [
        asyncio.create_task(hold_on(port, kind, tallies[kind.name], again=again))
        for kind in itertools.islice(itertools.cycle(kinds), sockets)
    ]
    await asyncio.wait(slow, timeout=REAPED_S if again else PATIENCE_S)
    still = {name: tally.left for name, tally in tallies.items()}
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    for name, left in still.items():
        tallies[name].left = left
    return tallies


def hold_on_all(port: int, kinds: Sequence[Kind], sockets: int, *, again: bool) -> dict[str, Tally]:
    """In a process of its own, so that nobody's time is measured there."""
    return asyncio.run(_hold_on_all(port, kinds, sockets, again=again))


async def attack(
    server: StreamerServer, kinds: Sequence[Kind], sockets: int, *, again: bool
) -> tuple[dict[str, Tally], Health, Health]:
    """What became of the slow ones, and of the healthy before and meanwhile."""
    warm = Health()
    async with asyncio.timeout(PATIENCE_S):
        while not warm.messages:  # the stream is live
            with contextlib.suppress(TimeoutError, aiohttp.ClientError):
                await asyncio.wait_for(watch(server.url, warm), 1.0)
    phases = (before, meanwhile) = (Health(), Health())
    tallies: dict[str, Tally] = {}
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        await asyncio.get_running_loop().run_in_executor(pool, time.sleep, 0)  # it is there
        for health in phases:
            good = [asyncio.create_task(each(server.url, health)) for each in (ask, watch)]
            if health is before:
                await asyncio.sleep(BEFORE_S)
            else:
                slow = functools.partial(hold_on_all, server.port, kinds, sockets, again=again)
                tallies = await asyncio.get_running_loop().run_in_executor(pool, slow)
            for task in good:
                task.cancel()
            await asyncio.gather(*good, return_exceptions=True)
    return tallies, before, meanwhile


def report(
    title: str, tallies: dict[str, Tally], before: Health, health: Health, *, again: bool
) -> bool:
    """Prints it; whether it is good."""
    rows = [
        [
            name,
            str(len(tally.lives_s) + tally.left),
            str(tally.left),
            figure(statistics.median(tally.lives_s) if tally.lives_s else None),
            figure(max(tally.lives_s, default=None)),
        ]
        for name, tally in tallies.items()
    ]
    print_table(title, ["kind", "sockets", "left", "life p50 s", "longest s"], rows)
    longest = max(max(tally.lives_s, default=0.0) for tally in tallies.values())
    reaped = longest <= REAPED_S and (again or not any(tally.left for tally in tallies.values()))
    quick, unharmed = health.p99_ms < HEALTHY_P99_MS, not health.failed and health.messages > 0
    checks = [
        (
            "healthy p99 before",
            f"{before.p99_ms:.0f} ms of {len(before.requests_ms)} requests",
            True,
        ),
        ("healthy p99", f"{health.p99_ms:.0f} ms of {len(health.requests_ms)} requests", quick),
        ("slow ones reaped", f"longest {longest:.1f} s", reaped),
        (
            "healthy ones unharmed",
            f"{len(health.failed)} failed; gap {health.longest_gap_s:.2f} s in {health.messages} poses",
            unharmed,
        ),
    ]
    print_table("", ["", "figure", ""], [[a, b, "pass" if ok else "FAIL"] for a, b, ok in checks])
    for failure in health.failed[:5]:
        sys.stdout.write(f"  {failure}\n")
    return all(ok for *_, ok in checks)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=SOCKETS)
    parser.add_argument("--only", choices=("http", "https"))
    arguments = parser.parse_args()
    sockets = arguments.sockets
    clips = prepare_clips()
    good = []
    for name, kinds in (("http", PLAIN), ("https", SECURE)):
        if arguments.only not in (None, name):
            continue
        for again in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                place = Path(folder)
                source = f'{{ type = "file", path = "{clips.person.name}" }}'
                config = (
                    f'[files]\nfolders = ["{clips.folder}"]\n'
                    f'[[streams]]\nid = "{STREAM}"\nsource = {source}\n'
                )
                tls = make_certificate(place, "127.0.0.1") if name == "https" else None
                with StreamerServer(place, config, tls=tls) as server:
                    found = asyncio.run(attack(server, kinds, sockets, again=again))
                how = "each comes back a second after it was cut off" if again else "once"
                title = f"{name}: {sockets} slow sockets, {how}"
                good.append(report(title, *found, again=again))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
