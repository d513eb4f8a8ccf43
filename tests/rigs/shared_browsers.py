"""Browsers that tests share, since a driver and a browser take seconds to start: each test has contexts of
its own in them, which know nothing of those of other tests."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from playwright.async_api import Error, async_playwright

from tests.rigs.browser import start_chromium

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser, Playwright

MAX_IDLE: Final = 3
"""Those that a test has used may be more."""

Wish = tuple["Path | None", tuple[str, ...]]
"""What its camera shows, and more arguments."""


class SharedBrowsers:
    """On one event loop. The browser that was used last comes last."""

    def __init__(self) -> None:
        self._playwright: Playwright | None = None
        self._running: dict[Wish, Browser] = {}

    async def get(self, wish: Wish) -> Browser:
        """One that was started so; it is kept for whoever wishes the same."""
        browser = self._running.pop(wish, None)
        if browser is None or not browser.is_connected():
            if self._playwright is None:
                self._playwright = await async_playwright().start()
            browser = await start_chromium(self._playwright, *wish)
        self._running[wish] = browser
        return browser

    async def rest(self) -> None:
        """Between two tests: the memory is for a few only."""
        while len(self._running) > MAX_IDLE:
            await self._running.pop(next(iter(self._running))).close()

    async def close(self) -> None:
        """The driver too, whatever state they are in; the next to wish for a browser gets a fresh one."""
        playwright, self._playwright = self._playwright, None
        running, self._running = self._running, {}
        with contextlib.suppress(Error):  # a driver that is gone can close nothing
            for browser in running.values():
                await browser.close()
        if playwright is not None:
            await playwright.stop()
