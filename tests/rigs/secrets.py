"""Secrets that can be told from everything else, and a look for them at all that comes out of a service.

Every password and token of the tests that must not come out has ``MARKER`` in it (``secret`` makes them).
Whoever sees what comes out (a log, an answer, a page's console, the arguments of a process) gives it to
``look``; after each test ``tests/conftest.py`` fails it for what was found. Exempt are the state file, which
only its owner may read, and what the contract gives away, a TURN login.
"""

from __future__ import annotations

import base64
from pathlib import Path

MARKER = "s3cret"
_CONTEXT = 60

_found: list[str] = []


def secret(name: str) -> str:
    """A password or token: safe in URLs, and long enough for a token."""
    return f"{name}-{MARKER}-of-the-tests"


def _in_base64() -> list[bytes]:
    """What the marker always becomes, in each of the three places where it can begin."""
    forms = []
    for before in range(3):
        text = base64.b64encode(bytes(before) + MARKER.encode() + bytes(3))
        first, last = -(-8 * before // 6), 8 * (before + len(MARKER)) // 6
        forms.append(text[first:last])
    return forms


_FORMS = [MARKER.encode(), *_in_base64()]


def look(what: str | bytes, place: str) -> None:
    """Remembers a secret in it, with where that is and what stands around."""
    data = what.encode("utf-8", "surrogateescape") if isinstance(what, str) else what
    for form in _FORMS:
        at = data.find(form)
        if at >= 0:
            around = data[max(0, at - _CONTEXT) : at + _CONTEXT]
            _found.append(f"{place}: …{around.decode('utf-8', 'replace')}…")


def look_at_processes(pid: int, place: str) -> None:
    """The arguments of a process and of all that it has started (Linux), which everybody may read."""
    for each in _family(pid):
        try:
            look(
                Path(f"/proc/{each}/cmdline").read_bytes(), f"{place}, arguments of process {each}"
            )
        except OSError:
            continue  # it has ended meanwhile


def take() -> list[str]:
    """What was found since the last call."""
    found = _found.copy()
    _found.clear()
    return found


def _family(pid: int) -> list[int]:
    family = [pid]
    for each in family:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                family += map(int, task.read_text().split())
            except OSError:
                continue
    return family
