"""How long a person waits before a browser: for the first annotated picture, and for a lost camera."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import aiohttp

from tests.bench.table import figure, print_table
from tests.rigs.browser import launch_chromium
from tests.rigs.clips import Clips, prepare_clips
from tests.rigs.rtsp import RtspServer
from tests.rigs.server import StreamerServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.async_api import Page

ROUNDS = 5
AWAY_S = (2.0, 5.0, 15.0)  # how long the camera is lost, to meet the retries at different stages
TIMEOUT_S = 30.0
POLL_S = 0.02
STREAM = "bench"
TARGETS_S = {
    "webcam: from the permission": "<= 1.5",
    "IP camera: from the click on add": "<= 2",
    "lost IP camera: from its answer to live": "<= 5",
}

# Times of the page's own clock: the first click that asks for a picture, the camera granted, and the
# first received picture of the camera's 4:3 (notices are 16:9 until the camera's first frame).
_NOTE_TIMES = """
(() => {
  const times = {};
  const note = (name) => { times[name] ??= performance.now(); };
  addEventListener("click", ({ target }) => {
    if (target.closest("#start, #camera-add")) note("asked");
  }, true);
  const media = navigator.mediaDevices;
  const getUserMedia = media.getUserMedia.bind(media);
  media.getUserMedia = async (wanted) => {
    const stream = await getUserMedia(wanted);
    note("granted");
    return stream;
  };
  let finish;
  window.benchTimes = new Promise((resolve) => { finish = resolve; });
  const watched = new WeakSet();
  const watch = (video) => video.requestVideoFrameCallback((_, shown) => {
    const received = shown.rtpTimestamp !== undefined;
    if (!received || shown.width * 3 !== shown.height * 4) return watch(video);
    note("shown");
    finish(times);
  });
  const find = () => {
    for (const video of document.querySelectorAll("#video, .card video")) {
      if (!watched.has(video)) watch(video);
      watched.add(video);
    }
    if (!("shown" in times)) requestAnimationFrame(find);
  };
  find();
})();
"""


def first_frame() -> dict[str, list[float]]:
    """Print the table; return every round's seconds."""
    clips = prepare_clips()
    with (
        tempfile.TemporaryDirectory() as folder,
        StreamerServer(Path(folder)) as server,
        RtspServer({"/cam": clips.person}) as camera,
    ):
        webcam = [asyncio.run(_webcam(server.url, clips)) for _ in _rounds("webcam")]
        pasted = [
            asyncio.run(_ip_camera(server.url, camera.url("/cam"))) for _ in _rounds("IP camera")
        ]
        back = asyncio.run(_back(server.url, camera))
    waits = {
        "webcam: from the click on start": [_s(times, "asked") for times in webcam],
        "webcam: from the permission": [_s(times, "granted") for times in webcam],
        "IP camera: from the click on add": [_s(times, "asked") for times in pasted],
        "lost IP camera: from its answer to live": back,
    }
    rows = [
        [name, figure(median(each), 2), figure(max(each), 2), TARGETS_S.get(name, "")]
        for name, each in waits.items()
    ]
    print_table(
        "Waiting in Chromium: seconds to the first annotated picture",
        ["", "median", "highest", "to reach"],
        rows,
    )
    return waits


def _rounds(name: str) -> Iterator[int]:
    for number in range(ROUNDS):
        print(f"{name}, round {number + 1} …", flush=True)
        yield number


def _s(times: dict[str, float], since: str) -> float:
    return (times["shown"] - times[since]) / 1000


async def _webcam(url: str, clips: Clips) -> dict[str, float]:
    """A person allows the camera on the webcam page, in a fresh browser."""
    async with launch_chromium(clips.person_camera) as browser:
        page = await browser.new_page()
        await page.add_init_script(_NOTE_TIMES)
        await page.goto(f"{url}/webcam")
        await page.click("#start")
        return await _shown(page)


async def _ip_camera(url: str, camera_url: str) -> dict[str, float]:
    """A person pastes a camera's URL on the wall, in a fresh browser; the camera is removed after."""
    async with launch_chromium() as browser:
        page = await browser.new_page()
        await page.add_init_script(_NOTE_TIMES)
        await page.goto(url)
        await page.wait_for_function(
            "!document.querySelector('#welcome').hidden || document.querySelector('.card')"
        )
        if not await page.locator("#camera-url").is_visible():
            await page.get_by_role("button", name="IP camera").first.click()
        await page.fill("#camera-url", camera_url)
        await page.fill("#camera-name", STREAM)
        await page.click("#camera-add")
        times = await _shown(page)
    async with aiohttp.ClientSession(url, raise_for_status=True) as http:
        await http.delete(f"/api/v1/streams/{STREAM}")
    return times


async def _shown(page: Page) -> dict[str, float]:
    async with asyncio.timeout(TIMEOUT_S):
        times: dict[str, float] = await page.evaluate("window.benchTimes")
    return times


async def _back(url: str, camera: RtspServer) -> list[float]:
    """A camera is lost for a while; how long after its answering again is its stream live?"""
    waits_s = []
    async with aiohttp.ClientSession(url, raise_for_status=True) as http:
        source = {"type": "rtsp", "url": camera.url("/cam")}
        await http.post("/api/v1/streams", json={"id": STREAM, "source": source})
        await _until(http, "live")
        for away_s in AWAY_S:
            print(f"camera away for {away_s:g} s …", flush=True)
            camera.kill()
            await _until(http, "reconnecting")
            await asyncio.sleep(away_s)
            await asyncio.to_thread(camera.restart)
            answers_at = time.monotonic()
            await _until(http, "live")
            waits_s.append(time.monotonic() - answers_at)
        await http.delete(f"/api/v1/streams/{STREAM}")
    return waits_s


async def _until(http: aiohttp.ClientSession, state: str) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            async with http.get(f"/api/v1/streams/{STREAM}") as response:
                if (await response.json())["state"] == state:
                    return
            await asyncio.sleep(POLL_S)
