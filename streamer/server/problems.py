"""Errors as RFC 9457 problem details."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from streamer.config import explain
from streamer.errors import (
    Conflict,
    InvalidRequest,
    LimitReached,
    Locked,
    MediaUnreachable,
    ModelError,
    NoPicture,
    NotAllowed,
    NotFound,
    PictureTooLarge,
    ShuttingDown,
    SourceError,
    SourceForbidden,
    SourceRejected,
    Starting,
    StorageFull,
    StreamerError,
    TooManyAttempts,
    TooManyRequests,
    Unsupported,
    WorkerDied,
    WorkerHung,
)
from streamer.server.keys import ANSWER_BEGUN, PROBLEM, REQUEST_ID
from streamer.telemetry import redact

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 5

_STATUSES: tuple[tuple[type[StreamerError], HTTPStatus], ...] = (
    (PictureTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),  # before its parent
    (InvalidRequest, HTTPStatus.BAD_REQUEST),
    (Unsupported, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Locked, HTTPStatus.FORBIDDEN),
    (NotAllowed, HTTPStatus.FORBIDDEN),
    (TooManyAttempts, HTTPStatus.TOO_MANY_REQUESTS),
    (Conflict, HTTPStatus.CONFLICT),
    (NoPicture, HTTPStatus.SERVICE_UNAVAILABLE),
    (LimitReached, HTTPStatus.SERVICE_UNAVAILABLE),
    (TooManyRequests, HTTPStatus.TOO_MANY_REQUESTS),
    (StorageFull, HTTPStatus.INSUFFICIENT_STORAGE),
    (Starting, HTTPStatus.SERVICE_UNAVAILABLE),
    (ShuttingDown, HTTPStatus.SERVICE_UNAVAILABLE),
    (MediaUnreachable, HTTPStatus.SERVICE_UNAVAILABLE),
    (ModelError, HTTPStatus.SERVICE_UNAVAILABLE),
    (SourceForbidden, HTTPStatus.FORBIDDEN),
    (SourceRejected, HTTPStatus.BAD_GATEWAY),
    (SourceError, HTTPStatus.BAD_GATEWAY),
    (WorkerDied, HTTPStatus.SERVICE_UNAVAILABLE),
    (WorkerHung, HTTPStatus.SERVICE_UNAVAILABLE),
)

# Not HTTPStatus.phrase: Python 3.13 has changed some.
_KINDS: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "bad-request",
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
    HTTPStatus.REQUEST_TIMEOUT: "request-timeout",
    HTTPStatus.PRECONDITION_FAILED: "precondition-failed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "request-entity-too-large",
    HTTPStatus.REQUEST_URI_TOO_LONG: "uri-too-long",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported-media-type",
    HTTPStatus.EXPECTATION_FAILED: "expectation-failed",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "header-too-large",
}


def bare_problem(status: HTTPStatus, detail: str) -> str:
    """The body of a problem of which there is no request yet, or not one that can be read."""
    return _body(status, _KINDS[status], detail, "")


def problem(
    request: web.Request,
    status: HTTPStatus,
    kind: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """``kind`` is the stable part of the type; ``detail`` says what to do."""
    request[PROBLEM] = kind
    return web.Response(
        status=status,
        text=_body(status, kind, detail, request.get(REQUEST_ID, "")),
        content_type="application/problem+json",
        headers=headers,
    )


def _body(status: HTTPStatus, kind: str, detail: str, request_id: str) -> str:
    return json.dumps(
        {
            "type": f"urn:streamer:problem:{kind}",
            "title": kind.replace("-", " ").capitalize(),
            "status": int(status),
            "detail": redact(detail),
            "request_id": request_id,
        }
    )


@web.middleware
async def problem_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost supervisor of a request: every error leaves as a problem, none as a traceback."""
    try:
        return await handler(request)
    except ValidationError as error:
        return problem(request, HTTPStatus.BAD_REQUEST, "invalid-request", explain(error))
    except StreamerError as error:
        return _ours(request, error)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        kind = _KINDS.get(error.status, "http-error")
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return problem(request, HTTPStatus(error.status), kind, _words(error), allow)
    except Exception:
        logger.exception("request %s failed", request.get(REQUEST_ID, ""))
        if request.get(ANSWER_BEGUN):
            raise  # it can't become another answer: the connection is closed
        return problem(
            request,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal",
            "The server failed on this request; its log has the details under the request id.",
        )


def _ours(request: web.Request, error: StreamerError) -> web.Response:
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            wait_s = _retry_after_s(error)
            headers = None if wait_s is None else {"Retry-After": str(wait_s)}
            return problem(request, status, error.kind, str(error), headers)
    logger.error("request %s failed: %s", request.get(REQUEST_ID, ""), error)
    return problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, error.kind, str(error))


def _retry_after_s(error: StreamerError) -> int | None:
    if isinstance(error, TooManyAttempts | TooManyRequests):
        return error.retry_after_s
    busy = isinstance(error, LimitReached | NoPicture | Starting | ShuttingDown)
    return RETRY_AFTER_S if busy else None


def _words(error: web.HTTPException) -> str:
    if error.status == HTTPStatus.NOT_FOUND:
        return "There is nothing at this address."
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"This address takes {error.headers.get('Allow', 'other methods')}."
    if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return "The body is too large."
    return error.reason
