"""A real browser over a network that loses, delays and goes away; the relay stands in for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.rigs.browser import until
from tests.rigs.impairment import Conditions, impair_page, running_relay

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.async_api import Page

    from tests.conftest import OpenPage
    from tests.rigs.clips import Clips
    from tests.rigs.rtsp import RtspServer
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e

SETTLE_S = 4.0
WATCH_S = 5.0
LOSSY = Conditions(loss=0.05, delay_s=0.025)

# Every picture of the returned video that goes on display, on the page's own clock, in ms.
RECORD_PICTURES = """
(() => {
  window.shownInTest = [];
  const watch = (video) => video.requestVideoFrameCallback((now) => {
    window.shownInTest.push(now);
    watch(video);
  });
  addEventListener("DOMContentLoaded", () => watch(document.querySelector("#video")));
})();
"""

LINK_STATS = """
async () => {
  const found = {};
  for (const report of (await window.streamer.peer.getStats()).values()) {
    if (report.type === "inbound-rtp") found.back = report.framesDecoded;
    if (report.type === "outbound-rtp") found.width = report.frameWidth;
    if (report.type === "outbound-rtp") found.sent = report.framesSent;
    if (report.type === "candidate-pair" && report.nominated) {
      found.available_bps = report.availableOutgoingBitrate;
    }
  }
  found.processed = window.streamer.lastMessage.seq;
  found.came = found.processed + window.streamer.lastMessage.dropped;  // a slow machine drops some
  return found;
}
"""


async def start_webcam(page: Page) -> None:
    await page.add_init_script(RECORD_PICTURES)
    await page.reload()
    await page.click("#start")
    await until(page, "window.shownInTest.length > 10")


async def watch(page: Page) -> tuple[dict[str, Any], dict[str, Any], float]:
    """The browser's figures before and after some seconds, and the longest time without a picture, s."""
    await asyncio.sleep(SETTLE_S)
    before = await page.evaluate(LINK_STATS)
    begun = await page.evaluate("performance.now()")
    await asyncio.sleep(WATCH_S)
    after = await page.evaluate(LINK_STATS)
    gap_ms = await page.evaluate(
        """(begun) => {
          const times = [begun, ...window.shownInTest.filter((at) => at > begun), performance.now()];
          return Math.max(...times.slice(1).map((at, index) => at - times[index]));
        }""",
        begun,
    )
    return before, after, gap_ms / 1000


async def test_five_percent_of_loss_is_hardly_seen(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips
) -> None:
    streamer = await asyncio.to_thread(server)
    async with running_relay(LOSSY) as relay:
        page, _ = await open_page(f"{streamer.url}/webcam", clips.person_camera)
        await impair_page(page, relay)
        await start_webcam(page)
        before, after, gap_s = await watch(page)
    sent = after["sent"] - before["sent"]
    back = after["back"] - before["back"]
    processed = after["processed"] - before["processed"]
    # Of a quiet machine nearly all; a busy one gives up on pictures that come too late. Without repair each
    # lost packet, and there is one in every few pictures, would take all along up to the next key frame.
    assert after["came"] - before["came"] >= 0.6 * sent, "too many were lost on the way there"
    assert back >= 25 / 30 * processed, "too many were lost on the way back"
    assert gap_s <= 1.0
    assert after["width"] == 640, "the camera was made smaller"


async def test_reordered_and_repeated_packets_do_not_look_like_a_narrow_network(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips
) -> None:
    streamer = await asyncio.to_thread(server)
    conditions = Conditions(delay_s=0.01, reorder=0.02, duplicate=0.01)
    async with running_relay(conditions) as relay:
        page, _ = await open_page(f"{streamer.url}/webcam", clips.person_camera)
        await impair_page(page, relay)
        await start_webcam(page)
        _, after, gap_s = await watch(page)
    assert after["available_bps"] > 1_000_000
    assert after["width"] == 640 and gap_s <= 1.0


async def test_picture_moves_again_soon_after_five_seconds_without_a_network(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips
) -> None:
    streamer = await asyncio.to_thread(server)
    async with running_relay(Conditions(delay_s=0.025)) as relay:
        page, _ = await open_page(f"{streamer.url}/webcam", clips.person_camera)
        await impair_page(page, relay)
        await start_webcam(page)
        await asyncio.sleep(SETTLE_S)
        await page.evaluate("window.peerInTest = window.streamer.peer")
        relay.blackout = True
        await asyncio.sleep(5.0)
        relay.blackout = False
        back_at = await page.evaluate("performance.now()")
        await until(page, f"window.shownInTest.filter((at) => at > {back_at}).length > 5")
        first = await page.evaluate("(back) => window.shownInTest.find((at) => at > back)", back_at)
        same = await page.evaluate("window.peerInTest === window.streamer.peer")
    assert same, "the peer was given up"
    assert first - back_at <= 2000


VIDEO_STATS = """
async () => {
  for (const report of (await window.streamer.peer.getStats()).values()) {
    if (report.type === "inbound-rtp" && report.kind === "video") {
      const { messages } = window.streamer;
      return { width: report.frameWidth, decoded: report.framesDecoded, messages };
    }
  }
  return { width: 0, decoded: 0, messages: 0 };
}
"""


async def test_viewer_on_a_narrow_network_gets_the_low_rendition_and_slows_nobody_else(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    open_page: OpenPage,
    clips: Clips,
) -> None:
    camera = await asyncio.to_thread(rtsp_server, {"/cam": clips.person})
    config = f"""
[[streams]]
id = "cam"
source = {{ type = "rtsp", url = "{camera.url("/cam")}" }}
"""
    streamer = await asyncio.to_thread(server, config)
    narrow_down = Conditions(delay_s=0.02, rate_bps=600_000)
    async with running_relay(Conditions(delay_s=0.02), narrow_down) as relay:
        good, _ = await open_page(f"{streamer.url}/streams/cam")
        await until(good, "document.querySelector('#video').videoWidth === 640")
        narrow, _ = await open_page(f"{streamer.url}/")
        await impair_page(narrow, relay)
        await narrow.goto(f"{streamer.url}/streams/cam")
        await until(narrow, "document.querySelector('#video').videoWidth === 320")
        before = [await page.evaluate(VIDEO_STATS) for page in (narrow, good)]
        await asyncio.sleep(5.0)
        after = [await page.evaluate(VIDEO_STATS) for page in (narrow, good)]
    low, full = (a["decoded"] - b["decoded"] for b, a in zip(before, after, strict=True))
    processed = (
        after[1]["messages"] - before[1]["messages"]
    )  # 30 a second, where nothing else is to do
    assert low >= 0.25 * processed, "the low rendition stands still"
    assert full >= 0.75 * processed, "the other viewer was slowed"
    assert after[1]["width"] == 640
