"""/api/v1/streams/{id}/snapshot.jpg and …/mjpeg: pictures for `<img>` and for home automation."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Literal

from aiohttp import web
from pydantic import ConfigDict, Field

from streamer.config import Section
from streamer.errors import LimitReached, NoPicture, NotFound
from streamer.model import StreamState
from streamer.outputs.stills import Look, Still, StillFeed
from streamer.server.guard import SECURITY_HEADERS
from streamer.server.keys import REQUEST_ID, SERVICES
from streamer.server.problems import problem
from streamer.streams import Stream

logger = logging.getLogger(__name__)

routes = web.RouteTableDef()

FIRST_PICTURE_S = 10.0
"""For the first picture of a stream that is being opened: a camera has 5 s to answer."""

STUCK_S = 10.0
"""A reader that takes nothing for so long is sent away."""

SEND_BUFFER_BYTES = 1 << 18
"""The kernel's, for a reader: by default it holds some megabytes of pictures that are long out of date."""

_BOUNDARY = "picture"
_MJPEG_TYPE = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
_EARLY = 0.9  # of the time between two pictures of ``fps``, since cameras jitter


class StillQuery(Section):
    """The query of both routes. Other keys are ignored: pages add one against their caches."""

    model_config = ConfigDict(strict=False, extra="ignore")

    video: Literal["annotated", "plain"] = "annotated"
    width: int | None = Field(default=None, ge=16, le=4096)

    @property
    def look(self) -> Look:
        return Look(self.video == "annotated", self.width)


class SnapshotQuery(StillQuery):
    """``notice``: while no frames come, the picture that says why, rather than an error."""

    notice: bool = False


class MjpegQuery(StillQuery):
    """``fps``: pictures a second, at most."""

    fps: float | None = Field(default=None, ge=0.1, le=240)


@routes.get("/api/v1/streams/{id}/snapshot.jpg")
async def snapshot(request: web.Request) -> web.Response:
    query = SnapshotQuery.model_validate(dict(request.query))
    if (refusal := _foreign_page(request)) is not None:
        return refusal
    with _reading(request, query.look) as (stream, feed):
        still = await _still_now(stream, feed, with_notices=query.notice)
    headers = _times(still) | {"Cache-Control": "no-store"}
    return web.Response(body=still.jpeg, content_type="image/jpeg", headers=headers)


@routes.get("/api/v1/streams/{id}/mjpeg", allow_head=False)
async def mjpeg(request: web.Request) -> web.StreamResponse:
    query = MjpegQuery.model_validate(dict(request.query))
    if (refusal := _foreign_page(request)) is not None:
        return refusal
    interval_s = _EARLY / query.fps if query.fps else 0.0
    with _reading(request, query.look) as (stream, feed):
        stream.viewers += 1
        try:
            return await _send_pictures(request, feed, interval_s)
        finally:
            stream.viewers -= 1


async def end_readers(app: web.Application) -> None:
    """At shutdown, which would wait for them."""
    await asyncio.gather(*(stream.stills.close() for stream in app[SERVICES].streams))


async def _send_pictures(
    request: web.Request, feed: StillFeed, interval_s: float
) -> web.StreamResponse:
    headers = SECURITY_HEADERS | {"Content-Type": _MJPEG_TYPE, "Cache-Control": "no-store"}
    response = web.StreamResponse(headers=headers | {"X-Request-Id": request[REQUEST_ID]})
    await response.prepare(request)
    _shorten_queue(request)
    await response.write(f"--{_BOUNDARY}".encode())
    due_mono = 0.0
    try:
        while (still := await feed.next(due_mono)) is not None:
            due_mono = time.monotonic() + interval_s
            async with asyncio.timeout(STUCK_S):
                await response.write(_part(still))
        await response.write(b"--\r\n")
    except ConnectionResetError:
        pass  # it has left, as they all do
    except TimeoutError:
        logger.info("an MJPEG reader took nothing for %g s and was sent away", STUCK_S)
        if request.transport is not None:
            request.transport.abort()
    return response


def _part(still: Still) -> bytes:
    """What follows a boundary: a picture with its headers, and already the next boundary, for readers that
    look for the end of a part rather than at its length (RFC 2046, section 5.1)."""
    fields = {"Content-Type": "image/jpeg", "Content-Length": str(len(still.jpeg))}
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


def _foreign_page(request: web.Request) -> web.Response | None:
    """A page of another origin could not see the picture (Cross-Origin-Resource-Policy), but wake a camera
    and take a place. Browsers tell (Fetch Metadata, on https and localhost); a person may follow a link."""
    fetch = request.headers
    is_foreign = fetch.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    if not is_foreign or fetch.get("Sec-Fetch-Mode") == "navigate":
        return None
    return problem(
        request,
        HTTPStatus.FORBIDDEN,
        "foreign-origin",
        "Pages of another origin may not use this server.",
    )


def _shorten_queue(request: web.Request) -> None:
    """So that a slow reader is late by little."""
    sock = request.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
