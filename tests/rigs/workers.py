"""The child processes of a server, found as an operator would: in the table of processes."""

from __future__ import annotations

import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

STOP_TIMEOUT_S = 10.0

_TITLE = re.compile(r"streamer-worker (\S+) (.*)")


@dataclass(frozen=True)
class Worker:
    """``role``: a key of ``streamer.isolation.roles.ROLES``; ``name``: of its stream."""

    pid: int
    role: str
    name: str


def workers_of(server_pid: int) -> list[Worker]:
    """Those that live, oldest first."""
    parents = _parents()
    return [
        Worker(pid, title[1], title[2])
        for pid in sorted(parents)
        if server_pid in _ancestors(pid, parents) and (title := _TITLE.fullmatch(_title(pid)))
    ]


def children_of(nursery_pid: int) -> list[Worker]:
    """As ``workers_of``, for who looks often: that reads of every process of the machine, and with 100 looks
    a second takes a quarter of a core from the server that is watched."""
    pids = Path(f"/proc/{nursery_pid}/task/{nursery_pid}/children").read_text("ascii").split()
    titles = {int(pid): _TITLE.fullmatch(_title(int(pid))) for pid in pids}
    return [Worker(pid, title[1], title[2]) for pid, title in titles.items() if title]


def nursery_of(server_pid: int) -> int | None:
    """The process that forks them."""
    parents = _parents()
    nurseries = (pid for pid in parents if _title(pid) == "streamer-nursery")
    return next((pid for pid in nurseries if parents[pid] == server_pid), None)


def is_alive(pid: int) -> bool:
    """Neither gone nor a zombie that nobody has waited for yet."""
    return pid in _parents()


def stop(pid: int) -> None:
    """SIGSTOP, and it stands still: the signal's sender is told before a thread on another core has come to
    it, which may end the process first."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while not all(_state(task) in "Tt" for task in Path(f"/proc/{pid}/task").iterdir()):
        assert time.monotonic() < deadline, f"process {pid} does not stop"
        time.sleep(0.001)


def _state(task: Path) -> str:
    return (task / "stat").read_text("ascii", "replace").rpartition(") ")[2][0]


def _title(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended meanwhile
        return ""
    return line.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")


def _parents() -> dict[int, int]:
    """Of every process that lives: its parent."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            text = (folder / "stat").read_text("utf-8", "replace")
        except OSError:
            continue
        state, parent = text.rpartition(")")[2].split()[:2]
        if state != "Z":
            parents[int(folder.name)] = int(parent)
    return parents


def _ancestors(pid: int, parents: dict[int, int]) -> set[int]:
    found: set[int] = set()
    while (pid := parents.get(pid, 0)) and pid not in found:
        found.add(pid)
    return found
