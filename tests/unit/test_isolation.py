"""Children that echo, die, hang and lie: what is thrown at the service never reaches further than them."""

import contextlib
import functools
import os
import re
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from streamer.config import WorkersConfig
from streamer.errors import WorkerDied, WorkerHung, WorkerStuck
from streamer.isolation import child as child_module
from streamer.isolation import lives
from streamer.isolation.child import Child, failures
from streamer.isolation.forks import MAX_LINE_BYTES
from streamer.isolation.landlock import NOTHING, Rights
from streamer.isolation.memory import (
    SIZE,
    SLOT_BYTES,
    SLOTS,
    TO_PARENT,
    SharedMemory,
    new_memory,
)
from streamer.isolation.nursery import nursery
from streamer.isolation.roles import ROLES
from streamer.isolation.worker import PULSE_S
from tests.rigs.workers import is_alive, nursery_of, stop, workers_of
from tests.rigs.workers_at_work import message

LONG_S = 60.0  # on a busy machine
PATIENT = WorkersConfig(hang_timeout_s=LONG_S, max_memory_mb=512)
HASTY = WorkersConfig(hang_timeout_s=1.0)

Start = Callable[..., Child]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start children of the role "test"; they end with the test."""
    monkeypatch.setitem(ROLES, "test", "tests.rigs.workers_at_work")
    monkeypatch.setattr(child_module, "LAST_LOOK_S", LONG_S)
    children: list[Child] = []

    def begin(name: str = "door", config: WorkersConfig = PATIENT) -> Child:
        children.append(Child("test", name, NOTHING, config))
        children[-1].start()
        return children[-1]

    yield begin
    for child in children:
        child.close()
        wait_for(functools.partial(is_gone, child))


def is_gone(child: Child) -> bool:
    return not is_alive(child.pid)


def beats_after(seen_mono: float, memory: SharedMemory) -> bool:
    return memory.pulse_mono > seen_mono


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ask(child: Child, **header: object) -> tuple[dict[str, object], bytes]:
    child.send(header)
    answer, body = child.receive(LONG_S)
    return answer, bytes(body)


def test_what_is_sent_comes_back_whole_many_times(start: Start) -> None:
    child = start()
    for number in range(3 * SLOTS):
        parts = bytes([number]) * 1000, b"end"
        child.send({"do": "echo", "tell": number}, *parts)
        header, body = child.receive(LONG_S)
        assert (header, bytes(body)) == ({"told": number}, b"".join(parts))
    child.send({"do": "echo"}, bytes(SLOT_BYTES))
    assert len(child.receive(LONG_S)[1]) == SLOT_BYTES
    with pytest.raises(ValueError, match="do not fit"):
        child.send({"do": "echo"}, bytes(SLOT_BYTES), b"x")


def test_child_knows_no_setting_and_has_no_more_than_it_needs(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMER_SERVER__TOKEN", "s3cret")
    nursery.close()  # a fresh one inherits that
    child = start("front door")
    told, _ = ask(child, do="tell of yourself")
    names = told.pop("environment")
    assert isinstance(names, list) and not [each for each in names if each.startswith("STREAMER_")]
    assert told == {"core": 0, "group": True, "sockets": 2}
    environment = Path(f"/proc/{nursery.pid}/environ").read_bytes()
    assert b"PATH=" in environment and b"s3cret" not in environment
    assert [(each.role, each.name) for each in workers_of(os.getpid())] == [("test", "front door")]


def test_child_may_write_no_file_and_gain_no_privilege(start: Start) -> None:
    child = start("door")
    ask(child, do="echo")  # it has begun
    process = Path(f"/proc/{child.pid}")
    status = process.joinpath("status").read_text("utf-8")
    assert "NoNewPrivs:\t1\n" in status
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):  # of the tests' root to read at most
        assert re.search(rf"^{kind}:\t0+[04]$", status, re.MULTILINE), status
    limits = process.joinpath("limits").read_text("utf-8")
    for name in ("Max file size", "Max core file size"):
        assert re.search(rf"^{name} +0 +0 ", limits, re.MULTILINE), name
    assert re.search(r"^Max open files +64 +64 ", limits, re.MULTILINE)


def test_child_that_crashes_is_told_and_another_is_untouched(start: Start) -> None:
    doomed, other = start(), start()
    before = failures["test", "died"]
    doomed.send({"do": "die"})
    with pytest.raises(WorkerDied, match="SIGSEGV"):
        doomed.receive(LONG_S)
    with pytest.raises(WorkerDied):
        doomed.send({"do": "echo"})
    assert ask(other, do="echo", tell=1)[0] == {"told": 1}
    assert failures["test", "died"] == before + 1


def test_fault_of_our_own_in_a_child_is_in_the_log(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    child = start()
    child.send({"do": "fail"})
    with pytest.raises(WorkerDied):
        child.receive(LONG_S)
    assert "a fault in our own code" in caplog.text


@pytest.mark.parametrize("how", ["stopped", "at work for too long"])
def test_child_that_hangs_is_ended(start: Start, how: str) -> None:
    child = start(config=HASTY)
    if how == "stopped":
        stop(child.pid)
    else:
        child.send({"do": "hang"})

    def wait() -> None:
        deadline = time.monotonic() + LONG_S
        while time.monotonic() < deadline:
            assert not child.wait(0.05)

    with pytest.raises(WorkerHung):
        wait()
    wait_for(lambda: not is_alive(child.pid))


def test_child_that_does_not_answer_in_time_is_ended(start: Start) -> None:
    child = start()
    child.send({"do": "hang"})
    with pytest.raises(WorkerHung):
        child.receive(0.1)
    wait_for(lambda: not is_alive(child.pid))


def test_idle_child_is_no_hung_one(start: Start) -> None:
    child = start()
    memory = child._connected().memory
    for _ in range(5):
        wait_for(functools.partial(beats_after, memory.pulse_mono, memory))
        assert not child.wait(0.0)


def test_patience_can_not_be_set_to_less_than_a_few_signs_of_life() -> None:
    with pytest.raises(ValidationError):
        WorkersConfig(hang_timeout_s=4 * PULSE_S)


def test_memory_bomb_hits_its_limit(start: Start) -> None:
    child = start()
    assert ask(child, do="take all memory", bytes=50 << 20)[0] == {"got": 50 << 20}
    child.send({"do": "take all memory", "bytes": 600 << 20})
    with pytest.raises(WorkerDied):
        child.receive(LONG_S)


LIES = {
    "a header that never ends": message({}, header_bytes=0xFFFFFFFF),
    "a body larger than a slot": message({}, body_bytes=SLOT_BYTES + 1),
    "no JSON": (b"\x02\0\0\0\0\0\0\0" + b"\xff\xfe").hex(),
    "no object": message([1, 2]),
    "very deep": (b"\x00\xc0\x00\x00\0\0\0\0" + b"[" * 0xC000).hex(),
}


@pytest.mark.parametrize("lie", LIES)
def test_child_that_lies_is_ended(start: Start, lie: str) -> None:
    child = start()
    child.send({"do": "say", "hex": LIES[lie]})
    with pytest.raises(WorkerDied, match="can't be true"):
        child.receive(LONG_S)
    wait_for(lambda: not is_alive(child.pid))


def test_child_that_begins_a_message_and_stops_is_taken_for_hung(start: Start) -> None:
    child = start()
    child.send({"do": "say", "hex": "0400"})
    with pytest.raises(WorkerHung):
        child.receive(0.3)


def test_child_that_claims_to_have_taken_more_than_there_was_is_ended(start: Start) -> None:
    child = start()
    ask(child, do="take what was not given")
    with pytest.raises(WorkerDied, match="can't be true"):
        child.send({"do": "echo"}, b"x")


def test_child_can_not_take_the_shared_memory_away(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """A parent that reads where no file is any more would be ended by the system (SIGBUS)."""
    child = start()
    child.send({"do": "take the ground away"})
    with pytest.raises(WorkerDied):
        child.receive(LONG_S)
    assert "PermissionError: [Errno 1]" in caplog.text, "it was found, and held"


def test_shared_memory_keeps_its_size_whoever_holds_it() -> None:
    descriptor = new_memory()
    for size in (0, SIZE + 1):
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, size)
    os.close(descriptor)


def test_killed_child_is_over_for_a_thread_that_waits(start: Start) -> None:
    child = start()
    threading.Timer(0.05, child.kill).start()
    with pytest.raises(WorkerDied):
        child.receive(LONG_S)


def test_beside_a_child_that_hangs_in_the_kernel_no_other_is_started(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even SIGKILL ends it, as with a camera's driver that hangs; here it is stopped, and not killed."""
    monkeypatch.setattr(child_module, "END_TIMEOUT_S", 0.01)
    first, second, other = start("desk"), start("desk"), start("door")  # a stream and a probe, say
    for hanging in (first, second):
        stop(hanging.pid)
        with monkeypatch.context() as in_the_kernel:
            in_the_kernel.setattr(lives.ProcessLife, "kill", lambda self: None)
            hanging.close()
    for hanging in (second, first):
        with pytest.raises(WorkerStuck, match="hangs in the system"):
            start("desk")
        assert is_alive(hanging.pid) and is_alive(other.pid)
        start("yard")
        pidfd = os.pidfd_open(hanging.pid)
        os.kill(hanging.pid, signal.SIGCONT)  # it sees that nobody is there any more
        assert select.select([pidfd], [], [], LONG_S)[0]
        os.close(pidfd)
    assert start("desk").pid not in (first.pid, second.pid)
    assert child_module._left == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_next_child_comes_after_the_fork_server_died_or_hangs(start: Start, number: int) -> None:
    first = start()
    assert nursery.pid is not None and nursery.pid == nursery_of(os.getpid())
    os.kill(nursery.pid, number)
    second = start()
    assert ask(second, do="echo", tell=2)[0] == {"told": 2}
    wait_for(lambda: not is_alive(first.pid))


PARENT = """
import sys, time
from streamer.isolation.child import Child
from streamer.isolation.landlock import NOTHING
from streamer.isolation.roles import ROLES
from streamer.isolation.worker import PULSE_S
ROLES["test"] = "tests.rigs.workers_at_work"
child = Child("test", "door", NOTHING)
child.start()
child.send({"do": sys.argv[1]}, b"x")
memory = child._connected().memory
while sys.argv[1] == "let no thread run" and time.monotonic() - memory.pulse_mono < 3 * PULSE_S:
    time.sleep(0.01)  # until then its other thread would see that nobody is there
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("deed", ["echo", "hang", "let no thread run"])
def test_nothing_outlives_a_service_that_is_killed(deed: str) -> None:
    """Who lets no thread run can't see that nobody is there any more: the system ends them."""
    with subprocess.Popen([sys.executable, "-c", PARENT, deed], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        fork_server = nursery_of(parent.pid)
        assert fork_server is not None and is_alive(child)
        for process in (parent.pid, fork_server, child):
            maps = Path(f"/proc/{process}/maps").read_text("utf-8")
            assert not re.search(r" /dev/shm/.*(?<! \(deleted\))$", maps, re.MULTILINE), (
                "a file stays"
            )
        parent.kill()
    try:
        wait_for(lambda: not is_alive(child) and not is_alive(fork_server))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


@contextlib.contextmanager
def descriptors_limited(pid: int, most: int) -> Iterator[None]:
    """Of a process: those that it has it keeps."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("spare", [0, 1, 2])
def test_fork_server_without_room_for_another_child_keeps_those_that_it_has(
    start: Start, spare: int
) -> None:
    child, fork_server = start(), nursery.pid
    assert fork_server is not None
    nursery.exit_code(0)  # it has closed what the first child needed
    highest = max(int(each) for each in os.listdir(f"/proc/{fork_server}/fd"))
    with (
        descriptors_limited(fork_server, highest + 1 + spare),
        pytest.raises(WorkerDied, match="Too many open files"),
    ):
        start("yard")
    assert ask(child, do="echo", tell=1)[0] == {"told": 1}
    assert nursery.pid == fork_server
    ask(start("yard"), do="echo")


def test_request_that_is_too_long_is_refused_and_costs_no_other_child(start: Start) -> None:
    child, fork_server = start(), nursery.pid
    other = Child("test", "yard", Rights(reads=("/" + "é" * MAX_LINE_BYTES,)), PATIENT)
    with contextlib.closing(other), pytest.raises(WorkerDied, match="too long"):
        other.start()
    assert ask(child, do="echo", tell=1)[0] == {"told": 1}
    assert nursery.pid == fork_server


def test_service_that_can_not_start_the_fork_server_is_told_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nursery.close()
    with monkeypatch.context() as broken, pytest.raises(WorkerDied, match="No such file"):
        broken.setattr(sys, "executable", "/nowhere/python")
        nursery.warm_up()
    nursery.warm_up()


def test_service_without_descriptors_has_no_child_and_loses_none_of_them(start: Start) -> None:
    start().close()
    before, refused, taken = len(os.listdir("/proc/self/fd")), 0, []
    with descriptors_limited(os.getpid(), before + 40):
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(12):
            child = Child("test", "door", NOTHING, PATIENT)
            try:
                child.start()
            except WorkerDied:
                refused += 1
            child.close()
            os.close(taken.pop())
        for each in taken:
            os.close(each)
    assert refused >= 4
    assert len(os.listdir("/proc/self/fd")) == before


WRITER = """
import itertools, sys
from streamer.isolation.memory import TO_PARENT, SharedMemory
memory = SharedMemory(int(sys.argv[1]))
print(flush=True)
for count in itertools.count(1 << 40):
    memory.set_taken(TO_PARENT, count)
    memory.set_pulse(float(count))
"""


def test_counts_and_times_are_never_seen_half_written() -> None:
    descriptor = new_memory()
    memory = SharedMemory(descriptor)
    memory.set_taken(TO_PARENT, 1 << 40)
    memory.set_pulse(float(1 << 40))
    command = [sys.executable, "-c", WRITER, str(descriptor)]
    with subprocess.Popen(command, pass_fds=[descriptor], stdout=subprocess.PIPE) as writer:
        os.close(descriptor)
        assert writer.stdout is not None
        writer.stdout.readline()
        try:
            last, pulse = 1 << 40, float(1 << 40)
            for _ in range(200_000):
                last, before = memory.taken(TO_PARENT), last
                pulse, pulse_before = memory.pulse_mono, pulse
                assert last >= before and pulse >= pulse_before
        finally:
            writer.kill()
    memory.close()
