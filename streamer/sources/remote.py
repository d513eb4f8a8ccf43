"""A camera's child, seen from the service: it reads and decodes, and all that comes from it is checked."""

import asyncio
import contextlib
import logging
import threading
import time
from typing import Any

from pydantic import ValidationError

from streamer.aio import in_daemon_thread
from streamer.config import WorkersConfig
from streamer.errors import (
    DecoderDied,
    SourceEnded,
    SourceError,
    SourceForbidden,
    SourceLost,
    SourceNotFound,
    SourceRejected,
    SourceStalled,
    SourceUnreachable,
    SourceUnusable,
    StreamerError,
    WorkerDied,
    WorkerHung,
    WorkerStuck,
)
from streamer.isolation.child import Child
from streamer.isolation.landlock import Rights
from streamer.isolation.pictures import arrival, frame_of
from streamer.model import Packet, VideoInfo
from streamer.ports import FrameReceiver
from streamer.sources.events import (
    EVENTS,
    AnyEvent,
    Ended,
    Forwarded,
    Opened,
    Pictured,
    Progressed,
)
from streamer.sources.live_edge import QUIET_S, LiveEdge
from streamer.sources.reader import Progress

logger = logging.getLogger(__name__)

LOOK_S = 0.1
"""Between two looks whether a silent child is well."""

MAX_EVENTS = 2000
"""In a second: a camera's backlog has fewer, and more would keep the whole service busy."""

KILLED_S = 2.0
"""For the thread to end once its child was killed."""

_ERRORS: dict[str, type[StreamerError]] = {
    error.kind: error
    for error in (
        *(SourceError, SourceUnreachable, SourceNotFound, SourceUnusable, SourceStalled),
        *(SourceLost, SourceRejected, SourceForbidden, SourceEnded),
    )
}


class TransportRefused(Exception):
    """The camera does not offer this transport (RTSP status 461)."""

    kind = "transport-refused"


class RemoteReader:
    """One connection, in a child of its own. ``run`` blocks its thread; the rest is for the event loop.

    ``progress``: as the child tells it, up to a quarter of a second ago.
    """

    def __init__(
        self,
        name: str,
        order: dict[str, Any],
        rights: Rights,
        receiver: FrameReceiver,
        config: WorkersConfig,
    ) -> None:
        """``order``: what ``worker.main`` is to open, with which ``rights``. ``name``: of the camera,
        without secrets."""
        self.progress = Progress()
        self.edge: LiveEdge | None = None
        self._order = order | {"decode_limit_s": config.hang_timeout_s}
        self._receiver = receiver
        self._patience_s = config.hang_timeout_s
        self._child = Child("camera", name, rights, config)
        self._quit = threading.Event()
        self._giving = threading.Lock()
        self._thread: asyncio.Future[None] | None = None
        self._started_mono: float | None = None
        self._size: tuple[int, int] | None = None  # that was announced

    def stay_at_edge(self) -> None:
        """Of what a camera had stored only the newest goes on; before ``start``."""
        self.edge = LiveEdge(self._receiver.put)

    def start(self) -> None:
        self._thread = asyncio.wrap_future(
            in_daemon_thread(f"{self._order['what']}-reader", self.run)
        )

    @property
    def ended(self) -> "asyncio.Future[None]":
        """Done with the thread, with its error."""
        assert self._thread is not None
        return self._thread

    def run(self) -> None:
        """Returns only after ``close``. Raises one of our errors, TransportRefused."""
        with contextlib.closing(self._child):
            try:
                self._child.start()
                self._started_mono = time.monotonic()
                self._child.send(self._order)
                self._listen()
            except WorkerStuck as error:  # none died, and none starts: it is only tried again
                logger.warning("%s", error)
                raise SourceStalled(
                    "what read this last hangs in the system and can't be ended, so nothing else is started: "
                    "plug the camera in anew, or see to the disk"
                ) from error
            except (WorkerDied, WorkerHung) as error:
                if not self._quit.is_set():
                    logger.warning("%s", error)  # of what it died: viewers need not know
                    raise DecoderDied(
                        "the process that decodes this video broke off: a new one starts"
                    ) from error

    async def watch(self, open_timeout_s: float, read_timeout_s: float) -> None:
        """Returns when nothing came for too long, counted from when the child runs; raises what ended the
        thread."""
        while not self.ended.done():
            now_mono, last = time.monotonic(), self.progress.last_packet_mono
            began = now_mono if self._started_mono is None else self._started_mono
            due = began + open_timeout_s if last is None else last + read_timeout_s
            left_s = due - now_mono
            if left_s <= 0:
                return
            unsettled = self.edge is not None and not self.edge.reached
            # Also after a while in which nothing is due: the first packet makes the rest due sooner.
            look_s = QUIET_S if unsettled else min(left_s, read_timeout_s)
            await asyncio.wait({self.ended}, timeout=look_s)
            if self.edge is not None:
                self.edge.settle()
        self.ended.result()

    def quit(self) -> None:
        """Nothing reaches the receiver after this; the child ends by itself, if it can."""
        with self._giving:
            self._quit.set()
        if self.edge is not None:
            self.edge.close()
        self._child.finish()

    async def wait(self, timeout_s: float) -> None:
        if not self.ended.done():
            await asyncio.wait({self.ended}, timeout=timeout_s)

    async def kill(self) -> None:
        """After ``quit``: the child is gone, whatever it was doing."""
        self._child.kill()
        await self.wait(KILLED_S)
        if self.ended.done():
            self.ended.exception()  # seen by whom it concerned
        else:
            logger.warning("a reader's thread hangs and was abandoned")
            self.ended.cancel()

    def _listen(self) -> None:
        second, events = time.monotonic(), 0
        while True:
            if not self._child.wait(LOOK_S):
                continue
            events += 1
            if time.monotonic() - second >= 1.0:
                second, events = time.monotonic(), 0
            elif events > MAX_EVENTS:
                raise self._child.refuse("more in a second than there can be")
            header, body = self._child.receive(self._patience_s)
            try:
                event = EVENTS.validate_python(header)
            except ValidationError as error:
                raise self._child.refuse(
                    f"what is no event ({error.error_count()} faults)"
                ) from None
            self._take(event, body)

    def _take(self, event: AnyEvent, body: memoryview) -> None:
        with self._giving:
            if isinstance(event, Ended):
                if self._quit.is_set():
                    raise WorkerDied("as it was asked to")
                raise _error_of(event)
            if self._quit.is_set():
                return
            match event:
                case Progressed():
                    self._note(event)
                case Opened():
                    self._size = (event.width, event.height)
                    self._receiver.opened(
                        VideoInfo(event.width, event.height, event.codec, event.fps)
                    )
                case Forwarded():
                    came_mono = arrival(event.received_mono)
                    packet = Packet(bytes(body), "h264", event.pts, event.is_keyframe, came_mono)
                    self._receiver.forward(packet)
                case Pictured():
                    if self._size != (event.width, event.height):  # which was judged
                        raise self._child.refuse("another size than before")
                    put = self._receiver.put if self.edge is None else self.edge.offer
                    place = event.width, event.height, event.pts, event.received_mono
                    put(frame_of(self._child, body, *place))

    def _note(self, event: Progressed) -> None:
        last = event.last_packet_mono
        if last is not None:  # one of tomorrow would hide that nothing comes
            event = event.model_copy(update={"last_packet_mono": arrival(last)})
        for name in Progress.__slots__:
            setattr(self.progress, name, getattr(event, name))


def _error_of(event: Ended) -> Exception:
    text = "".join(sign for sign in event.text if sign.isprintable())
    if event.error == TransportRefused.kind:
        return TransportRefused()
    return _ERRORS.get(event.error, SourceLost)(text)
