"""Who sees a session's pictures and packets, and whether anybody watches at all."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

from streamer.aio import tell_all
from streamer.config import Idle
from streamer.model import Forwarded, Packet, Picture
from streamer.ports import PacketSink, PictureSink

IDLE_AFTER_S = 10.0
"""Without a watcher for so long, a stream that may pause does: a page that is loaded anew takes less."""


class Screens:
    """The ways out of a session for pictures. Changed on the event loop; the threads of source and
    worker read the tuples, which are replaced and never changed.

    ``news`` is set when there is a screen more. ``forwarded``: what the source forwards at present.
    """

    def __init__(self, news: asyncio.Event) -> None:
        self.annotated: tuple[PictureSink, ...] = ()
        self.plain: tuple[PictureSink, ...] = ()
        self.packets: tuple[PacketSink, ...] = ()
        self._news = news
        self.forwarded: Forwarded | None = None

    def add(self, screen: PictureSink) -> None:
        if screen.annotated:
            self.annotated += (screen,)
        else:
            self.plain += (screen,)
        self._news.set()

    def remove(self, screen: PictureSink) -> None:
        self.annotated = tuple(each for each in self.annotated if each is not screen)
        self.plain = tuple(each for each in self.plain if each is not screen)

    def add_packets(self, sink: PacketSink) -> None:
        self.packets += (sink,)

    def remove_packets(self, sink: PacketSink) -> None:
        self.packets = tuple(each for each in self.packets if each is not sink)

    def __bool__(self) -> bool:
        return bool(self.annotated or self.plain)

    def show_plain(self, picture: Picture) -> None:
        tell_all(self.plain, lambda screen: screen.show(picture))

    def show_annotated(self, picture: Picture) -> None:
        tell_all(self.annotated, lambda screen: screen.show(picture))

    def forward(self, packet: Packet) -> None:
        tell_all(self.packets, lambda sink: sink.forward(packet))

    def set_forwarded(self, forwarded: Forwarded | None) -> None:
        if forwarded != self.forwarded:
            self.forwarded = forwarded
            tell_all(self.packets, lambda sink: sink.on_forwarded(forwarded))


class Watchers:
    """Counts who watches a stream, by picture or by message. ``idle``: what the stream does when nobody
    does; may change at any time."""

    def __init__(self, idle: Idle) -> None:
        self._news = asyncio.Event()
        self._idle = idle
        self._count = 0
        self._left_mono = time.monotonic()  # the last one, or when it began

    @property
    def idle(self) -> Idle:
        return self._idle

    @idle.setter
    def idle(self, idle: Idle) -> None:
        self._idle = idle
        self._news.set()

    @contextlib.contextmanager
    def one_more(self) -> Iterator[None]:
        self._count += 1
        self._news.set()
        try:
            yield
        finally:
            self._count -= 1
            self._left_mono = time.monotonic()
            self._news.set()

    def _rest_due_s(self) -> float:
        return self._left_mono + IDLE_AFTER_S - time.monotonic()

    @property
    def may_rest(self) -> bool:
        """Nobody has watched for a while, and the stream pauses then."""
        return not self._count and self._idle == "pause" and self._rest_due_s() <= 0

    async def until_wanted(self) -> None:
        while not self._count and self._idle == "pause":
            self._news.clear()
            await self._news.wait()

    async def until_idle(self) -> None:
        """Returns when the stream may rest: nobody has watched for a while."""
        while True:
            while self._count or self._idle == "run":
                self._news.clear()
                await self._news.wait()
            try:
                async with asyncio.timeout(max(0.0, self._rest_due_s())):
                    await self.until_wanted()
            except TimeoutError:
                return
