"""The aiohttp application, put together from its parts."""

from aiohttp import web

from streamer.config import ServerConfig
from streamer.server import images, metrics, pages, peers, streams
from streamer.server.guard import GUARD, Guard
from streamer.server.keys import SERVICES, Services
from streamer.server.problems import problem_middleware

MAX_BODY_BYTES = 64 * 1024


def make_application(config: ServerConfig, services: Services) -> web.Application:
    guard = Guard(config)
    app = web.Application(
        middlewares=[guard.middleware, problem_middleware], client_max_size=MAX_BODY_BYTES
    )
    app[GUARD] = guard
    app[SERVICES] = services
    app.add_routes(streams.routes)
    app.add_routes(peers.routes)
    app.add_routes(images.routes)
    metrics.add_metrics(app)
    pages.add_pages(app)
    return app
