"""What the service remembers over a restart: the cameras that were added through the API."""

import asyncio
import contextlib
import errno
import glob
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from streamer.aio import in_daemon_thread
from streamer.config import StreamConfig, explain
from streamer.errors import StorageFull

logger = logging.getLogger(__name__)

_ENTRIES = TypeAdapter(list[Any])


def default_state_file() -> Path:
    """In the XDG state folder (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "streamer" / "streams.json"


MIN_FREE_BYTES = 2**20

LEFT_OVER_S = 3600.0
"""No write takes so long: an older part of a file was left when the power or the process was cut off."""

SAVE_AGAIN_S = 30.0
"""After a save that failed, until the next try."""

SAVE_TIMEOUT_S = 5.0
"""For which a change waits to be remembered: a disk may hang."""


def trouble_with_folder(folder: Path) -> str | None:
    """Why nothing can be remembered there, in a sentence without its name; None where it can, or where it
    can be made."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return "The folder for what the server remembers can't be written to."
    if shutil.disk_usage(there).free < MIN_FREE_BYTES:
        return "The disk for what the server remembers is full."
    return None


def write_whole(path: Path, data: bytes, min_free_bytes: int = 0) -> None:
    """Readable by its owner only, and there as a whole or not at all. Raises OSError, also where the disk has
    less than ``min_free_bytes`` left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(path.parent).free < min_free_bytes:
        raise OSError(errno.ENOSPC, f"less than {min_free_bytes} bytes are free")
    prefix, suffix = f".{path.name}.", ".part"
    _remove_left_over(path.parent, f"{glob.escape(prefix)}*{suffix}")
    handle, name = tempfile.mkstemp(suffix, prefix, path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError:
        os.unlink(name)
        raise


def _remove_left_over(folder: Path, pattern: str) -> None:
    """Passwords are in them, also of cameras that are gone, and they would become ever more."""
    for part in folder.glob(pattern):
        with contextlib.suppress(OSError):  # it is in the way of nobody
            if time.time() - part.stat().st_mtime > LEFT_OVER_S:
                part.unlink()


class StateFile:
    """Holds camera passwords: readable by its owner only. Written as a whole or not at all. ``is_current``:
    whether the last save went well."""

    def __init__(self, path: Path, min_free_bytes: int = 0) -> None:
        self.is_current = True
        self._path = path
        self._min_free_bytes = min_free_bytes

    def load(self) -> list[StreamConfig]:
        """What can be read. The rest is reported, and the file as it was kept aside; it is never a
        reason not to start."""
        streams, reasons = [], []
        try:
            for number, entry in enumerate(_ENTRIES.validate_json(self._path.read_bytes())):
                try:
                    streams.append(StreamConfig.model_validate(entry))
                except ValidationError as error:
                    reasons.append(f"camera {number}: {explain(error)}")
        except FileNotFoundError:
            return []
        except OSError as error:
            reasons.append(str(error))
        except ValidationError as error:
            reasons.append(explain(error))
        if reasons:
            self._keep_aside("; ".join(reasons))
        return streams

    def _keep_aside(self, reason: str) -> None:
        aside = self._path.with_suffix(".unreadable")
        logger.error("remembered cameras in %s can't be read: %s", self._path, reason)
        try:
            aside.unlink(missing_ok=True)
            os.link(self._path, aside)  # the next save replaces the one and leaves the other
        except OSError as error:
            logger.error("the file can't be kept as %s: %s", aside, error)

    def save(self, streams: Sequence[StreamConfig]) -> None:
        """A full disk or a read-only folder is reported; the streams themselves go on."""
        text = json.dumps([stream.model_dump(mode="json") for stream in streams], indent=1)
        try:
            write_whole(self._path, text.encode(), self._min_free_bytes)
        except OSError as error:
            if self.is_current:  # and not once more at each new try
                logger.error("the cameras can't be remembered in %s: %s", self._path, error)
            self.is_current = False
        else:
            if not self.is_current:
                logger.warning("the cameras are remembered again in %s", self._path)
            self.is_current = True


class Memory:
    """Keeps the file as the cameras are: ``cameras`` tells which are to be remembered now. Belongs to the
    event loop's thread, which never waits for the disk."""

    def __init__(self, file: StateFile, cameras: Callable[[], Sequence[StreamConfig]]) -> None:
        self._file = file
        self._cameras = cameras
        self._waiting: Sequence[StreamConfig] | None = None  # to be saved next
        self._saving: asyncio.Task[None] | None = None
        self._again: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def is_current(self) -> bool:
        """Whether what should be remembered is."""
        return self._file.is_current

    async def load(self) -> list[StreamConfig]:
        """The end of the process does not wait for a disk that hangs here."""
        return await asyncio.wrap_future(in_daemon_thread("load-cameras", self._file.load))

    def save(self) -> None:
        """One save after the other, of those that wait the newest; one that failed is tried again later."""
        self._waiting = self._cameras()
        if self._again is not None:
            self._again.cancel()
        if self._saving is None or self._saving.done():
            loop = asyncio.get_running_loop()
            self._saving = loop.create_task(self._save_all(), name="save-cameras")

    async def _save_all(self) -> None:
        while (cameras := self._waiting) is not None:
            self._waiting = None
            await asyncio.to_thread(self._file.save, cameras)
        if not self._file.is_current and not self._stopped:
            loop = asyncio.get_running_loop()
            self._again = loop.call_later(SAVE_AGAIN_S, self.save)

    async def saved(self) -> None:
        """Waits until all changes before are remembered. Raises StorageFull."""
        saving = self._saving
        if saving is not None:
            await asyncio.wait({saving}, timeout=SAVE_TIMEOUT_S)
        if not self._file.is_current or (saving is not None and not saving.done()):
            raise StorageFull(
                "The disk of the server is full or can't be written to ([server] state_file): make room "
                "on it. The server tries again by itself."
            )

    def stop(self) -> None:
        """Nothing is tried again from here on: it would remember that there are none."""
        self._stopped = True
        if self._again is not None:
            self._again.cancel()

    async def written(self) -> None:
        """Waits for what is being saved."""
        if self._saving is not None:
            await self._saving
