"""The sessions of browsers: what a cookie stands for."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from streamer.access.callers import Caller
from streamer.access.tokens import digest

MAX_OF_A_TOKEN: Final = 64
"""More browsers than one token signs in; the oldest session makes room, of the same token only."""


@dataclass(frozen=True, slots=True)
class _Session:
    signed_in: Caller  # by the token itself
    caller: Caller
    until_mono: float


class Sessions:
    """In memory only: a sign-out, a revocation and a restart end them for good, and nothing lies on a disk
    that would let somebody in. Under digests, so that no time that a look-up takes tells of a secret."""

    def __init__(self, lasts_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lasts_s = lasts_s
        self._clock = clock
        self._open: dict[str, _Session] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, signed_in: Caller) -> tuple[str, Caller]:
        """The cookie's value, and who comes with it."""
        self._make_room(signed_in.token)
        secret = secrets.token_urlsafe(32)
        ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=self._lasts_s)
        expires = min(ends, signed_in.expires or ends)
        caller = replace(signed_in, expires=expires, session=digest(secret))
        self._open[caller.session] = _Session(signed_in, caller, self._clock() + self._lasts_s)
        return secret, caller

    def find(self, secret: str) -> Caller | None:
        """Who comes with this cookie; whether the token still holds is not asked here."""
        session = self._open.get(digest(secret))
        return session.caller if session is not None and self._holds(session) else None

    def signed_in(self, session_id: str) -> Caller | None:
        """Whom the session's token was for; None once it has ended."""
        session = self._open.get(session_id)
        return session.signed_in if session is not None and self._holds(session) else None

    def left_s(self, caller: Caller) -> int:
        """Until the session ends, or the token does."""
        assert caller.expires is not None
        return max(0, round((caller.expires - datetime.now(UTC)).total_seconds()))

    def end(self, session_id: str) -> None:
        self._open.pop(session_id, None)

    def end_those(self, is_over: Callable[[Caller], bool]) -> None:
        for session_id, session in tuple(self._open.items()):
            if not self._holds(session) or is_over(session.signed_in):
                del self._open[session_id]

    def _holds(self, session: _Session) -> bool:
        return self._clock() < session.until_mono

    def _make_room(self, token_id: str) -> None:
        own = [key for key, each in self._open.items() if each.caller.token == token_id]
        for session_id in own[: max(0, len(own) - MAX_OF_A_TOKEN + 1)]:
            del self._open[session_id]
