"""/api/v1/streams and /api/v1/probe."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from aiohttp import web
from pydantic import Field, WithJsonSchema

from streamer.access import NOBODY, Role
from streamer.config import (
    AnySource,
    OutputConfig,
    OverlayConfig,
    PoseConfig,
    PrivacyConfig,
    RtspSource,
    Section,
    StreamConfig,
    StreamId,
    VideoConfig,
)
from streamer.errors import Locked, NotAllowed, StorageFull
from streamer.outputs.output import Output
from streamer.server.access import caller_of
from streamer.server.guard import read_json
from streamer.server.keys import OUTSIDE, SERVICES
from streamer.server.openapi import Answer, describe, json_answer, json_body
from streamer.server.rules import Narrow
from streamer.server.shapes import StreamInfo
from streamer.sources.probe import ProbeReport
from streamer.stream import Stream
from streamer.streams import Streams
from streamer.telemetry import redact

routes = web.RouteTableDef()

Options = TypeVar("Options", bound=Section)


def _as(model: type[Section]) -> WithJsonSchema:
    """Described as the whole section; what is left out of a body stays as it is."""
    return WithJsonSchema(model.model_json_schema())


class StreamRequest(Section):
    """Body of POST /api/v1/streams. ``pose``, ``video_options``, ``overlay``, ``privacy``: only what differs
    from the server's own ([pose], [video], [overlay] and [privacy] in its configuration)."""

    id: StreamId | None = None
    source: AnySource
    pose: Annotated[dict[str, Any], _as(PoseConfig)] = Field(default_factory=dict)
    video_options: Annotated[dict[str, Any], _as(VideoConfig)] = Field(default_factory=dict)
    overlay: Annotated[dict[str, Any], _as(OverlayConfig)] = Field(default_factory=dict)
    privacy: Annotated[dict[str, Any], _as(PrivacyConfig)] = Field(default_factory=dict)
    output: OutputConfig | None = None


class StreamPatch(Section):
    """Body of PATCH /api/v1/streams/{id}. ``output``: null ends it."""

    listed: bool | None = None
    pose: Annotated[dict[str, Any], _as(PoseConfig)] = Field(default_factory=dict)
    video_options: Annotated[dict[str, Any], _as(VideoConfig)] = Field(default_factory=dict)
    overlay: Annotated[dict[str, Any], _as(OverlayConfig)] = Field(default_factory=dict)
    privacy: Annotated[dict[str, Any], _as(PrivacyConfig)] = Field(default_factory=dict)
    output: OutputConfig | None = None


class ProbeRequest(Section):
    """Body of POST /api/v1/probe."""

    source: AnySource


@routes.get("/api/v1/streams")
@describe(
    "Streams",
    "The listed streams",
    role=Role.VIEW,
    narrow=Narrow.BY_HANDLER,
    answers={200: json_answer(list[StreamInfo])},
)
async def list_streams(request: web.Request) -> web.Response:
    """A token for single streams sees those, listed or not."""
    streams, only = request.app[SERVICES].streams, caller_of(request).streams
    shown = [each for each in streams if (each.listed if only is None else each.id in only)]
    return web.json_response([stream_json(stream) for stream in shown])


@routes.post("/api/v1/streams")
@describe(
    "Streams",
    "Adds a camera",
    role=Role.ADMIN,
    body=json_body(StreamRequest),
    answers={201: Answer("Added", json_body(StreamInfo), {"Location": "The stream's address"})},
    problems=(403, 409, 503, 507),
)
async def create_stream(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    body = StreamRequest.model_validate(await read_json(request))
    await services.check_source(body.source)
    if body.output is not None:
        await services.check_source(RtspSource(url=body.output.url))
    await services.look_for_models()
    config = StreamConfig(
        id=body.id or _free_id(services.streams),
        source=body.source,
        pose=_changed(services.pose, body.pose) if body.pose else None,
        video=_changed(services.video, body.video_options) if body.video_options else None,
        overlay=_changed(services.overlay, body.overlay) if body.overlay else None,
        privacy=_unlocked(services.privacy, body.privacy) if body.privacy else None,
        output=body.output,
    )
    stream = services.streams.add_camera(config, keep=True)
    try:
        await services.streams.saved()
    except StorageFull as error:
        await services.streams.remove(stream)
        raise StorageFull(f"The camera was not added. {error}") from error
    return web.json_response(
        stream_json(stream),
        status=HTTPStatus.CREATED,
        headers={"Location": request[OUTSIDE].path(f"/api/v1/streams/{stream.id}")},
    )


@routes.get("/api/v1/streams/{id}")
@describe(
    "Streams",
    "One stream",
    role=Role.VIEW,
    narrow=Narrow.BY_ID,
    answers={200: json_answer(StreamInfo)},
    problems=(404,),
)
async def show_stream(request: web.Request) -> web.Response:
    return web.json_response(stream_json(_stream(request)))


@routes.patch("/api/v1/streams/{id}")
@describe(
    "Streams",
    "Changes a stream's options, live",
    role=Role.OPERATE,
    body=json_body(StreamPatch),
    answers={200: json_answer(StreamInfo)},
    problems=(403, 404, 503, 507),
)
async def change_stream(request: web.Request) -> web.Response:
    services, stream = request.app[SERVICES], _stream(request)
    patch = StreamPatch.model_validate(await read_json(request))
    if "output" in patch.model_fields_set and caller_of(request).role < Role.ADMIN:
        raise NotAllowed("Your token may not publish to another server: it needs the scope admin.")
    if patch.output is not None:
        await services.check_source(RtspSource(url=patch.output.url))
    await services.look_for_models()
    # From here to the last change nothing is waited for: it would undo what others change meanwhile.
    pose = _changed(stream.pose, patch.pose) if patch.pose else None
    video = _changed(stream.video, patch.video_options) if patch.video_options else None
    overlay = _changed(stream.overlay, patch.overlay) if patch.overlay else None
    privacy = _unlocked(stream.privacy, patch.privacy) if patch.privacy else None
    streams = services.streams
    streams.check(pose or stream.pose, privacy or stream.privacy)  # all of a patch, or nothing
    if privacy is not None:
        streams.set_privacy(stream, privacy)
    if pose is not None:
        streams.set_pose(stream, pose)
    if video is not None:
        streams.set_video(stream, video)
    if overlay is not None:
        streams.set_overlay(stream, overlay)
    if patch.listed is not None:
        streams.set_listed(stream, patch.listed)
    if "output" in patch.model_fields_set:
        await streams.set_output(stream, patch.output)
    if stream.kept:
        try:
            await streams.saved()
        except StorageFull as error:
            raise StorageFull(
                f"The change holds, but no longer than the server runs. {error}"
            ) from error
    return web.json_response(stream_json(stream))


@routes.delete("/api/v1/streams/{id}")
@describe(
    "Streams",
    "Removes a stream",
    role=Role.OPERATE,
    answers={204: Answer("Removed")},
    problems=(404,),
)
async def remove_stream(request: web.Request) -> web.Response:
    """A camera's takes the role admin; one that was published, the token that did it or an admin's."""
    stream, caller = _stream(request), caller_of(request)
    if not caller.owns(stream.owner or NOBODY):
        raise NotAllowed("Your token may not remove this stream: it needs the scope admin.")
    await request.app[SERVICES].streams.remove(stream)
    return web.Response(status=HTTPStatus.NO_CONTENT)


@routes.post("/api/v1/streams/{id}/restart")
@describe(
    "Streams",
    "Opens the camera anew, now",
    role=Role.OPERATE,
    answers={200: json_answer(StreamInfo)},
    problems=(404,),
)
async def restart_stream(request: web.Request) -> web.Response:
    stream = _stream(request)
    await stream.session.restart()
    return web.json_response(stream_json(stream))


@routes.post("/api/v1/probe")
@describe(
    "Cameras",
    "What a camera is, or what is wrong with it, without adding it",
    role=Role.ADMIN,
    body=json_body(ProbeRequest),
    answers={200: json_answer(ProbeReport)},
    problems=(502, 503),
)
async def probe_camera(request: web.Request) -> web.Response:
    body = ProbeRequest.model_validate(await read_json(request))
    return web.json_response(await request.app[SERVICES].probe(body.source))


def stream_json(stream: Stream) -> dict[str, Any]:
    """A stream as the API shows it; never a credential."""
    session, status = stream.session, stream.session.status
    result = session.result
    return {
        "id": stream.id,
        "state": status.state.value,
        "detail": status.detail,
        "source": stream.shown,
        "listed": stream.listed,
        "video": asdict(session.video) if session.video else None,
        "people": len(result.poses) if result else None,
        "pose": stream.pose.model_dump(),
        "video_options": stream.video.model_dump(),
        "overlay": stream.overlay.model_dump(),
        "privacy": stream.privacy.model_dump(),
        "output": _output_json(stream.output) if stream.output else None,
        "stats": _rounded(asdict(session.stats())),
        "viewers": stream.viewers,
        "retry_in_s": status.retry_in_s,
        "attempt": status.attempt,
        "last_error": (
            {"type": f"urn:streamer:problem:{status.error_kind}", "detail": redact(status.detail)}
            if status.error_kind
            else None
        ),
    }


def _output_json(output: Output) -> dict[str, Any]:
    return {
        "url": output.shown_url,
        "video": output.config.video,
        "state": output.status.state.value,
        "detail": redact(output.status.detail),
        "retry_in_s": output.status.retry_in_s,
    }


def _stream(request: web.Request) -> Stream:
    return request.app[SERVICES].streams.get(request.match_info["id"])


def _changed(options: Options, change: dict[str, Any]) -> Options:
    return type(options).model_validate(options.model_dump() | change)


def _unlocked(privacy: PrivacyConfig, change: dict[str, Any]) -> PrivacyConfig:
    """Raises Locked. Locking, too, is for the configuration: nobody could undo it."""
    changed = _changed(privacy, change)
    if changed != privacy and (privacy.locked or changed.locked):
        raise Locked(
            "The server's configuration has locked the privacy mode."
            if privacy.locked
            else "Only the server's configuration can lock the privacy mode."
        )
    return changed


def _free_id(streams: Streams) -> str:
    return next(name for n in range(1, 10_000) if not streams.has(name := f"camera-{n}"))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 2)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return value
