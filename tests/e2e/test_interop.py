"""WHIP and WHEP with the clients that people use; docs/interop.md has them in a table."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import cv2
import numpy as np
import pytest
from playwright.async_api import Error

from tests.fakes import PATIENCE_S
from tests.rigs.browser import read_video_frame, until
from tests.rigs.certificate import make_certificate
from tests.rigs.interop_page import open_clients
from tests.rigs.obs import write_units
from tests.rigs.person import shows_person
from tests.rigs.programs import run_program
from tests.rigs.rtsp import PYTHON
from tests.rigs.whep_messages import watch_messages

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from numpy.typing import NDArray
    from playwright.async_api import Page

    from tests.conftest import OpenPage
    from tests.rigs.clips import Clips
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e

TESTS = Path(__file__).parents[1]
NODE = TESTS / "node"
GSTREAMER = (PYTHON, str(TESTS / "rigs" / "gst_whip.py"))
FFMPEG = (sys.executable, "-m", "tests.rigs.ffmpeg_whip")
TOKEN = "a-token-for-the-test"
PATIENT = "[webrtc]\nresume_timeout_s = 30\n"  # programs start slowly on a busy machine
POLL_S = 0.1
PLAIN = "?video=plain"  # a skeleton drawn on it may hide a person from MediaPipe
GUARDED = f'[server]\ntoken = "{TOKEN}"\n'


# -- GStreamer --------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_gstreamer_publishes_and_watches(
    codec: str, server: Callable[..., StreamerServer], clips: Clips, tmp_path: Path
) -> None:
    running = server(GUARDED)
    clip = {"H264": clips.person, "VP8": clips.person_webm}[codec]
    picture = tmp_path / "picture.png"
    token = ("--token", TOKEN)
    async with AsyncExitStack() as stack:
        publish = ("publish", f"{running.url}/whip/gst", "--clip", str(clip), *token)
        publisher = await stack.enter_async_context(run_program(*GSTREAMER, *publish))
        await publisher.until(lambda news: news["state"] == "connected")
        messages = await stack.enter_async_context(watch_messages(running.url, "gst", TOKEN))
        await messages.until_poses()

        watch = (
            "watch",
            f"{running.url}/whep/gst{PLAIN}",
            "--codec",
            codec,
            "--picture",
            str(picture),
        )
        viewer = await stack.enter_async_context(run_program(*GSTREAMER, *watch, *token))
        seen = await viewer.until(lambda news: news.get("frames", 0) >= 60)
        assert seen["size"] == "640x480"
        assert seen["poses"] > 30
        await until_person(lambda: asyncio.to_thread(read_png, picture))
        assert await viewer.stop() == 0, viewer.errors
        assert await publisher.stop() == 0, publisher.errors
        await messages.until(lambda now: now.state == "ended")


# -- FFmpeg -----------------------------------------------------------------------------------------


async def test_ffmpeg_publishes_with_a_certificate_on_p256(
    server: Callable[..., StreamerServer], clips: Clips, tmp_path: Path
) -> None:
    running = server(GUARDED)
    certificate, key = make_certificate(tmp_path, "ffmpeg")
    options = ("--cert", str(certificate), "--key", str(key), "--token", TOKEN)
    async with AsyncExitStack() as stack:
        command = (*FFMPEG, f"{running.url}/whip/ff", str(clips.person), *options)
        publisher = await stack.enter_async_context(run_program(*command))
        messages = await stack.enter_async_context(watch_messages(running.url, "ff", TOKEN))
        await messages.until_poses(60)
        assert await publisher.stop() == 0, publisher.errors
        await messages.until(lambda now: now.state == "ended")


async def test_ffmpeg_whose_own_certificate_is_on_p224_is_refused_and_the_log_says_why(
    server: Callable[..., StreamerServer], clips: Clips
) -> None:
    """What FFmpeg 8.1 on GnuTLS makes for itself, and OpenSSL 4 can't take (docs/decisions/0020). When this
    fails, one of them has changed, and docs/interop.md needs no ``-cert_file`` any more."""
    running = server(alone=True)  # its log is read
    command = (*FFMPEG, f"{running.url}/whip/ff", str(clips.person))
    async with run_program(*command) as publisher:
        assert await publisher.wait() != 0
    assert running.log_tail().count("P-256") == 1


# -- OBS --------------------------------------------------------------------------------------------


async def test_library_of_obs_publishes_with_opus_beside_its_video(
    server: Callable[..., StreamerServer], clips: Clips, tmp_path: Path
) -> None:
    running = server(GUARDED)
    units = tmp_path / "person.units"
    await asyncio.to_thread(write_units, clips.person, units)
    command = ("node", str(NODE / "obs.mjs"), f"{running.url}/whip/obs", str(units))
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(run_program(*command, "--token", TOKEN))
        await publisher.until(lambda news: news["state"] == "connected")
        messages = await stack.enter_async_context(watch_messages(running.url, "obs", TOKEN))
        await messages.until_poses(60)
        assert await publisher.stop() == 0, publisher.errors
        await messages.until(lambda now: now.state == "ended")


# -- npm's clients in Chromium ----------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", TOKEN])
@pytest.mark.parametrize("client", ["eyevinn", "whip-whep"])
async def test_npm_client_publishes_and_plays_in_chromium(
    client: str,
    token: str,
    server: Callable[..., StreamerServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    running = server(GUARDED if token else "")
    publisher, camera_watch = await open_page(f"{running.url}/login", clips.person_camera)
    await open_clients(publisher, running.url)
    viewer, viewer_watch = await open_page(f"{running.url}/login")
    await open_clients(viewer, running.url)
    arguments = [client, f"{running.url}/whip/browser", token]
    await publisher.evaluate("(given) => window.publish(...given)", arguments)
    async with watch_messages(running.url, "browser", token) as messages:
        await messages.until_poses()
        arguments[1] = f"{running.url}/whep/browser{PLAIN}"
        await viewer.evaluate("(given) => window.play(...given)", arguments)
        await until(viewer, "document.querySelector('video').videoWidth === 640")
        await until_person(lambda: shown_by(viewer))
        await viewer.evaluate("window.stop()")
        await publisher.evaluate("window.stop()")
        await messages.until(lambda now: now.state == "ended")
    camera_watch.assert_clean()
    viewer_watch.assert_clean()


# -- publishers that vanish -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "program", ["ffmpeg", "wrtc"]
)  # a killed process is silent, whatever it was
async def test_killed_publisher_frees_its_stream_and_may_go_on_with_it(
    program: str, server: Callable[..., StreamerServer], clips: Clips, tmp_path: Path
) -> None:
    running = server(PATIENT)
    certificate, key = make_certificate(tmp_path, "ffmpeg")
    url, clip = f"{running.url}/whip/back", str(clips.person)
    wrtc = (str(NODE / "whip_whep.mjs"), running.url, "back", "60", "--clip", str(clips.person_raw))
    command = {
        "ffmpeg": (*FFMPEG, url, clip, "--cert", str(certificate), "--key", str(key)),
        "wrtc": ("node", *wrtc),
    }[program]
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(run_program(*command))
        messages = await stack.enter_async_context(watch_messages(running.url, "back"))
        await messages.until_poses()
        await first.kill()
        await until_alone(running.url)
        assert messages.state == "reconnecting"
        await stack.enter_async_context(run_program(*command))
        await messages.until(lambda now: now.state == "live")
        await messages.until_poses()
        assert messages.poses[-1]["epoch"] == 2


@pytest.mark.parametrize("client", ["whip-whep"])
async def test_page_that_crashes_frees_its_stream_and_may_go_on_with_it(
    client: str, server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips
) -> None:
    running = server(PATIENT)
    page, _ = await open_page(f"{running.url}/login", clips.person_camera)
    arguments = [client, f"{running.url}/whip/back", ""]
    await open_clients(page, running.url)
    await page.evaluate("(given) => window.publish(...given)", arguments)
    async with watch_messages(running.url, "back") as messages:
        await messages.until_poses()
        with contextlib.suppress(Error):  # the page that went there is no more
            await page.goto("chrome://crash")
        await until_alone(running.url)
        assert messages.state == "reconnecting"
        again = await page.context.new_page()
        await open_clients(again, running.url)
        await again.evaluate("(given) => window.publish(...given)", arguments)
        await messages.until(lambda now: now.state == "live")
        await messages.until_poses()
        assert messages.poses[-1]["epoch"] == 2


async def until_alone(url: str) -> None:
    """Until the viewer of messages is the only peer. A stream says that no picture comes before its
    publisher is known to be gone, and its place free."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(PATIENCE_S):
        while True:
            async with http.get(f"{url}/metrics") as response:
                if "\nstreamer_peers 1.0\n" in await response.text():
                    return
            await asyncio.sleep(POLL_S)


async def until_person(look: Callable[[], Awaitable[NDArray[np.uint8]]]) -> None:
    """Until a picture shows somebody: one that lost a packet on a busy machine need not."""
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(shows_person, await look()):
            pass


async def shown_by(page: Page) -> NDArray[np.uint8]:
    return (await read_video_frame(page, "video")).pixels


def read_png(path: Path) -> NDArray[np.uint8]:
    decoded = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[:, :, ::-1]).astype(np.uint8, copy=False)
