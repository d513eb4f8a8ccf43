"""What each route says of who may use it. A route that says nothing stops the server's start."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from streamer.access import Role

H = TypeVar("H", bound=Handler)


class Narrow(Enum):
    """What a route is for a token that may see single streams only (``view:door``)."""

    REFUSED = "refused"  # it is about others, or about nothing that such a token is for
    BY_ID = "by id"  # ``{id}`` is a stream: one of the token's, or as if it were not there
    BY_HANDLER = (
        "by handler"  # the handler shows what is the caller's own, or nothing of any stream
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """``role``: the least that may use the route. ``ticket``: its GET also takes ``?ticket=``."""

    role: Role
    narrow: Narrow = Narrow.REFUSED
    ticket: bool = False


UNKNOWN: Final = Rule(Role.VIEW, Narrow.BY_HANDLER)
"""Of an address that is none: strangers are not told which ones there are."""

_RULE: Final = "__rule__"


def ruled(rule: Rule) -> Callable[[H], H]:
    """For handlers that ``openapi.describe`` is not for: pages and their files."""

    def note(handler: H) -> H:
        setattr(handler, _RULE, rule)
        return handler

    return note


def rule_of(handler: object) -> Rule:
    """Raises TypeError for a handler that has none."""
    rule = getattr(handler, _RULE, None)
    if not isinstance(rule, Rule):
        raise TypeError(f"{handler!r} does not say which role it needs")
    return rule


def check_rules(app: web.Application) -> None:
    """Raises TypeError for a route without a rule, or one whose rule makes no sense."""
    for route in app.router.routes():
        rule = rule_of(route.handler)
        path = route.resource.canonical if route.resource is not None else ""
        if rule.narrow is Narrow.BY_ID and "{id}" not in path:
            raise TypeError(f"{route.method} {path} has no id to go by")
