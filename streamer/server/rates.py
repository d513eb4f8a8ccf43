"""How often one client may open a peer, or change something. This machine's own programs have no limit: a
tunnel may bring all the world under their address, and who runs programs here can do worse."""

from collections.abc import Set
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from streamer.config import LimitsConfig
from streamer.rates import Rate
from streamer.server.connections import client_of
from streamer.server.keys import OUTSIDE

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Rates:
    offers: Rate
    changes: Rate


RATES: Final = web.AppKey("rates", Rates)


def make_rates(limits: LimitsConfig) -> Rates:
    return Rates(
        Rate(limits.offers_per_minute, "open a peer", "[limits] offers_per_minute"),
        Rate(limits.changes_per_minute, "change something", "[limits] changes_per_minute"),
    )


def take_offer(request: web.Request) -> None:
    """Raises TooManyRequests."""
    request.app[RATES].offers.take(client_of(request[OUTSIDE].client))


def limited_changes(but: Set[Handler]) -> Middleware:
    """A middleware that counts each client's changes, ``but`` for handlers that have limits of their own."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        counts = request.method not in _SAFE_METHODS and request.match_info.handler not in but
        if counts:
            request.app[RATES].changes.take(client_of(request[OUTSIDE].client))
        return await handler(request)

    return middleware
