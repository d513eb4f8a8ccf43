"""A long run before or behind all other work of a machine that it does not have for itself."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

AUTOGROUP = Path("/proc/self/autogroup")


def has_its_own_session() -> bool:
    return os.getsid(0) == os.getpid()


def in_a_session_of_its_own(module: str, arguments: Sequence[str]) -> int:
    """Run the module there and return its exit code. So Ctrl+C reaches the run and not what it started, and
    ``set_priority`` nobody else: where Linux shares out CPU time by sessions first (autogroup), a session's
    niceness is what counts."""
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], start_new_session=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: process.send_signal(number))
    return process.wait()


def set_priority(nice: int) -> None:
    """Of this process, its session, and all that it starts. Less than 0 needs root."""
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    with contextlib.suppress(FileNotFoundError):
        AUTOGROUP.write_text(str(nice))
