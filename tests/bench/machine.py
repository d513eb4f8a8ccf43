"""What the figures were measured on, and what Linux tells of a process."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("mediapipe", "aiortc", "av", "opencv-python-headless", "numpy")


def describe_machine() -> dict[str, str]:
    """The machine, how busy it is now, and the versions that matter."""
    cpu = next(
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        if line.startswith(("model name", "Model"))
    )
    load = ", ".join(f"{part:.2f}" for part in os.getloadavg())
    return {
        "cpu": cpu,
        "cores": str(len(os.sched_getaffinity(0))),
        "load average at start": load,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def cpu_s(pid: int) -> float:
    """CPU time that all threads of a process have used."""
    # The second field, the name in brackets, may hold spaces; utime and stime are 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tree_cpu_s(pid: int) -> float:
    """The same of a process and of all that it has started, those too that have ended and were waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    used_s = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # and cutime, cstime
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            children = (task / "children").read_text("ascii").split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        for child in children:
            try:
                used_s += tree_cpu_s(int(child))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return used_s


def threads_cpu_s(pid: int) -> dict[str, float]:
    """CPU time of a process by its threads: MediaPipe's own, the first (the event loop's), and others."""
    used = {"mediapipe": 0.0, "event loop": 0.0, "other threads": 0.0}
    for folder in Path(f"/proc/{pid}/task").iterdir():
        try:
            nanoseconds = int((folder / "schedstat").read_text("utf-8").split()[0])
            name = (folder / "comm").read_text("utf-8")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        is_first = folder.name == str(pid)
        group = "event loop" if is_first else "other threads"
        used["mediapipe" if name.startswith("mediapipe") else group] += nanoseconds / 1e9
    return used


def memory_bytes(pid: int) -> int:
    """Memory that a process holds, what it shares with others counted by its part (PSS)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"Linux does not tell the memory of process {pid}.")


def received_bytes() -> int:
    """Bytes that came in over every network interface but loopback since the machine started."""
    total = 0
    for line in Path("/proc/net/dev").read_text("utf-8").splitlines()[2:]:
        name, _, counters = line.partition(":")
        if name.strip() != "lo":
            total += int(counters.split()[0])
    return total
