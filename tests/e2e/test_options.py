"""The options panel, in a real browser: what a person changes there while the video plays."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from playwright.async_api import expect

from streamer.pose.models import Complexity, ensure_models
from tests.rigs.browser import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.async_api import Page, Route

    from tests.conftest import OpenPage
    from tests.rigs.clips import Clips
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e

STATES = """
window.statesInTest = [];
const state = document.querySelector("#state");
new MutationObserver(() => statesInTest.push(state.dataset.state))
  .observe(state, { attributes: true, attributeFilter: ["data-state"] });
"""
SHOWN_FRAMES = "document.querySelector('#video').getVideoPlaybackQuality().totalVideoFrames"
PHONE = {"width": 390, "height": 844}


@pytest_asyncio.fixture(loop_scope="session")
async def door(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips, tmp_path: Path
) -> Any:
    """The page of a live stream on a server that has the models lite and full, and no heavy one."""
    two = (Complexity.LITE, Complexity.FULL)
    for segmentation in (False, True):
        for path in await asyncio.to_thread(ensure_models, two, segmentation=segmentation):
            (tmp_path / path.name).symlink_to(path)
    folder, file = clips.person.parent, clips.person.name
    config = f"""
[files]
folders = ["{folder}"]
[[streams]]
id = "door"
source = {{ type = "file", path = "{file}" }}
"""
    running = server(config, environment={"STREAMER_MODELS_DIR": str(tmp_path)})
    page, watch = await open_page(f"{running.url}/streams/door")
    await expect(page.locator("#state")).to_have_attribute("data-state", "live")
    await page.click("#options-tab")
    return page, watch


def option(page: Page, name: str) -> Any:
    return page.locator(f"#options [name={name}]")


async def pose_options(page: Page) -> dict[str, Any]:
    options: dict[str, Any] = await page.evaluate(
        "fetch('/api/v1/streams/door').then((it) => it.json()).then((it) => it.pose)"
    )
    return options


async def test_switching_the_model_keeps_the_video_playing(door: Any) -> None:
    page, watch = door
    await page.evaluate(STATES)
    await until(page, "streamer.recent.length > 30")
    await page.evaluate("(window.idInTest = streamer.lastMessage.poses[0].id, true)")
    for model in ("lite", "full", "lite"):
        await option(page, "model_complexity").select_option(label=model)
        shown = await page.evaluate(SHOWN_FRAMES)
        await until(page, f"{SHOWN_FRAMES} > {shown} + 15")  # while it loads, and after
    await expect(page.locator("#model-note")).to_be_empty()
    await expect(option(page, "model_complexity")).to_have_value("0")
    assert (await pose_options(page))["model_complexity"] == 0

    messages = await page.evaluate(
        "streamer.recent.map(({ epoch, poses }) => [epoch, poses[0]?.id === idInTest])"
    )
    assert {tuple(each) for each in messages} == {(1, True)}
    assert await page.evaluate("statesInTest") == []
    watch.assert_clean()


async def test_panel_changes_options_and_says_what_is_wrong(door: Any) -> None:
    page, _ = door
    await option(page, "smoothing").select_option("off")
    await option(page, "raw").check()
    await option(page, "num_poses").fill("3")
    await option(page, "num_poses").press("Enter")
    again = await page.context.new_page()
    await again.goto(page.url)
    await again.click("#options-tab")
    await expect(option(again, "smoothing")).to_have_value("off")
    await expect(option(again, "raw")).to_be_checked()
    await expect(option(again, "num_poses")).to_have_value("3")
    await option(again, "smoothing").select_option("steady")
    await expect(option(page, "smoothing")).to_have_value("steady")  # the other page hears of it
    pose = await pose_options(page)
    assert (pose["smooth_landmarks"], pose["smoothing"], pose["raw"]) == (True, "steady", True)

    await option(page, "model_complexity").select_option(label="heavy")
    model = page.locator("#options fieldset", has=page.locator("[name=model_complexity]"))
    await expect(model.locator(".message")).to_contain_text("run `streamer models heavy` once")
    await expect(option(page, "model_complexity")).to_have_value("1")

    await refused_look_is_not_shown(page)
    await page.set_viewport_size(PHONE)
    assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    for control in await page.locator("#options :is(select, input)").all():
        box = await control.bounding_box()
        assert box is not None and 0 <= box["x"] and box["x"] + box["width"] <= PHONE["width"]

    await overload_is_told(page)


async def refused_look_is_not_shown(page: Page) -> None:
    async def refuse(route: Route) -> None:
        await (route.abort() if route.request.method == "PATCH" else route.continue_())

    style = page.locator("#look")
    await page.route("**/api/v1/streams/door", refuse)
    await style.focus()
    await style.select_option("none")
    await expect(page.locator("#option-message")).not_to_be_empty()
    await expect(style).to_have_value("skeleton")
    await page.unroute("**/api/v1/streams/door")


async def overload_is_told(page: Page) -> None:
    async def overloaded(route: Route) -> None:
        response = await route.fetch()
        info = await response.json()
        info["stats"] |= {"model_complexity": 0, "model_reason": "overload"}
        await route.fulfill(response=response, json=info)

    note = page.locator("#model-note")
    await expect(note).to_be_empty()
    await page.route("**/api/v1/streams/door", overloaded)
    await expect(note).to_contain_text("This machine can't keep up: running the lite model.")
    await page.unroute("**/api/v1/streams/door")
    await expect(note).to_be_empty()
