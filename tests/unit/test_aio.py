"""The one-frame slot, cancelling, percentiles, and the guard of the event loop."""

import asyncio
import contextlib
import math
import threading

import pytest

from streamer.aio import (
    Inquiry,
    LatestSlot,
    assert_off_loop,
    cancel_and_wait,
    in_daemon_thread,
    percentile,
    until_ended,
)
from tests.fakes import PATIENCE_S


def test_newest_item_wins() -> None:
    slot: LatestSlot[int] = LatestSlot()
    for item in range(5):
        slot.put(item)
    assert slot.take() == 4


def test_put_tells_whether_an_item_was_dropped() -> None:
    slot: LatestSlot[int] = LatestSlot()
    assert [slot.put(item) for item in range(3)] == [False, True, True]
    slot.take()
    assert slot.put(3) is False


def test_clear_tells_whether_an_item_was_dropped() -> None:
    slot: LatestSlot[int] = LatestSlot()
    assert slot.clear() is False
    slot.put(1)
    assert slot.clear() is True
    assert slot.put(2) is False


def test_take_waits_for_an_item_of_another_thread() -> None:
    slot: LatestSlot[int] = LatestSlot()
    taken: list[int | None] = []
    consumer = threading.Thread(target=lambda: taken.append(slot.take()))
    consumer.start()
    slot.put(7)
    consumer.join(PATIENCE_S)
    assert taken == [7]


def test_close_wakes_the_consumer_and_ignores_later_items() -> None:
    slot: LatestSlot[int] = LatestSlot()
    taken: list[int | None] = []
    consumer = threading.Thread(target=lambda: taken.append(slot.take()))
    consumer.start()
    slot.close()
    consumer.join(PATIENCE_S)
    assert taken == [None]
    assert slot.put(1) is False
    assert slot.take() is None


def test_close_drops_a_waiting_item() -> None:
    slot: LatestSlot[int] = LatestSlot()
    slot.put(1)
    slot.close()
    assert slot.take() is None


def test_every_item_is_either_taken_or_counted_as_dropped() -> None:
    slot: LatestSlot[int] = LatestSlot()
    taken: list[int] = []

    def consume() -> None:
        while (item := slot.take()) != -1:
            assert item is not None
            taken.append(item)

    consumer = threading.Thread(target=consume)
    consumer.start()
    replaced = sum(slot.put(item) for item in range(2000))
    replaced += slot.put(-1)
    consumer.join(PATIENCE_S)
    assert len(taken) + replaced == 2000
    assert taken == sorted(taken)


def test_work_in_a_daemon_thread_gives_its_result_or_its_error() -> None:
    daemon = in_daemon_thread("worker", lambda: threading.current_thread().daemon)
    assert daemon.result(PATIENCE_S) is True
    failed = in_daemon_thread("worker", lambda: 1 // 0)
    assert isinstance(failed.exception(PATIENCE_S), ZeroDivisionError)


async def test_work_in_a_daemon_thread_that_is_no_longer_waited_for_goes_on() -> None:
    go_on = threading.Event()
    work = in_daemon_thread("worker", lambda: go_on.wait(PATIENCE_S))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.wrap_future(work), 0.01)
    go_on.set()
    assert await asyncio.wrap_future(work) is True


async def test_cancel_and_wait_returns_when_the_tasks_have_cleaned_up() -> None:
    cleaned = []
    started = asyncio.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    task = asyncio.create_task(work())
    await started.wait()
    await cancel_and_wait(task, None)
    assert task.done() and cleaned == [True]


async def test_cancel_and_wait_keeps_errors_to_the_task() -> None:
    async def fail() -> None:
        raise ValueError

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    await cancel_and_wait(task)
    assert isinstance(task.exception(), ValueError)


def test_percentiles_are_values_that_were_given() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert (percentile(values, 0.0), percentile(values, 0.5), percentile(values, 1.0)) == (1, 3, 5)
    assert math.isnan(percentile([], 0.5))


def test_heavy_work_is_allowed_in_a_thread_without_a_loop() -> None:
    assert_off_loop()


async def test_heavy_work_is_refused_on_the_event_loop() -> None:
    with pytest.raises(RuntimeError, match="block the event loop"):
        assert_off_loop()
    await asyncio.to_thread(assert_off_loop)


class Disk:
    """It answers with how often it was asked; while it ``hangs`` it does not."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = threading.Event()
        self.threads: list[str] = []

    def ask(self) -> int:
        self.asked += 1
        number = self.asked
        self.threads.append(threading.current_thread().name)
        assert self.answers.wait(PATIENCE_S)
        return number


async def test_what_hangs_has_one_thread_however_often_it_is_asked() -> None:
    disk = Disk()
    inquiry = Inquiry("disk", disk.ask)
    for timeout_s in (0.01, *100 * [PATIENCE_S]):  # only the first of them waits
        with pytest.raises(TimeoutError):
            await inquiry.answer(timeout_s)
    assert disk.threads == ["disk"]
    disk.answers.set()
    while disk.asked == 1:
        with contextlib.suppress(TimeoutError):
            await inquiry.answer(PATIENCE_S)
    assert await inquiry.answer(PATIENCE_S) == disk.asked


async def test_who_asks_while_it_is_looked_up_gets_the_same_answer() -> None:
    disk = Disk()
    inquiry = Inquiry("disk", disk.ask)
    asking = [asyncio.create_task(inquiry.answer(PATIENCE_S)) for _ in range(3)]
    await asyncio.sleep(0)
    disk.answers.set()
    assert await asyncio.gather(*asking) == [1, 1, 1]
    assert await inquiry.answer(PATIENCE_S) == 2


async def test_an_inquirys_error_is_the_askers() -> None:
    def fail() -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await Inquiry("disk", fail).answer(PATIENCE_S)


async def test_thread_that_hangs_is_left_behind_with_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    back = threading.Event()
    hanging = threading.Thread(target=back.wait, args=(PATIENCE_S,), name="in-a-driver")
    hanging.start()
    async with asyncio.timeout(PATIENCE_S):
        await until_ended(hanging, 0.05)
    assert "in-a-driver hangs" in caplog.text
    caplog.clear()
    back.set()
    await until_ended(hanging)
    assert not hanging.is_alive() and not caplog.text
