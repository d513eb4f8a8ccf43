"""A person before the camera of a real browser."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.rigs.browser import until
from tests.rigs.skeleton import LATEST_MESSAGES, RECORD_MESSAGES, fits

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.async_api import Page

    from tests.conftest import OpenPage
    from tests.rigs.clips import Clips
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e


async def start_webcam(page: Page) -> None:
    """With the messages recorded from the first on."""
    await page.add_init_script(RECORD_MESSAGES)
    await page.reload()
    await page.click("#start")
    await expect(page.locator("#state")).to_have_attribute("data-state", "live")


async def test_the_skeleton_is_drawn_where_the_landmark_messages_say(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips
) -> None:
    page, watch = await open_page(f"{server().url}/webcam", clips.person_camera)
    await start_webcam(page)
    await until(page, f"{LATEST_MESSAGES}.length === 20")

    there, aside = await fits(page)

    assert there > 0.85
    assert aside < 0.5
    watch.assert_clean()


async def test_every_processed_frame_sends_one_message_and_fills_the_table(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips
) -> None:
    page, _ = await open_page(f"{server().url}/webcam", clips.person_camera)
    await start_webcam(page)
    await until(page, "window.messagesInTest.length > 150")

    messages = await page.evaluate("window.messagesInTest.filter((m) => m.type === 'pose')")
    numbers = [(message["epoch"], message["seq"]) for message in messages]
    assert numbers == sorted(set(numbers))
    steps = [b[1] - a[1] for a, b in itertools.pairwise(numbers) if a[0] == b[0]]
    assert sum(step - 1 for step in steps) <= 0.02 * len(steps)
    assert all(len(pose["landmarks"]) == 33 for m in messages for pose in m["poses"])
    assert all(len(pose["world"]) == 33 for m in messages for pose in m["poses"])
    assert sum(bool(message["poses"]) for message in messages) > 0.9 * len(messages)
    rows = page.locator("#landmarks tr[data-index]")
    await expect(rows).to_have_count(33)
    await expect(rows.first).to_contain_text("nose")


async def test_chromium_sends_its_camera_at_full_size_within_seconds(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips
) -> None:
    page, _ = await open_page(f"{server().url}/webcam", clips.person_camera)
    await start_webcam(page)

    # Without transport-wide feedback it stays at a quarter of this for good.
    await until(page, "(window.messagesInTest.at(-1) ?? {}).width === 640")


async def test_a_missing_camera_and_an_insecure_origin_are_explained(
    server: Callable[..., StreamerServer], open_page: OpenPage
) -> None:
    running = server('[server]\nallowed_hosts = ["streamer.test"]')
    page, _ = await open_page(f"{running.url}/webcam")  # this browser has no camera at all
    await page.click("#start")
    await expect(page.locator("#state")).to_have_attribute("data-state", "failed")
    await expect(page.locator("body")).to_contain_text("camera")

    insecure, _ = await open_page(
        f"http://streamer.test:{running.port}/webcam",
        None,
        "--host-resolver-rules=MAP streamer.test 127.0.0.1",
    )
    await expect(insecure.locator("#state")).to_have_attribute("data-state", "failed")
    await expect(insecure.locator("body")).to_contain_text("https")


async def test_a_shared_webcam_shows_on_the_wall_and_an_unshared_one_does_not(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips
) -> None:
    running = server()
    page, _ = await open_page(f"{running.url}/webcam", clips.person_camera)
    await start_webcam(page)
    wall, _ = await open_page(running.url)
    await expect(wall.locator("#add-camera")).to_be_attached()
    await expect(wall.locator(".card[data-stream]")).to_have_count(0)

    await page.get_by_label("share on the wall").check()

    await expect(wall.locator(".card[data-stream]")).to_have_count(1)
