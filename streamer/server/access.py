"""Who may do what: finds out who asks, holds them to each route's rule, and shows those out whose access has
ended while they were here."""

import asyncio
import base64
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from streamer.access import EVERYBODY, NOBODY, Caller, Role
from streamer.access.keeper import Keeper
from streamer.access.session_file import SessionWriter
from streamer.aio import Inquiry, cancel_and_wait
from streamer.errors import NotAllowed, NotFound, TooManyAttempts
from streamer.server.keys import OUTSIDE, SERVICES
from streamer.server.outside import Proxies
from streamer.server.problems import problem
from streamer.server.rules import UNKNOWN, Narrow, Rule, rule_of

logger = logging.getLogger(__name__)

SESSION_COOKIE: Final = "streamer_session"
LOOK_INTERVAL_S: Final = 1.0
"""Between two looks at the token file and at those who are here."""

LOOK_S: Final = 2.0
"""For the disk to answer."""

FAREWELL_S: Final = 1.0
"""For a reader to be told; then its connection is cut."""

_CHALLENGE: Final = 'Bearer, Basic realm="Streamer"'
NO_STREAM: Final = "There is no stream with this id; it may have ended."
"""As of an id that there is none of."""


class Visit:
    """One request under way. ``is_over``: its caller may not stay."""

    def __init__(self, caller: Caller, transport: asyncio.Transport | None) -> None:
        self.caller = caller
        self.is_over = False
        self._transport = transport
        self._farewells: list[Callable[[], None]] = []

    @contextlib.contextmanager
    def told(self, farewell: Callable[[], None]) -> Iterator[None]:
        """Calls it when the visit is over, for an end in good order."""
        self._farewells.append(farewell)
        try:
            yield
        finally:
            self._farewells.remove(farewell)

    def end(self) -> None:
        """Twice is safe."""
        if self.is_over:
            return
        self.is_over = True
        for farewell in tuple(self._farewells):
            farewell()
        asyncio.get_running_loop().call_later(FAREWELL_S, self._cut)

    def leave(self) -> None:
        """The request is answered: its connection may go on to another one."""
        self._transport = None

    def _cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Access:
    def __init__(self, keeper: Keeper, proxies: Proxies, writer: SessionWriter) -> None:
        self.keeper = keeper
        self.writer = writer
        self._proxies = proxies
        self._visits: set[Visit] = set()
        self._looking = Inquiry("tokens", keeper.book.look)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        found = request.match_info
        rule = UNKNOWN if found.http_exception is not None else rule_of(found.handler)
        if rule.role is Role.NONE:
            request[VISIT] = Visit(NOBODY, None)
            return await handler(request)
        caller = self._caller(request, rule)
        if caller is None:
            return self._unauthorized(request)
        if not reaches(caller, rule):
            return self._not_allowed(request, rule)
        if rule.narrow is Narrow.BY_ID and not caller.sees(found["id"]):
            raise NotFound(NO_STREAM)
        with self._visit(request, caller):
            return await handler(request)

    def who_asks(self, request: web.Request) -> Caller:
        """At a route that strangers may use: NOBODY for them, and for whoever shows a wrong token."""
        try:
            return self._caller(request, UNKNOWN) or NOBODY
        except TooManyAttempts:
            return NOBODY

    def path_of(self, path: str) -> str:
        """A path as this server's routes have it, without the prefix that a proxy shows."""
        return self._proxies.inside(path)

    async def run(self, app: web.Application) -> AsyncIterator[None]:
        """A context of the application's life: keeps looking, and the sessions on the disk as they are."""
        await self.writer.load(self.keeper.book.current)
        looking = asyncio.create_task(self._keep_looking(app), name="access")
        yield
        await cancel_and_wait(looking)
        await self.writer.write()

    async def _keep_looking(self, app: web.Application) -> None:
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            try:
                await self._look_at_tokens()
                self.show_out(app)
                self.writer.write_soon()
            except Exception:  # a look that failed must not be the last one
                logger.exception("looking who may stay failed")

    async def _look_at_tokens(self) -> None:
        """Tokens and sessions run out all the same while the disk hangs."""
        try:
            await self._looking.answer(LOOK_S)
        except TimeoutError:
            logger.error("the disk with the token file does not answer: none is revoked till then")

    def show_out(self, app: web.Application) -> None:
        """Ends what is open of everybody whose token, session or scopes have ended or changed."""
        self.keeper.forget_ended()
        over = [each for each in self._visits if not self.keeper.may_stay(each.caller)]
        for visit in over:
            visit.end()
        peers = app[SERVICES].peers.end_unless(self.keeper.may_stay)
        if over or peers:
            logger.info("access has ended: %d requests and %d peers cut", len(over), peers)

    @contextlib.contextmanager
    def _visit(self, request: web.Request, caller: Caller) -> Iterator[None]:
        visit = request[VISIT] = Visit(caller, request.transport)
        self._visits.add(visit)
        try:
            yield
        finally:
            visit.leave()
            self._visits.discard(visit)

    def _caller(self, request: web.Request, rule: Rule) -> Caller | None:
        """By the cookie, else a ticket, else a token in the header, where a proxy's own login may be. Raises
        TooManyAttempts."""
        if not self.keeper.book.is_guarded:
            return EVERYBODY
        caller = self.keeper.by_session(request.cookies.get(SESSION_COOKIE, ""))
        if caller is None and rule.ticket and request.method == "GET" and "ticket" in request.query:
            path = self.path_of(request.path)
            caller = self.keeper.by_ticket(request.query["ticket"], path)
        secret = _secret(request.headers.get("Authorization", ""))
        if caller is None and secret:
            caller = self.keeper.by_secret(secret, request[OUTSIDE].client)
        return caller

    def _unauthorized(self, request: web.Request) -> web.Response:
        if _is_page(request):
            return self._to_login(request)
        return problem(
            request,
            HTTPStatus.UNAUTHORIZED,
            "token-needed",
            "Send a valid access token as `Authorization: Bearer …`, or sign in at /login.",
            # A browser would ask for a name and a password of its own; players know nothing else.
            {"WWW-Authenticate": "Bearer" if _is_browser(request) else _CHALLENGE},
        )

    def _not_allowed(self, request: web.Request, rule: Rule) -> web.Response:
        if _is_page(request):
            return self._to_login(request, why="role")
        raise NotAllowed(
            f"Your token may not do that: it needs the scope {rule.role.word}"
            f"{' for all streams' if rule.role is Role.VIEW else ''}."
        )

    def _to_login(self, request: web.Request, why: str = "") -> web.Response:
        outside = request[OUTSIDE]
        wanted = quote(outside.path(self._proxies.inside(request.path_qs)), safe="")
        login = f"{outside.path('/login')}?next={wanted}{'&why=' + why if why else ''}"
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": login})


ACCESS = web.AppKey("access", Access)
VISIT = web.RequestKey("visit", Visit)


def caller_of(request: web.Request) -> Caller:
    return request[VISIT].caller


def reaches(caller: Caller, rule: Rule) -> bool:
    is_narrow = caller.streams is not None
    return caller.role >= rule.role and not (is_narrow and rule.narrow is Narrow.REFUSED)


def _is_page(request: web.Request) -> bool:
    """Somebody looks at it, and can sign in. A ticket's address is not to be come back to."""
    is_html = "text/html" in request.headers.get("Accept", "")
    return request.method == "GET" and is_html and "ticket" not in request.query


def _secret(authorization: str) -> str:
    scheme, _, credentials = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return credentials.strip()
        case "basic":
            return _password(credentials)
        case _:
            return ""


def _password(basic: str) -> str:
    """Players and home automation know no other login than a name, here any, and a password (RFC 7617)."""
    try:
        return base64.b64decode(basic, validate=True).decode().partition(":")[2].strip()
    except ValueError:
        return ""


def _is_browser(request: web.Request) -> bool:
    """It would ask for a name and password in a window of its own."""
    return request.headers.get("User-Agent", "").startswith("Mozilla/")
