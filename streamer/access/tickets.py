"""Tickets: each opens one address, once, for those who can send neither a header nor a cookie."""

import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from streamer.access.callers import Caller
from streamer.access.tokens import digest
from streamer.errors import LimitReached

LASTS_S: Final = 30.0
MAX_TICKETS: Final = 1024
MAX_OF_A_TOKEN: Final = 64
"""That nobody has used yet: one token can't take all places."""


@dataclass(frozen=True, slots=True)
class _Ticket:
    caller: Caller
    path: str
    until_mono: float


class Tickets:
    """In memory, under digests as sessions are."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._unused: dict[str, _Ticket] = {}  # the oldest first

    def issue(self, caller: Caller, path: str) -> str:
        """Raises LimitReached."""
        self._forget_old()
        of_token = Counter(each.caller.token for each in self._unused.values())[caller.token]
        if of_token >= MAX_OF_A_TOKEN or len(self._unused) >= MAX_TICKETS:
            raise LimitReached("Too many tickets have not been used yet; try again in a moment.")
        secret = secrets.token_urlsafe(32)
        self._unused[digest(secret)] = _Ticket(caller, path, self._clock() + LASTS_S)
        return secret

    def take(self, secret: str, path: str) -> Caller | None:
        """Whose it is, if it is for this address. Used or not, it is gone."""
        self._forget_old()
        ticket = self._unused.pop(digest(secret), None)
        return ticket.caller if ticket is not None and ticket.path == path else None

    def _forget_old(self) -> None:
        now = self._clock()
        for key, ticket in tuple(self._unused.items()):
            if ticket.until_mono > now:
                return
            del self._unused[key]
