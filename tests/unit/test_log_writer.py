"""Whoever reads the log may stop: nobody who has something to say waits for that, and the gap is told."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from threading import Event

import pytest

from streamer.log_writer import LogWriter
from streamer.logs import about
from streamer.telemetry import configure_logging
from tests.fakes import PATIENCE_S
from tests.rigs.logs import logging_kept

logger = logging.getLogger("streamer.test")
SECRET = "hunter2"


class Reader:
    """Takes lines while it is ``awake``."""

    def __init__(self) -> None:
        self.awake = Event()
        self.lines: list[str] = []

    def write(self, data: bytes) -> None:
        assert self.awake.wait(PATIENCE_S)
        self.lines.append(data.decode().removesuffix("\n"))


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.awake.set()


def test_nobody_waits_for_a_pipe_that_is_not_read() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = os.write(writing, b"x" * 1_000_000)  # as much as there is room for
    os.set_blocking(writing, True)
    writer = LogWriter(partial(os.write, writing), max_waiting_bytes=10_000)
    for number in range(1000):
        writer.put(f"{number:03} {'x' * 200}")
    assert writer.left_out > 0
    assert not writer.flush(0.05)
    with os.fdopen(reading, encoding="utf-8") as lines:
        lines.read(before)
        said = 1000 - writer.left_out
        assert [lines.readline()[:3] for _ in range(said)] == [f"{n:03}" for n in range(said)]
        assert lines.readline() == f"{writer.left_out} lines of the log were left out\n"
    assert writer.flush(PATIENCE_S)
    writer.put("the reader is gone")
    assert writer.flush(PATIENCE_S)
    os.close(writing)


def test_gap_is_told_where_it_is_and_once(reader: Reader) -> None:
    writer = LogWriter(reader.write, max_waiting_bytes=100)
    for number in range(10):
        writer.put(f"{number}" * 19)  # 20 bytes each
    reader.awake.set()
    assert writer.flush(PATIENCE_S)
    writer.put("on it goes")
    assert writer.flush(PATIENCE_S)
    assert writer.left_out == 5
    assert [line[:7] for line in reader.lines] == [
        *(f"{number}" * 7 for number in range(5)),
        "5 lines",
        "on it g",
    ]


def test_reader_that_is_gone_ends_nothing() -> None:
    def write(data: bytes) -> None:
        raise BrokenPipeError

    writer = LogWriter(write)
    for _ in range(3):
        writer.put("a line")
        assert writer.flush(PATIENCE_S)
    assert writer.left_out == 3


@pytest.mark.parametrize("form", ["text", "json"])
def test_lines_are_as_they_would_be_without_it(
    reader: Reader, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    reader.awake.set()
    writer = LogWriter(reader.write)
    with logging_kept():
        logging.getLogger().handlers.clear()  # pytest's own, which must not be closed
        log(lambda: configure_logging("info", "json" if form == "json" else "text"))
        log(lambda: configure_logging("info", "json" if form == "json" else "text", writer))
    assert writer.flush(PATIENCE_S)
    direct = capsys.readouterr().err.splitlines()
    assert [without_time(line) for line in reader.lines] == [without_time(line) for line in direct]
    assert "r1" in reader.lines[0] and SECRET not in reader.lines[0]


def log(configure: Callable[[], None]) -> None:
    configure()
    with about(request_id="r1", client="10.0.0.9"):
        logger.warning("opening rtsp://u:%s@host/a\nfailed", SECRET, extra={"stream": "door"})
    logger.info("%s", "after")


def without_time(line: str) -> object:
    if line.startswith("{"):
        return json.loads(line) | {"time": ""}
    return line.split(" ", 2)[2]


@pytest.mark.parametrize("form", ["text", "json"])
def test_gap_is_a_line_like_all_others(reader: Reader, form: str) -> None:
    writer = LogWriter(reader.write, max_waiting_bytes=500)
    with logging_kept():
        logging.getLogger().handlers.clear()
        configure_logging("info", "json" if form == "json" else "text", writer)
        with about(request_id="r1"):
            for number in range(20):
                logger.info("line %d %s", number, "x" * 100)
    reader.awake.set()
    assert writer.flush(PATIENCE_S)
    told = reader.lines[-1]
    assert f"{writer.left_out} lines of the log were left out" in told and "r1" not in told
    if form == "json":
        line = json.loads(told)
        assert line["level"] == "warning" and line["logger"] == "streamer.logs"
    else:
        assert " WARNING streamer.logs: " in told


def test_line_that_cannot_be_made_is_told_of_in_its_place(reader: Reader) -> None:
    reader.awake.set()
    writer = LogWriter(reader.write)
    with logging_kept():
        logging.getLogger().handlers.clear()
        configure_logging("info", "text", writer)
        (handler,) = logging.getLogger().handlers
        handler.emit(logging.makeLogRecord({"name": "streamer.x", "msg": "%d", "args": ("no",)}))
    assert writer.flush(PATIENCE_S)
    assert reader.lines == ["a line of streamer.x could not be made: TypeError"]
