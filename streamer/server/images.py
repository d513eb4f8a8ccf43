"""POST /api/v1/images, and the same at /upload: a picture in, its poses out, or the picture with them."""

import asyncio
import json
import warnings
from collections.abc import Coroutine
from typing import Any, Final, Literal, TypeVar

from aiohttp import BadContentDispositionHeader, BadContentDispositionParam, BodyPartReader, web
from aiohttp.http_exceptions import BadHttpMessage, PayloadEncodingError
from pydantic import Field

from streamer.access import Role
from streamer.aio import cancel_and_wait
from streamer.config import Section, Share
from streamer.errors import InvalidPicture, InvalidRequest, ModelError, PictureTooLarge
from streamer.images.job import Analysis, Enhancement, Job, PictureFormat
from streamer.model import LANDMARK_COUNT
from streamer.server.guard import body_type
from streamer.server.http_protocol import receiving
from streamer.server.keys import SERVICES, Services
from streamer.server.openapi import JSON, Answer, Content, describe, queries
from streamer.server.shapes import PictureInfo
from streamer.server.slow_readers import send_body

routes = web.RouteTableDef()

FIELD: Final = "image"
FORM: Final = "multipart/form-data"
FORM_BYTES: Final = 64 * 1024  # of a form beyond its picture: boundaries, headers, other fields
CHUNK_BYTES: Final = 64 * 1024
GONE_CHECK_S: Final = 0.25
DEFAULT_POSES: Final = 5

T = TypeVar("T")

# aiohttp warns of each malformed part of a form, in its sender's words, on stderr and past the log's limits.
for _kind in (BadContentDispositionHeader, BadContentDispositionParam):
    warnings.simplefilter("ignore", _kind)


class ImageQuery(Section):
    """The query of POST /api/v1/images. What is left out is as in [pose]; of ``num_poses`` several."""

    num_poses: int = Field(default=DEFAULT_POSES, ge=1, le=8, description="People at most")
    model_complexity: int | None = Field(
        default=None, ge=0, le=2, description="0 lite, 1 full, 2 heavy; as the server's own"
    )
    min_detection_confidence: Share | None = Field(
        default=None, description="How sure it must be that there is a person; as the server's own"
    )
    enhance: Enhancement = Field(
        default="none", description="clahe raises the contrast of a dark picture"
    )
    image: Literal["jpeg", "none"] = Field(
        default="jpeg", description="Of JSON: whether the annotated picture is in it"
    )


_BYTES: Final = {"type": "string", "format": "binary"}
_FORM_SCHEMA: Final = {
    "type": "object",
    "properties": {FIELD: _BYTES},
    "required": [FIELD],
}


@routes.post("/api/v1/images")
@routes.post("/upload")
@describe(
    "Pictures",
    "The poses in a picture",
    role=Role.OPERATE,
    body=(
        Content(FORM, _FORM_SCHEMA),
        *(Content(f"image/{each}", _BYTES) for each in ("jpeg", "png", "webp", "heic")),
    ),
    answers={
        200: Answer(
            "What was found, or the picture with it drawn in, as Accept says",
            (
                Content(JSON, PictureInfo),
                Content("image/jpeg", _BYTES),
                Content("image/png", _BYTES),
            ),
        )
    },
    problems=(503,),
    query=queries(ImageQuery),
)
async def analyse_picture(request: web.Request) -> web.StreamResponse:
    services = request.app[SERVICES]
    images = services.images
    query = _query(request)
    wanted = _wanted(request.headers.get("Accept", ""))
    try:
        job = _job(services, query, wanted)
    except ModelError:  # it may have come meanwhile
        await services.look_for_models()
        job = _job(services, query, wanted)
    with images.place():
        picture = await _receive(request, images.config.max_bytes, images.config.receive_timeout_s)
        analysis = await _unless_gone(request, images.analyse(picture, job))
        del picture
        if wanted is None:
            headers = {"Content-Type": f"{JSON}; charset=utf-8"}
            return await send_body(request, _json(analysis), headers)
        headers = {"Content-Type": f"image/{wanted}", "X-Poses": str(analysis.people)}
        return await send_body(request, analysis.picture, headers)


def _query(request: web.Request) -> ImageQuery:
    if len(request.query) != len(set(request.query)):
        raise InvalidRequest("Say each option once.")
    return ImageQuery.model_validate_strings(dict(request.query))


def _job(services: Services, query: ImageQuery, wanted: PictureFormat | None) -> Job:
    """Raises ModelError when the model is not on this machine."""
    complexity, confidence = query.model_complexity, query.min_detection_confidence
    pose = services.pose
    in_json: PictureFormat | None = "jpeg" if query.image == "jpeg" else None
    return Job(
        model=str(services.model(pose.model_complexity if complexity is None else complexity)),
        num_poses=query.num_poses,
        min_detection_confidence=(
            pose.min_detection_confidence if confidence is None else confidence
        ),
        enhance=query.enhance,
        picture=wanted or in_json,
        in_base64=wanted is None,
        privacy=services.privacy.mode,
    )


def _json(analysis: Analysis) -> bytes:
    """Its large parts came as JSON and as base64 already: nothing is left to do with them here, on the
    event loop."""
    head = {
        "status": "success",
        "landmarks_count": LANDMARK_COUNT if analysis.people else 0,
        "width": analysis.width,
        "height": analysis.height,
    }
    text = f'{json.dumps(head)[:-1]}, "poses": {analysis.poses}'.encode()
    if not analysis.picture:
        return text + b"}"
    return b"".join((text, b', "image": "data:image/jpeg;base64,', analysis.picture, b'"}'))


def _wanted(accept: str) -> PictureFormat | None:
    """What the client likes best (RFC 9110, section 12.5.1); None: JSON, also when it says nothing."""
    best: tuple[float, PictureFormat | None] = (0.0, None)
    for part in accept.split(","):
        kind, *parameters = (each.strip().lower() for each in part.split(";"))
        quality = next((_quality(each[2:]) for each in parameters if each.startswith("q=")), 1.0)
        known = _ACCEPTED.get(kind, "unknown")
        if known != "unknown" and quality > best[0]:
            best = (quality, known)
    return best[1]


_ACCEPTED: Final[dict[str, Any]] = {
    "application/json": None,
    "application/*": None,
    "*/*": None,
    "image/jpeg": "jpeg",
    "image/*": "jpeg",
    "image/png": "png",
}


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


async def _receive(request: web.Request, limit_bytes: int, timeout_s: float) -> bytearray:
    """The picture's file. What is too large is refused before it is read, or as soon as that shows."""
    kind = body_type(request)
    is_form = kind == FORM
    if not is_form and not kind.startswith("image/"):
        raise web.HTTPUnsupportedMediaType(
            reason=f"Send the picture in the field `{FIELD}` of a form ({FORM}), or as the body, with "
            "its own type (image/jpeg)."
        )
    if (request.content_length or 0) > limit_bytes + (FORM_BYTES if is_form else 0):
        raise _too_large(limit_bytes)
    try:
        async with receiving(request, timeout_s):
            picture = await (_form_field if is_form else _body)(request, limit_bytes)
    except (ConnectionResetError, web.RequestPayloadError, PayloadEncodingError):
        raise web.HTTPBadRequest(reason="The body can't be read.") from None
    if not picture:
        raise InvalidPicture("The picture is empty: its file has no bytes.")
    return picture


async def _body(request: web.Request, limit_bytes: int) -> bytearray:
    body = bytearray()
    async for chunk in request.content.iter_chunked(CHUNK_BYTES):
        body += chunk
        if len(body) > limit_bytes:
            raise _too_large(limit_bytes)
    return body


async def _form_field(request: web.Request, limit_bytes: int) -> bytearray:
    """The first field of that name; what stands before it counts too, what comes after is not read."""
    total = 0
    try:
        form = await request.multipart()
        while isinstance(part := await form.next(), BodyPartReader):
            body = bytearray()
            while chunk := await part.read_chunk(CHUNK_BYTES):
                total += len(chunk)
                if part.name == FIELD:
                    body += chunk
                if len(body) > limit_bytes or total > limit_bytes + FORM_BYTES:
                    raise _too_large(limit_bytes)
            if part.name == FIELD:
                return body
    except PayloadEncodingError:
        raise  # the connection's fault, not the form's
    except (ValueError, AssertionError, BadHttpMessage) as error:  # aiohttp's for what is no form
        raise InvalidRequest(f"The body is no form as {FORM} has it.") from error
    raise InvalidRequest(
        f"The form has no field `{FIELD}`: send the picture in it, as in "
        f"`curl -F {FIELD}=@photo.jpg`."
    )


def _too_large(limit_bytes: int) -> PictureTooLarge:
    return PictureTooLarge(
        f"The picture's file may have at most {limit_bytes / 2**20:.3g} MiB: make it smaller and send "
        "it again."
    )


async def _unless_gone(request: web.Request, work: Coroutine[Any, Any, T]) -> T:
    """Its result, or a cancellation once the client has closed the connection: aiohttp has no event for
    that while a handler runs."""
    task = asyncio.create_task(work, name="picture-request")
    try:
        while not task.done():
            await asyncio.wait([task], timeout=GONE_CHECK_S)
            if request.transport is None or request.transport.is_closing():
                break
        if not task.done():
            raise web.HTTPBadRequest(reason="The client has gone.")
        return task.result()
    finally:
        await cancel_and_wait(task)
