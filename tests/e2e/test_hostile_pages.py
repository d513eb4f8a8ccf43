"""Pages of somebody else in a real browser: one of another origin, and one whose own name leads to us (DNS
rebinding). They try what a page can try; nothing is changed, and nothing is read."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import expect

from streamer.config import ServerConfig, StreamConfig
from streamer.server.application import make_application
from tests.fakes import FakeSource, make_frame
from tests.in_process import Service
from tests.rigs.browser import launch_chromium

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, BrowserContext

pytestmark = pytest.mark.e2e

TOKEN = "a-long-enough-token"
STREAM = "the-nursery"
SCRIPT = (Path(__file__).parents[1] / "rigs" / "hostile_page.js").read_text("utf-8")
PAGE = f"<!doctype html><title>Evil</title><body><script>{SCRIPT}</script>"
NAMES = "--host-resolver-rules=MAP evil.example 127.0.0.1"
FAR = "--ip-address-space-overrides=127.0.0.1:{}=public,127.0.0.1:{}=public"
"""Newer browsers keep pages of the internet from addresses of the local network by themselves, which would
leave nothing to test."""

HTML = "text/html"
WATCHED = tuple(f"/api/v1/streams/{STREAM}/{way}" for way in ("landmarks", "snapshot.jpg", "mjpeg"))
SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass
class Target:
    """The service in this process, with one camera, and all requests that came from pages."""

    service: Service
    port: int = 0
    requests: list[tuple[str, str, int]] = field(default_factory=list)
    """Method, path, status of the answer."""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def camera(self) -> FakeSource:
        return self.service.cameras[0]

    async def note(self, request: web.Request, response: web.StreamResponse) -> None:
        self.requests.append((request.method, request.path, response.status))

    def state(self) -> dict[str, Any]:
        """What a page could change."""
        streams = [
            (each.id, each.listed, each.pose, each.video, each.privacy, each.overlay, each.viewers)
            for each in self.service.streams
        ]
        return {"streams": streams, "peers": len(self.service.peers), "runs": self.camera.runs}


async def film(reached: Target) -> None:
    """The camera gives a picture, which a page could see."""
    source = {"id": STREAM, "source": {"type": "rtsp", "url": "rtsp://127.0.0.1:9/a"}}
    reached.service.streams.add_camera(StreamConfig.model_validate(source), keep=False)
    await reached.camera.connected()
    reached.camera.put(make_frame())


@asynccontextmanager
async def target(folder: Path, token: str = "") -> AsyncIterator[Target]:
    service = Service(folder, server=ServerConfig(token=token))
    reached = Target(service)
    app = make_application(service.server_config, service.services)
    app.on_response_prepare.append(reached.note)
    async with TestServer(app, host="127.0.0.1") as server:
        reached.port = server.port or 0
        try:
            await film(reached)
            yield reached
        finally:
            await service.close()


@asynccontextmanager
async def evil_site() -> AsyncIterator[int]:
    async def show(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", show)
    async with TestServer(app, host="127.0.0.1") as server:
        yield server.port or 0


async def signed_in(browser: Browser, reached: Target) -> BrowserContext:
    """A person who uses the server, and then meets the page."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{reached.origin}/login?next=/docs")
    await page.get_by_label("token").fill(TOKEN)
    await page.get_by_label("token").press("Enter")
    await expect(page).to_have_url(f"{reached.origin}/docs")
    await page.close()
    return context


async def attack(context: BrowserContext, url: str, target: str, reached: Target) -> dict[str, Any]:
    """What the page at ``url`` found out at ``target``, by what it tried."""
    page = await context.new_page()
    before = reached.state()
    reached.requests.clear()
    await page.goto(url)
    found: dict[str, Any] = await page.evaluate(
        "([target, stream]) => window.attack(target, stream)", [target, STREAM]
    )
    assert reached.state() == before
    assert STREAM not in str(found)
    for each in context.pages:
        await each.close()
    return found


async def test_pages_of_others_change_nothing_and_read_nothing(tmp_path: Path) -> None:
    """With a token, where the browser is signed in, and without one, where everybody is let in."""
    async with AsyncExitStack() as stack:
        free = await stack.enter_async_context(target(tmp_path / "free"))
        guarded = await stack.enter_async_context(target(tmp_path / "guarded", TOKEN))
        site = await stack.enter_async_context(evil_site())
        flags = [NAMES, FAR.format(free.port, guarded.port)]
        browser = await stack.enter_async_context(launch_chromium(extra_args=flags))
        for reached in (free, guarded):
            context = await (
                signed_in(browser, guarded) if reached is guarded else browser.new_context()
            )
            # Another port is another origin of the same site: there a cookie comes along, be it strict.
            for name in ("127.0.0.1", "evil.example"):
                found = await attack(context, f"http://{name}:{site}/", reached.origin, reached)
                assert {tried: what for tried, what in found.items() if what is not None} == {}
                sent = reached.requests
                assert {status for method, _, status in sent if method not in SAFE} == {403}
                assert len([each for each in sent if each[0] == "POST"]) >= 8, (
                    "the browser stopped it"
                )
                watching = {status for _, path, status in sent if path.startswith(WATCHED)}
                assert watching and watching <= {401, 403}
            # Its own name now means our address: to the browser we are the page's own server.
            rebound = f"http://evil.example:{reached.port}"
            await context.route(
                f"{rebound}/evil", lambda route: route.fulfill(body=PAGE, content_type=HTML)
            )
            await attack(context, f"{rebound}/evil", rebound, reached)
            assert {status for _, _, status in reached.requests} == {421}
            assert {method for method, _, _ in reached.requests} == {
                "GET",
                "POST",
                "PATCH",
                "DELETE",
            }
            await context.close()
