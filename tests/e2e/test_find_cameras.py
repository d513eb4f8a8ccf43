"""From "Find cameras" to a live skeleton: a camera that nobody typed the address of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.rigs.browser import until
from tests.rigs.onvif import OnvifCamera
from tests.rigs.skeleton import LATEST_MESSAGES, RECORD_MESSAGES, fits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import OpenPage
    from tests.rigs.clips import Clips
    from tests.rigs.rtsp import RtspServer
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e

ON_LOOPBACK = '[onvif]\nsearch_s = 2.0\ninterfaces = ["127.0.0.1"]\n'


async def test_a_found_camera_is_chosen_named_its_password_and_live(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    rtsp = rtsp_server({"/cam": clips.person}, auth="digest", user="admin", password="s3cret")
    url = rtsp.url("/cam", user="", password="")
    with OnvifCamera(url, user="admin", password="s3cret", name="Hall", clock_s=-86400) as camera:
        running = server(ON_LOOPBACK)
        page, watch = await open_page(running.url)
        await page.get_by_role("button", name="Find cameras").click()
        found = page.get_by_role("list", name="Cameras found").get_by_role("button", name="Hall")
        await found.click()
        await expect(page.locator("#camera-user")).to_be_focused()
        await page.keyboard.type("admin")
        await page.fill("#camera-password", "wrong")
        await page.get_by_role("button", name="Show its streams").click()
        message = page.locator("#ask-message")
        await expect(message).to_contain_text("wrong or missing", ignore_case=True)
        await page.fill("#camera-password", "s3cret")
        await page.get_by_role("button", name="Show its streams").click()
        stream = page.get_by_role("button", name="Main stream")
        await expect(stream).to_be_focused(timeout=30_000)
        await expect(stream).to_contain_text("640×480")
        await page.keyboard.press("Enter")
        await expect(page.locator("#camera-url")).to_have_value(url)
        await expect(page.locator("#camera-message")).to_contain_text("It works")
        await page.fill("#camera-name", "hall")
        await page.click("#camera-add")
        card = page.locator('.card[data-stream="hall"]')
        await expect(card).to_have_attribute("data-state", "live")
        assert {"Probe", "GetProfiles"} <= set(camera.requests)
        assert "s3cret" not in running.log.read_text() + await page.content()
        watch.assert_only_local()

        viewer, _ = await open_page(running.url)
        await viewer.add_init_script(RECORD_MESSAGES)
        await viewer.goto(f"{running.url}/streams/hall")
        await until(viewer, f"{LATEST_MESSAGES}.length === 20")
        there, aside = await fits(viewer)
        assert there > 0.85
        assert aside < 0.5


async def test_a_search_that_finds_nobody_says_what_to_do(
    server: Callable[..., StreamerServer], open_page: OpenPage
) -> None:
    page, _ = await open_page(server(ON_LOOPBACK).url)
    await page.get_by_role("button", name="Find cameras").click()
    message = page.locator("#find-message")
    await expect(message).to_contain_text("enter the address")


async def test_cameras_of_the_server_are_offered_and_chosen_with_a_click(
    server: Callable[..., StreamerServer], open_page: OpenPage
) -> None:
    """There is none on the machine that runs the tests: the list is the test's, the answer the server's."""
    page, _ = await open_page(server().url)
    await page.route(
        "**/api/v1/devices",
        lambda route: route.fulfill(json=[{"device": "/dev/video97", "name": "Desk camera"}]),
    )
    await page.reload()
    await page.get_by_role("button", name="Desk camera").click()
    await expect(page.locator("#camera-url")).to_have_value("/dev/video97")
    await expect(page.locator("#camera-message")).to_contain_text(
        "there is no /dev/video97", ignore_case=True
    )
