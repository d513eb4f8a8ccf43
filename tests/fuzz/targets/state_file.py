"""The cameras that are remembered over a restart, after a disk has had its way with them."""

from pathlib import Path
from typing import Any

from streamer.state import StateFile


class _File(type(Path())):  # type: ignore[misc] # Path() is a path of this system's kind
    """A file without a disk, which would be slow."""

    content = b""

    def read_bytes(self) -> bytes:
        return self.content


class _Remembered(StateFile):
    def _keep_aside(self, reason: str) -> None:
        assert "s3cret-canary" not in reason


def fuzz(data: bytes) -> None:
    file: Any = _File("streams.json")
    _File.content = data
    for stream in _Remembered(file).load():
        assert stream.model_dump(mode="json")["id"] == stream.id
