"""The rules that every request meets first: under which name, from which pages, by which scheme, in which
form. Who may do what is `access`."""

import ipaddress
import json
import socket
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_exceptions import PayloadEncodingError
from aiohttp.typedefs import Handler

from streamer.config import ServerConfig
from streamer.server.http_protocol import SERVER, receiving
from streamer.server.keys import ANSWER_BEGUN, OUTSIDE, REQUEST_ID, SERVICES
from streamer.server.outside import Proxies
from streamer.server.problems import problem

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PLAIN: Final = frozenset({"/healthz", "/readyz", "/trust", "/trust/authority", "/trust/ca.crt"})
"""Open without https, where there is any; so are the pages' files."""
FILES: Final = "/static/"
_MAX_TYPE_CHARACTERS: Final = 256
_HEADERS: Final = {
    # Scripts, styles and connections, WebSockets too: from here alone, nothing inline. With trusted types no
    # script can turn text into markup or code, as none does.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; frame-src 'none'; worker-src 'none'; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Origin-Agent-Cluster": "?1",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=(), usb=(), "
    "serial=(), hid=(), midi=(), payment=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


_TO_FRIENDS: Final = {
    "Access-Control-Expose-Headers": "Location, Link, Retry-After, X-Request-Id, X-Stream-Id",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Vary": "Origin",
}
_PREFLIGHT: Final = {
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Max-Age": "600",
}


class Guard:
    """Host allow-list, exact Origin, https where there is any."""

    def __init__(self, config: ServerConfig, proxies: Proxies) -> None:
        self.go_by(config)
        self._proxies = proxies
        self._any_address = is_exposed(config)
        self._speaks_https = config.speaks_https
        self._ports = {config.http_port: config.port} if config.http_port else {}

    def go_by(self, config: ServerConfig) -> None:
        """The names and the friends that the configuration has now."""
        self._names = own_names(config)
        self._friends = frozenset(config.allowed_origins)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        request[OUTSIDE] = self._proxies.outside(request)
        if self._is_preflight(request):
            return web.Response(status=HTTPStatus.NO_CONTENT, headers=_PREFLIGHT)
        return self._refusal(request) or await handler(request)

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """A signal of aiohttp: before any answer begins, a stream's too."""
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["Server"] = SERVER
        origin = request.headers.get("Origin", "")
        if origin in self._friends:
            response.headers.update(_TO_FRIENDS | {"Access-Control-Allow-Origin": origin})
        request[ANSWER_BEGUN] = True
        if REQUEST_ID in request:
            response.headers["X-Request-Id"] = request[REQUEST_ID]

    def _refusal(self, request: web.Request) -> web.Response | None:
        if not self._host_is_ours(request[OUTSIDE].host):
            return problem(
                request,
                HTTPStatus.MISDIRECTED_REQUEST,
                "unknown-host",
                "This server does not go by that name. Use its address, or add the name to "
                "[server] allowed_hosts.",
            )
        if not self._origin_is_ours(request):
            return problem(
                request,
                HTTPStatus.FORBIDDEN,
                "foreign-origin",
                "Pages of another origin may not use this server.",
            )
        path = self._proxies.inside(request.path)
        if path.startswith(FILES):
            return None
        if self._speaks_https and path not in _PLAIN and request[OUTSIDE].scheme != "https":
            return self._to_https(request)
        return None

    def _host_is_ours(self, host: str) -> bool:
        name = _host_name(host)
        if not _has_readable_port(host):
            return False
        if name in self._names:
            return True
        # A DNS-rebinding page comes under a name; an address was typed by somebody who knows it.
        return self._any_address and _as_address(name) is not None

    def _origin_is_ours(self, request: web.Request) -> bool:
        is_upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        origin = request.headers.get("Origin")
        if origin is None or (request.method in _SAFE_METHODS and not is_upgrade):
            return True  # no browser, or a request that changes nothing and can't be read there
        return origin == request[OUTSIDE].origin or origin in self._friends

    def _is_preflight(self, request: web.Request) -> bool:
        """A browser asks, without a token, whether a page of another origin may (Fetch, section 3.3)."""
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        is_friend = request.headers.get("Origin") in self._friends
        return asks and is_friend and self._host_is_ours(request[OUTSIDE].host)

    def _to_https(self, request: web.Request) -> web.Response:
        outside = request[OUTSIDE]
        host = urlsplit(f"//{outside.host}")
        port = self._ports.get(_own_port(request), host.port)
        name = f"[{host.hostname}]" if ":" in (host.hostname or "") else host.hostname
        home = f"https://{name}:{port}" if port not in (None, 443) else f"https://{name}"
        if request.method not in ("GET", "HEAD"):
            detail = f"This server speaks https: use {home}{outside.path('/')}."
            return problem(request, HTTPStatus.FORBIDDEN, "https-needed", detail)
        there = home + outside.path(self._proxies.inside(request.path_qs))
        return web.Response(status=HTTPStatus.PERMANENT_REDIRECT, headers={"Location": there})

    def inside(self, request: web.Request) -> str:
        """The path as the routes have it, without what a proxy puts before."""
        return self._proxies.inside(request.path)

    def is_friend(self, origin: str) -> bool:
        """Whether pages of this origin may use the server."""
        return origin in self._friends


GUARD = web.AppKey("guard", Guard)


def foreign_page(request: web.Request) -> web.Response | None:
    """The refusal of a page of another origin, for GETs that wake a camera and take a reader's place: it
    could not see what comes (Cross-Origin-Resource-Policy), but do that. Browsers tell (Fetch Metadata, on
    https and localhost). A person may follow a link; a frame within a page is no link."""
    fetch = request.headers
    is_foreign = fetch.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    is_friend = request.app[GUARD].is_friend(fetch.get("Origin", ""))
    is_link = (
        fetch.get("Sec-Fetch-Mode") == "navigate"
        and fetch.get("Sec-Fetch-Dest", "document") == "document"
    )
    if not is_foreign or is_friend or is_link:
        return None
    return problem(
        request,
        HTTPStatus.FORBIDDEN,
        "foreign-origin",
        "Pages of another origin may not use this server. [server] allowed_origins names those that may; "
        'their <img> needs crossorigin="anonymous".',
    )


def is_loopback(host: str) -> bool:
    address = _as_address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def is_exposed(config: ServerConfig) -> bool:
    """Whether others than this machine can reach the server, by themselves or through a proxy."""
    return not is_loopback(config.host) or bool(config.trusted_proxies)


def body_type(request: web.Request) -> str:
    """Of its body, without parameters. One that is longer than any is not looked at: aiohttp reads it with
    ``email``, which takes seconds for some KiB of semicolons."""
    is_one = len(request.headers.get("Content-Type", "")) <= _MAX_TYPE_CHARACTERS
    return request.content_type if is_one else ""


async def read_text(request: web.Request, content_type: str, limit_bytes: int) -> str:
    """The body, if it is of this type and size, and comes in time."""
    if body_type(request) != content_type:
        raise web.HTTPUnsupportedMediaType(reason=f"Send the body as {content_type}.")
    try:
        async with receiving(request, request.app[SERVICES].limits.body_timeout_s):
            body = b""
            while len(body) <= limit_bytes and not request.content.at_eof():
                body += await request.content.read(limit_bytes + 1)
    except (ConnectionResetError, web.RequestPayloadError, PayloadEncodingError):
        raise web.HTTPBadRequest(reason="The body can't be read.") from None
    if len(body) > limit_bytes:
        raise web.HTTPRequestEntityTooLarge(limit_bytes, len(body))
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise web.HTTPBadRequest(reason="The body is not UTF-8 text.") from None


async def read_json(request: web.Request) -> Any:
    limit_bytes = request.app[SERVICES].limits.max_json_bytes
    text = await read_text(request, "application/json", limit_bytes)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise web.HTTPBadRequest(reason="The body is not valid JSON.") from None


def _own_port(request: web.Request) -> int:
    """That the request came to."""
    socket_name = request.get_extra_info("sockname")
    return int(socket_name[1]) if isinstance(socket_name, tuple) else 0


def own_names(config: ServerConfig) -> frozenset[str]:
    names = {"localhost", "127.0.0.1", "::1", config.host.lower(), *config.allowed_hosts}
    if not is_loopback(config.host):
        machine = socket.gethostname().lower()
        names |= {machine, f"{machine}.local"}
    return frozenset(_host_name(name.lower()) for name in names)


def _host_name(host: str) -> str:
    """``[::1]:8080`` -> ``::1``."""
    if _as_address(host) is not None:
        return host
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _has_readable_port(host: str) -> bool:
    """Or none, which will do."""
    try:
        return urlsplit(f"//{host}").port != -1
    except ValueError:
        return False


def _as_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
