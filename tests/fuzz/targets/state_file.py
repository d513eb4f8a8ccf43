"""The cameras that are remembered over a restart, after a disk has had its way with them."""

import json
from pathlib import Path
from typing import Any

from streamer.state import StateFile
from tests.fuzz.pieces import keys


class _File(type(Path())):  # type: ignore[misc] # Path() is a path of this system's kind
    """A file without a disk, which would be slow."""

    content = b""

    def read_bytes(self) -> bytes:
        return self.content


class _Remembered(StateFile):
    def _keep_aside(self, reason: str) -> None:
        assert "s3cret-canary" not in reason or _is_told(_File.content)


def _is_told(content: bytes) -> bool:
    """Names of keys are."""
    return "s3cret-canary" in "".join(keys(json.loads(content)))


def fuzz(data: bytes) -> None:
    file: Any = _File("streams.json")
    _File.content = data
    for stream in _Remembered(file).load():
        assert stream.model_dump(mode="json")["id"] == stream.id
