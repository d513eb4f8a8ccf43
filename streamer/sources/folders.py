"""Which files of the server may be played: those in the folders that the configuration names."""

import io
import os
import stat
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import BinaryIO

from streamer.aio import in_daemon_thread
from streamer.errors import (
    SourceForbidden,
    SourceNotFound,
    SourceUnreachable,
    SourceUnusable,
)

_NO_SUCH_FILE = "there is no such file in the folders of [files]"

MAX_LOOK_UPS = 32
"""At a time: each has a thread, and where a disk hangs for as long as that does."""

_look_ups: dict[tuple[str, tuple[Path, ...]], Future[Path]] = {}
"""Those under way."""


def find(path: str, folders: Sequence[Path]) -> Path:
    """The real path of a file in one of the folders, whatever links lead to it; it need not be there.

    Raises SourceForbidden when it is in none of them, be it there or not.
    """
    if not folders:
        raise SourceForbidden(
            "this server plays no files: name the folders whose files it may play in its configuration,"
            " as folders in the [files] section"
        )
    # An absolute path stays what it is when it is joined to a folder.
    inside = [
        real for folder in folders if (real := _real(folder / path)).is_relative_to(_real(folder))
    ]
    if not inside:
        raise SourceForbidden(
            "this file is in none of the folders whose files may be played (folders in the [files] section"
            " of the configuration)"
        )
    return next((real for real in inside if os.path.exists(real)), inside[0])


def look_up(path: str, folders: Sequence[Path]) -> Future[Path]:
    """Joins the look-up of this file that is under way, or starts one: on a disk that hangs for a week it has
    one thread, however often the file is tried, added and probed. Raises SourceUnreachable."""
    key = path, tuple(folders)
    under_way = _look_ups.get(key)
    if under_way is None:
        if len(_look_ups) >= MAX_LOOK_UPS:
            raise SourceUnreachable(
                "the disk with other files does not answer; this one has to wait"
            )
        under_way = in_daemon_thread("find-file", partial(find, path, folders))
        _look_ups[key] = under_way
        under_way.add_done_callback(lambda _: _look_ups.pop(key))
    return under_way


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, no possible name
        raise SourceNotFound(_NO_SUCH_FILE) from error


def open_file(path: Path) -> BinaryIO:
    """Opens a regular file, and nothing that a link was put in its place for: no pipe, no device."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        handle = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except FileNotFoundError as error:
        raise SourceNotFound(_NO_SUCH_FILE) from error
    except PermissionError as error:
        raise SourceUnusable(
            "the server may not read this file: let its user read it (chmod)"
        ) from error
    except OSError as error:
        raise SourceUnusable("this file can't be read") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise SourceUnusable("this is no file but a folder or a device: give a video file")
    return io.BufferedReader(io.FileIO(handle, "rb"))
