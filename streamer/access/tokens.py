"""A token of the token file: how it is made, what of it is kept, and when it ends."""

import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import AwareDatetime, Field

from streamer.access.callers import Caller
from streamer.access.scopes import Scope
from streamer.config import Section
from streamer.errors import InvalidRequest

SECRET: Final = re.compile(r"st-(?P<id>[0-9a-f]{8})-[A-Za-z0-9_-]{43}")
"""What its owner has: easy to recognise, and to look up by the id in it."""

_DURATION: Final = re.compile(r"(?P<count>[1-9][0-9]{0,4})(?P<unit>[mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

TokenId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]


class Token(Section):
    """``sha256``: of the secret, in hex. A plain hash will do: the secret has 256 random bits, and no list
    of likely ones to try, which a slow hash is there against."""

    id: TokenId
    name: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=64)]
    created: AwareDatetime
    expires: AwareDatetime | None = None
    revoked: AwareDatetime | None = None

    def state(self, now: datetime) -> str:
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "valid"

    def is_of(self, secret: str) -> bool:
        return hmac.compare_digest(self.sha256, digest(secret))

    @property
    def caller(self) -> Caller:
        return Caller(self.id, self.name, self.scopes, self.expires)


def new_token(
    name: str, scopes: tuple[str, ...], lasts: timedelta | None, now: datetime
) -> tuple[Token, str]:
    """The token and its secret, which nobody can make from it again. Raises ValidationError."""
    token_id = secrets.token_hex(4)
    secret = f"st-{token_id}-{secrets.token_urlsafe(32)}"
    token = Token(
        id=token_id,
        name=name,
        sha256=digest(secret),
        scopes=scopes,
        created=now,
        expires=None if lasts is None else now + lasts,
    )
    return token, secret


def digest(secret: str) -> str:
    """SHA-256 in hex. What is given may be bytes that are not UTF-8."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def parse_duration(text: str) -> timedelta:
    """``30d``, ``12h``, ``90m``, ``2w``. Raises InvalidRequest."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise InvalidRequest(f"{text!r} is no duration: write it as 30d, 12h, 90m or 2w.")
    return timedelta(**{_UNITS[found["unit"]]: int(found["count"])})


def now_utc() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
