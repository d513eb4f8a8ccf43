"""What Linux tells of a process and of those that it started: memory, files, threads, CPU time."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """Of one process at one moment. ``own_bytes`` is what no file stands behind, of what is shared each
    one's part: all sharers have one ancestor, so that its sum over a tree is what the tree holds. Pages of
    files (libraries, models) would move it: they count as shared while any other program has them.
    ``role``: the service ("service"), or what a process of it does ("images", "decoder", …)."""

    pid: int
    role: str
    rss_bytes: int
    own_bytes: int
    fds: int
    threads: int
    cpu_s: float


def usage_of_tree(pid: int) -> list[Usage]:
    """Of a process and all that it started, itself first. What ends meanwhile is left out."""
    found = []
    for each in (pid, *descendants(pid)):
        try:
            found.append(_usage(each, "service" if each == pid else role_of(each)))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def descendants(pid: int) -> Iterator[int]:
    """The processes that ``pid`` started, and what those started."""
    for task in _listed(Path(f"/proc/{pid}/task")):
        try:
            children = Path(f"/proc/{pid}/task/{task}/children").read_text("ascii").split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in map(int, children):
            yield child
            yield from descendants(child)


def role_of(pid: int) -> str:
    """What a process of the service is for, by its command line: ``streamer-worker ROLE …``,
    ``streamer-ROLE``, or the module that it runs."""
    line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    for pattern in (r"streamer-worker (\w+)", r"streamer-(\w+)", r"streamer\.(\w+)"):
        if found := re.search(pattern, line):
            return found[1]
    return "other"


def cpu_s(pid: int) -> float:
    """CPU time that all threads of a process have used."""
    # The second field, the name in brackets, may hold spaces; utime and stime are 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _usage(pid: int, role: str) -> Usage:
    memory: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8").splitlines()[1:]:
        name, _, rest = line.partition(":")
        memory[name] = int(rest.split()[0]) * 1024
    return Usage(
        pid=pid,
        role=role,
        rss_bytes=memory["Rss"],
        own_bytes=memory["Pss_Anon"] + memory["Pss_Shmem"] + memory["SwapPss"],
        fds=len(os.listdir(f"/proc/{pid}/fd")),
        threads=len(os.listdir(f"/proc/{pid}/task")),
        cpu_s=cpu_s(pid),
    )


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, ProcessLookupError):
        return []
