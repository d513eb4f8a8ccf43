"""What a child may not do, from before it sees the first byte of a stranger's."""

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Final

from streamer.isolation.landlock import Rights, restrict

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_PR_SET_NO_NEW_PRIVS: Final = 38
"""From Linux's <sys/prctl.h>."""

_CAPABILITIES_V3: Final = 0x20080522
_CAP_DAC_READ_SEARCH: Final = 2
"""From Linux's <linux/capability.h>."""

_MAX_FILES: Final = 64


def confine(max_memory_bytes: int, parent: int, rights: Rights) -> None:
    """Its memory is limited, it leaves no core file, writes no file, gains no privilege by ``exec``, and on
    Linux it ends with its ``parent``, whatever it is doing, and reaches nothing but what ``rights`` say. It
    has one thread yet. Raises OSError: then it must not go on."""
    import resource  # not on Windows, where there are no child processes

    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_NOFILE: _MAX_FILES}
    if sys.platform == "linux":  # elsewhere it does not count what mmap() gives, or is refused
        limits[resource.RLIMIT_DATA] = max_memory_bytes
    for limit, most in limits.items():
        _, hard = resource.getrlimit(limit)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (most, most))
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before we could ask
            os._exit(1)
    narrow(rights)  # last: some of the above needs more


def narrow(rights: Rights) -> None:
    """It gains no privilege by ``exec``, has none of root's, and reaches nothing but what ``rights`` say
    (Linux). It has one thread yet. Raises OSError: then it must not go on."""
    if sys.platform == "linux":
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)  # without which restrict() is refused
        restrict(rights)
        _drop_capabilities()


def set_title(title: str) -> None:
    """What ``ps`` shows, where the system lets a process write over its own arguments (Linux)."""
    if sys.platform != "linux":
        return
    _prctl(_PR_SET_NAME, ctypes.c_char_p(title.encode()[:15]))
    fields = Path("/proc/self/stat").read_text("utf-8").rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # arg_start, arg_end (proc_pid_stat(5): 48, 49)
    room = end - start
    with contextlib.suppress(OSError), open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(start)
        memory.write(title.encode()[: room - 1].ljust(room, b"\0"))


def _drop_capabilities() -> None:
    """Whoever runs the service as root gives a child no modules to load and no raw sockets. To read where
    root may is left to it, within its rights: the models may lie in somebody's home."""
    libc = ctypes.CDLL(None, use_errno=True)
    head = (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0)
    has = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice, as there are 64
    if libc.capget(head, has) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    kept = has[1] & 1 << _CAP_DAC_READ_SEARCH
    if any(has) and libc.capset(head, (ctypes.c_uint32 * 6)(kept, kept)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _prctl(option: int, value: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
