"""Somebody who may only watch signs in, sees what they may and is shown out when the token is revoked."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from streamer.access.store import TokenFile
from tests.rigs.browser import read_video_frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import OpenPage
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e

CUT_WITHIN_S = 10.0  # 5 where the machine has nothing else to do


async def test_viewer_sees_no_controls_and_is_shown_out_when_the_token_is_revoked(
    server: Callable[..., StreamerServer], open_page: OpenPage, person_clip: Path, tmp_path: Path
) -> None:
    tokens = TokenFile(tmp_path / "tokens.json")
    token, secret = tokens.create("tablet", ("view:door",), None)
    running = server(f"""
[server]
tokens_file = "{tokens.path}"
[files]
folders = ["{person_clip.parent}"]
[[streams]]
id = "door"
source = {{ type = "file", path = "{person_clip}" }}
""")
    page, _ = await open_page(f"{running.url}/")
    await expect(page).to_have_title("Sign in · Streamer")
    await page.get_by_label("token").fill(secret)
    await page.get_by_label("token").press("Enter")

    card = page.locator('[data-stream="door"]')
    await expect(card).to_have_attribute("data-state", "live")
    await expect(page.locator(".role-note:visible")).to_contain_text("for watching")
    for hidden in ("#open-add", '[href="webcam"]', '[href="picture"]', "#add-camera"):
        await expect(page.locator(hidden).first).to_be_hidden()
    await card.locator("summary").click()
    await expect(card.get_by_role("button", name="Copy code")).to_be_visible()
    for hidden in ("Restart", "Remove…"):
        await expect(card.get_by_role("button", name=hidden)).to_be_hidden()

    await page.goto(f"{running.url}/streams/door")
    await expect(page.locator("#state")).to_have_attribute("data-state", "live")
    await read_video_frame(page)
    await expect(page.locator("#look")).to_be_disabled()
    await page.click("#options-tab")
    await expect(page.locator("#options")).to_contain_text("can't change these")
    await expect(page.locator("#sign-out")).to_be_visible()

    tokens.revoke(token.id)
    revoked_at = time.monotonic()
    await expect(page.locator("#login-why")).to_contain_text("ended")
    assert time.monotonic() - revoked_at < CUT_WITHIN_S
    assert page.url == f"{running.url}/login?next=%2Fstreams%2Fdoor&why=ended"
    await page.get_by_label("token").fill(secret)
    await page.get_by_label("token").press("Enter")
    await expect(page.locator("#login-message")).to_have_text(re.compile("not right"))
