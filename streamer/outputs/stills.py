"""JPEG pictures of a stream: each is encoded once for all who read the same look and width.

screens ─► StillFeed (one thread, only while a reader waits) ─► all readers that wait
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from streamer.aio import LatestSlot, until_ended
from streamer.errors import NotFound
from streamer.model import ALWAYS, Picture, Rule
from streamer.pixels import to_jpeg
from streamer.session import Session

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """A JPEG picture. ``pts`` and ``received_at``: as of the frame's ``pose`` message; the latter is
    None of a notice, which is made by us while no frames come. ``rule``: as of ``Picture``."""

    jpeg: bytes
    pts: int
    received_at: float | None
    rule: Rule = ALWAYS

    @property
    def is_notice(self) -> bool:
        return self.received_at is None


@dataclass(frozen=True, slots=True)
class Look:
    """``width_px``: at most so wide; None: as it comes."""

    annotated: bool
    width_px: int | None = None


class StillFeed:
    """A ``PictureSink`` that encodes in a thread of its own, and only what a reader waits for: whoever
    is slow, or wants few pictures, costs nobody anything and gets the newest one next."""

    def __init__(self, name: str, look: Look) -> None:
        self.annotated = look.annotated
        self.readers = 0
        self._width_px = look.width_px
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._coming: asyncio.Future[Still | None] | None = None  # what all who wait wait for
        self._lock = threading.Lock()  # of the next three
        self._newest: Picture | None = None
        self._is_wanted = False
        self._last_pts = -1
        self._slot: LatestSlot[Picture] = LatestSlot()
        self._thread = threading.Thread(target=self._run, name=f"still-{name}", daemon=True)
        self._thread.start()

    def show(self, picture: Picture) -> None:
        with self._lock:
            self._newest = picture
        self._offer()

    async def next(self, due_mono: float = 0.0) -> Still | None:
        """The newest picture that nobody has had yet, but not before ``due_mono`` (seconds of the monotonic
        clock); None when there will be no more."""
        early_s = due_mono - time.monotonic()
        if early_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(early_s):
                    await self._ended.wait()
        while not self._ended.is_set():
            if self._coming is None:
                self._coming = self._loop.create_future()
                with self._lock:
                    self._is_wanted = True
                self._offer()
            still = await asyncio.shield(self._coming)  # one who leaves leaves the others waiting
            if still is None or not still.rule.over:
                return still
        return None

    def _offer(self) -> None:
        """From any thread."""
        with self._lock:
            picture = self._newest
            if self._is_wanted and picture is not None and picture.pts > self._last_pts:
                self._is_wanted, self._last_pts = False, picture.pts
                self._slot.put(picture)

    async def close(self) -> None:
        """Readers are told; waits until the thread has ended."""
        self._slot.close()
        self._end()
        await until_ended(self._thread)

    def _end(self) -> None:
        self._ended.set()
        self._arrived(None)

    def _arrived(self, still: Still | None) -> None:
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.set_result(still)

    def _run(self) -> None:
        """In the feed's thread."""
        try:
            while (picture := self._slot.take()) is not None:
                jpeg = to_jpeg(picture.frame, self._width_px)
                received_at = None if picture.is_notice else picture.frame.received_at
                still = Still(jpeg, picture.pts, received_at, picture.rule)
                self._loop.call_soon_threadsafe(self._arrived, still)
        except Exception:  # the readers are sent away; the stream goes on
            logger.exception("%s: a picture could not be encoded", self._thread.name)
            self._loop.call_soon_threadsafe(self._end)


class Stills:
    """Owns the feeds of one stream: made for the first reader, closed with the last.

    ``readers``: of all feeds, at present.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._feeds: dict[Look, StillFeed] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._is_over = False

    @property
    def readers(self) -> int:
        return sum(feed.readers for feed in self._feeds.values())

    @contextlib.contextmanager
    def reading(self, look: Look) -> Iterator[StillFeed]:
        """A reader watches the stream, so that a paused one wakes. Raises NotFound when it is over."""
        if self._is_over:
            raise NotFound("This stream has ended.")
        feed = self._feeds.get(look)
        if feed is None:
            width = f"-{look.width_px}" if look.width_px else ""
            name = f"{self._session.name}-{'annotated' if look.annotated else 'plain'}{width}"
            feed = self._feeds[look] = StillFeed(name, look)
            self._session.screens.add(feed)
        feed.readers += 1
        try:
            with self._session.watchers.one_more():
                yield feed
        finally:
            feed.readers -= 1
            if not feed.readers:
                self._drop(look)

    async def close(self) -> None:
        """Ends all reading, for good. Twice is safe."""
        self._is_over = True
        for look in tuple(self._feeds):
            self._drop(look)
        await asyncio.gather(*self._closing)

    def _drop(self, look: Look) -> None:
        feed = self._feeds.pop(look, None)
        if feed is not None:
            self._session.screens.remove(feed)
            closing = asyncio.get_running_loop().create_task(feed.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
