"""Faults put into a running service on purpose, and what becomes of it: docs/decisions/0037.

A scenario is a module of this package that has

- ``NAME``: what the table calls it,
- ``PASS``: what must come out, in words,
- ``async def run(times: int) -> Result``: does it so many times and says what came out.

It starts what it needs (services, cameras, browsers) and leaves nothing behind. ``SCENARIOS`` lists them;
``python -m tests.chaos`` runs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

SCENARIOS: tuple[str, ...] = (
    "camera_killed",
    "camera_stalled",
    "camera_changes",
    "worker_killed",
    "browser_killed",
    "network",
    "slow_reader",
    "full_disk",
    "churn",
    "sigterm",
    "corrupted",
)
"""Modules, in the order in which they run. Each is imported only when it is wanted."""


@dataclass(frozen=True)
class Result:
    """``figure``: what was measured, for the table. ``notes``: what went wrong, a sentence each."""

    figure: str
    passed: bool
    notes: tuple[str, ...] = ()


class Scenario(Protocol):
    """What a module of this package is."""

    NAME: str
    PASS: str

    async def run(self, times: int) -> Result:
        """Do it ``times`` times; an exception is a failure, too."""
        ...
