"""The server under a path of a real nginx: every page works, and is as closed as without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest
from playwright.async_api import expect

from tests.fakes import PATIENCE_S
from tests.rigs.browser import until
from tests.rigs.nginx import Nginx
from tests.rigs.skeleton import RECORD_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.async_api import Page

    from tests.conftest import OpenPage
    from tests.rigs.clips import Clips
    from tests.rigs.rtsp import RtspServer
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e

TOKEN = "a-long-enough-token"
CONFIG = f'[server]\ntoken = "{TOKEN}"\ntrusted_proxies = ["127.0.0.1"]\n'
BASE_PATH = CONFIG + 'base_path = "/pose"\n'
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Authorization": f"Bearer {TOKEN}",
}


async def landmarks_come(page: Page) -> None:
    """With live video behind them."""
    await expect(page.locator("#state")).to_have_attribute("data-state", "live")
    await until(page, "window.messagesInTest.filter((m) => m.poses?.length).length > 10")
    await until(page, "document.querySelector('#video').videoWidth > 0")


async def messages_come_over_a_websocket_and_as_events(stream: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    connector = aiohttp.TCPConnector(ssl=False)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as http:
        async with http.ws_connect(f"{stream}/landmarks") as socket:
            while (await socket.receive_json(timeout=PATIENCE_S))["type"] != "pose":
                pass
        accept = {"Accept": "text/event-stream"}
        async with http.get(f"{stream}/landmarks", headers=accept) as events:
            while not (await events.content.readline()).startswith(b'data: {"type":"pose"'):
                pass


@pytest.mark.parametrize(
    ("tls", "takes_off", "config"),
    [(True, False, BASE_PATH), (False, True, CONFIG)],
    ids=["https, prefix passed on", "http, prefix taken off and told"],
)
async def test_all_pages_work_under_the_prefix_of_a_proxy(
    tls: bool,
    takes_off: bool,
    config: str,
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
    tmp_path: Path,
) -> None:
    camera = rtsp_server({"/cam": clips.person})
    running = server(config)
    with Nginx(tmp_path, running.port, tls=tls, takes_off=takes_off) as nginx:
        page, watch = await open_page(
            f"{nginx.url}/", clips.person_camera, "--ignore-certificate-errors"
        )
        await page.add_init_script(RECORD_MESSAGES)
        await expect(page).to_have_title("Sign in · Streamer")
        await page.get_by_label("token").fill(TOKEN)
        await page.get_by_label("token").press("Enter")
        await expect(page).to_have_url(f"{nginx.url}/")
        (cookie,) = await page.context.cookies()
        assert (cookie["path"], cookie["secure"]) == ("/pose", tls)

        await page.fill("#camera-url", camera.url("/cam"))
        await page.fill("#camera-name", "door")
        await page.click("#camera-add")
        card = page.locator('.card[data-stream="door"]')
        await expect(card).to_have_attribute("data-state", "live")
        await until(page, "document.querySelector('.card video').videoWidth > 0")

        await card.locator("a.name").click()
        await expect(page).to_have_url(f"{nginx.url}/streams/door")
        await landmarks_come(page)
        await messages_come_over_a_websocket_and_as_events(f"{nginx.url}/api/v1/streams/door")
        await page.get_by_role("link", name="All streams").click()
        await page.get_by_role("link", name="Webcam").click()
        await expect(page).to_have_url(f"{nginx.url}/webcam")
        await page.click("#start")
        await landmarks_come(page)
        await page.check("#share")
        await page.click("#stop")
        watch.assert_clean()


@pytest.mark.parametrize("tls", [True, False], ids=["https", "http"])
async def test_a_foreign_page_is_refused_through_the_proxy_too(
    tls: bool, server: Callable[..., StreamerServer], tmp_path: Path
) -> None:
    running = server(BASE_PATH)
    with Nginx(tmp_path, running.port, tls=tls) as nginx:
        connector = aiohttp.TCPConnector(ssl=False)
        async with aiohttp.ClientSession(connector=connector) as http:
            own, foreign = nginx.origin, f"http{'' if tls else 's'}://127.0.0.1:{nginx.port}"
            for origin, status in ((own, 204), (foreign, 403), ("https://evil.example", 403)):
                signed = await http.post(
                    f"{nginx.url}/api/v1/login", json={"token": TOKEN}, headers={"Origin": origin}
                )
                assert signed.status == status
                # The upgrade reaches the server: without one a GET may come from anywhere.
                url = f"{nginx.url}/api/v1/streams/door/landmarks"
                opened = await http.get(url, headers=UPGRADE | {"Origin": origin})
                assert (opened.status == 403) == (origin != own)


async def test_what_a_client_pretends_changes_nothing_with_a_proxy_and_without(
    server: Callable[..., StreamerServer], tmp_path: Path
) -> None:
    running = server(f'[server]\ntoken = "{TOKEN}"\ntrusted_proxies = ["192.0.2.1"]\n')
    spoofed = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil"}
    proxied = server(BASE_PATH)
    with Nginx(tmp_path, proxied.port, tls=False) as nginx:
        async with aiohttp.ClientSession(headers=spoofed) as http:
            for home in (running.url, nginx.url):
                page = await http.get(f"{home}/login")
                assert page.status == 200 and "evil" not in await page.text()
                headers = {"Origin": "http://evil.example"}
                signed = await http.post(
                    f"{home}/api/v1/login", json={"token": TOKEN}, headers=headers
                )
                assert signed.status == 403
