"""The end of the service: in good order, in time whatever hangs, and at once when asked twice."""

import asyncio
import signal
import subprocess
import sys
import time

import pytest

from streamer.draining import Stop, close_together
from streamer.heartbeat import WINDOW_S, Heartbeat
from tests.fakes import PATIENCE_S, FakeClock


async def test_what_hangs_or_fails_keeps_nothing_else_from_closing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    closed = []

    async def close_well() -> None:
        await asyncio.sleep(0)
        closed.append("well")

    async def fail() -> None:
        raise RuntimeError("it broke")

    await close_together(0.05, hanging=asyncio.Event().wait(), failing=fail(), good=close_well())
    assert closed == ["well"]
    assert "failing could not be closed" in caplog.text and "it broke" in caplog.text
    assert "hanging could not be closed in 0.1 s" in caplog.text
    assert "good" not in caplog.text


async def test_start_is_given_up_when_the_service_is_to_end() -> None:
    stop = Stop()
    begun = asyncio.Event()

    async def begin() -> bool:
        begun.set()
        return await asyncio.Event().wait()

    starting = asyncio.create_task(stop.unless_asked(begin()))
    await begun.wait()
    stop._asked.set()
    assert await asyncio.wait_for(starting, PATIENCE_S) is None


async def test_start_that_fails_says_so() -> None:
    async def begin() -> None:
        raise ValueError("no model")

    with pytest.raises(ValueError, match="no model"):
        await Stop().unless_asked(begin())


_SERVICE = """
import asyncio, logging, sys, threading, time
from streamer.draining import Stop

async def main():
    if sys.argv[2] == "hangs":
        threading.Thread(target=time.sleep, args=(60,), name="a-camera").start()
    stop = Stop(deadline_s=float(sys.argv[1]))
    stop.listen()
    print("up", flush=True)
    if sys.argv[2] == "stands":
        logging.basicConfig(level=logging.INFO)
        time.sleep(60)
    await stop.wait()
    print("draining", flush=True)
    if sys.argv[2] == "says too much":
        logging.basicConfig()
        logging.error("x" * 1_000_000)
    if sys.argv[2] == "hangs":
        time.sleep(60)  # the event loop too

asyncio.run(main())
"""


def start(deadline_s: float, how: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _SERVICE, str(deadline_s), how]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_service_that_was_told_to_end_ends_well(number: signal.Signals) -> None:
    with start(60, "well") as process:
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0


def test_service_ends_in_time_and_well_though_its_threads_and_its_loop_hang() -> None:
    with start(0.2, "hangs") as process:
        process.terminate()
        _, log = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        assert "a-camera" in log


def test_service_ends_in_time_and_well_though_its_loop_stood_before_it_was_told() -> None:
    with start(0.2, "stands") as process:
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_second_signal_ends_at_once_a_service_whose_loop_stands() -> None:
    with start(60, "stands") as process:
        assert process.stderr is not None
        process.terminate()
        assert "once more, and it ends at once" in process.stderr.readline()
        process.terminate()
        assert process.wait(PATIENCE_S) == -signal.SIGTERM


def test_service_ends_in_time_though_nobody_reads_its_log() -> None:
    with start(1.0, "says too much") as process:
        process.terminate()
        assert process.stdout is not None
        assert process.stdout.readline() == "draining\n"
        assert process.wait(PATIENCE_S) == 0  # its stderr is a full pipe


def test_second_signal_ends_it_at_once() -> None:
    with start(60, "hangs") as process:
        process.terminate()
        assert process.stdout is not None
        assert process.stdout.readline() == "draining\n"
        process.terminate()
        assert process.wait(PATIENCE_S) == -signal.SIGTERM


_HANGUP = """
import asyncio, os, signal
from streamer.reloading import Hangup

async def main():
    hangup, read = Hangup(), asyncio.Event()
    hangup.listen()
    os.kill(os.getpid(), signal.SIGHUP)  # while it starts
    await asyncio.sleep(0)

    async def reload():
        read.set()

    with hangup.answered_by(reload):
        await read.wait()
    os.kill(os.getpid(), signal.SIGHUP)  # while it ends
    await asyncio.sleep(0)

asyncio.run(main())
"""


def test_hangup_ends_no_service_that_starts_or_ends_and_is_answered_later() -> None:
    command = [sys.executable, "-c", _HANGUP]
    assert subprocess.run(command, stdin=subprocess.DEVNULL, timeout=PATIENCE_S).returncode == 0


# -- the event loop's lag ---------------------------------------------------------------------------


def test_worst_lag_is_that_of_the_last_minute() -> None:
    clock = FakeClock()
    heart = Heartbeat(clock)
    assert heart.worst_s() == 0
    for lag_s in (0.1, 0.5, 0.2):
        heart.note(lag_s)
        clock.now_s += 1
    assert heart.worst_s() == 0.5
    clock.now_s += WINDOW_S - 1
    assert heart.worst_s() == 0.2
    clock.now_s += WINDOW_S
    assert heart.worst_s() == 0
    assert sum(heart.lag_s.counts) == 3


def hold_up_the_loop() -> None:
    """What must never happen."""
    time.sleep(0.3)


async def test_loop_that_is_held_up_is_seen() -> None:
    heart = Heartbeat()
    beating = asyncio.create_task(heart.run())
    async with asyncio.timeout(PATIENCE_S):
        while heart.worst_s() < 0.05:
            await asyncio.sleep(0)
            hold_up_the_loop()
    beating.cancel()
