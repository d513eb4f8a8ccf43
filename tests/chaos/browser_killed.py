"""Browsers with a webcam page are killed, and their place on the server becomes free."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import aiohttp

from tests.chaos import Result
from tests.chaos.stage import LITE, PATIENCE_S, Times
from tests.rigs.browser import launch_chromium, until
from tests.rigs.clips import prepare_clips
from tests.rigs.processes import descendants
from tests.rigs.server import StreamerServer

if TYPE_CHECKING:
    from playwright.async_api import Page

NAME = "browser killed"
PASS = "its peer's place is free <= 8 s later"
LIMIT_S = 8.0
AT_ONCE = 2
POLL_S = 0.05
CONFIG = f"[webrtc]\nresume_timeout_s = 1.0\n{LITE}"


async def run(times: int) -> Result:
    """Each browser shows its picture, then gets SIGKILL; the peer's address tells when it is gone."""
    found = Times(LIMIT_S)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        server = StreamerServer(Path(folder), CONFIG)
        try:
            await asyncio.to_thread(server.start)
            starting = asyncio.Lock()
            for begun in range(0, times, AT_ONCE):
                async with asyncio.TaskGroup() as group:
                    for turn in range(begun, min(begun + AT_ONCE, times)):
                        group.create_task(_one(server.url, turn, found, starting))
        finally:
            server.kill()
    return Result(str(found), found.passed(times), tuple(found.failures))


async def _one(url: str, turn: int, found: Times, starting: asyncio.Lock) -> None:
    with found.one_try(f"browser {turn + 1}"):
        async with contextlib.AsyncExitStack() as stack:
            async with starting:  # one after the other, so that each one's process is known
                before = set(_browsers())
                browser = await stack.enter_async_context(
                    launch_chromium(prepare_clips().person_camera)
                )
                pid = next(each for each in _browsers() if each not in before)
            page = await browser.new_page()
            location = await _publish(page, url)
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            await _gone(location)
            found.note(time.monotonic() - killed)
            print(f"  {turn + 1}: {found.taken_s[-1]:.1f} s", flush=True)


def _browsers() -> list[int]:
    """The first process of each Chromium that this program started, before those that it forks: they have
    its command line until they have their own."""
    found = []
    for pid in descendants(os.getpid()):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"--user-data-dir=" in words and b"--type=" not in words:
                found.append(pid)
    return found


async def _publish(page: Page, url: str) -> str:
    """Start the webcam and wait until poses come back: the peer's address."""
    await page.goto(f"{url}/webcam")
    async with page.expect_response("**/webcam*", timeout=1000 * PATIENCE_S) as answered:
        await page.click("#start")
    response = await answered.value
    await until(page, "document.querySelector('#video').videoWidth > 0", PATIENCE_S)
    return urljoin(url, (await response.all_headers())["location"])


async def _gone(location: str) -> None:
    """Waits until the server knows nothing of the peer any more."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(PATIENCE_S):
        while True:
            async with http.get(location) as response:
                if response.status == 404:
                    return
            await asyncio.sleep(POLL_S)
