"""Servers that tests share, since each takes seconds to start: one that a test has left as it found it goes
to the next test that asks for the same."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

from tests.rigs.server import StreamerServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_IDLE: Final = 3
"""Each has its models in memory."""

EMPTY_TIMEOUT_S: Final = 2.0
"""For peers and streams that a test has left behind; beyond that the server is not shared any more."""

_TOKEN: Final = re.compile(r'^token = "(.*)"$', re.MULTILINE)
_STREAM_NAMES: Final = re.compile(r'"id": ?"([a-z0-9-]+)"')
_BUSY: Final = re.compile(r"^streamer_(streams\{.*\}|peers) [^0]", re.MULTILINE)

Wish = tuple[str, tuple[str, ...], str]
"""Configuration, arguments and module."""


class SharedServers:
    """Those that are idle now, the oldest first."""

    def __init__(self, make_folder: Callable[[], Path]) -> None:
        self._make_folder = make_folder
        self._idle: list[tuple[Wish, StreamerServer]] = []

    def take(self, wish: Wish) -> StreamerServer:
        for each in self._idle:
            if each[0] == wish:
                self._idle.remove(each)
                return each[1]
        config, arguments, module = wish
        server = StreamerServer(self._make_folder(), config, arguments=arguments, module=module)
        server.start()
        return server

    def give_back(self, wish: Wish, server: StreamerServer, *, has_failed: bool) -> None:
        """Raises AssertionError when the server has to end, and does not end well."""
        if has_failed:
            server.kill()
        elif server.is_running and _is_empty(server, wish[0]):
            self._idle.append((wish, server))
            if len(self._idle) > MAX_IDLE:
                self._idle.pop(0)[1].stop()
        else:
            server.stop()

    def close(self) -> None:
        while self._idle:
            self._idle.pop()[1].stop()


def _is_empty(server: StreamerServer, config: str) -> bool:
    """Whether nothing of a test is left in it, once the streams that are listed are removed."""
    token = _TOKEN.search(config)
    headers = {"Authorization": f"Bearer {token[1]}"} if token else {}
    deadline = time.monotonic() + EMPTY_TIMEOUT_S
    while time.monotonic() < deadline:
        for name in _STREAM_NAMES.findall(server.ask("GET", "/api/v1/streams", headers)):
            server.ask("DELETE", f"/api/v1/streams/{name}", headers)
        if not _BUSY.search(server.ask("GET", "/metrics", headers)):
            return True
        time.sleep(0.05)
    return False
