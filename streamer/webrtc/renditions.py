"""The renditions of one stream: which feeds there are, and which of them each viewer sees.

A viewer's feed is the annotated or the plain picture in the codec that was agreed, in full or, over a
poor link, in low. A plain picture in a codec and profile that the viewer takes is not encoded at all:
it sees the camera's own packets. A viewer changes from one feed to another at a key frame of the other,
so that its picture never stands still.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiortc import RTCRtpSender

from streamer.config import VideoConfig
from streamer.encoders import highest_bitrate
from streamer.model import Codec
from streamer.session import Session
from streamer.webrtc.adaptation import Link, full_bitrate, is_worth_changing
from streamer.webrtc.codecs import AgreedCodec
from streamer.webrtc.feeds import Coded, EncodedFeed, Feed, ForwardedFeed, Receiver
from streamer.webrtc.sending import VideoSender, ViewerEvents

logger = logging.getLogger(__name__)


DRAIN_S = 0.4
"""For what still stands in line on a link that is too narrow: routers keep 0.1 to 0.5 s of it."""

MIN_RATE_INTERVAL_S = 2.0
"""Between two changes of a feed's rate, each of which may cost all its viewers a key frame: one viewer
whose reports jump must not make every picture one."""


@dataclass(frozen=True, slots=True)
class _Key:
    codec: Codec
    annotated: bool
    is_low: bool


class Viewer:
    """One peer's video. ``feed`` is the one it sees, ``next_feed`` the one it changes to."""

    def __init__(
        self,
        sender: RTCRtpSender,
        agreed: AgreedCodec,
        renditions: "Renditions",
        *,
        annotated: bool,
    ) -> None:
        self.agreed = agreed
        self.annotated = annotated
        self.link = Link()
        self.feed: Feed | None = None
        self.next_feed: Feed | None = None
        self.has_left = False
        self._synced = False
        self._is_held = False  # until the next feed's key frame
        self._drained_mono = 0.0
        self._last_pts = -1
        self._renditions = renditions
        self.sender = VideoSender(
            sender,
            ViewerEvents(
                on_ready=lambda: renditions.join(self),
                on_keyframe_request=lambda: renditions.on_keyframe_request(self),
                on_estimate=self._on_estimate,
                on_loss=self._on_loss,
            ),
        )

    def see(self, feed: Feed) -> None:
        """From the next key frame on."""
        self.feed, self._synced, self._is_held = feed, False, False
        if self.next_feed is feed:
            self.next_feed = None
        feed.request_keyframe()

    def change_to(self, feed: Feed, *, drains: bool) -> None:
        """With its next key frame. ``drains``: the way is full, so that nothing is sent for a moment: the
        key frame would be lost at the end of the queue."""
        self.next_feed = feed
        self._drained_mono = time.monotonic() + (DRAIN_S if drains else 0.0)
        self._is_held |= drains
        feed.request_keyframe()

    def stay(self) -> None:
        """Not to change after all."""
        self.next_feed = None
        if self._is_held:
            self._is_held = self._synced = False
            self._renditions.on_keyframe_request(self)

    async def take(self, feed: Feed, coded: Coded) -> None:
        if feed is self.next_feed:
            if not coded.is_keyframe:
                return
            if coded.pts < self._last_pts or time.monotonic() < self._drained_mono:
                # If the feed before is ahead it would be again: it is not seen until the next key frame.
                self._is_held = True
                feed.request_keyframe()
                return
            self._is_held = self._synced = False
            self._renditions.change_over(self)
        if feed is not self.feed or self._is_held:
            return
        pts = coded.pts
        if not self._synced:
            if not coded.is_keyframe:
                return
            if pts < self._last_pts:
                feed.request_keyframe()
                return
            pts = max(pts, self._last_pts + 1)  # the same picture once more, from another encoder
        elif pts <= self._last_pts:
            return
        self._synced, self._last_pts = True, pts
        await self.sender.send(coded.payloads, pts, coded.rule)

    def on_gap(self, feed: Feed) -> None:
        if feed is self.feed:
            self._synced = False
            self._renditions.on_keyframe_request(self)

    def _on_estimate(self, bps: int) -> None:
        self.link.on_estimate(bps, self.sender.sent_bps())
        self._renditions.adapt(self)

    def _on_loss(self, share: float) -> None:
        self.link.on_loss(share)
        self._renditions.adapt(self)


class Renditions:
    """Owns the feeds of one stream: made for the first viewer who sees them, closed with the last.

    ``limits``: the stream's, which may change. ``ask_camera``: asks the source for a key frame; False
    where it can't be asked.
    """

    def __init__(
        self,
        session: Session,
        limits: Callable[[], VideoConfig],
        ask_camera: Callable[[], bool],
    ) -> None:
        self._session = session
        self._limits = limits
        self._ask_camera = ask_camera
        self._viewers: list[Viewer] = []
        self._encoded: dict[_Key, EncodedFeed] = {}
        self._forwarded: ForwardedFeed | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def encoding(self) -> set[Codec]:
        """The codecs that are being encoded anyway."""
        return {key.codec for key in self._encoded}

    def join(self, viewer: Viewer) -> None:
        """Its connection stands, perhaps a moment after it was given up."""
        if viewer.has_left:
            return
        self._viewers.append(viewer)
        self._settle(viewer)

    def leave(self, viewer: Viewer) -> None:
        """Also one that never joined."""
        viewer.has_left = True
        if viewer in self._viewers:
            self._viewers.remove(viewer)
        viewer.feed = viewer.next_feed = None
        self._tidy()

    def __bool__(self) -> bool:
        return bool(self._viewers)

    async def close(self) -> None:
        """Twice is safe."""
        for viewer in tuple(self._viewers):
            self.leave(viewer)
        await asyncio.gather(*self._closing)

    # -- which feed ---------------------------------------------------------------------------------

    def _settle(self, viewer: Viewer) -> None:
        """Sees to it that the viewer sees, or changes to, the feed that is right for it now."""
        wanted = self._right_feed(viewer)
        if viewer.feed is None:
            self._show_first(viewer, wanted)
        elif wanted is viewer.feed:
            viewer.stay()
        elif wanted is not viewer.next_feed:
            viewer.change_to(wanted, drains=viewer.link.is_low)
        self._tidy()

    def _right_feed(self, viewer: Viewer) -> Feed:
        is_low = viewer.link.is_low
        forwarded = self._session.screens.forwarded
        if not viewer.annotated:
            feed = self._forwarded_feed()  # also to be told when the camera begins to forward
            if not is_low and forwarded is not None and viewer.agreed.takes(forwarded):
                return feed
        return self._encoded_feed(_Key(viewer.agreed.codec, viewer.annotated, is_low))

    def _show_first(self, viewer: Viewer, wanted: Feed) -> None:
        """A camera that can't be asked for a key frame may take seconds to its next: until then the
        viewer sees pictures encoded for it."""
        if not wanted.request_keyframe():
            viewer.next_feed = wanted
            wanted = self._encoded_feed(_Key(viewer.agreed.codec, viewer.annotated, is_low=False))
        viewer.see(wanted)

    def change_over(self, viewer: Viewer) -> None:
        """The next feed's key frame is here."""
        viewer.feed, viewer.next_feed = viewer.next_feed, None
        viewer.sender.forget_sent()
        self._tidy()

    def on_keyframe_request(self, viewer: Viewer) -> None:
        """The viewer can't decode what it gets."""
        if viewer.feed is not None and not viewer.feed.request_keyframe():
            self._show_first(viewer, viewer.next_feed or viewer.feed)
            self._tidy()

    def _on_forwarded(self) -> None:
        for viewer in self._viewers:
            if not viewer.annotated:
                self._settle(viewer)

    # -- rates --------------------------------------------------------------------------------------

    def adapt(self, viewer: Viewer) -> None:
        """News of the way to this viewer."""
        if viewer not in self._viewers:
            return
        if viewer.link.settle(time.monotonic()):
            logger.info(
                "a viewer of stream %s takes the %s rendition",
                self._session.name,
                "low" if viewer.link.is_low else "full",
            )
            self._settle(viewer)
        if isinstance(viewer.feed, EncodedFeed) and not viewer.feed.is_low:
            self._set_rate(viewer.feed)

    def _set_rate(self, feed: EncodedFeed) -> None:
        if feed.size is None:
            return
        limits = self._limits()
        highest = highest_bitrate(limits, *feed.size)
        capacities = [
            viewer.link.capacity_bps
            for viewer in self._viewers
            if viewer.feed is feed and viewer.link.has_reported and not viewer.link.is_low
        ]
        wanted = full_bitrate(capacities, limits, highest)
        now = time.monotonic()
        is_due = now - feed.rate_set_mono >= MIN_RATE_INTERVAL_S
        if feed.bit_rate > highest or (
            is_due and is_worth_changing(feed.bit_rate, wanted, highest)
        ):
            feed.bit_rate, feed.rate_set_mono = min(wanted, highest), now

    # -- the feeds there are --------------------------------------------------------------------------

    def _encoded_feed(self, key: _Key) -> EncodedFeed:
        feed = self._encoded.get(key)
        if feed is None:
            look = "annotated" if key.annotated else "plain"
            name = f"{self._session.name}-{look}-{key.codec}" + ("-low" if key.is_low else "")
            feed = self._encoded[key] = EncodedFeed(
                name,
                self._session.note_latency,
                key.codec,
                annotated=key.annotated,
                is_low=key.is_low,
            )
            limit = self._limits().max_bitrate
            feed.bit_rate = min(feed.bit_rate, limit) if limit else feed.bit_rate
            self._session.screens.add(feed)
        return feed

    def _forwarded_feed(self) -> ForwardedFeed:
        if self._forwarded is None:
            self._forwarded = ForwardedFeed(
                f"{self._session.name}-forwarded",
                self._session.note_latency,
                self._ask_camera,
                self._on_forwarded,
            )
            self._session.screens.add_packets(self._forwarded)
        return self._forwarded

    def _tidy(self) -> None:
        """Each feed knows who sees it; one that nobody sees, and nobody may change to, ends."""
        for key, feed in tuple(self._encoded.items()):
            feed.receivers = self._receivers(feed)
            if not feed.receivers:
                del self._encoded[key]
                self._session.screens.remove(feed)
                self._close_soon(feed)
        if self._forwarded is not None:
            self._forwarded.receivers = self._receivers(self._forwarded)
            if all(viewer.annotated for viewer in self._viewers):
                self._session.screens.remove_packets(self._forwarded)
                self._close_soon(self._forwarded)
                self._forwarded = None

    def _receivers(self, feed: Feed) -> list[Receiver]:
        return [viewer for viewer in self._viewers if feed in (viewer.feed, viewer.next_feed)]

    def _close_soon(self, feed: Feed) -> None:
        closing = asyncio.get_running_loop().create_task(feed.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
