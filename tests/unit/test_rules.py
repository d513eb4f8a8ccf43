"""What a token's scopes come to at a route's rule."""

import pytest

from streamer.access import Caller, Role
from streamer.server.access import reaches
from streamer.server.rules import Narrow, Rule


@pytest.mark.parametrize(
    ("scopes", "rule", "may"),
    [
        (("view",), Rule(Role.VIEW), True),
        (("view:door",), Rule(Role.VIEW), False),  # a route that has not thought of such a token
        (("view:door",), Rule(Role.VIEW, Narrow.BY_ID), True),
        (("view:door",), Rule(Role.OPERATE, Narrow.BY_ID), False),
        (("operate",), Rule(Role.ADMIN), False),
        (("admin",), Rule(Role.VIEW), True),
        ((), Rule(Role.VIEW, Narrow.BY_ID), False),
    ],
)
def test_route_is_for_the_role_and_for_narrow_tokens_only_if_it_says_so(
    scopes: tuple[str, ...], rule: Rule, may: bool
) -> None:
    assert reaches(Caller("0", "somebody", scopes), rule) is may
