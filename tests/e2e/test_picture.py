"""A person's picture on the page: dropped, pasted, taken; looked at, copied, saved."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from playwright.async_api import expect

from tests.rigs.browser import until
from tests.rigs.pictures import file_of, nobody, open_picture, person_picture, two_people
from tests.rigs.skeleton import share_drawn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.async_api import Page

    from tests.conftest import OpenPage
    from tests.rigs.clips import Clips
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e

# What a person's drop or paste gives a page: an event with a file in it.
_GIVE = """
([event, carrier, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], "photo", { type }));
  const options = { bubbles: true, cancelable: true, [carrier]: files };
  const kind = event === "paste" ? ClipboardEvent : DragEvent;
  document.getElementById("picture").dispatchEvent(new kind(event, options));
}
"""
STATE = "document.getElementById('state').dataset.state"


async def drop(page: Page, data: bytes, kind: str = "image/jpeg") -> None:
    encoded = base64.b64encode(data).decode()
    await page.evaluate(_GIVE, ["drop", "dataTransfer", kind, encoded])


async def paste(page: Page, data: bytes, kind: str = "image/png") -> None:
    encoded = base64.b64encode(data).decode()
    await page.evaluate(_GIVE, ["paste", "clipboardData", kind, encoded])


async def becomes(page: Page, state: str) -> None:
    await expect(page.locator("#state")).to_have_attribute("data-state", state)


async def shown_json(page: Page) -> dict[str, Any]:
    await page.click("#json")
    text = await page.locator("dialog code").text_content()
    await page.get_by_role("button", name="Close").click()
    answer: dict[str, Any] = json.loads(text or "")
    return answer


async def saved(page: Page) -> bytes:
    async with page.expect_download() as download:
        await page.click("#save")
    path = await (await download.value).path()
    return path.read_bytes()  # a file that is there already


async def test_a_dropped_picture_is_annotated_and_fills_the_table(
    server: Callable[..., StreamerServer], open_page: OpenPage, person_clip: Path
) -> None:
    page, watch = await open_page(f"{server().url}/picture")
    await becomes(page, "idle")
    picture = person_picture(person_clip)

    await drop(page, file_of(picture, "JPEG", quality=95))

    await becomes(page, "live")
    await expect(page.locator("#state-words")).to_contain_text("1 person · 640×480")
    await expect(page.locator("#original")).to_be_visible()
    rows = page.locator("#landmarks tr[data-index]")
    await expect(rows).to_have_count(33)
    answer = await shown_json(page)
    x = answer["poses"][0]["landmarks"][0][0]
    await expect(rows.first.locator("td").nth(1)).to_have_text(f"{x:.3f}")
    assert "image" not in answer
    annotated = open_picture(await saved(page))
    assert annotated.size == picture.size
    assert share_drawn(np.asarray(annotated), answer) > 0.9
    watch.assert_clean()


async def test_a_pasted_picture_of_two_people_lets_one_choose_between_them(
    server: Callable[..., StreamerServer], open_page: OpenPage, person_clip: Path
) -> None:
    page, watch = await open_page(f"{server().url}/picture")

    await paste(page, file_of(two_people(person_clip), "PNG"))

    await becomes(page, "live")
    await expect(page.locator("#state-words")).to_contain_text("2 people")
    poses = (await shown_json(page))["poses"]
    nose = page.locator("#landmarks tr[data-index='0'] td").nth(1)
    for index in (1, 0):
        await page.get_by_role("button", name=f"person {index + 1}").click()
        await expect(nose).to_have_text(f"{poses[index]['landmarks'][0][0]:.3f}")
        await expect(page.locator("#person")).to_have_value(str(index))
    await page.select_option("#person", "1")
    await expect(nose).to_have_text(f"{poses[1]['landmarks'][0][0]:.3f}")
    await expect(page.locator(".badge").nth(1)).to_have_attribute("aria-pressed", "true")
    watch.assert_clean()


async def test_the_slider_uncovers_the_original_with_the_keyboard(
    server: Callable[..., StreamerServer], open_page: OpenPage, person_clip: Path
) -> None:
    page, _ = await open_page(f"{server().url}/picture")
    await drop(page, file_of(person_picture(person_clip), "JPEG"))
    await becomes(page, "live")

    await page.locator("#split").focus()
    await page.keyboard.press("End")

    clip = "getComputedStyle(document.getElementById('original')).clipPath"
    await until(page, f"{clip}.startsWith('inset(0px 0%')")


async def test_what_the_server_refuses_is_said_in_words_and_the_next_picture_works(
    server: Callable[..., StreamerServer], open_page: OpenPage, person_clip: Path
) -> None:
    running = server("[images]\nmax_pixels = 400000")
    page, _ = await open_page(f"{running.url}/picture")
    notice = page.locator("#notice")

    await drop(page, b"I am a text", "text/plain")
    await becomes(page, "failed")
    await expect(notice).to_contain_text("can't be read as a picture")
    await expect(page.locator("#state-words")).to_have_text("not a picture")

    large = person_picture(person_clip).resize((1000, 800))
    await drop(page, file_of(large, "JPEG"))
    await expect(notice).to_contain_text("too large")
    await expect(notice).to_contain_text("0.4 million pixels")

    await drop(page, file_of(nobody(), "PNG"), "image/png")
    await becomes(page, "nobody")
    await expect(page.locator("#state-words")).to_contain_text("nobody found")
    await expect(page.locator("#state-next")).to_contain_text("Enhance")

    await drop(page, file_of(person_picture(person_clip), "WEBP"), "image/webp")
    await becomes(page, "live")


async def test_a_busy_server_is_asked_again(
    server: Callable[..., StreamerServer], open_page: OpenPage, person_clip: Path
) -> None:
    page, _ = await open_page(f"{server().url}/picture")
    answers = iter([503])

    async def once_busy(route: Any) -> None:
        if next(answers, None) is None:
            await route.continue_()
            return
        body = {"type": "urn:streamer:problem:limit-reached", "detail": "try again", "status": 503}
        headers = {"Retry-After": "1", "Content-Type": "application/problem+json"}
        await route.fulfill(status=503, headers=headers, body=json.dumps(body))

    await page.route("**/api/v1/images*", once_busy)
    await drop(page, file_of(person_picture(person_clip), "JPEG"))

    await becomes(page, "reconnecting")
    await expect(page.locator("#notice")).to_contain_text("Trying again in")
    await becomes(page, "live")


async def test_a_dark_picture_is_enhanced_with_the_switch(
    server: Callable[..., StreamerServer], open_page: OpenPage, person_clip: Path
) -> None:
    page, watch = await open_page(f"{server().url}/picture")
    dark = person_picture(person_clip).point(lambda level: level // 10)
    await drop(page, file_of(dark, "PNG"), "image/png")
    await becomes(page, "nobody")

    await page.get_by_label("Enhance").check()

    await becomes(page, "live")
    watch.assert_clean()


async def test_the_camera_takes_a_picture_after_a_click_and_is_let_go(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips
) -> None:
    page, watch = await open_page(f"{server().url}/picture", clips.person_camera)
    assert await page.evaluate("document.getElementById('viewfinder').srcObject === null")

    await page.click("#shoot")
    await until(page, "document.getElementById('viewfinder').videoWidth > 0")
    track = "document.getElementById('viewfinder').srcObject.getTracks()[0]"
    await page.evaluate(f"void (window.trackInTest = {track})")
    await page.click("#shutter")

    await expect(page.locator("#state-words")).to_contain_text("1 person")
    assert await page.evaluate("window.trackInTest.readyState") == "ended"
    watch.assert_clean()


async def test_without_a_camera_or_https_a_sentence_says_what_to_do(
    server: Callable[..., StreamerServer], open_page: OpenPage
) -> None:
    running = server('[server]\nallowed_hosts = ["streamer.test"]')
    page, _ = await open_page(f"{running.url}/picture")
    await page.click("#shoot")
    await becomes(page, "failed")
    await expect(page.locator("#notice")).to_contain_text("No camera found")

    insecure, _ = await open_page(
        f"http://streamer.test:{running.port}/picture",
        None,
        "--host-resolver-rules=MAP streamer.test 127.0.0.1",
    )
    await insecure.click("#shoot")
    await becomes(insecure, "failed")
    await expect(insecure.locator("#notice")).to_contain_text("https")


async def test_the_wall_leads_to_it(
    server: Callable[..., StreamerServer], open_page: OpenPage
) -> None:
    page, _ = await open_page(server().url)
    await page.get_by_role("link", name="Picture").click()
    await becomes(page, "idle")
