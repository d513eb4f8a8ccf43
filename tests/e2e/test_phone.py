"""Another device's camera: https with a certificate of one's own or the server's, and a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Error, expect

from tests.rigs.browser import PageWatch, launch_chromium, until
from tests.rigs.certificate import make_certificate, trust_authority
from tests.rigs.skeleton import RECORD_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import OpenPage
    from tests.rigs.clips import Clips
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e

HOST = "streamer.test"
TOKEN = "a-long-enough-token"
CONFIG = f'[server]\nallowed_hosts = ["{HOST}"]\ntoken = "{TOKEN}"\n'
FINDS_HOST = f"--host-resolver-rules=MAP {HOST} 127.0.0.1"
NETWORK = ("--host", "0.0.0.0")


async def test_a_phone_signs_in_over_https_and_its_camera_works(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips, tmp_path: Path
) -> None:
    running = server(
        CONFIG,
        tls=make_certificate(tmp_path, HOST),
    )
    page, watch = await open_page(
        f"https://{HOST}:{running.port}/webcam",
        clips.person_camera,
        FINDS_HOST,
        "--ignore-certificate-errors",  # what the phone's owner does once
    )
    await expect(page).to_have_title("Sign in · Streamer")
    await page.get_by_label("token").fill("not-the-right-token")
    await page.get_by_label("token").press("Enter")
    await expect(page.locator("body")).to_contain_text("not right")

    await page.get_by_label("token").fill(TOKEN)
    await page.get_by_label("token").press("Enter")
    await page.click("#start")
    await expect(page.locator("#state")).to_have_attribute("data-state", "live")
    (cookie,) = await page.context.cookies()
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
    assert TOKEN not in cookie["value"]
    watch.assert_only_local()


async def test_a_phone_learns_to_trust_the_server_and_its_camera_works_without_a_warning(
    server: Callable[..., StreamerServer], clips: Clips, tmp_path: Path
) -> None:
    running = server(CONFIG, arguments=[*NETWORK, "--tls"])
    plain, secure = f"http://{HOST}:{running.port}", f"https://{HOST}:{running.port}"
    home = tmp_path / "home"
    home.mkdir()
    async with launch_chromium(None, [FINDS_HOST], home) as browser:
        with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
            await (await browser.new_page()).goto(f"{secure}/webcam")
        page = await browser.new_page()  # the other one still goes to its page of the error
        await page.goto(f"{plain}/trust")
        await expect(page.locator("#sha256")).to_contain_text(":")
        fingerprint = await page.locator("#sha256").text_content()
        assert fingerprint and fingerprint in running.log.read_text()
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Download the certificate").click()
        certificate = tmp_path / "ca.crt"
        await (await download.value).save_as(certificate)
    trust_authority(home, certificate)

    async with launch_chromium(clips.person_camera, [FINDS_HOST], home) as browser:
        context = await browser.new_context()
        watch = PageWatch(context, secure)
        page = await context.new_page()
        await page.add_init_script(RECORD_MESSAGES)
        await page.goto(f"{secure}/webcam")
        await page.get_by_label("token").fill(TOKEN)
        await page.get_by_label("token").press("Enter")
        await page.click("#start")
        await expect(page.locator("#state")).to_have_attribute("data-state", "live")
        await until(page, "window.messagesInTest.filter((m) => m.poses?.length).length > 10")
        watch.assert_clean()

        await page.goto(f"{plain}/webcam")  # as somebody types it
        await expect(page).to_have_url(f"{secure}/webcam")


async def test_without_https_the_page_says_what_to_do(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips
) -> None:
    running = server(CONFIG, arguments=NETWORK)
    page, _ = await open_page(
        f"http://{HOST}:{running.port}/trust", clips.person_camera, FINDS_HOST
    )
    await expect(page.locator("#none")).to_contain_text("--tls")
    await expect(page.locator("#some")).to_be_hidden()
    await page.goto(f"http://{HOST}:{running.port}/webcam")
    await page.get_by_label("token").fill(TOKEN)
    await page.get_by_label("token").press("Enter")
    await expect(page.locator("#notice")).to_contain_text("--tls")
    await page.get_by_role("link", name="What to do").click()
    await expect(page).to_have_url(f"http://{HOST}:{running.port}/trust")
