"""The aiohttp application, put together from its parts."""

from typing import NoReturn

from aiohttp import web

from streamer.access import Role
from streamer.access.keeper import Keeper
from streamer.access.session_file import SessionWriter
from streamer.config import ServerConfig
from streamer.errors import ConfigError
from streamer.server import (
    account,
    cameras,
    health,
    images,
    landmarks,
    metrics,
    openapi,
    pages,
    peers,
    slow_readers,
    stills,
    streams,
    trust,
)
from streamer.server.access import ACCESS, Access
from streamer.server.gate import gate
from streamer.server.guard import GUARD, Guard
from streamer.server.http_protocol import turn_away
from streamer.server.journal import JOURNAL, Journal
from streamer.server.keys import OUTSIDE, SERVICES, Services
from streamer.server.outside import Proxies
from streamer.server.problems import problem_middleware
from streamer.server.rates import RATES, limited_changes, make_rates
from streamer.server.rules import Narrow, Rule, check_rules, ruled


def make_application(config: ServerConfig, services: Services) -> web.Application:
    """Raises ConfigError, and TypeError for a route that does not say who may use it."""
    proxies, journal = Proxies(config), Journal()
    guard = Guard(config, proxies)
    keeper = Keeper(services.tokens, config.session_hours * 3600)
    access = Access(keeper, proxies, SessionWriter(keeper.sessions, services.session_file))
    own_limits = {images.analyse_picture, *peers.HANDLERS}
    app = web.Application(
        middlewares=[
            journal.middleware,
            guard.middleware,
            problem_middleware,
            turn_away,
            access.middleware,
            limited_changes(but=own_limits),
            gate,
        ],
        client_max_size=services.limits.max_json_bytes,
    )
    app.on_response_prepare.append(guard.add_headers)
    app[GUARD] = guard
    app[ACCESS] = access
    app.cleanup_ctx.append(access.run)
    app[JOURNAL] = journal
    app[SERVICES] = services
    app[RATES] = make_rates(services.limits)
    slow_readers.add_writes(app)
    app.add_routes(streams.routes)
    app.add_routes(cameras.routes)
    app.add_routes(peers.routes)
    app.add_routes(images.routes)
    app.add_routes(trust.routes)
    app.add_routes(account.routes)
    landmarks.add_landmarks(app, config.max_readers)
    stills.add_stills(app)
    metrics.add_metrics(app)
    health.add_health(app)
    pages.add_pages(app)
    openapi.add_document(app)
    if config.base_path:
        _add_base_path(app, config.base_path)
    check_rules(app)
    return app


def _add_base_path(app: web.Application, base_path: str) -> None:
    """Every route once more under the prefix: a proxy may pass it on or take it off."""
    routes = [
        (each.method, each.resource.canonical, each.handler)
        for each in app.router.routes()
        if each.resource is not None
    ]
    ours = {path.split("/")[1] for _, path, _ in routes}
    if base_path.split("/")[1] in ours:
        raise ConfigError(f"[server] base_path: {base_path} is taken by the server's own pages.")
    app.router.add_get(base_path, _to_wall)
    for method, path, handler in routes:
        app.router.add_route(method, base_path + path, handler)


@ruled(Rule(Role.VIEW, Narrow.BY_HANDLER))
async def _to_wall(request: web.Request) -> NoReturn:
    raise web.HTTPPermanentRedirect(request[OUTSIDE].path("/"))
