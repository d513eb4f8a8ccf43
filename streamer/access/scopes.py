"""What a token may do: its scopes, and the role and the streams that they come to."""

import re
from collections.abc import Iterable
from enum import IntEnum
from typing import Annotated, Final

from pydantic import Field

_SCOPE: Final = r"(view(:[a-z0-9-]{1,64})?|operate|admin)"
Scope = Annotated[str, Field(pattern=f"^{_SCOPE}$")]
"""``view`` (all streams), ``view:door`` (that one), ``operate`` or ``admin``, which may view all."""

_ONE_STREAM: Final = "view:"


def is_scope(text: str) -> bool:
    return re.fullmatch(_SCOPE, text) is not None


class Role(IntEnum):
    """Each may do what those before it may. View: watch. Operate: also change options, restart, publish,
    upload pictures. Admin: also add and remove cameras, search for them, publish elsewhere, read metrics."""

    NONE = 0
    VIEW = 1
    OPERATE = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        return self.name.lower()


def role_of(scopes: Iterable[str]) -> Role:
    """The highest of them."""
    return max(Role[scope.partition(":")[0].upper()] for scope in scopes)


def streams_of(scopes: Iterable[str]) -> frozenset[str] | None:
    """The only streams that they allow to be seen; None: all."""
    scopes = tuple(scopes)
    if all(scope.startswith(_ONE_STREAM) for scope in scopes):
        return frozenset(scope.removeprefix(_ONE_STREAM) for scope in scopes)
    return None
