"""Zones drawn over the picture, with the mouse and with the keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.rigs.browser import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.async_api import Page

    from tests.conftest import OpenPage
    from tests.rigs.clips import Clips
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e

ZONES = ".zones polygon.zone"


async def stream_of(page: Page) -> dict[str, Any]:
    """What the server says of the page's stream."""
    info: dict[str, Any] = await page.evaluate(
        "fetch(`/api/v1/streams/${window.streamer.streamId}`).then((answer) => answer.json())"
    )
    return info


async def click_in_picture(page: Page, *places: tuple[float, float]) -> None:
    """At places of the 4:3 picture as it is seen, which lies in the middle of its box."""
    box = await page.locator("#picture").bounding_box()
    assert box is not None
    width = min(box["width"], box["height"] * 4 / 3)
    height = width * 3 / 4
    assert width < box["width"] - 20, "there are bars at its sides"
    left, top = box["x"] + (box["width"] - width) / 2, box["y"] + (box["height"] - height) / 2
    for x, y in places:
        await page.mouse.click(left + x * width, top + y * height)


async def test_zones_are_drawn_saved_shown_and_deleted(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips
) -> None:
    page, watch = await open_page(f"{server().url}/webcam", clips.person_camera)
    await page.click("#start")
    await expect(page.locator("#state")).to_have_attribute("data-state", "live")
    await until(page, "window.streamer.recent.at(-1)?.width === 640")
    await page.click("#options-tab")
    await expect(
        page.locator("#mirror")
    ).to_be_checked()  # what is drawn is saved as the camera sees it

    await page.click("#draw-region")
    await click_in_picture(page, (0.25, 0.25), (0.9, 0.2), (0.6, 0.6))
    await page.click("#zone-back")
    await click_in_picture(page, (0.25, 0.25))  # the first corner, too early to end it
    await expect(page.locator("#zone-finish")).to_be_disabled()
    await click_in_picture(
        page, (0.5, 0.995), (0.3, 0.7), (0.25, 0.25)
    )  # the first is near the edge
    await expect(page.locator("#zone-finish")).to_be_hidden()
    await expect(page.locator(ZONES)).to_have_count(1)
    region = (await stream_of(page))["pose"]["region"]
    expected = [(0.75, 0.25), (0.1, 0.2), (0.5, 1.0), (0.7, 0.7)]
    assert [(x, y) for x, y in region] == [pytest.approx(corner, abs=0.01) for corner in expected]

    await page.focus("#draw-ignored")
    for key in (
        "Enter",
        "Space",
        *["Shift+ArrowRight"] * 4,
        "Space",
        "Shift+ArrowDown",
        "Space",
        "Enter",
    ):
        await page.keyboard.press(key)
    await expect(page.locator(ZONES)).to_have_count(2)
    info = await stream_of(page)
    assert info["pose"]["ignore"] == [[[0.5, 0.5], [0.3, 0.5], [0.3, 0.55]]]
    assert info["pose"]["region"] == region
    await expect(page.locator("#draw-ignored")).to_be_focused()

    await page.get_by_role("button", name="Delete: Region").click()
    await expect(page.locator(ZONES)).to_have_count(1)
    assert (await stream_of(page))["pose"]["region"] == []
    watch.assert_clean()
