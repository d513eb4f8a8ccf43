"""Which file a stream may play: never one outside of the folders."""

import os
import tempfile
from pathlib import Path

from pydantic import ValidationError

from streamer.config import FileSource
from streamer.errors import SourceForbidden, SourceNotFound
from streamer.sources.folders import find
from tests.fuzz.pieces import text

_ROOT = Path(tempfile.mkdtemp(prefix="fuzz-")).resolve()
_FOLDER = _ROOT / "films"
_FOLDER.mkdir()
(_FOLDER / "a.mp4").touch()
(_ROOT / "secret.mp4").touch()
os.symlink(_ROOT / "secret.mp4", _FOLDER / "link.mp4")
os.symlink(_FOLDER / "loop", _FOLDER / "loop")


def fuzz(data: bytes) -> None:
    try:
        source = FileSource(path=text(data))
        found = find(source.path, [_FOLDER])
    except (ValidationError, SourceForbidden, SourceNotFound):
        return
    assert found.is_relative_to(_FOLDER)
