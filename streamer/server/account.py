"""/api/v1/login, logout, me and tickets: how a token becomes a cookie or a ticket, and what it may do."""

import logging
import re
from http import HTTPStatus
from typing import Final

from aiohttp import web

from streamer.access import EVERYBODY, Caller, Role
from streamer.access.tickets import LASTS_S
from streamer.errors import InvalidRequest, NotFound
from streamer.server.access import ACCESS, NO_STREAM, SESSION_COOKIE, caller_of
from streamer.server.guard import read_json
from streamer.server.keys import OUTSIDE, SERVICES
from streamer.server.openapi import Answer, describe, json_answer, json_body
from streamer.server.outside import Outside
from streamer.server.problems import problem
from streamer.server.rules import Narrow
from streamer.server.shapes import Login, Me, Ticket, TicketRequest

logger = logging.getLogger(__name__)
routes = web.RouteTableDef()

_TICKETED: Final = re.compile(
    r"/api/v1/streams/(?P<id>[a-z0-9-]{1,64})/(landmarks|mjpeg|snapshot\.jpg)"
)


@routes.post("/api/v1/login")
@describe(
    "Service",
    "The access token becomes a session cookie",
    role=Role.NONE,
    body=json_body(Login),
    answers={204: Answer("Signed in", headers={"Set-Cookie": "The session"})},
    problems=(401, 429),
)
async def sign_in(request: web.Request) -> web.Response:
    """Where there is no token, there is nothing to sign in to: any will do, and no cookie comes."""
    token = Login.model_validate(await read_json(request)).token
    keeper, outside = request.app[ACCESS].keeper, request[OUTSIDE]
    response = web.Response(status=HTTPStatus.NO_CONTENT)
    if not keeper.book.is_guarded:
        return response
    caller = keeper.by_secret(token.strip(), outside.client)
    if caller is None:
        logger.warning("a wrong access token came from %s", outside.client)
        return problem(request, HTTPStatus.UNAUTHORIZED, "wrong-token", "That token is not right.")
    cookie, session = keeper.sessions.begin(caller)
    logger.info("%s has signed in from %s", session.name, outside.client)
    _set_cookie(response, outside, cookie, keeper.sessions.left_s(session))
    return response


@routes.post("/api/v1/logout")
@describe(
    "Service",
    "Ends the session of the cookie, and all that is open with it",
    role=Role.NONE,
    answers={204: Answer("Signed out", headers={"Set-Cookie": "None any more"})},
)
async def sign_out(request: web.Request) -> web.Response:
    access, outside = request.app[ACCESS], request[OUTSIDE]
    session = access.keeper.sessions.find(request.cookies.get(SESSION_COOKIE, ""))
    if session is not None:
        access.keeper.sessions.end(session.session)
        access.show_out(request.app)
        await access.writer.write()
    response = web.Response(status=HTTPStatus.NO_CONTENT)
    _set_cookie(response, outside, "", 0)
    return response


def _set_cookie(response: web.Response, outside: Outside, value: str, max_age_s: int) -> None:
    """0 s: forget it."""
    response.set_cookie(
        SESSION_COOKIE,
        value,
        max_age=max_age_s,
        httponly=True,
        samesite="Strict",
        secure=outside.scheme == "https",
        path=outside.prefix or "/",
    )


@routes.get("/api/v1/me")
@describe(
    "Service",
    "Who asks, and what they may do",
    role=Role.VIEW,
    narrow=Narrow.BY_HANDLER,
    answers={200: json_answer(Me)},
)
async def show_caller(request: web.Request) -> web.Response:
    caller = caller_of(request)
    return web.json_response(
        {
            "name": caller.name,
            "role": caller.role.word,
            "scopes": list(caller.scopes),
            "expires": caller.expires.isoformat() if caller.expires else None,
            "signed_in": bool(caller.session),
        }
    )


@routes.post("/api/v1/tickets")
@describe(
    "Service",
    "A ticket for one address, for those who can send neither a header nor a cookie",
    role=Role.VIEW,
    narrow=Narrow.BY_HANDLER,
    body=json_body(TicketRequest),
    answers={201: json_answer(Ticket, "Made")},
    problems=(404, 503),
)
async def issue_ticket(request: web.Request) -> web.Response:
    """As `?ticket=` in the address it opens it once, by GET, within 30 s, for what the asking token may see.
    Where the server has no token any word is as good."""
    body = TicketRequest.model_validate(await read_json(request))
    access, caller = request.app[ACCESS], caller_of(request)
    path = access.path_of(body.path)
    found = _TICKETED.fullmatch(path)
    if found is None:
        raise InvalidRequest("A ticket is for a stream's landmarks, mjpeg or snapshot.jpg.")
    _check_sees(request, caller, found["id"])
    ticket = "none-needed" if caller == EVERYBODY else access.keeper.tickets.issue(caller, path)
    return web.json_response(
        {"ticket": ticket, "expires_in_s": LASTS_S},
        status=HTTPStatus.CREATED,
        headers={"Cache-Control": "no-store"},
    )


def _check_sees(request: web.Request, caller: Caller, stream_id: str) -> None:
    if not caller.sees(stream_id):
        raise NotFound(NO_STREAM)
    request.app[SERVICES].streams.get(stream_id)
