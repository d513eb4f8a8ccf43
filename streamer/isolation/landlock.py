"""Landlock: a child gives up, for good, what it has no need of (Linux 5.13, landlock(7)).

It narrows what the service's user may do, for the thread that asks and all that it starts: so a child asks
before it has a second one. What an older kernel does not know it leaves open; see ``gaps``.
"""

import ctypes
import os
import stat
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rights:
    """What a child may reach beside what it was born with: its channel and its memory.

    ``reads``: files, and folders with all that is in them. ``devices``: files that it may also write to and
    steer (ioctl). ``connects``: TCP ports, at any address. What is not there is left out.
    """

    reads: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    connects: tuple[int, ...] = ()


NOTHING: Final = Rights()

CPU: Final = ("/proc/cpuinfo", "/sys/devices/system/cpu")
"""The networks' runtime chooses its code by what the processor can do, and has no other way to ask."""

RANDOM: Final = "/dev/urandom"
"""Where FFmpeg takes the ids of its RTP from, and hashes their seeds."""

Call = Callable[..., int]
"""A system call, by its number; raises OSError."""

_CREATE_RULESET: Final = 444  # the same on all architectures that Python runs on
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446

# From Linux's <linux/landlock.h>, as all that follows.
_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_NET_PORT: Final = 2

_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_IOCTL_DEV: Final = 1 << 15
_CONNECT_TCP: Final = 1 << 1

_FILE_RIGHTS: Final = {0: 0, 1: 13, 2: 14, 3: 15, 4: 15}
"""How many rights to files a version knows; 16 from version 5 on. Of the later ones we know nothing yet."""
_EMPTYING_SINCE: Final = 3  # Linux 6.2
_NETWORK_SINCE: Final = 4  # Linux 6.7
_ALL_NETWORK: Final = 0b11  # to bind and to connect
_SCOPES_SINCE: Final = 6  # Linux 6.12
_ALL_SCOPES: Final = 0b11  # abstract sockets and signals


def _system_call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    words = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    answer: int = libc.syscall(ctypes.c_long(number), *words)
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


def version(call: Call = _system_call, platform: str = sys.platform) -> int:
    """Landlock's here; 0 where there is none: an older kernel, one without it, or a container whose filter
    of system calls does not know it (EPERM)."""
    if platform != "linux":
        return 0
    try:
        return call(_CREATE_RULESET, None, 0, _VERSION)
    except OSError:
        return 0


def gaps(of_version: int) -> str:
    """What a child that was taken over may do here beyond its rights, in words; empty: nothing that Landlock
    could keep it from."""
    can = {
        "read and write the files of the service's user": of_version < 1,
        "empty the files of the service's user": 1 <= of_version < _EMPTYING_SINCE,
        "connect to any TCP port": of_version < _NETWORK_SINCE,
        "send signals to the service": of_version < _SCOPES_SINCE,
    }
    return ", ".join(what for what, is_open in can.items() if is_open)


def restrict(rights: Rights, call: Call = _system_call, platform: str = sys.platform) -> None:
    """From here on this thread, and what it starts, has these rights and no others. Where there is no
    Landlock it does nothing. Raises OSError: then the child must not go on."""
    known = version(call, platform)
    if known < 1:
        return
    files = (1 << _FILE_RIGHTS.get(known, 16)) - 1
    network = _ALL_NETWORK if known >= _NETWORK_SINCE else 0
    scopes = _ALL_SCOPES if known >= _SCOPES_SINCE else 0
    # An older kernel takes the longer form as long as it ends with zeros.
    handled = struct.pack("=QQQ", files, network, scopes)
    ruleset = call(_CREATE_RULESET, handled, len(handled), 0)
    try:
        for path in rights.reads:
            _allow(call, ruleset, path, files & (_READ_FILE | _READ_DIR))
        for path in rights.devices:
            _allow(call, ruleset, path, files & (_READ_FILE | _WRITE_FILE | _IOCTL_DEV))
        for port in rights.connects if network else ():
            rule = struct.pack("=QQ", _CONNECT_TCP, port)
            call(_ADD_RULE, ruleset, _NET_PORT, rule, 0)
        call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(call: Call, ruleset: int, path: str, rights: int) -> None:
    """By what lies there now, and not by the name: what is put in its place later is another."""
    try:
        beneath = os.open(path, os.O_PATH)
    except OSError:  # what can't be opened can't be read either
        return
    try:
        if not stat.S_ISDIR(os.fstat(beneath).st_mode):
            rights &= ~_READ_DIR
        call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, beneath), 0)
    finally:
        os.close(beneath)
