"""Who may do what: tokens, their scopes, the sessions of browsers, tickets. Knows nothing of HTTP."""

from streamer.access.callers import CONFIG_TOKEN, EVERYBODY, NOBODY, Caller
from streamer.access.scopes import Role

__all__ = ["CONFIG_TOKEN", "EVERYBODY", "NOBODY", "Caller", "Role"]
