"""What Landlock is asked for on kernels of all ages, and that its absence is told."""

import errno
import logging
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.app import tell_of_gaps
from streamer.doctor import machine
from streamer.isolation.landlock import NOTHING, Rights, gaps, restrict, version
from streamer.isolation.nursery import nursery

CREATE, ADD, RESTRICT = 444, 445, 446


class Kernel:
    """Of this version of Landlock; it says no to all that it does not know, as the real one."""

    def __init__(self, known: int, error: int = 0) -> None:
        self.known = known
        self.error = error
        self.calls: list[tuple[int, ...]] = []
        self.handled = (0, 0, 0)
        self.rules: list[tuple[int, int]] = []

    def __call__(self, number: int, *arguments: object) -> int:
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        self.calls.append((number,))
        if number == CREATE and arguments[0] is None:
            return self.known
        if number == CREATE:
            assert isinstance(arguments[0], bytes) and arguments[1] == len(arguments[0])
            files, network, scopes = struct.unpack("=QQQ", arguments[0])
            self.handled = (files, network, scopes)
            self._check(files < 1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(self.known, 16))
            self._check(network <= (3 if self.known >= 4 else 0))
            self._check(scopes <= (3 if self.known >= 6 else 0))
            return os.open(os.devnull, os.O_RDONLY)
        if number == ADD:
            assert isinstance(arguments[2], bytes)
            kind = arguments[1]
            assert kind in (1, 2)
            rights, where = struct.unpack("=Qi" if kind == 1 else "=QQ", arguments[2])
            self._check(rights and not rights & ~self.handled[0 if kind == 1 else 1])
            self.rules.append((rights, where))
        return 0

    @staticmethod
    def _check(condition: object) -> None:
        if not condition:
            raise OSError(errno.EINVAL, "this kernel does not know that")

    @property
    def is_in_force(self) -> bool:
        return (RESTRICT,) in self.calls


@pytest.mark.parametrize("known", range(1, 10))
def test_each_version_is_asked_for_all_that_it_knows_and_for_nothing_else(
    known: int, tmp_path: Path
) -> None:
    kernel = Kernel(known)
    rights = Rights(
        reads=(str(tmp_path), "/proc/cpuinfo"), devices=("/dev/zero",), connects=(8554,)
    )
    restrict(rights, kernel)
    assert kernel.is_in_force
    files, network, scopes = kernel.handled
    assert files & 0b1111, "files"
    assert bool(network) == (known >= 4) and bool(scopes) == (known >= 6)
    steer = 1 << 15 if known >= 5 else 0
    assert [rights for rights, _ in kernel.rules[:3]] == [0b1100, 0b100, 0b110 | steer]
    assert kernel.rules[3:] == ([(0b10, 8554)] if known >= 4 else [])


def test_what_is_not_there_is_left_out() -> None:
    kernel = Kernel(7)
    restrict(Rights(reads=("/not/there",), devices=("/dev/video99",)), kernel)
    assert kernel.is_in_force and kernel.rules == []


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM])
def test_without_landlock_a_child_goes_on_without(error: int) -> None:
    assert version(Kernel(0, error)) == 0
    restrict(NOTHING, Kernel(0, error))


def test_elsewhere_than_on_linux_nobody_asks_the_system() -> None:
    kernel = Kernel(7)
    assert version(kernel, "darwin") == 0
    restrict(NOTHING, kernel, "darwin")
    assert kernel.calls == []


def test_child_that_can_not_be_restricted_does_not_go_on() -> None:
    class Broken(Kernel):
        def __call__(self, number: int, *arguments: object) -> int:
            if number == RESTRICT:
                raise OSError(errno.E2BIG, "too many of them")
            return super().__call__(number, *arguments)

    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="too many"):
        restrict(NOTHING, Broken(7))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("known", "files", "network", "signals"),
    [
        (0, True, True, True),
        (2, True, True, True),
        (3, False, True, True),
        (5, False, False, True),
        (6, False, False, False),
    ],
)
def test_what_is_missing_is_told_in_the_log_and_by_the_doctor(
    caplog: pytest.LogCaptureFixture, known: int, files: bool, network: bool, signals: bool
) -> None:
    open_ways = gaps(known)
    assert ("files" in open_ways, "TCP" in open_ways, "signals" in open_ways) == (
        files,
        network,
        signals,
    )
    (finding,) = machine.children(known)
    assert finding.level == ("warning" if open_ways else "ok")
    assert open_ways in finding.text
    with caplog.at_level(logging.WARNING):
        tell_of_gaps(known)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == bool(open_ways)
    assert all(open_ways in line for line in lines)


def test_unit_of_systemd_lets_children_ask() -> None:
    """A call that is not in its filter ends the process."""
    unit = Path("config/streamer.service").read_text("utf-8")
    (allowed,) = re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE)
    calls = {f"landlock_{name}" for name in ("create_ruleset", "add_rule", "restrict_self")}
    assert calls <= set(allowed.split())


@pytest.fixture
def fork_server() -> Iterator[int]:
    nursery.warm_up()
    assert nursery.pid is not None
    yield nursery.pid


def test_fork_server_has_one_thread_so_that_a_child_begins_with_one(fork_server: int) -> None:
    """Landlock is for the thread that asks, and for those that it starts."""
    status = Path(f"/proc/{fork_server}/status").read_text("utf-8")
    assert re.search(r"^Threads:\t1$", status, re.MULTILINE)
