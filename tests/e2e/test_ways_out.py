"""MJPEG in real players: Chromium's ``<img>``, FFmpeg and GStreamer; and the entries of the page's dialog."""

from __future__ import annotations

import asyncio
import base64
import re
import statistics
from typing import TYPE_CHECKING, Any

import aiohttp
import av
import cv2
import numpy as np
import pytest

from tests.rigs.browser import until
from tests.rigs.skeleton import LATEST_MESSAGES, RECORD_MESSAGES, best_share, shifted

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from playwright.async_api import Page

    from tests.conftest import OpenPage
    from tests.rigs.clips import Clips
    from tests.rigs.rtsp import RtspServer
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e

TOKEN = "0123456789-s3cret-token"
MJPEG = "/api/v1/streams/door/mjpeg"
ADD_IMAGE = """(src) => {
  const image = document.createElement("img");
  image.id = "mjpeg";
  image.src = src;
  document.body.append(image);
}"""
READ_IMAGE = f"""() => {{
  const image = document.querySelector("#mjpeg");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  canvas.getContext("2d").drawImage(image, 0, 0);
  return [canvas.toDataURL("image/png").split(",")[1], {LATEST_MESSAGES}];
}}"""


def camera_config(camera: RtspServer) -> str:
    return f"""
[[streams]]
id = "door"
source = {{ type = "rtsp", url = "{camera.url("/cam")}" }}
"""


async def read_image(page: Page) -> tuple[NDArray[np.uint8], list[dict[str, Any]]]:
    """What the ``<img>`` shows now, in RGB, and the latest landmark messages."""
    png, messages = await page.evaluate(READ_IMAGE)
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(png), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture[:, :, ::-1].astype(np.uint8), messages


async def test_an_img_of_our_own_page_shows_moving_pictures_with_the_skeleton_by_the_cookie(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    camera = rtsp_server({"/cam": clips.person})
    running = server(camera_config(camera), environment={"STREAMER_SERVER__TOKEN": TOKEN})
    page, watch = await open_page(running.url)
    await page.fill("input[type=password]", TOKEN)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{running.url}/")
    await until(page, "document.querySelector('.card')")
    await page.add_init_script(RECORD_MESSAGES)
    await page.goto(f"{running.url}/streams/door")
    await until(page, f"{LATEST_MESSAGES}.length === 20")
    await page.evaluate(ADD_IMAGE, MJPEG)
    await until(page, "document.querySelector('#mjpeg').naturalWidth === 640")
    found, moved, seen = [], [], []
    for _ in range(9):
        pixels, messages = await read_image(page)
        seen.append(pixels)
        found.append(best_share(pixels, messages))
        moved.append(best_share(pixels, [shifted(each, 0.1) for each in messages]))
        await page.wait_for_timeout(
            200
        )  # another picture than the last: an <img> has no event of it
    assert statistics.median(found) > 0.85
    assert statistics.median(moved) < 0.5
    differences = [
        np.abs(after.astype(int) - before).mean()
        for before, after in zip(seen, seen[1:], strict=False)
    ]
    assert statistics.median(differences) > 1, "the person moves"
    watch.assert_clean()


@pytest.mark.parametrize("query", ["", "?video=plain&width=320&fps=15"])
async def test_ffmpeg_plays_it(
    query: str,
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    clips: Clips,
) -> None:
    camera = rtsp_server({"/cam": clips.person})
    running = server(camera_config(camera))

    def play() -> set[tuple[int, int]]:
        sizes: list[tuple[int, int]] = []
        with av.open(f"{running.url}{MJPEG}{query}", timeout=10.0) as container:
            for picture in container.decode(video=0):
                sizes.append((picture.width, picture.height))
                if len(sizes) == 100:
                    break
        return set(sizes[-10:])

    assert await asyncio.to_thread(play) == {(320, 240) if query else (640, 480)}


async def test_the_snippets_of_the_page_do_what_they_say(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    camera = rtsp_server({"/cam": clips.person})
    running = server(camera_config(camera))
    page, watch = await open_page(f"{running.url}/streams/door")
    await until(page, "document.querySelector('#state').dataset.state === 'live'")
    await page.get_by_role("button", name="Code").click()
    shown = {}
    for name in ("curl (snapshot)", "<img>", "Home Assistant"):
        await page.get_by_role("button", name=name, exact=True).click()
        shown[name] = await page.locator("dialog pre").inner_text()
    assert (
        f"curl -o door.jpg {running.url}/api/v1/streams/door/snapshot.jpg"
        in shown["curl (snapshot)"]
    )
    urls = re.findall(r'<img src="([^"]*)"', shown["<img>"])
    urls += [
        line.split(": ", 1)[1] for line in shown["Home Assistant"].splitlines() if "_url:" in line
    ]
    async with aiohttp.ClientSession() as http:
        for url in urls:
            async with http.get(url) as response:
                assert response.status == 200
    assert len(urls) == 3
    watch.assert_clean()
