"""The health of the service: whether it serves, and whether it can take work."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from aiohttp import web

from streamer.access import Role
from streamer.aio import Inquiry
from streamer.model import StreamState
from streamer.server.access import ACCESS, reaches
from streamer.server.keys import SERVICES, Services
from streamer.server.openapi import describe, json_answer
from streamer.server.rules import Rule
from streamer.server.shapes import Health, Readiness

STALE_AFTER_MS: Final = 10_000
CHECKS_HOLD_S: Final = 5.0
"""What was found is true for so long: whoever asks often, and needs no token for it, costs nothing."""

LOOK_S: Final = 2.0
"""For a look; a disk may hang. Longer than a check of others takes, and less than most who ask wait."""

routes = web.RouteTableDef()


class Reason(NamedTuple):
    """Why the service can't take work: a stable name, and a sentence. Strangers may read it."""

    reason: str
    detail: str


_HANGS: Final = Reason(
    "checks-hang",
    f"What the server needs of its machine could not be looked at within {LOOK_S:g} s: a disk may hang.",
)

Check = Callable[[], Reason | None]
"""Called off the event loop."""


class Checks:
    """Looks after what the service needs from its machine."""

    def __init__(
        self, checks: Iterable[Check], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._checks = tuple(checks)
        self._clock = clock
        self._looking = Inquiry("checks", self._look)
        self._found: list[Reason] = []
        self._found_mono = float("-inf")

    async def reasons(self) -> list[Reason]:
        if self._clock() - self._found_mono >= CHECKS_HOLD_S:
            try:
                self._found = await self._looking.answer(LOOK_S)
            except TimeoutError:
                return [_HANGS]
            self._found_mono = self._clock()
        return self._found

    def _look(self) -> list[Reason]:
        return [found for check in self._checks if (found := check()) is not None]


CHECKS = web.AppKey("checks", Checks)


def add_health(app: web.Application) -> None:
    app[CHECKS] = Checks(app[SERVICES].checks)
    app.add_routes(routes)


@routes.get("/healthz")
@describe(
    "Service", "Whether the process serves", role=Role.NONE, answers={200: json_answer(Health)}
)
async def health(request: web.Request) -> web.Response:
    """200 while the process serves. `stale_streams`: how many are live and yet without new frames. What there
    is else, only those are told who may see all streams: it says whether somebody's camera is on."""
    services = request.app[SERVICES]
    states: Counter[StreamState] = Counter()
    stale = 0
    for stream in services.streams:
        state = stream.session.status.state
        states[state] += 1
        age_s = stream.session.frame_age_s
        if state is StreamState.LIVE and (age_s or 0) * 1000 > STALE_AFTER_MS:
            stale += 1
    body: dict[str, Any] = {"status": "ok", "stale_streams": stale}
    if reaches(request.app[ACCESS].who_asks(request), Rule(Role.VIEW)):
        body["streams"] = {state.value: states[state] for state in StreamState}
        body["loop_lag_s"] = round(services.heartbeat.worst_s(), 3)
    return web.json_response(body)


@routes.get("/readyz")
@describe(
    "Service",
    "Whether it accepts work",
    role=Role.NONE,
    answers={
        200: json_answer(Readiness),
        503: json_answer(Readiness, "It does not; `reasons` says why"),
    },
)
async def readiness(request: web.Request) -> web.Response:
    reasons = await why_not_ready(request.app)
    status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    body = {"ready": not reasons, "reasons": [each._asdict() for each in reasons]}
    return web.json_response(body, status=status)


async def why_not_ready(app: web.Application) -> list[Reason]:
    """Nothing where the service takes work."""
    services: Services = app[SERVICES]
    if services.draining:
        return [Reason("shutting-down", "The server is shutting down.")]
    if not services.ready:
        return [Reason("starting", "The server is starting.")]
    return await app[CHECKS].reasons()
