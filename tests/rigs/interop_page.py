"""A page on the service's own origin with npm's WHIP and WHEP clients: others' pages are refused."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tests.rigs.browser import until
from tests.rigs.npm import MODULES, bundle

if TYPE_CHECKING:
    from playwright.async_api import Page, Route

FOLDER = "/interop-test/"
HTML = """<!doctype html><title>Clients</title><video id="video" autoplay muted playsinline></video>
<script src="npm.js"></script><script type="module" src="in_browser.js"></script>"""
ADVERTISEMENTS = frozenset({"@eyevinn/csai-manager"})
"""Eyevinn's player loads it always, uses it for advertisements only, and it needs Node's ``http``."""


async def open_clients(page: Page, origin: str) -> None:
    """``page`` becomes one that has ``window.publish``, ``play`` and ``stop`` of in_browser.js."""
    await page.route(f"{origin}{FOLDER}**", _serve)
    await page.goto(f"{origin}{FOLDER}")
    await until(page, "window.publish")


async def _serve(route: Route) -> None:
    name = route.request.url.rpartition("/")[2]
    if not name:
        await route.fulfill(content_type="text/html", body=HTML)
    else:
        await route.fulfill(content_type="text/javascript", body=_script(name))


@cache
def _script(name: str) -> str:
    if name == "npm.js":
        packages = ("@eyevinn/whip-web-client", "@eyevinn/webrtc-player")
        return bundle(*packages, without=ADVERTISEMENTS)
    folder = MODULES.parent if name == "in_browser.js" else MODULES / "whip-whep"
    return (folder / name).read_text("utf-8")
