"""/api/v1/streams/{id}/snapshot.jpg and …/mjpeg: pictures for `<img>` and for home automation."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Final, Literal

from aiohttp import web
from pydantic import ConfigDict, Field

from streamer.access import Role
from streamer.config import Section
from streamer.errors import LimitReached, NoPicture, NotFound
from streamer.model import StreamState
from streamer.outputs.stills import Look, Still, StillFeed
from streamer.server.guard import foreign_page
from streamer.server.keys import SERVICES
from streamer.server.openapi import Answer, Content, describe, queries
from streamer.server.rules import Narrow
from streamer.server.slow_readers import end, in_time, keep_buffers_small, send_body
from streamer.stream import Stream

routes = web.RouteTableDef()

FIRST_PICTURE_S = 10.0
"""For the first picture of a stream that is being opened: a camera has 5 s to answer."""

BUFFER_BYTES: Final = 1 << 18
"""Some pictures at 640x480: less would slow down readers that are far away."""

_BOUNDARY: Final = "picture"
_JPEG: Final = "image/jpeg"
_MJPEG: Final = "multipart/x-mixed-replace"
_BINARY: Final = {"type": "string", "format": "binary"}
_TIMES: Final = {
    "X-Pts": "`pts` of the frame's `pose` message",
    "X-Received-At": "Its `received_at`; not of a notice",
}


class StillQuery(Section):
    """The query of both routes. Other keys are ignored: pages add one against their caches."""

    model_config = ConfigDict(strict=False, extra="ignore")

    video: Literal["annotated", "plain"] = Field(
        default="annotated", description="With the poses drawn in, or as the camera sends it"
    )
    width: int | None = Field(
        default=None, ge=16, le=4096, description="Pixels: made narrower to this, never wider"
    )

    @property
    def look(self) -> Look:
        return Look(self.video == "annotated", self.width)


class SnapshotQuery(StillQuery):
    notice: bool = Field(
        default=False, description="While no frames come, the picture that says why, not an error"
    )


class MjpegQuery(StillQuery):
    fps: float | None = Field(
        default=None, ge=0.1, le=240, description="Pictures a second, at most"
    )


def add_stills(app: web.Application) -> None:
    app.add_routes(routes)
    app.on_shutdown.append(_end_readers)


@routes.get("/api/v1/streams/{id}/snapshot.jpg")
@describe(
    "Pictures of streams",
    "The picture now",
    role=Role.VIEW,
    narrow=Narrow.BY_ID,
    ticket=True,
    answers={200: Answer("A JPEG", (Content(_JPEG, _BINARY),), _TIMES)},
    problems=(400, 404, 503),
    query=queries(SnapshotQuery),
)
async def snapshot(request: web.Request) -> web.StreamResponse:
    """Wakes a paused stream and waits for its first picture, up to 10 s."""
    query = SnapshotQuery.model_validate(dict(request.query))
    if (refusal := foreign_page(request)) is not None:
        return refusal
    with _reading(request, query.look) as (stream, feed):
        still = await _still_now(stream, feed, with_notices=query.notice)
        headers = _times(still) | {"Content-Type": _JPEG, "Cache-Control": "no-store"}
        return await send_body(request, still.jpeg, headers)


@routes.get("/api/v1/streams/{id}/mjpeg", allow_head=False)
@describe(
    "Pictures of streams",
    "Pictures as they come, for `<img>` and home automation",
    role=Role.VIEW,
    narrow=Narrow.BY_ID,
    ticket=True,
    answers={200: Answer("Parts of image/jpeg, each with its length", (Content(_MJPEG, _BINARY),))},
    problems=(400, 404, 503),
    query=queries(MjpegQuery),
)
async def mjpeg(request: web.Request) -> web.StreamResponse:
    """A reader that does not keep up gets the newest picture next. While a camera is lost its last picture
    comes dimmed, with a notice."""
    query = MjpegQuery.model_validate(dict(request.query))
    if (refusal := foreign_page(request)) is not None:
        return refusal
    interval_s = 1 / query.fps if query.fps else 0.0
    with _reading(request, query.look) as (stream, feed):
        stream.viewers += 1
        try:
            return await _send_pictures(request, feed, interval_s)
        finally:
            stream.viewers -= 1


async def _end_readers(app: web.Application) -> None:
    """At shutdown, which would wait for them."""
    await asyncio.gather(*(stream.stills.close() for stream in app[SERVICES].streams))


async def _send_pictures(
    request: web.Request, feed: StillFeed, interval_s: float
) -> web.StreamResponse:
    headers = {"Content-Type": f"{_MJPEG}; boundary={_BOUNDARY}", "Cache-Control": "no-store"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    keep_buffers_small(request, BUFFER_BYTES)
    due_mono = time.monotonic()
    with contextlib.suppress(ConnectionResetError):  # it has left, as they all do
        await response.write(f"--{_BOUNDARY}".encode())
        while (still := await feed.next(due_mono)) is not None:
            due_mono = max(due_mono, time.monotonic() - interval_s) + interval_s
            async with in_time(request):
                await response.write(_part(still))
        async with in_time(request):
            await response.write(b"--\r\n")
        await end(request, response)
    return response


def _part(still: Still) -> bytes:
    """What follows a boundary: a picture with its headers, and already the next boundary, for readers that
    look for the end of a part rather than at its length (RFC 2046, section 5.1)."""
    fields = {"Content-Type": _JPEG, "Content-Length": str(len(still.jpeg))}
    head = "".join(f"{name}: {value}\r\n" for name, value in (fields | _times(still)).items())
    return f"\r\n{head}\r\n".encode() + still.jpeg + f"\r\n--{_BOUNDARY}".encode()


def _times(still: Still) -> dict[str, str]:
    """Which frame it is, in the terms of the ``pose`` message."""
    received = {} if still.received_at is None else {"X-Received-At": f"{still.received_at:.3f}"}
    return {"X-Pts": str(still.pts)} | received


async def _still_now(stream: Stream, feed: StillFeed, *, with_notices: bool) -> Still:
    """Raises NoPicture when there is none, or none comes in time."""
    session = stream.session
    try:
        async with asyncio.timeout(FIRST_PICTURE_S):
            while True:
                status = session.status
                is_down = status.state in (StreamState.RECONNECTING, StreamState.FAILED)
                if is_down and not with_notices:
                    raise NoPicture(f"The stream is {status.state.value}: {status.detail}")
                still = await feed.next()
                if still is None:
                    raise NotFound("This stream has ended.")
                if with_notices or not still.is_notice:
                    return still
    except TimeoutError:
        detail = f"No picture came within {FIRST_PICTURE_S:g} s: {session.status.detail}"
        raise NoPicture(detail.rstrip(": ")) from None


@contextlib.contextmanager
def _reading(request: web.Request, look: Look) -> Iterator[tuple[Stream, StillFeed]]:
    """Raises NotFound for an unknown stream, LimitReached when there are too many readers."""
    services = request.app[SERVICES]
    stream = services.streams.get(request.match_info["id"])
    if sum(each.stills.readers for each in services.streams) >= services.max_picture_readers:
        raise LimitReached(
            f"This server has at most {services.max_picture_readers} readers of pictures ([server] "
            "max_picture_readers); try again when one has left."
        )
    with stream.stills.reading(look) as feed:
        yield stream, feed
