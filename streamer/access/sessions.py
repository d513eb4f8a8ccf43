"""The sessions of browsers: what a cookie stands for."""

import hmac
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import AwareDatetime, Field

from streamer.access.callers import Caller
from streamer.access.tokens import digest
from streamer.config import Section

MAX_OF_A_TOKEN: Final = 64
"""More browsers than one token signs in; the oldest session makes room, of the same token only."""

MAX_SESSIONS: Final = 2048
"""Of all tokens: more than there can be tokens. Beyond it the token with the most sessions makes room."""

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Kept(Section):
    """What of a session is remembered over a restart. It knows the cookie again; nobody can make one from it.
    ``id``: the digest of the cookie's secret; ``token``: the id of the token that signed in; ``bond``: ties
    the session to that token as it was then (``_bond``)."""

    id: _Sha256
    token: Annotated[str, Field(pattern=r"^(config|[0-9a-f]{8})$")]
    expires: AwareDatetime
    bond: _Sha256


@dataclass(frozen=True, slots=True)
class _Session:
    signed_in: Caller  # by the token itself
    caller: Caller
    until_mono: float
    kept: Kept


class Sessions:
    """In memory, under digests, so that no time that a look-up takes tells of a secret. ``digest_of``: of the
    secret of the token that an id stands for now, "" for none. ``changes``: counts what makes another list of
    them; whoever writes it down compares."""

    def __init__(
        self,
        lasts_s: float,
        digest_of: Callable[[str], str],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.changes = 0
        self._lasts_s = lasts_s
        self._digest_of = digest_of
        self._clock = clock
        self._now = now
        self._open: dict[str, _Session] = {}  # the oldest first
        self._counts: Counter[str] = Counter()  # of each token

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, signed_in: Caller) -> tuple[str, Caller]:
        """The cookie's value, and who comes with it."""
        secret = secrets.token_urlsafe(32)
        ends = self._now().replace(microsecond=0) + timedelta(seconds=self._lasts_s)
        expires = min(ends, signed_in.expires or ends)
        bond = self._bond(secret, signed_in, expires)
        kept = Kept(id=digest(secret), token=signed_in.token, expires=expires, bond=bond)
        return secret, self._add(kept, signed_in)

    def restore(self, kept: Iterable[Kept], current: Callable[[str], Caller | None]) -> None:
        """Those whose token lets somebody in; whom is ``current``'s to say. Whether it still is what the
        session was begun with is seen when the cookie comes: only that can tell."""
        for each in kept:
            signed_in = current(each.token)
            if signed_in is None or each.expires <= self._now():
                self.changes += 1
            else:
                self._add(each, signed_in)

    def kept(self) -> tuple[Kept, ...]:
        return tuple(each.kept for each in self._open.values() if self._holds(each))

    def find(self, secret: str) -> Caller | None:
        """Who comes with this cookie; whether the token still holds is not asked here, but that it is the
        one that signed in."""
        session = self._open.get(digest(secret))
        if session is None or not self._holds(session):
            return None
        bond = self._bond(secret, session.signed_in, session.kept.expires)
        if not hmac.compare_digest(bond, session.kept.bond):
            self.end(session.kept.id)
            return None
        return session.caller

    def signed_in(self, session_id: str) -> Caller | None:
        """Whom the session's token was for; None once it has ended."""
        session = self._open.get(session_id)
        return session.signed_in if session is not None and self._holds(session) else None

    def left_s(self, caller: Caller) -> int:
        """Until the session ends, or the token does."""
        assert caller.expires is not None
        return max(0, round((caller.expires - self._now()).total_seconds()))

    def end(self, session_id: str) -> None:
        session = self._open.pop(session_id, None)
        if session is not None:
            self._counts -= Counter([session.kept.token])
            self.changes += 1

    def end_those(self, is_over: Callable[[Caller], bool]) -> None:
        for session_id, session in tuple(self._open.items()):
            if not self._holds(session) or is_over(session.signed_in):
                self.end(session_id)

    def _add(self, kept: Kept, signed_in: Caller) -> Caller:
        """A clock that was put back, or shorter sessions by now, must not make one longer than a new one."""
        self.end(kept.id)  # a file may have one twice
        self._make_room(kept.token)
        left_s = min((kept.expires - self._now()).total_seconds(), self._lasts_s)
        caller = replace(signed_in, expires=kept.expires, session=kept.id)
        self._open[kept.id] = _Session(signed_in, caller, self._clock() + left_s, kept)
        self._counts[kept.token] += 1
        self.changes += 1
        return caller

    def _holds(self, session: _Session) -> bool:
        """By both clocks: one may be put back, the other knows nothing of the time before a restart."""
        return self._clock() < session.until_mono and self._now() < session.kept.expires

    def _make_room(self, token_id: str) -> None:
        if self._counts[token_id] >= MAX_OF_A_TOKEN:
            self._end_oldest(token_id)
        elif len(self._open) >= MAX_SESSIONS:
            self._end_oldest(self._counts.most_common(1)[0][0])

    def _end_oldest(self, token_id: str) -> None:
        self.end(next(key for key, each in self._open.items() if each.kept.token == token_id))

    def _bond(self, secret: str, signed_in: Caller, expires: datetime) -> str:
        """Under the cookie's secret, which the file does not have: whoever reads it there can try no guesses
        at a token that a person has chosen, and whoever writes into it can bring in no session."""
        token_ends = signed_in.expires.timestamp() if signed_in.expires else None
        tied = [
            self._digest_of(signed_in.token),
            signed_in.token,
            signed_in.name,
            signed_in.scopes,
            token_ends,
            expires.timestamp(),
        ]
        return hmac.digest(secret.encode(), json.dumps(tied).encode(), "sha256").hex()
