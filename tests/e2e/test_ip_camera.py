"""An IP camera on the wall of a real browser: added, lost, back; and all that can be wrong with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.rigs.browser import read_video_frame, until
from tests.rigs.net import free_port
from tests.rigs.skeleton import LATEST_MESSAGES, RECORD_MESSAGES, fits

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.async_api import Page

    from tests.conftest import OpenPage
    from tests.rigs.clips import Clips
    from tests.rigs.rtsp import RtspServer
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e


async def fill_address(page: Page, url: str) -> None:
    """The form stands open on an empty wall only, once the page knows that it is empty."""
    await until(
        page, "!document.querySelector('#welcome').hidden || document.querySelector('.card')"
    )
    if not await page.locator("#camera-url").is_visible():
        await page.get_by_role("button", name="IP camera").first.click()
    await page.fill("#camera-url", url)


async def add_camera(page: Page, url: str, name: str) -> None:
    await fill_address(page, url)
    await page.fill("#camera-name", name)
    await page.click("#camera-add")


async def test_a_pasted_camera_is_live_is_lost_and_comes_back_on_the_same_page_and_peer(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    camera = rtsp_server({"/cam": clips.person}, auth="digest", user="me", password="s3cret")
    running = server()
    page, _ = await open_page(running.url)
    await add_camera(page, camera.url("/cam"), "door")
    card = page.locator('.card[data-stream="door"]')
    await expect(card).to_have_attribute("data-state", "live")
    await until(page, "document.querySelector('.card video').videoWidth === 640")

    viewer, _ = await open_page(running.url)
    await viewer.add_init_script(RECORD_MESSAGES)
    await viewer.goto(f"{running.url}/streams/door")
    await expect(viewer.locator("#state")).to_have_attribute("data-state", "live")
    await until(viewer, f"{LATEST_MESSAGES}.length === 20")
    there, aside = await fits(viewer)
    assert there > 0.85
    assert aside < 0.5
    bright = (await read_video_frame(viewer)).pixels.mean()

    camera.kill()
    await expect(viewer.locator("#state")).to_have_attribute("data-state", "reconnecting")
    await expect(card).to_have_attribute("data-state", "reconnecting")
    await viewer.wait_for_timeout(1000)  # the notice is drawn on a picture of its own
    dimmed = await read_video_frame(viewer)
    assert dimmed.pixels.mean() < 0.7 * bright

    camera.restart()
    await expect(viewer.locator("#state")).to_have_attribute("data-state", "live")
    await expect(card).to_have_attribute("data-state", "live")
    await until(viewer, f"{LATEST_MESSAGES}.some((m) => m.epoch > 1)")
    again = await read_video_frame(viewer)
    assert again.pixels.mean() > 0.9 * bright
    assert await viewer.evaluate("window.peersInTest.length") == 1


async def test_the_test_button_says_what_is_wrong(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    camera = rtsp_server({"/cam": clips.person}, auth="digest", user="me", password="s3cret")
    running = server()
    page, _ = await open_page(running.url)
    for url, words in (
        (camera.url("/cam", password="wrong"), "password"),
        (camera.url("/elsewhere"), "path"),
        (f"rtsp://127.0.0.1:{free_port()}/cam", "refuses"),
        ("http://127.0.0.1/cam", "rtsp://"),
        ("file:///etc/passwd", "rtsp://"),
        ("rtsp://169.254.169.254/cam", "link-local"),
    ):
        await page.goto(running.url)
        await fill_address(page, url)
        await page.click("#camera-test")
        await expect(page.locator("#camera-message")).to_contain_text(words)
        await expect(page.locator("#camera-message")).not_to_contain_text("s3cret")


async def test_the_page_says_that_the_server_is_gone_and_finds_it_again(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    camera = rtsp_server({"/cam": clips.person})
    running = server(alone=True)
    page, _ = await open_page(running.url)
    await add_camera(page, camera.url("/cam"), "yard")
    await page.goto(f"{running.url}/streams/yard")
    state = page.locator("#state")
    await expect(state).to_have_attribute("data-state", "live")

    stopping = asyncio.create_task(asyncio.to_thread(running.stop))  # as a new version is put in
    await expect(state).to_contain_text("server restarting")
    await stopping
    running.start()
    await expect(state).to_have_attribute("data-state", "live")

    running.kill()
    await expect(state).to_have_attribute("data-state", "reconnecting")
    await expect(page.locator("#state-next")).to_contain_text("trying again")
    await page.set_viewport_size(
        {"width": 1000, "height": 800}
    )  # the narrowest with all in one line
    assert await page.evaluate("document.documentElement.scrollWidth") == 1000
    running.start()  # the camera was added through the API: the server remembers it
    await expect(state).to_have_attribute("data-state", "live")
