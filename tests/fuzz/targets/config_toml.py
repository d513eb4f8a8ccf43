"""The configuration file."""

from pathlib import Path
from typing import Any

from streamer.errors import ConfigError
from streamer.settings import load_config


class _File(type(Path())):  # type: ignore[misc] # Path() is a path of this system's kind
    """A file without a disk, which would be slow."""

    content = b""

    def read_text(self, encoding: Any = None, *_: Any) -> str:
        return self.content.decode(encoding)


def fuzz(data: bytes) -> None:
    file = _File("streamer.toml")
    _File.content = data
    try:
        load_config(file, {})
    except ConfigError as error:
        assert "s3cret-canary" not in str(error)
