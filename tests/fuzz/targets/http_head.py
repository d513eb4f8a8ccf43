"""The head of a request on its way through aiohttp's parser and the guard: Host, Origin, logins, and what a
proxy says. The first byte says whether the guard is behind a proxy, speaks https or wants a token."""

from typing import Any
from unittest.mock import Mock

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser

from streamer.config import ServerConfig
from streamer.server.guard import Guard, foreign_page
from streamer.server.keys import OUTSIDE
from tests.fuzz.pieces import LOOP, run

_TOKEN = "s3cret-canary-s3cret"
_GUARDS = [
    Guard(ServerConfig()),
    Guard(ServerConfig(token=_TOKEN, trusted_proxies=["10.0.0.0/8"], base_path="/pose")),
    Guard(ServerConfig(token=_TOKEN, tls="auto", host="0.0.0.0", http_port=8081)),
    Guard(ServerConfig(insecure_lan=True, host="::", allowed_origins=["http://friend.example"])),
]


async def _handler(request: web.Request) -> web.StreamResponse:
    return web.Response(text="in")


class _Protocol:
    ssl_context = None
    peername = ("10.0.0.7", 4711)
    sockname = ("127.0.0.1", 8081)
    transport = Mock()


async def _pass(guard: Guard, message: Any) -> None:
    task: Any = None
    request = web.Request(message, Mock(), _Protocol(), Mock(), task, LOOP)  # type: ignore[arg-type] # a fake
    response = await guard.middleware(request, _handler)
    await guard.add_headers(request, response)
    for name, value in response.headers.items():
        assert not set(name + value) & set("\r\n\0"), "a header was split"
    if guard._token and getattr(response, "body", b"") == b"in":
        path = guard._proxies.inside(request.path)
        assert guard._may_enter(request) or path.startswith("/static/") or _is_public(path)
    foreign_page_of(request, guard)
    assert request[OUTSIDE].scheme in ("http", "https")


def _is_public(path: str) -> bool:
    return path in ("/healthz", "/readyz", "/login", "/api/v1/login", "/client.js") or (
        path.startswith("/trust")
    )


def foreign_page_of(request: web.Request, guard: Guard) -> None:
    request._match_info = Mock(current_app={_key(): guard})
    foreign_page(request)


def _key() -> Any:
    from streamer.server.guard import GUARD

    return GUARD


def fuzz(data: bytes) -> None:
    guard = _GUARDS[data[0] % len(_GUARDS)] if data else _GUARDS[0]
    parser = HttpRequestParser(Mock(), LOOP, 2**16)
    try:
        messages, _, _ = parser.feed_data(data[1:])
    except HttpProcessingError:
        return
    for message, _payload in messages:
        run(_pass(guard, message))
