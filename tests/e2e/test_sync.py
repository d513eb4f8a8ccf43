"""Landmarks that the browser draws lie on the very frame that they were computed from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from playwright.async_api import expect

from tests.rigs.browser import until
from tests.rigs.marker import read_number
from tests.rigs.sync import read_dots, watch_drawings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import OpenPage
    from tests.rigs.clips import Clips
    from tests.rigs.rtsp import RtspServer
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e

NUMBER_SERVER = "tests.rigs.number_server"
FRAMES = 180
SHARE_DRAWN = 0.6
"""On a busy machine the server leaves out frames, which then have no landmarks; no more than that."""


def camera_config(url: str) -> str:
    return f'[[streams]]\nid = "door"\nsource = {{ type = "rtsp", url = "{url}" }}\n'


async def test_forwarded_video_shows_each_frame_with_its_own_landmarks(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    camera = rtsp_server({"/cam": clips.numbered})
    running = server(camera_config(camera.url("/cam")), module=NUMBER_SERVER)
    page, watch = await open_page(f"{running.url}/streams/door?video=plain")
    await expect(page.locator("#state")).to_have_attribute("data-state", "live")
    await until(page, "window.streamer.overlay.recent.some((each) => each.message !== null)")

    counted = await watch_drawings(page, FRAMES)

    assert counted.different == []
    assert counted.drawn >= SHARE_DRAWN * counted.frames
    watch.assert_clean()


async def test_landmarks_find_their_frames_again_after_the_camera_was_lost(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    camera = rtsp_server({"/cam": clips.numbered})
    running = server(camera_config(camera.url("/cam")), module=NUMBER_SERVER)
    page, _ = await open_page(f"{running.url}/streams/door?video=plain")
    state = page.locator("#state")
    await expect(state).to_have_attribute("data-state", "live")
    await until(page, "window.streamer.overlay.recent.some((each) => each.message !== null)")

    camera.kill()
    await expect(state).to_have_attribute("data-state", "reconnecting")
    await expect(page.locator("#notice")).to_be_visible()  # plain video brings none itself
    camera.restart()
    await expect(state).to_have_attribute("data-state", "live")
    await expect(page.locator("#notice")).to_be_hidden()
    await until(page, "window.streamer.lastMessage.epoch > 1")
    counted = await watch_drawings(page, FRAMES // 3)

    assert counted.different == []
    assert counted.drawn >= SHARE_DRAWN * counted.frames


@pytest.mark.parametrize("mode", ["none", "plain"])
async def test_the_webcam_shows_each_frame_with_its_own_landmarks(
    mode: str, server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips
) -> None:
    running = server(module=NUMBER_SERVER)
    page, watch = await open_page(f"{running.url}/webcam?video={mode}", clips.numbered_camera)
    await page.click("#start")
    await expect(page.locator("#state")).to_have_attribute("data-state", "live")
    await until(page, "window.streamer.overlay.recent.some((each) => each.message !== null)")

    counted = await watch_drawings(page, FRAMES)

    assert counted.different == []
    assert counted.drawn >= SHARE_DRAWN * counted.frames
    comes_back = "window.streamer.peer.getReceivers().some(({ track }) => !track.muted)"
    assert await page.evaluate(comes_back) == (mode == "plain")
    watch.assert_clean()


async def test_the_kind_of_video_is_chosen_in_the_page_and_remembered(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    camera = rtsp_server({"/cam": clips.numbered})
    running = server(camera_config(camera.url("/cam")), module=NUMBER_SERVER)
    page, watch = await open_page(f"{running.url}/streams/door")
    state, canvas = page.locator("#state"), page.locator("#overlay")
    await expect(state).to_have_attribute("data-state", "live")
    await expect(canvas).to_be_hidden()

    for mode, overlay in (("none", "alone"), ("plain", "packets")):
        await page.select_option("#video-mode", mode)
        await until(page, f"window.streamer.overlay.mode === '{overlay}'")
        await expect(state).to_have_attribute("data-state", "live")
        await expect(canvas).to_be_visible()
        await until(page, "window.streamer.overlay.recent.at(-1)?.message !== null")
    await page.reload()

    await until(page, "window.streamer.overlay.mode === 'packets'")
    await expect(page.locator("#video-mode")).to_have_value("plain")
    watch.assert_clean()


@pytest.mark.parametrize("mode", ["none", "plain"])
async def test_a_snapshot_holds_the_picture_and_its_own_landmarks(
    mode: str, server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips
) -> None:
    running = server(module=NUMBER_SERVER)
    page, _ = await open_page(f"{running.url}/webcam?video={mode}", clips.numbered_camera)
    await page.get_by_label("mirror").uncheck()
    await page.click("#start")
    await expect(page.locator("#state")).to_have_attribute("data-state", "live")
    await until(page, "window.streamer.overlay.recent.at(-1)?.message")

    async with page.expect_download() as download:
        await page.keyboard.press("s")
    picture = cv2.imread(str(await (await download.value).path()))

    assert picture is not None
    assert picture.shape[:2] == (480, 640)
    pixels = picture.astype(np.uint8, copy=False)
    assert read_dots(pixels) == read_number(pixels[:, :, 1])


async def test_a_paused_picture_stands_still_with_its_landmarks_and_goes_on(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips
) -> None:
    running = server(module=NUMBER_SERVER)
    page, _ = await open_page(f"{running.url}/webcam?video=none", clips.numbered_camera)
    await page.click("#start")
    await until(page, "window.streamer.overlay.recent.at(-1)?.message")

    await page.click("#pause")
    before = await page.evaluate("[streamer.overlay.recent.at(-1).pts, streamer.messages]")
    await until(page, f"window.streamer.messages > {before[1] + 20}")
    assert await page.evaluate("streamer.overlay.recent.at(-1).pts") == before[0]

    await page.click("#pause")
    counted = await watch_drawings(page, 30)
    assert counted.different == []


async def test_a_publisher_changes_its_video_and_keeps_its_stream(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips
) -> None:
    running = server(module=NUMBER_SERVER)
    page, _ = await open_page(f"{running.url}/webcam", clips.numbered_camera)
    await page.click("#start")
    state = page.locator("#state")
    await expect(state).to_have_attribute("data-state", "live")
    await page.get_by_label("share on the wall").check()
    stream_id = await page.evaluate("window.streamer.streamId")

    for mode in ("none", "plain", "annotated"):
        await page.evaluate("window.streamer.messages = 0")
        await page.select_option("#video-mode", mode)
        await expect(state).not_to_have_attribute("data-state", "live")
        await expect(state).to_have_attribute("data-state", "live")
        await until(page, "window.streamer.messages > 5")
        assert await page.evaluate("window.streamer.streamId") == stream_id
    await expect(page.get_by_label("share on the wall")).to_be_checked()
