"""/api/v1/streams/{id}/landmarks: messages for programs, over a WebSocket or as server-sent events."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Final, NamedTuple

from aiohttp import WSCloseCode, WSMsgType, web

from streamer.access import Role
from streamer.errors import LimitReached
from streamer.model import StreamState
from streamer.rates import Bucket
from streamer.schema import AnyMessage
from streamer.server.access import VISIT, Visit
from streamer.server.guard import foreign_page
from streamer.server.keys import SERVICES
from streamer.server.openapi import Answer, Content, describe
from streamer.server.problems import problem
from streamer.server.rules import Narrow
from streamer.server.slow_readers import end, in_time, keep_buffers_small
from streamer.sinks import Form, StateWatcher, form_of
from streamer.stream import Stream
from streamer.wire import PROTOCOL

routes = web.RouteTableDef()

MAX_WAITING: Final = 32
"""Messages for a reader that does not keep up: a second of video. Then the oldest poses are dropped."""

BUFFER_BYTES: Final = 64 * 1024
"""What the system may hold back of a slow reader, which would otherwise be megabytes of the past."""

CLOSE_TIMEOUT_S: Final = 2.0
HEARTBEAT_S: Final = 30.0
EVENTS: Final = "text/event-stream"


class _Waiting(NamedTuple):
    message: str | bytes
    is_pose: bool


class Outbox:
    """The messages that wait for one reader. A ``sinks.Listener``: bounded, and it never blocks."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.dropped = 0
        self._waiting: deque[_Waiting] = deque()
        self._changed = asyncio.Event()
        self._closed = False

    def pose(self, message: str | bytes) -> None:
        self._put(_Waiting(message, is_pose=True))

    def news(self, message: str) -> None:
        self._put(_Waiting(message, is_pose=False))

    def close(self) -> None:
        """What waits is still taken; then there is an end."""
        self._closed = True
        self._changed.set()

    async def take(self) -> str | bytes | None:
        """The next message; None at the end."""
        while not self._waiting:
            if self._closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft().message

    def _put(self, one: _Waiting) -> None:
        if len(self._waiting) >= MAX_WAITING:
            # News are few, and a reader that missed one would take a lost camera for a live one.
            poses = (place for place, each in enumerate(self._waiting) if each.is_pose)
            del self._waiting[next(poses, 0)]
            self.dropped += 1
        self._waiting.append(one)
        self._changed.set()


class Readers:
    """All readers of landmarks, of all streams."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._open: set[Outbox] = set()

    def __len__(self) -> int:
        return len(self._open)

    @contextlib.contextmanager
    def one_more(self, stream: Stream, form: Form) -> Iterator[Outbox]:
        """Raises LimitReached."""
        if len(self._open) >= self.limit:
            raise LimitReached(
                f"This server has {self.limit} readers of landmarks ([server] max_readers); try "
                "again when one has left."
            )
        outbox = Outbox(form)
        ended = StateWatcher(StreamState.ENDED, outbox.close)
        self._open.add(outbox)
        with stream.session.watchers.one_more():
            stream.feed.listen(outbox)
            stream.session.subscribe(ended)
            try:
                yield outbox
            finally:
                stream.session.unsubscribe(ended)
                stream.feed.leave(outbox)
                self._open.discard(outbox)

    async def close(self, _: web.Application) -> None:
        """The server stops."""
        for outbox in self._open:
            outbox.close()


READERS = web.AppKey("readers", Readers)


def add_landmarks(app: web.Application, max_readers: int) -> None:
    app[READERS] = readers = Readers(max_readers)
    app.on_shutdown.append(readers.close)
    app.add_routes(routes)


@routes.get("/api/v1/streams/{id}/landmarks", allow_head=False)
@describe(
    "Landmarks",
    "A stream's messages as they come",
    role=Role.VIEW,
    narrow=Narrow.BY_ID,
    ticket=True,
    answers={
        101: Answer(f"A WebSocket; its subprotocol `{PROTOCOL}` asks for binary pose messages"),
        200: Answer("Server-sent events", (Content(EVENTS, AnyMessage),)),
    },
    problems=(404, 406, 503),
)
async def read_landmarks(request: web.Request) -> web.StreamResponse:
    """Over a WebSocket each message is one frame, as events it is the data of one event. Each message is
    one of the schema AnyMessage, the state of the stream first."""
    stream = request.app[SERVICES].streams.get(request.match_info["id"])
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return await _over_websocket(request, stream)
    accepted = request.headers.get("Accept", "*/*")
    if EVENTS in accepted or "*/*" in accepted:
        return await _as_events(request, stream)
    return problem(
        request,
        HTTPStatus.NOT_ACCEPTABLE,
        "not-acceptable",
        f"Landmarks come over a WebSocket, or as `Accept: {EVENTS}`.",
    )


async def _over_websocket(request: web.Request, stream: Stream) -> web.StreamResponse:
    limits = request.app[SERVICES].limits
    incoming = Bucket(limits.messages_per_minute)  # readers have nothing to say
    websocket = web.WebSocketResponse(
        protocols=(PROTOCOL,),
        timeout=CLOSE_TIMEOUT_S,
        heartbeat=HEARTBEAT_S,
        autoping=False,  # they count, too: 40,000 in one packet would all be answered in one turn
        compress=False,  # it costs 0.1 ms a message and reader, and networks at home need it not
        max_msg_size=limits.max_message_bytes,
        writer_limit=0,  # each message waits until there is room
    )
    form = form_of(websocket.can_prepare(request).protocol or "")
    visit = request[VISIT]
    with request.app[READERS].one_more(stream, form) as outbox, visit.told(outbox.close):
        await websocket.prepare(request)
        keep_buffers_small(request, BUFFER_BYTES)

        async def send_all() -> None:
            with contextlib.suppress(ConnectionResetError):  # the loop below ends as well
                while (message := await outbox.take()) is not None:
                    async with in_time(request):
                        if isinstance(message, str):
                            await websocket.send_str(message)
                        else:
                            await websocket.send_bytes(message)
                async with in_time(request):
                    await websocket.close(code=_close_code(stream, visit))

        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(send_all(), name=f"landmarks-{stream.id}")
            with contextlib.suppress(ConnectionResetError):
                async for message in websocket:  # ends when one of the two has left
                    async with in_time(request):
                        if not incoming.take():
                            await websocket.close(code=WSCloseCode.POLICY_VIOLATION)
                        elif message.type is WSMsgType.PING:
                            await websocket.pong(message.data)
            sending.cancel()
    return websocket


def _close_code(stream: Stream, visit: Visit) -> WSCloseCode:
    if visit.is_over:
        return WSCloseCode.POLICY_VIOLATION
    ended = stream.session.status.state is StreamState.ENDED
    return WSCloseCode.OK if ended else WSCloseCode.GOING_AWAY


async def _as_events(request: web.Request, stream: Stream) -> web.StreamResponse:
    """HTML's server-sent events: each message is one event without a name, its ``data`` the JSON."""
    if (refusal := foreign_page(request)) is not None:
        return refusal
    events = web.StreamResponse(headers={"Content-Type": EVENTS, "Cache-Control": "no-store"})
    readers, visit = request.app[READERS], request[VISIT]
    with readers.one_more(stream, "json") as outbox, visit.told(outbox.close):
        writer = await events.prepare(request)
        assert writer is not None
        keep_buffers_small(request, BUFFER_BYTES)
        with contextlib.suppress(ConnectionResetError):
            async for text in _lines(outbox):
                async with in_time(request):
                    await events.write(text.encode())
                    await writer.drain()
            await end(request, events)
    return events


async def _lines(outbox: Outbox) -> AsyncIterator[str]:
    """With a comment now and then, by which either side notices that the other is gone."""
    while True:
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                message = await outbox.take()
        except TimeoutError:
            yield ": still here\n\n"
            continue
        if message is None:
            return
        assert isinstance(message, str)
        yield f"data: {message}\n\n"
