"""Lines of the log: whom they are about, without secrets, and not the same one for ever."""

import asyncio
import gc
import json
import logging
import sys
import threading
import weakref
from collections.abc import Callable

import pytest

from streamer.aio import in_daemon_thread
from streamer.logs import (
    FIRST_QUIET_S,
    LAST_QUIET_S,
    MAX_EACH_PER_MINUTE,
    MAX_KNOWN_LINES,
    Repeats,
    about,
    now_about,
    tell_held_back,
)
from streamer.telemetry import configure_logging
from tests.fakes import FakeClock

SECRET = "hunter2"
DAYS = 3
logger = logging.getLogger("streamer.test")
Lines = Callable[[], list[str]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """The lines that were logged to stderr since the last call."""
    logging.getLogger().handlers.clear()  # pytest's own, which must not be closed
    return lambda: capsys.readouterr().err.splitlines()


def parsed(lines: list[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in lines]


# -- whom it is about -------------------------------------------------------------------------------


def test_json_line_says_when_who_what_and_whom_it_is_about(lines: Lines) -> None:
    configure_logging("info", "json")
    with about(request_id="r1", client="10.0.0.9"):
        logger.warning("it is %s", "late", extra={"stream": "door"})
    (line,) = parsed(lines())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "streamer.test",
        "message": "it is late",
        "request_id": "r1",
        "client": "10.0.0.9",
        "stream": "door",
    }


def test_text_line_ends_with_the_request_it_is_about(lines: Lines) -> None:
    configure_logging("info")
    with about(request_id="r1"):
        logger.info("within")
    logger.info("after")
    within, after = lines()
    assert within.endswith("streamer.test: within [request_id=r1]")
    assert after.endswith("streamer.test: after")


async def test_task_that_a_request_starts_is_about_its_own_stream_alone(lines: Lines) -> None:
    configure_logging("info", "json")

    async def work() -> None:
        now_about(stream="door")
        await asyncio.to_thread(logger.info, "in a thread of it")
        await asyncio.wrap_future(in_daemon_thread("x", lambda: logger.info("in its own thread")))

    with about(request_id="r1"):
        await asyncio.create_task(work())
        logger.info("the request")
    first, second, third = parsed(lines())
    assert first["stream"] == second["stream"] == "door"
    assert "request_id" not in first | second
    assert third["request_id"] == "r1" and "stream" not in third


def test_line_of_a_thread_without_a_stream_is_about_nobody(lines: Lines) -> None:
    configure_logging("info", "json")
    with about(request_id="r1"):
        thread = threading.Thread(target=logger.info, args=("alone",))
        thread.start()
        thread.join()
    assert "request_id" not in parsed(lines())[0]


# -- secrets and forgeries --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f'opening "rtsp://u:{SECRET}@host/a" failed',
        f'password={SECRET}"x',
        f"ticket={SECRET}&x=1 token={SECRET}",
    ],
)
def test_json_line_is_json_and_has_no_secret(lines: Lines, text: str) -> None:
    configure_logging("info", "json")
    try:
        raise ValueError(text)
    except ValueError:
        logger.exception("%s", text, extra={"client": text})
    (line,) = lines()
    assert SECRET not in line
    assert "ValueError" in json.loads(line)["error"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_nobody_forges_a_line_with_a_line_break(lines: Lines, form: str) -> None:
    configure_logging("info", "json" if form == "json" else "text")
    logger.info("GET %s", "/a\n2026-01-01 INFO streamer: all is well\r\x1b[2J")
    said = lines()
    assert len(said) == 1
    assert "\x1b" not in said[0] and "\r" not in said[0]


# -- the same line again ----------------------------------------------------------------------------


def record(text: str = "camera down", **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "streamer.x", "levelno": logging.WARNING, "msg": text})
    made.__dict__ |= extra
    return made


def test_camera_that_is_down_for_days_is_some_lines_a_day() -> None:
    clock = FakeClock()
    repeats = Repeats(clock)
    said = []
    for _ in range(DAYS * 86_400 // 3):  # it is tried every 3 s
        one = record()
        if repeats.filter(one):
            said.append((clock(), getattr(one, "more", 0)))
        clock.now_s += 3
    assert said[:3] == [(0, 0), (60, 19), (180, 39)]
    assert len(said) < DAYS * 24 + 10
    assert said[-1][0] - said[-2][0] == LAST_QUIET_S
    held = sum(more for _, more in said) + len(said)
    assert held == pytest.approx(DAYS * 86_400 // 3, abs=LAST_QUIET_S / 3)


def test_line_is_said_at_once_when_it_is_news_again() -> None:
    clock = FakeClock()
    repeats = Repeats(clock)
    assert repeats.filter(record())
    clock.now_s += 1
    assert not repeats.filter(record())
    assert repeats.filter(record("camera is back"))
    clock.now_s += 86_400
    assert repeats.filter(record())


def test_same_line_of_another_stream_or_level_is_another_line() -> None:
    repeats = Repeats(FakeClock())
    assert repeats.filter(record(stream="a"))
    assert repeats.filter(record(stream="b"))
    assert repeats.filter(record(stream="a", levelno=logging.ERROR))
    assert not repeats.filter(record(stream="a"))


def test_what_was_held_back_is_said_in_the_end_the_newest_last() -> None:
    clock = FakeClock()
    repeats = Repeats(clock)
    for _ in range(3):  # it flaps, and is down in the end
        repeats.filter(record("is live"))
        repeats.filter(record("is down"))
        clock.now_s += 1
    assert repeats.due() == []
    clock.now_s += 60
    due = repeats.due()
    assert [each.msg for each in due] == ["is live", "is down"]
    assert [vars(each)["more"] for each in due] == [1, 1]
    assert repeats.due() == []


def test_held_back_lines_are_told_by_who_runs_for_long(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    configure_logging("info")
    (handler,) = logging.getLogger().handlers
    handler.filters[:] = [Repeats(clock)]
    for _ in range(4):
        logger.warning("down")
    clock.now_s += 61
    tell_held_back()
    assert [line.split("test: ")[1] for line in lines()] == [
        "down",
        "down (and 2 more like this since)",
    ]


def test_lines_that_are_remembered_are_bounded() -> None:
    repeats = Repeats(FakeClock())
    for number in range(10 * MAX_KNOWN_LINES):
        assert repeats.filter(record(f"line {number}"))
    assert len(repeats._known) <= MAX_KNOWN_LINES


def test_lines_of_requests_are_each_said_but_not_without_end() -> None:
    clock = FakeClock()
    repeats = Repeats(clock)
    said = sum(repeats.filter(record(each=True)) for _ in range(MAX_EACH_PER_MINUTE + 50))
    assert said == MAX_EACH_PER_MINUTE
    clock.now_s += 1
    last = record(each=True)
    assert repeats.filter(last)
    assert vars(last)["left_out"] == 50


def test_fine_lines_are_nobodys_to_hold_back() -> None:
    repeats = Repeats(FakeClock())
    assert all(repeats.filter(record(levelno=logging.DEBUG)) for _ in range(100))


class Picture:
    """Something large."""


def test_line_that_is_remembered_keeps_nothing_alive() -> None:
    repeats = Repeats(FakeClock())

    def fail(picture: Picture) -> "weakref.ref[Picture]":
        try:
            raise ValueError("it broke with a picture in hand")
        except ValueError:
            record = logging.LogRecord(
                *("streamer.test", logging.ERROR, "", 0, "%s broke", ("door",), sys.exc_info())
            )
            repeats.filter(record)
        return weakref.ref(picture)

    pictures = [fail(Picture()) for _ in range(2)]
    gc.collect()
    assert [each() for each in pictures] == [None, None]
    clock = repeats._clock
    assert isinstance(clock, FakeClock)
    clock.now_s += FIRST_QUIET_S
    assert [each.getMessage() for each in repeats.due()] == ["door broke"]
