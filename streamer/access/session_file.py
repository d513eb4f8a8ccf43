"""The file by which browsers stay signed in over a restart: the service alone reads and writes it."""

import asyncio
import logging
import os
import stat
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from streamer.access.callers import Caller
from streamer.access.sessions import MAX_SESSIONS, Kept, Sessions
from streamer.config import Section
from streamer.state import write_whole

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 1 << 20
"""Twice what ``MAX_SESSIONS`` take."""

AGAIN_S: Final = 30.0
"""After a write that failed, until the next try; a sign-out does not wait for it."""

WAIT_S: Final = 2.0
"""For which a sign-out, and the end of the service, wait for the disk: it may hang."""

if sys.platform == "win32":
    _PLAIN_ONLY: Final = 0

    def _is_anothers(found: os.stat_result) -> bool:
        """Files have no owners there that Python knows of."""
        return False
else:
    _PLAIN_ONLY: Final = os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe would be waited for

    def _is_anothers(found: os.stat_result) -> bool:
        return found.st_uid != os.geteuid() or bool(found.st_mode & 0o022)


def _open_plain(path: str | Path, flags: int) -> int:
    return os.open(path, flags | _PLAIN_ONLY)


def _empty(path: Path) -> None:
    """And not what a link leads to that was put in its place. Raises OSError."""
    os.close(_open_plain(path, os.O_WRONLY | os.O_TRUNC))


class _Content(Section):
    version: Literal[1] = 1
    sessions: Annotated[tuple[Kept, ...], Field(max_length=MAX_SESSIONS)] = ()


def sessions_path(state_file: Path) -> Path:
    """Beside the state file and named after it: of two servers in one folder each would bring back what has
    ended at the other."""
    return state_file.parent / f"{state_file.stem}.sessions.json"


class SessionFile:
    """All methods block: they are for threads, one at a time. None of them fails: trouble is logged, once."""

    def __init__(self, path: Path, min_free_bytes: int = 0) -> None:
        self.path = path
        self._min_free_bytes = min_free_bytes
        self._told: set[str] = set()
        self._on_disk: frozenset[str] = frozenset()

    def load(self) -> tuple[Kept, ...]:
        """() also when it can't be read, is not one of ours or might have been written by others."""
        try:
            kept = _Content.model_validate_json(self._read()).sessions
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            reason = "it is broken" if isinstance(error, ValidationError) else str(error)
            logger.warning(
                "the sessions in %s can't be used, browsers have to sign in again: %s",
                self.path,
                reason,
            )
            return ()
        self._on_disk = _ids(kept)
        return kept

    def save(self, sessions: Sequence[Kept]) -> bool:
        """Whether it went well. Where there are none there is no file."""
        try:
            if sessions:
                content = _Content(sessions=tuple(sessions)).model_dump_json()
                write_whole(self.path, content.encode(), self._min_free_bytes)
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            self._on_failure(error, _ids(sessions))
            return False
        self._on_disk = _ids(sessions)
        if self._told:
            logger.warning("the sessions are kept again in %s", self.path)
        self._told = set()
        return True

    def _on_failure(self, error: OSError, there_are: frozenset[str]) -> None:
        """What has ended must not begin again with the next start: rather nothing does."""
        if self._on_disk <= there_are or self._remove():
            so = "they go on, but a restart may sign browsers out"
        else:
            so = "those that have ended would hold again after a restart: remove the file"
        if so not in self._told:
            logger.error("the sessions can't be kept in %s: %s; %s", self.path, error.strerror, so)
        self._told.add(so)

    def _remove(self) -> bool:
        """Whether nothing is left. A full disk lets files be removed, a read-only folder lets them be
        emptied."""
        for way in (os.unlink, _empty):
            try:
                way(self.path)
            except FileNotFoundError:
                pass
            except OSError:
                continue
            self._on_disk = frozenset()
            return True
        return False

    def _read(self) -> bytes:
        """Raises OSError, ValueError."""
        with open(self.path, "rb", opener=_open_plain) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ValueError("it is no plain file")
            if _is_anothers(found):
                raise ValueError("it is another user's, or others may write it")
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES} bytes")
        return data


class SessionWriter:
    """Belongs to the event loop's thread. One write at a time, of all that has changed until then. ``file``:
    None where nothing is remembered."""

    def __init__(
        self,
        sessions: Sessions,
        file: SessionFile | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions = sessions
        self._file = file
        self._clock = clock
        self._written = sessions.changes
        self._again_mono = 0.0
        self._writing: asyncio.Task[None] | None = None

    async def load(self, current: Callable[[str], Caller | None]) -> None:
        if self._file is None:
            return
        kept = await asyncio.to_thread(self._file.load)
        self._sessions.restore(kept, current)
        if self._sessions.kept() == kept:
            self._written = self._sessions.changes

    def write_soon(self) -> None:
        """If something has changed. Never waits."""
        if self._clock() >= self._again_mono:
            self._begin()

    async def write(self) -> None:
        """Returns when it is on the disk, the disk doesn't take it, or after ``WAIT_S``."""
        self._begin()
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=WAIT_S)

    def _begin(self) -> None:
        if self._file is None or self._written == self._sessions.changes:
            return
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(self._file), name="write-sessions")

    async def _write(self, file: SessionFile) -> None:
        while self._written != (changes := self._sessions.changes):
            if not await asyncio.to_thread(file.save, self._sessions.kept()):
                self._again_mono = self._clock() + AGAIN_S
                if changes == self._sessions.changes:
                    return
                continue  # a session may have ended meanwhile, which the next try is about
            self._written = changes


def _ids(sessions: Sequence[Kept]) -> frozenset[str]:
    return frozenset(each.id for each in sessions)
