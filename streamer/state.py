"""What the service remembers over a restart: the cameras that were added through the API."""

import contextlib
import json
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from streamer.config import StreamConfig

logger = logging.getLogger(__name__)

_CAMERAS = TypeAdapter(list[StreamConfig])


def default_state_file() -> Path:
    """In the XDG state folder (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "streamer" / "streams.json"


class StateFile:
    """Holds camera passwords: readable by its owner only. Written as a whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> list[StreamConfig]:
        """What can be read; an unreadable file is reported and kept aside, never a reason not to start."""
        try:
            return _CAMERAS.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, ValidationError) as error:
            reason = _reason(error)
            logger.error("the remembered cameras in %s can't be read: %s", self._path, reason)
            with contextlib.suppress(
                OSError
            ):  # a read-only folder: there is nothing to protect then
                self._path.rename(self._path.with_suffix(".unreadable"))
            return []

    def save(self, streams: Sequence[StreamConfig]) -> None:
        """A full disk or a read-only folder is reported; the streams themselves go on."""
        text = json.dumps([stream.model_dump(mode="json") for stream in streams], indent=1)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._path.parent)  # mode 0600
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(name, self._path)
            except OSError:
                os.unlink(name)
                raise
        except OSError as error:
            logger.error("the cameras can't be remembered in %s: %s", self._path, error)


def _reason(error: OSError | ValidationError) -> str:
    """Without what was read: there are passwords in it."""
    if isinstance(error, OSError):
        return str(error)
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the file'}: {first['msg']}"
