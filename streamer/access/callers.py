"""Who asks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from streamer.access.scopes import Role, role_of, streams_of

CONFIG_TOKEN: Final = "config"
"""The id of the token in the configuration; those in the token file have eight digits."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who has shown a token, or the session that it opened. ``token``: its id, "" for none; ``scopes``: ()
    for nobody; ``expires``: when the token or the session does, whichever is first; ``session``: its id, ""
    for one who showed the token itself."""

    token: str
    name: str
    scopes: tuple[str, ...]
    expires: datetime | None = None
    session: str = ""

    @property
    def role(self) -> Role:
        return role_of(self.scopes) if self.scopes else Role.NONE

    @property
    def streams(self) -> frozenset[str] | None:
        """The only ones that there are for this caller; None: all."""
        return streams_of(self.scopes)

    def sees(self, stream_id: str) -> bool:
        return self.streams is None or stream_id in self.streams

    def owns(self, other: "Caller") -> bool:
        """Whether what the other has begun is this one's to end: by the same token, or an admin's."""
        return self.token == other.token or self.role is Role.ADMIN


EVERYBODY: Final = Caller("", "", ("admin",))
"""Where there is no token at all."""

NOBODY: Final = Caller("", "", ())
