"""Another device's camera: https with a certificate of one's own, and a token to sign in with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.rigs.certificate import make_certificate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import OpenPage
    from tests.rigs.clips import Clips
    from tests.rigs.server import StreamerServer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

HOST = "streamer.test"
TOKEN = "a-long-enough-token"


async def test_a_phone_signs_in_over_https_and_its_camera_works(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips, tmp_path: Path
) -> None:
    running = server(
        f'[server]\nallowed_hosts = ["{HOST}"]\ntoken = "{TOKEN}"\n',
        tls=make_certificate(tmp_path, HOST),
    )
    page, watch = await open_page(
        f"https://{HOST}:{running.port}/webcam",
        clips.person_camera,
        f"--host-resolver-rules=MAP {HOST} 127.0.0.1",
        "--ignore-certificate-errors",  # what the phone's owner does once
    )
    await expect(page).to_have_title("Sign in · Streamer")
    await page.get_by_label("token").fill("not-the-right-token")
    await page.get_by_label("token").press("Enter")
    await expect(page.locator("body")).to_contain_text("not right")

    await page.get_by_label("token").fill(TOKEN)
    await page.get_by_label("token").press("Enter")
    await page.click("#start")
    await expect(page.locator("#state")).to_have_attribute("data-state", "live", timeout=20_000)
    (cookie,) = await page.context.cookies()
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
    assert TOKEN not in cookie["value"]
    watch.assert_only_local()
