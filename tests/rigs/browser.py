"""Chromium with a person before its camera, and what a test wants to know of a page."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import cv2
import numpy as np
from playwright.async_api import async_playwright

from tests.rigs import secrets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from numpy.typing import NDArray
    from playwright.async_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        Page,
        Playwright,
        Request,
    )

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC_APPS = (
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
)
# No sandbox, since containers run the tests as root; no traffic of the browser's own.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FAKE_CAMERA_FLAGS = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",  # grants the camera without a question
)

# The expression is put in as text: the pages' own policy forbids eval.
_READ_FRAME = """
(selector) => new Promise((resolve) => {
  const video = document.querySelector(selector);
  video.requestVideoFrameCallback((_, metadata) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    const value = %s;
    resolve({
      png: canvas.toDataURL("image/png").split(",")[1],
      rtpTimestamp: metadata.rtpTimestamp ?? null,
      value,
    });
  });
})
"""
POLL_MS = 50
PATIENCE_S = 60.0  # only what fails takes so long


@dataclass(frozen=True)
class ShownFrame:
    """One picture that a ``<video>`` showed.

    ``pixels`` is RGB of shape (height, width, 3); ``rtp_timestamp`` is that of its packets (None
    when the video is no WebRTC track); ``value`` is what the page said in the same moment.
    """

    pixels: NDArray[np.uint8]
    rtp_timestamp: int | None
    value: Any


def find_chromium() -> str:
    """Return the path of Chromium or Chrome; RuntimeError says what to do without one.

    ``$STREAMER_TEST_CHROME`` overrides the search.
    """
    wanted = os.environ.get("STREAMER_TEST_CHROME")
    candidates = [wanted] if wanted else [*COMMANDS, *map(str, MAC_APPS)]
    for candidate in candidates:
        found = shutil.which(candidate)
        if found is not None:
            return found
    raise RuntimeError(
        f"The tests need Chromium or Chrome and found none of {', '.join(candidates)}:"
        " run tests/setup.sh, or set STREAMER_TEST_CHROME to its path."
    )


@asynccontextmanager
async def launch_chromium(
    fake_camera: Path | None = None,
    extra_args: Sequence[str] = (),
    home: Path | None = None,
) -> AsyncIterator[Browser]:
    """Run a Chromium with a driver of its own; close it at the end. The arguments are those of
    ``start_chromium``."""
    async with async_playwright() as playwright:
        browser = await start_chromium(playwright, fake_camera, extra_args, home)
        try:
            yield browser
        finally:
            await browser.close()


async def start_chromium(
    playwright: Playwright,
    fake_camera: Path | None = None,
    extra_args: Sequence[str] = (),
    home: Path | None = None,
) -> Browser:
    """A headless Chromium with a fresh profile.

    ``fake_camera`` is a bare MJPEG (or Y4M) file that its camera plays in a loop; without one
    there is no camera at all. The permission to use it is granted. ``home`` is its user's folder,
    with the certificates that the user trusts.
    """
    flags = [*FLAGS, *extra_args]
    if fake_camera is not None:
        flags += [*FAKE_CAMERA_FLAGS, f"--use-file-for-fake-video-capture={fake_camera}"]
    return await playwright.chromium.launch(
        executable_path=find_chromium(),
        headless=True,
        args=flags,
        env={**os.environ, "HOME": str(home)} if home else None,
    )


async def read_video_frame(
    page: Page, selector: str = "#video", expression: str | None = None
) -> ShownFrame:
    """Wait for the next picture of a ``<video>`` and return it exactly as shown.

    ``expression`` is JavaScript whose (JSON) value is taken while that picture is shown.
    """
    shown = await page.evaluate(_READ_FRAME % (expression or "null"), selector)
    png = np.frombuffer(base64.b64decode(shown["png"]), np.uint8)
    decoded = cv2.imdecode(png, cv2.IMREAD_COLOR)
    assert decoded is not None
    pixels = np.ascontiguousarray(decoded[:, :, ::-1]).astype(np.uint8, copy=False)
    return ShownFrame(pixels, shown["rtpTimestamp"], shown["value"])


async def until(page: Page, expression: str, timeout_s: float = PATIENCE_S) -> None:
    """Wait until the JavaScript is true (Playwright's own wait needs eval, which the pages forbid)."""
    async with asyncio.timeout(
        timeout_s
    ):  # the event is the browser's: there is none to wait for here
        while not await page.evaluate(f"Boolean({expression})"):
            await page.wait_for_timeout(POLL_MS)


@dataclass
class PageWatch:
    """Notes what goes wrong in all pages of a browser context from its making on.

    ``external`` are requests to any host and port but those of ``origin`` and of the ``friends``.
    """

    context: BrowserContext
    origin: str
    console_errors: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    external: list[str] = field(default_factory=list)
    friends: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.on("console", self._on_console)
        self.context.on("weberror", lambda event: self.console_errors.append(str(event.error)))
        self.context.on("request", lambda request: self._check_host(request.url))
        self.context.on("requestfailed", self._on_failed)
        self.context.on(
            "page", lambda page: page.on("websocket", lambda socket: self._check_host(socket.url))
        )

    def _on_console(self, message: ConsoleMessage) -> None:
        secrets.look(message.text, "the console of a page")
        if message.type == "error":
            self.console_errors.append(message.text)

    def _on_failed(self, request: Request) -> None:
        # A page that is left, or a preload that is replaced, aborts its own requests.
        if request.failure != "net::ERR_ABORTED":
            self.failed.append(f"{request.method} {request.url}: {request.failure}")

    def _check_host(self, url: str) -> None:
        parts = urlsplit(url)
        ours = {urlsplit(each).netloc for each in (self.origin, *self.friends)}
        if parts.scheme not in ("data", "blob") and parts.netloc not in ours:
            self.external.append(url)

    def assert_only_local(self) -> None:
        """Fail when any page asked another host for anything."""
        assert not self.external, f"requests to other hosts: {self.external}"

    def assert_clean(self) -> None:
        """Fail on requests to other hosts, failed requests and errors in the console."""
        self.assert_only_local()
        assert not self.failed, f"failed requests: {self.failed}"
        assert not self.console_errors, f"errors in the console: {self.console_errors}"
