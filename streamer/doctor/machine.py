"""What the service needs of its machine: packages, memory, file descriptors, a clock."""

import importlib
import os
import platform
import re
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from streamer.config import Config
from streamer.doctor.finding import Finding, ok, problem, warning
from streamer.isolation import landlock

_NATIVE: Final = ("numpy", "av", "cv2", "aiortc", "mediapipe", "cryptography")
"""Those whose compiled parts may not fit the machine: only importing them shows it."""

_MEMORY_BASE_BYTES: Final = 500 * 2**20
_MEMORY_PER_STREAM_BYTES: Final = 250 * 2**20
"""About what the service takes, and a stream of 720p with the full model (docs/operations.md)."""

_FDS_BASE: Final = 256
_FDS_PER_PEER: Final = 4
_FDS_PER_STREAM: Final = 24

_RELEASED: Final = 1_767_225_600.0
"""2026-01-01: no clock that is right is before the program."""


def packages() -> Iterator[Finding]:
    subject = "python"
    if sys.version_info < (3, 11):  # noqa: UP036 -- somebody may have forced an older one on us
        yield problem(subject, platform.python_version(), "install Python 3.11 or newer")
    missing = [name for name in _required() if not _is_installed(name)]
    broken = [f"{name} ({error})" for name in _NATIVE if (error := _import_error(name))]
    if missing or broken:
        words = ", ".join([*(f"{name} is missing" for name in missing), *broken])
        yield problem(subject, words, "run `make setup` again, or install from requirements.lock")
    else:
        yield ok(subject, f"{platform.python_version()} with all packages")


def memory(config: Config) -> Iterator[Finding]:
    free = _memory_bytes()
    if free is None:
        return
    needed = _MEMORY_BASE_BYTES + _MEMORY_PER_STREAM_BYTES * max(1, len(config.streams))
    text = f"{free / 2**20:.0f} MiB to be had, about {needed / 2**20:.0f} MiB needed"
    if free < needed:
        yield warning("memory", text, "add memory, or run fewer streams or a lighter model")
    else:
        yield ok("memory", text)


def file_descriptors(config: Config) -> Iterator[Finding]:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = (
        _FDS_BASE
        + _FDS_PER_PEER * config.webrtc.max_peers
        + _FDS_PER_STREAM * config.server.max_streams
        + config.server.max_readers
        + config.server.max_picture_readers
    )
    text = f"{limit} file descriptors allowed, {needed} needed when everything is full"
    if 0 <= limit < needed:
        yield warning(
            "descriptors",
            text,
            f"raise the limit: LimitNOFILE={needed} in the unit, or `ulimit -n`",
        )
    else:
        yield ok("descriptors", text)


def children(of_version: int | None = None) -> Iterator[Finding]:
    """``of_version``: Landlock's, if not that of here."""
    known = landlock.version() if of_version is None else of_version
    if can := landlock.gaps(known):
        yield warning(
            "children",
            f"a child process that is taken over can, on this system, {can}",
            "run Linux 6.12 or newer with Landlock (`lsm=` of the kernel, the container's seccomp profile)",
        )
    else:
        yield ok("children", f"held by Landlock (version {known}) to what their work needs")


def clock(state_file: Path) -> Iterator[Finding]:
    """One that stands wrong makes certificates, tokens and TURN logins seem too old or too new."""
    now = time.time()
    fix = "set the clock, and let NTP keep it (timedatectl set-ntp true)"
    try:
        written = state_file.stat().st_mtime
    except OSError:
        written = 0.0
    if now < _RELEASED:
        yield problem("clock", f"{time.ctime(now)} is before this program was made", fix)
    elif written > now + 60:
        yield warning("clock", "the remembered cameras were written in the future", fix)
    else:
        yield ok("clock", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now)))


def _required() -> list[str]:
    """Those that every platform needs: of the others only pip knows which."""
    try:
        stated = metadata.requires("streamer") or []
    except metadata.PackageNotFoundError:
        return []
    plain = [each for each in stated if ";" not in each]
    return [found[0] for each in plain if (found := re.match(r"[A-Za-z0-9._-]+", each))]


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _import_error(name: str) -> str:
    try:
        importlib.import_module(name)
    except Exception as error:  # whatever a library meets with while it loads
        return f"{type(error).__name__}: {error}"
    return ""


def _memory_bytes() -> int | None:
    """What is free of the machine's, or of the container's if that is less."""
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return None
    found = re.search(r"MemAvailable:\s+(\d+) kB", text)
    if found is None:
        return None
    free = int(found[1]) * 1024
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = (group / "memory.max").read_text(), (group / "memory.current").read_text()
        return min(free, int(limit) - int(used))
    except (OSError, ValueError):  # no container, or one without a limit
        return free


def cpu() -> Iterator[Finding]:
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    text = f"{cores} cores, {platform.machine()}"
    if cores < 2:
        yield warning(
            "cpu", text, "two cores are the least for 30 frames a second; try the lite model"
        )
    else:
        yield ok("cpu", text)
