"""The head of a request on its way through aiohttp's parser and the guard: Host, Origin, logins, and what a
proxy says. The first byte says whether the guard is behind a proxy, speaks https or wants a token."""

from typing import Any
from unittest.mock import Mock

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser

from streamer.access import CONFIG_TOKEN, Role
from streamer.access.book import TokenBook
from streamer.access.keeper import Keeper
from streamer.access.session_file import SessionWriter
from streamer.access.throttle import Throttle
from streamer.config import ServerConfig
from streamer.server.access import Access, caller_of
from streamer.server.guard import GUARD, Guard, foreign_page
from streamer.server.keys import OUTSIDE
from streamer.server.outside import Proxies
from streamer.server.rules import Rule, ruled
from tests.fuzz.pieces import LOOP, run

_TOKEN = "s3cret-canary-s3cret"
_CONFIGS = [
    ServerConfig(),
    ServerConfig(token=_TOKEN, trusted_proxies=["10.0.0.0/8"], base_path="/pose"),
    ServerConfig(token=_TOKEN, tls="auto", host="0.0.0.0", http_port=8081),
    ServerConfig(insecure_lan=True, host="::", allowed_origins=["http://friend.example"]),
]


def _doors(config: ServerConfig) -> tuple[Guard, Access]:
    proxies = Proxies(config)
    keeper = Keeper(TokenBook(config_token=config.token), 3600)
    keeper.throttle = keeper.throttle_of_file = Throttle(burst=1 << 60)
    return Guard(config, proxies), Access(keeper, proxies, SessionWriter(keeper.sessions, None))


_DOORS = [_doors(config) for config in _CONFIGS]


@ruled(Rule(Role.VIEW))
async def _handler(request: web.Request) -> web.StreamResponse:
    return web.Response(text="in")


class _Protocol:
    ssl_context = None
    peername = ("10.0.0.7", 4711)
    sockname = ("127.0.0.1", 8081)
    transport = Mock()


async def _pass(guard: Guard, access: Access, message: Any) -> None:
    make: Any = web.Request
    request = make(message, Mock(), _Protocol(), Mock(), None, LOOP)
    request._match_info = Mock(http_exception=None, handler=_handler, current_app={GUARD: guard})

    async def enter(request: web.Request) -> web.StreamResponse:
        return await access.middleware(request, _handler)

    response: Any = await guard.middleware(request, enter)
    await guard.add_headers(request, response)
    for name, value in response.headers.items():
        assert not set(name + value) & set("\r\n\0"), "a header was split"
    if access.keeper.book.is_guarded and response.body == b"in":
        assert caller_of(request).token == CONFIG_TOKEN and request.headers["Authorization"]
    foreign_page(request)
    assert request[OUTSIDE].scheme in ("http", "https")


def fuzz(data: bytes) -> None:
    guard, access = _DOORS[data[0] % len(_DOORS)] if data else _DOORS[0]
    parser = HttpRequestParser(Mock(), LOOP, 2**16)
    try:
        messages, _, _ = parser.feed_data(data[1:])
    except HttpProcessingError:
        return
    for message, _payload in messages:
        run(_pass(guard, access, message))
