"""What a person has beside the picture, in a real browser: words, the 3D view, charts, files, the overlay."""

from __future__ import annotations

import asyncio
import csv
import json
import math
import os
import re
import signal
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from playwright.async_api import expect

from streamer.analyze.tables import COLUMNS
from streamer.landmarks import NAMES
from tests.fakes import PATIENCE_S
from tests.rigs.browser import read_video_frame, until
from tests.rigs.workers import workers_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.async_api import Page

    from tests.conftest import OpenPage
    from tests.rigs.clips import Clips
    from tests.rigs.rtsp import RtspServer
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e

CHINESE = "--accept-lang=zh-CN"
SIDE_COLOURS = ((255, 138, 0), (0, 190, 255))
COLOUR_DISTANCE = 60  # video blurs colours

# Each picture that is painted before the page has its words is looked at.
WATCH_ENGLISH = """
window.englishInTest = [];
const look = () => {
  const { body } = document;
  const shown = body && getComputedStyle(body).visibility === "visible" ? body.innerText : "";
  if (/webcam/i.test(shown)) window.englishInTest.push(shown);
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


WATCH_WORDS = """
window.wordsInTest = [];
window.noticesInTest = [];
const state = document.querySelector("#state");
const notice = document.querySelector("#notice");
const note = () => {
  window.wordsInTest.push(`${state.dataset.state}: ${state.querySelector("#state-words").textContent}`);
  const title = notice.hidden ? "" : notice.querySelector("h2").textContent;
  if (title && title !== window.noticesInTest.at(-1)) window.noticesInTest.push(title);
};
for (const each of [state, notice]) {
  new MutationObserver(note).observe(each, {
    attributes: true, characterData: true, childList: true, subtree: true });
}
"""


async def live_stream(
    open_page: OpenPage, server: StreamerServer, camera_url: str, query: str = ""
) -> Page:
    page, _ = await open_page(server.url)
    await page.evaluate(
        """(url) => fetch("/api/v1/streams", {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ id: "door", source: { type: "rtsp", url } }),
        })""",
        camera_url,
    )
    await page.goto(f"{server.url}/streams/door{query}")
    await expect(page.locator("#state")).to_have_attribute("data-state", "live")
    await until(page, "window.streamer.recent.length > 10")
    return page


async def test_page_says_that_the_pose_engine_is_restarted_until_poses_come_again(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips
) -> None:
    source = f'{{type = "file", path = "{clips.person.name}", loop = true}}'
    stream = f'[[streams]]\nid = "door"\nsource = {source}\n'
    running = server(f'[files]\nfolders = ["{clips.person.parent}"]\n{stream}')
    page, _ = await open_page(f"{running.url}/streams/door")
    await expect(page.locator("#state")).to_have_attribute("data-state", "live", timeout=20_000)
    await page.evaluate(WATCH_WORDS)
    (estimator,) = [each for each in workers_of(running.pid) if each.role == "estimator"]
    os.kill(estimator.pid, signal.SIGKILL)
    await until(page, "window.wordsInTest.includes('waiting: restarting the pose engine')")
    assert "Restarting the pose engine…" in await page.evaluate("window.noticesInTest")
    await expect(page.locator("#state")).to_have_attribute("data-state", "live", timeout=20_000)
    await expect(page.locator("#notice")).to_be_hidden()


# -- words ------------------------------------------------------------------------------------------


async def test_chinese_browser_sees_chinese_and_never_english_before_it(
    server: Callable[..., StreamerServer], open_page: OpenPage
) -> None:
    running = server()
    page, watch = await open_page(running.url, None, CHINESE)
    await page.add_init_script(WATCH_ENGLISH)
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(page.locator("#welcome h2")).to_have_text("使用这台电脑的摄像头")
    await expect(page.locator("#camera-url")).to_be_visible()
    await page.click("#camera-add")
    await expect(page.locator("#camera-message")).to_contain_text("请输入摄像头的地址")
    await page.fill("#camera-url", "http://127.0.0.1/cam")
    await page.click("#camera-test")
    message = page.locator("#camera-message")
    await expect(message).to_contain_text("请求的内容有误")  # the kind of the server's error
    await expect(message).to_contain_text("rtsp://")  # and its own sentence
    assert await page.evaluate("window.englishInTest") == []

    await page.goto(f"{running.url}/webcam")
    await expect(page).to_have_title("本机摄像头 · Streamer")
    await expect(page.locator("#state-words")).to_have_text("未开始")
    await expect(page.locator("#start")).to_have_text("开始")
    await expect(page.locator("#full")).to_have_attribute("aria-label", "全屏")
    await expect(page.locator("#landmarks tr[data-index='0'] th")).to_have_text("鼻子")
    watch.assert_only_local()


async def test_chosen_language_is_remembered(
    server: Callable[..., StreamerServer], open_page: OpenPage
) -> None:
    running = server()
    page, _ = await open_page(running.url)
    await expect(page.locator("#welcome h2")).to_have_text("Use this computer's webcam")
    loaded = "performance.getEntriesByType('resource').some(({ name }) => name.endsWith('zh.js'))"
    assert not await page.evaluate(loaded)  # English readers need none of it
    await page.get_by_role("button", name="中文").click()
    await expect(page.locator("#welcome h2")).to_have_text("使用这台电脑的摄像头")
    await page.goto(f"{running.url}/webcam")
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    await page.get_by_role("button", name="English").click()
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.locator("#start")).to_have_text("Start")


# -- beside the picture -----------------------------------------------------------------------------


async def pixels_of(page: Page, selector: str) -> str:
    """After the next drawing."""
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
    pixels: str = await page.evaluate(f"document.querySelector('{selector}').toDataURL()")
    return pixels


async def test_3d_view_turns_by_mouse_and_keys_and_goes_back(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    camera = rtsp_server({"/cam": clips.person})
    page = await live_stream(open_page, server(), camera.url("/cam"))
    drawn = "document.querySelector('#space').toDataURL()"
    await page.evaluate(f"(window.drawnInTest = {drawn}).length")
    await until(page, f"window.drawnInTest !== {drawn}")  # it follows the messages
    await page.keyboard.press(" ")
    still = await pixels_of(page, "#space")
    assert await pixels_of(page, "#space") == still  # and stands while the picture does

    box = await page.locator("#space").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    await page.mouse.move(x, y)
    await page.mouse.down()
    await page.mouse.move(x + 60, y + 10, steps=3)
    await page.mouse.up()
    dragged = await pixels_of(page, "#space")
    assert dragged != still
    await page.locator("#space").press("ArrowLeft")
    turned = await pixels_of(page, "#space")
    assert turned != dragged
    await page.mouse.wheel(0, 200)
    assert await pixels_of(page, "#space") != turned
    await page.locator("#space").dblclick()
    assert await pixels_of(page, "#space") == still


def flexion_deg(message: dict[str, Any], *names: str) -> float:
    """At the second of three landmarks, 0 for a straight limb, in the picture: by the law of cosines."""
    pose = message["poses"][0]
    size = (message["width"], message["height"])
    a, b, c = (np.array(pose["landmarks"][NAMES.index(name)][:2]) * size for name in names)
    near, far, across = (float(np.linalg.norm(d)) for d in (a - b, c - b, a - c))
    cosine = (near**2 + far**2 - across**2) / (2 * near * far)
    return 180 - float(np.degrees(np.arccos(cosine)))


async def test_charts_show_the_angles_of_the_message(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    camera = rtsp_server({"/cam": clips.person})
    page = await live_stream(open_page, server(), camera.url("/cam"))
    await expect(page.locator("#charts .chart")).to_have_count(2)
    await page.get_by_role("button", name="hips").click()
    await expect(page.locator("#charts .chart")).to_have_count(3)
    await page.get_by_role("button", name="elbows").click()
    knees_and_hips = page.locator("#charts .chart[data-joint]")
    await expect(knees_and_hips).to_have_count(2)

    # Whichever of the clip's frames has both sides in sight.
    await page.evaluate(
        "import('/static/angles.js').then((module) => Object.assign(window, module))"
    )
    seen = """["left_knee", "right_knee", "left_hip", "right_hip"].every((name) =>
      streamer.shown?.poses[0] && anglesOf(streamer.shown.poses[0], streamer.shown)[name][1])"""
    await until(page, f"{seen} && (document.querySelector('#pause').click(), true)")
    message = await page.evaluate("streamer.shown")
    for side in ("left", "right"):
        degrees = flexion_deg(message, *(f"{side}_{name}" for name in ("hip", "knee", "ankle")))
        either = {math.floor(degrees + 0.4), math.floor(degrees + 0.6)}  # it may be rounded twice
        knee, hip = (
            page.locator(f"[data-joint={joint}] .value[data-side={side}] b")
            for joint in ("knee", "hip")
        )
        await expect(knee).to_have_text(re.compile("|".join(f"^{value}°$" for value in either)))
        await expect(hip).to_have_text(re.compile(r"^\d+°$"))
    await page.reload()
    await expect(knees_and_hips).to_have_count(2)  # the choice is remembered


def lines_of(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


async def test_recorded_landmarks_are_saved_as_the_messages_that_came(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    camera = rtsp_server({"/cam": clips.person})
    page = await live_stream(open_page, server(), camera.url("/cam"))
    await page.keyboard.press("r")
    first = await page.evaluate("streamer.lastMessage.seq")
    await until(page, f"streamer.lastMessage.seq > {first} + 40")
    await page.click("#record")
    dialog = page.locator("dialog#save")
    count = int((await dialog.locator("p").first.inner_text()).split()[0])

    async with page.expect_download() as saving:
        await dialog.get_by_role("button", name="JSON Lines").click()
    download = await saving.value
    assert download.suggested_filename.startswith("door-landmarks-")
    assert download.suggested_filename.endswith(".jsonl")
    messages = [json.loads(line) for line in lines_of(await download.path())]
    assert len(messages) == count > 20
    numbers = [message["seq"] for message in messages]
    assert numbers == sorted(set(numbers))
    assert {(message["type"], message["v"], message["stream"]) for message in messages} == {
        ("pose", 1, "door")
    }
    assert {len(pose["landmarks"]) for message in messages for pose in message["poses"]} == {33}

    async with page.expect_download() as saving:
        await dialog.get_by_role("button", name="CSV").click()
    reader = csv.DictReader(lines_of(await (await saving.value).path()))
    rows = list(reader)
    assert tuple(reader.fieldnames or ()) == COLUMNS  # one table for live streams and for files
    assert len(rows) == sum(max(1, len(message["poses"])) for message in messages)
    found = next(message for message in messages if message["poses"])
    row = next(row for row in rows if row["frame"] == str(found["seq"]))
    ankle = [float(row[f"left_ankle_{part}"]) for part in ("x", "y", "z", "visibility", "presence")]
    assert ankle == found["poses"][0]["landmarks"][NAMES.index("left_ankle")]


async def test_last_minute_of_rate_and_latency_is_drawn(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    camera = rtsp_server({"/cam": clips.person})
    page = await live_stream(open_page, server(), camera.url("/cam"))
    await page.click("#latency")
    await expect(page.locator("#range-fps")).to_have_text(re.compile(r"^\d+–\d+ fps$"))
    await expect(page.locator("#range-latency")).to_have_text(re.compile(r"^\d+–\d+ ms$"))
    for canvas in ("#minute-fps", "#minute-latency"):
        drawn = f"document.querySelector('{canvas}').toDataURL()"
        await page.evaluate(f"(window.drawnInTest = {drawn}).length")
        await until(page, f"window.drawnInTest !== {drawn}")


async def test_code_that_the_page_gives_runs_as_it_is(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    camera = rtsp_server({"/cam": clips.person})
    page = await live_stream(open_page, server(), camera.url("/cam"))
    await page.click("#code")
    tabs, code = page.locator("dialog .tabs"), page.locator("dialog pre code")

    await tabs.get_by_role("button", name="Python").click()
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-c", await code.inner_text()), stdout=asyncio.subprocess.PIPE
    )
    assert program.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert b" nose at " in await program.stdout.readline()
    finally:
        program.kill()
        await program.communicate()

    await tabs.get_by_role("button", name="JavaScript").click()
    script = await code.inner_text()
    dynamic = re.sub(r"import (\{.*\}) from (.*);", r"const \1 = await import(\2);", script)
    assert dynamic != script
    async with page.expect_console_message(lambda message: "nose at" in message.text):
        await page.evaluate(f"(async () => {{{dynamic}}})(), 0")


# -- the overlay ------------------------------------------------------------------------------------


def coloured(pixels: Any) -> int:
    """How many pixels have one of the sides' colours."""
    near = [
        np.abs(pixels[..., :3].astype(int) - colour).max(axis=-1) < COLOUR_DISTANCE
        for colour in SIDE_COLOURS
    ]
    return int((near[0] | near[1]).sum())


async def coloured_falls(page: Page, below: float) -> int:
    """Waits for a frame with fewer of them, which it returns."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            count = coloured((await read_video_frame(page)).pixels)  # of the next frame
            if count < below:
                return count


async def test_overlay_changes_the_pixels_of_annotated_video_while_it_runs(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    camera = rtsp_server({"/cam": clips.person})
    running = server()
    page = await live_stream(open_page, running, camera.url("/cam"))
    skeleton = await coloured_falls(page, below=math.inf)
    await page.select_option("#look", "landmarks")
    dots = await coloured_falls(page, below=0.7 * skeleton)
    await page.select_option("#look", "none")
    await coloured_falls(page, below=0.5 * dots)
    assert await page.evaluate("streamer.recent.every(({ epoch }) => epoch === 1)")  # no break

    again, _ = await open_page(f"{running.url}/streams/door")
    await expect(again.locator("#look")).to_have_value("none")  # it is the stream's, not the page's


async def test_overlay_changes_what_the_page_itself_draws(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    camera = rtsp_server({"/cam": clips.person})
    page = await live_stream(open_page, server(), camera.url("/cam"), "?video=none")
    await until(page, "streamer.overlay.recent.some(({ message }) => message !== null)")
    await page.keyboard.press(" ")  # one picture for all that follows
    skeleton = await pixels_of(page, "#overlay")
    await page.uncheck("#side-colours")
    grey = await pixels_of(page, "#overlay")
    await page.select_option("#look", "landmarks")
    dots = await pixels_of(page, "#overlay")
    await page.select_option("#look", "none")
    nothing = await pixels_of(page, "#overlay")
    await page.select_option("#look", "skeleton")
    await page.check("#side-colours")
    assert await pixels_of(page, "#overlay") == skeleton
    assert len({skeleton, grey, dots, nothing}) == 4


async def test_options_of_the_overlay_are_drawn_at_once_and_are_the_streams(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    camera = rtsp_server({"/cam": clips.person})
    running = server()
    page = await live_stream(open_page, running, camera.url("/cam"), "?video=none")
    await until(page, "streamer.overlay.recent.filter(({ message }) => message).length > 5")
    await page.keyboard.press(" ")  # one picture for all that follows
    pictures = [await pixels_of(page, "#overlay")]
    await page.get_by_role("tab", name="Options").click()
    for name in ("Angles", "Numbers", "Scores", "Trails"):
        await page.get_by_role("checkbox", name=name).check()
        pictures.append(await pixels_of(page, "#overlay"))
    await page.get_by_role("spinbutton", name="Line width").fill("9")
    await page.keyboard.press("Tab")
    pictures.append(await pixels_of(page, "#overlay"))
    assert len(set(pictures)) == 6

    again, _ = await open_page(f"{running.url}/streams/door")
    await again.get_by_role("tab", name="Options").click()
    await expect(again.get_by_role("checkbox", name="Trails")).to_be_checked()
    await expect(again.get_by_role("spinbutton", name="Line width")).to_have_value("9")
