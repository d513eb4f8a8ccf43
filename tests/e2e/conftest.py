"""The browsers of these tests, which live on one event loop, as their driver does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.conftest import FAILED
from tests.rigs.browser import PATIENCE_S, PageWatch
from tests.rigs.shared_browsers import SharedBrowsers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, BrowserContext, Page

    from tests.conftest import OpenPage

expect.set_options(timeout=1000 * PATIENCE_S)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A driver can't go from one loop to another."""
    for item in items:
        if Path(__file__).parent in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browsers() -> AsyncIterator[SharedBrowsers]:
    made = SharedBrowsers()
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(
    request: pytest.FixtureRequest, browsers: SharedBrowsers
) -> AsyncIterator[OpenPage]:
    """Open pages, which end with the test. It fails on any request to other hosts and when a browser ends by
    itself; after a test that failed all browsers are started anew."""
    opened: list[tuple[Browser, BrowserContext, PageWatch]] = []

    async def open_one(
        url: str, camera: Path | None = None, *extra_args: str
    ) -> tuple[Page, PageWatch]:
        browser = await browsers.get((camera, extra_args))
        context = await browser.new_context()
        context.set_default_timeout(1000 * PATIENCE_S)
        watch = PageWatch(context, url)
        opened.append((browser, context, watch))
        page = await context.new_page()
        await page.goto(url)
        return page, watch

    yield open_one
    is_whole = all(browser.is_connected() for browser, _, _ in opened)
    if not is_whole or request.node.stash.get(FAILED, False):
        await browsers.close()
    else:
        for _, context, _ in opened:
            await context.close()
        await browsers.rest()
    assert is_whole, "a browser ended in the middle of the test"
    for _, _, watch in opened:
        watch.assert_only_local()
