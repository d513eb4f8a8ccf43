"""A camera's side of the relay: no redirect may get past it, however it is cut into pieces."""

import re
from typing import Any, cast

from streamer.sources.relay import Relay
from tests.fuzz.pieces import records

_PLAIN = re.compile(rb"^RTSP/1\.0 3\d\d ", re.MULTILINE)


class _Listener:
    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 1


def fuzz(data: bytes) -> None:
    relay = Relay(cast("Any", _Listener()))
    said = b""
    for chunk in records(data):
        relay._read_along(chunk)
        said += chunk
        if relay.redirected:
            return
        assert len(relay._unfinished_line) <= 4096
    lines = said.replace(b"\r", b"")
    assert len(said) > 4096 or not _PLAIN.search(lines), "a redirect was let through"
