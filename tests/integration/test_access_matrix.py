"""Every address x method x caller x Host x Origin, from the router itself, against the table below. A route
that is not in the table fails; so does a row that no route has any more.

The handlers are replaced by one that only says that it was reached: the rest is the application as it is."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import HttpVersion11
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from streamer.access import Caller, Role
from streamer.access.book import TokenBook
from streamer.access.store import TokenFile
from streamer.access.throttle import Throttle
from streamer.config import ServerConfig
from streamer.server import streams
from streamer.server.access import ACCESS, reaches
from streamer.server.application import make_application
from streamer.server.rules import Narrow, Rule, rule_of, ruled
from tests.in_process import Service

BASE: Final = "/pose"
FRIEND: Final = "https://friend.example"
REACHED: Final = 299

# Who may: the least role; then, of tokens for single streams: "-" not at all, "id" for the streams they name,
# "own" what the handler shows of their own; and "ticket" where one opens it.
TABLE: Final = {
    "GET /": "view own",
    "GET /webcam": "operate -",
    "GET /picture": "operate -",
    "GET /streams/{id}": "view own",
    "GET /docs": "view own",
    "GET /login": "none",
    "GET /trust": "none",
    "GET /trust/authority": "none",
    "GET /trust/ca.crt": "none",
    "GET /client.js": "none",
    "GET /static/*": "none",
    "GET /healthz": "none",
    "GET /readyz": "none",
    "GET /metrics": "admin -",
    "GET /api/v1/openapi.json": "view own",
    "POST /api/v1/login": "none",
    "POST /api/v1/logout": "none",
    "GET /api/v1/me": "view own",
    "POST /api/v1/tickets": "view own",
    "GET /api/v1/streams": "view own",
    "POST /api/v1/streams": "admin -",
    "GET /api/v1/streams/{id}": "view id",
    "PATCH /api/v1/streams/{id}": "operate -",
    "DELETE /api/v1/streams/{id}": "operate -",
    "POST /api/v1/streams/{id}/restart": "operate -",
    "GET /api/v1/streams/{id}/landmarks": "view id ticket",
    "GET /api/v1/streams/{id}/snapshot.jpg": "view id ticket",
    "GET /api/v1/streams/{id}/mjpeg": "view id ticket",
    "POST /api/v1/probe": "admin -",
    "GET /api/v1/devices": "admin -",
    "POST /api/v1/discover": "admin -",
    "POST /api/v1/discover/streams": "admin -",
    "POST /api/v1/images": "operate -",
    "POST /upload": "operate -",
    "GET /api/v1/ice": "view own",
    "POST /webcam": "operate -",
    "POST /webcam/{id}": "operate -",
    "GET /whip": "operate -",
    "OPTIONS /whip": "operate -",
    "POST /whip": "operate -",
    "GET /whip/{id}": "operate -",
    "OPTIONS /whip/{id}": "operate -",
    "POST /whip/{id}": "operate -",
    "GET /whep/{id}": "view id",
    "OPTIONS /whep/{id}": "view id",
    "POST /whep/{id}": "view id",
    "GET /api/v1/peers/{id}": "view own",
    "OPTIONS /api/v1/peers/{id}": "view own",
    "PATCH /api/v1/peers/{id}": "view own",
    "DELETE /api/v1/peers/{id}": "view own",
}
NO_HEAD: Final = {"/api/v1/streams/{id}/landmarks", "/api/v1/streams/{id}/mjpeg"}
METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST", "PATCH", "DELETE", "PUT")
UNSAFE: Final = {"POST", "PATCH", "DELETE", "PUT"}

RANK: Final = {"none": 0, "view": 1, "operate": 2, "admin": 3}
STRANGERS: Final = ("nobody", "wrong", "expired", "revoked")
CALLERS: Final = {
    **dict.fromkeys(STRANGERS, "none"),
    "view:garage": "view",
    "view:door": "view",
    "view": "view",
    "operate": "operate",
    "admin": "admin",
}
HOSTS: Final = {"ours": "127.0.0.1:8080", "foreign": "evil.example", "rebinding": "127.0.0.1.evil"}
ORIGINS: Final = {
    "none": None,
    "ours": "http://127.0.0.1:8080",
    "foreign": "https://evil.example",
    "null": "null",
}


@dataclass(frozen=True)
class Cell:
    """One question to the server."""

    method: str
    path: str  # as the router has it
    caller: str
    host: str = "ours"
    origin: str = "ours"
    base: str = ""
    websocket: bool = False


def expected(cell: Cell) -> int:
    """The rules in words: docs/access.md."""
    row = TABLE.get(f"{'GET' if is_head(cell) else cell.method} {shelf(cell.path)}")
    if cell.host != "ours":
        return 421
    if (cell.method in UNSAFE or cell.websocket) and cell.origin in ("foreign", "null"):
        return 403
    if row == "none":
        return REACHED
    if cell.caller in STRANGERS:
        return 401
    if row is None:
        return 405
    role, narrow, *_ = row.split()
    if RANK[CALLERS[cell.caller]] < RANK[role]:
        return 403
    if ":" in cell.caller and narrow == "-":
        return 403
    if cell.caller == "view:garage" and narrow == "id":
        return 404
    return REACHED


def is_head(cell: Cell) -> bool:
    return cell.method == "HEAD" and cell.path not in NO_HEAD


def shelf(path: str) -> str:
    return "/static/*" if path.startswith("/static/") else path


class Asked:
    """The application, asked without a network."""

    def __init__(self, app: web.Application, secrets: dict[str, str]) -> None:
        for route in app.router.routes():
            route._handler = stand_in(rule_of(route.handler))
        app.freeze()
        self._app, self._secrets = app, secrets
        transport = SimpleNamespace(get_extra_info=lambda name, default=None: default)
        protocol = SimpleNamespace(
            transport=transport, ssl_context=None, peername=None, sockname=None
        )
        self._parts = (None, protocol, None, None)  # body, connection, writer, task

    async def ask(self, cell: Cell) -> int:
        headers = CIMultiDict({"Host": HOSTS[cell.host]})
        if (origin := ORIGINS[cell.origin]) is not None:
            headers["Origin"] = origin
        if (secret := self._secrets.get(cell.caller)) is not None:
            headers["Authorization"] = f"Bearer {secret}"
        if cell.websocket:
            headers["Upgrade"] = "websocket"
        return (await self.send(cell.method, cell.base + cell.path, headers)).status

    async def send(self, method: str, path: str, headers: CIMultiDict[str]) -> web.StreamResponse:
        filled = path.replace("{id}", "door")
        message = RawRequestMessage(
            *(method, filled, HttpVersion11, CIMultiDictProxy(headers), ()),
            *(False, None, False, False, URL(filled)),
        )
        make: Any = web.Request  # with no connection behind it
        request = make(message, *self._parts, asyncio.get_running_loop())
        answer: web.StreamResponse = await self._app._handle(request)
        return answer


def stand_in(rule: Rule) -> Any:
    """For a handler with this rule."""

    @ruled(rule)
    async def reached(request: web.Request) -> web.Response:
        return web.Response(status=REACHED)

    return reached


@pytest.fixture
async def asked(tmp_path: Path) -> Asked:
    file = TokenFile(tmp_path / "tokens.json")
    secrets = {"wrong": "st-00000000-" + "x" * 43}
    for scope in ("view:garage", "view:door", "view", "operate", "admin"):
        secrets[scope] = file.create(scope, (scope,), None)[1]
    secrets["expired"] = file.create("expired", ("admin",), timedelta(seconds=-1))[1]
    token, secrets["revoked"] = file.create("revoked", ("admin",), None)
    file.revoke(token.id)
    book = TokenBook(file)
    book.look()
    config = ServerConfig(port=8080, base_path=BASE, allowed_origins=[FRIEND])
    service = Service(tmp_path, server=config, tokens=book)
    app = make_application(config, service.services)
    app[ACCESS].keeper.throttle_of_file = Throttle(burst=1_000_000)  # test_access.py has those
    await service.close()
    return Asked(app, secrets)


def routes_of(app: web.Application) -> set[str]:
    """As the table has them, without the twins under the base path and without HEAD."""
    found = set()
    for route in app.router.routes():
        path = route.resource.canonical if route.resource is not None else "?"
        if route.method != "HEAD" and path != BASE and not path.startswith(f"{BASE}/"):
            found.add(f"{route.method} {shelf(path)}")
    return found


def cells(paths: list[str]) -> Iterator[Cell]:
    for path, caller in itertools.product(paths, CALLERS):
        for method, base in itertools.product(METHODS, ("", BASE)):
            yield Cell(method, path, caller, base=base)
        routed = [method for method in METHODS if f"{method} {path}" in TABLE]
        routed += ["HEAD"] if "GET" in routed else []
        for method, host, origin in itertools.product(routed, HOSTS, ORIGINS):
            yield Cell(method, path, caller, host, origin)
        if path in NO_HEAD:
            for host, origin in itertools.product(HOSTS, ORIGINS):
                yield Cell("GET", path, caller, host, origin, websocket=True)


async def test_every_cell_is_as_the_table_says(asked: Asked) -> None:
    paths = sorted({row.split()[1] for row in TABLE} - {"/static/*"}) + ["/static/base.js"]
    wrong, count = [], 0
    for cell in cells(paths):
        count += 1
        if (status := await asked.ask(cell)) != expected(cell):
            wrong.append(f"{cell} is {status}, not {expected(cell)}")
    assert not wrong, "\n".join(wrong[:20])
    assert count > 8_000


async def test_every_route_is_in_the_table_and_every_row_has_a_route(asked: Asked) -> None:
    assert routes_of(asked._app) == set(TABLE)


async def test_every_route_has_its_twin_with_the_same_rule_and_every_file_is_open(
    asked: Asked,
) -> None:
    rules = {
        (route.method, route.resource.canonical): rule_of(route.handler)
        for route in asked._app.router.routes()
        if route.resource is not None
    }
    for (method, path), rule in rules.items():
        if not path.startswith(BASE):
            assert rules[method, BASE + path] == rule, path
        if path.startswith("/static/"):
            assert rule.role.word == "none", path


async def test_tickets_are_taken_where_the_table_says_and_nowhere_else(asked: Asked) -> None:
    rules = {
        f"{route.method} {route.resource.canonical}": rule_of(route.handler)
        for route in asked._app.router.routes()
        if route.resource is not None
    }
    taken = {row for row in TABLE if rules.get(row) and rules[row].ticket}
    assert taken == {row for row, rule in TABLE.items() if rule.endswith("ticket")}


@pytest.mark.parametrize("path", ["/nowhere", "/static/", "/static/../pyproject.toml", "/api/v2"])
async def test_address_that_is_none_is_told_to_nobody_without_a_token(
    asked: Asked, path: str
) -> None:
    assert await asked.ask(Cell("GET", path, "nobody")) == 401
    assert await asked.ask(Cell("GET", path, "view:door")) == 404


@pytest.mark.parametrize(
    ("origin", "status"), [(FRIEND, 204), ("https://evil.example", 401), ("null", 401)]
)
async def test_preflight_is_answered_for_pages_of_named_origins_only(
    asked: Asked, origin: str, status: int
) -> None:
    headers = CIMultiDict(
        {"Host": HOSTS["ours"], "Origin": origin, "Access-Control-Request-Method": "POST"}
    )
    answer = await asked.send("OPTIONS", "/api/v1/streams", headers)
    assert answer.status == status


async def test_route_without_a_role_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgotten(request: web.Request) -> web.Response:
        return web.Response()

    routes = web.RouteTableDef()
    routes.get("/api/v1/forgotten")(forgotten)
    monkeypatch.setattr(streams, "routes", routes)
    service = Service(tmp_path)
    with pytest.raises(TypeError, match="which role"):
        make_application(ServerConfig(), service.services)
    await service.close()


def test_new_route_is_closed_to_tokens_for_single_streams_until_it_says_how_it_is_narrow() -> None:
    door = Caller("0000000a", "tablet", ("view:door",))
    assert not reaches(door, Rule(Role.VIEW))
    assert reaches(door, Rule(Role.VIEW, Narrow.BY_HANDLER))
    assert reaches(Caller("0000000b", "wall", ("view",)), Rule(Role.VIEW))
