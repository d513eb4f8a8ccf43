"""What a log line says and whom it is about, as text or as JSON, and how often the same one is said."""

import contextlib
import datetime
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from streamer.log_writer import LogWriter

logger = logging.getLogger(__name__)

LogFormat = Literal["text", "json"]

FIELDS: Final = ("request_id", "client", "stream", "peer")
"""Whom a line may be about."""

_IN_TEXT: Final = ("request_id", "peer")  # the other two stand in the sentences themselves
_OF_REQUESTS: Final = ("method", "path", "status", "problem", "duration_ms")

FIRST_QUIET_S: Final = 60.0
LAST_QUIET_S: Final = 3600.0
"""For so long a line is not said again: a minute at first, and each time twice as long, up to an hour."""

MAX_KNOWN_LINES: Final = 512
MAX_EACH_PER_MINUTE: Final = 600
"""Of the lines that bear ``each``, which nobody holds back for being the same: those of requests."""

_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code != 9}

_about: ContextVar[Mapping[str, str]] = ContextVar("about", default=MappingProxyType({}))


@contextlib.contextmanager
def about(**fields: str) -> Iterator[None]:
    """What is logged within is about these, too. Of ``FIELDS``."""
    token = _about.set({**_about.get(), **fields})
    try:
        yield
    finally:
        _about.reset(token)


def now_about(**fields: str) -> None:
    """At the beginning of a task or a thread: from here on it is about these, and about nothing else. A task
    that a request starts would otherwise stay about that request for ever."""
    _about.set(fields)


def configure(
    level: str,
    log_format: LogFormat,
    redact: Callable[[str], str],
    writer: LogWriter | None = None,
) -> None:
    """One handler on stderr, for our lines from ``level`` on and for the warnings of libraries. With a
    ``writer``, which is for whoever must go on when nobody reads them, they go there."""
    handler = logging.StreamHandler() if writer is None else _Handler(writer)
    formatter = _JsonFormatter(redact) if log_format == "json" else _TextFormatter(redact)
    handler.setFormatter(formatter)
    if writer is not None:
        writer.tell = lambda count: formatter.format(_left_out(count))
    handler.addFilter(Repeats())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("streamer").setLevel(level.upper())


def log_strays() -> None:
    """What Python itself would write to stderr, unredacted and in whatever thread it happens in: warnings,
    and the errors of threads and finalizers that nobody takes."""
    logging.captureWarnings(True)
    threading.excepthook = lambda it: _log_stray(
        f"the thread {it.thread.name if it.thread else 'unknown'} broke", it.exc_value
    )
    sys.unraisablehook = lambda it: _log_stray(
        it.err_msg or f"a finalizer broke: {it.object!r}", it.exc_value
    )


def _log_stray(what: str, error: BaseException | None) -> None:
    logger.error("%s", what, exc_info=error)


def tell_held_back() -> None:
    """What was held back long enough is said now: the last line of something that repeats must not be
    missing until something else happens. Called every few seconds by whoever runs for long."""
    for handler in logging.getLogger().handlers:
        for each in handler.filters:
            if isinstance(each, Repeats):
                for record in each.due():
                    handler.handle(record)


class _Handler(logging.Handler):
    """A line is made where something is said, since who it is about is known there, and written elsewhere."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # a fault in what is said ends nobody's work
            line = f"a line of {record.name} could not be made: {type(error).__name__}"
        self._writer.put(line)

    def flush(self) -> None:
        """In the end of the process."""
        self._writer.flush()


def _left_out(count: int) -> logging.LogRecord:
    words = "%d lines of the log were left out here: whoever reads it had stopped"
    known = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING"}
    return logging.makeLogRecord({**known, "msg": words, "args": (count,)})


class _TextFormatter(logging.Formatter):
    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(said)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        known = _fields(record)
        shown = " ".join(f"{name}={known[name]}" for name in _IN_TEXT if name in known)
        record.said = _said(record).translate(_CONTROLS) + (f" [{shown}]" if shown else "")
        return self._redact(super().format(record))

    def usesTime(self) -> bool:
        return True


class _JsonFormatter(logging.Formatter):
    """One object a line. Each text is redacted by itself: what is left of a line of JSON need not be JSON."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _said(record),
            **_fields(record),
        }
        line |= {name: getattr(record, name) for name in _OF_REQUESTS if hasattr(record, name)}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        redacted = {
            key: self._redact(value) if isinstance(value, str) else value
            for key, value in line.items()
        }
        return json.dumps(redacted, ensure_ascii=False, default=str)


def _fields(record: logging.LogRecord) -> dict[str, str]:
    """What the line's own ``extra`` says counts before where it was logged."""
    known = _about.get()
    return {
        name: str(value)
        for name in FIELDS
        if (value := getattr(record, name, None) or known.get(name))
    }


def _said(record: logging.LogRecord) -> str:
    more, left_out = getattr(record, "more", 0), getattr(record, "left_out", 0)
    again = f" (and {more} more like this since)" if more else ""
    others = f" (before it {left_out} lines of requests were left out)" if left_out else ""
    return record.getMessage() + again + others


@dataclass(slots=True)
class _Known:
    """A line that was said: when it was last, for how long it need not be again, and how often and when it
    would have been. ``record``: of what was held back; most lines are said once, and a hundred peers' would
    be as many records."""

    said_mono: float
    record: logging.LogRecord | None = None
    quiet_s: float = FIRST_QUIET_S
    held: int = 0
    held_mono: float = 0.0


def _kept(record: logging.LogRecord) -> logging.LogRecord:
    """What may be said again in an hour: its words. Its arguments, and through its traceback all that was at
    hand where it failed, a stream's pictures for one, would stay in memory as long."""
    words = {"msg": record.getMessage(), "args": None, "exc_info": None, "exc_text": None}
    return logging.makeLogRecord(record.__dict__ | words)


class Repeats(logging.Filter):
    """Lets a line through once, and then now and then with a count: a camera that is down for months fills
    no disk. Lines with ``each`` are only bounded in their number."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[tuple[object, ...], _Known] = {}
        self._each_left = float(MAX_EACH_PER_MINUTE)
        self._each_mono = clock()
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.INFO or hasattr(record, "more"):
            return True
        with self._lock:
            if getattr(record, "each", False):
                return self._has_room(record)
            return self._is_news(record)

    def due(self) -> list[logging.LogRecord]:
        """Lines that were held back for their time, the newest last; they say how often."""
        now = self._clock()
        with self._lock:
            late = [
                each
                for each in self._known.values()
                if each.held and now - each.said_mono >= each.quiet_s
            ]
            return [
                self._say_again(each, now) for each in sorted(late, key=lambda it: it.held_mono)
            ]

    def _is_news(self, record: logging.LogRecord) -> bool:
        fields = _fields(record)
        key = (
            *(record.name, record.levelno, record.getMessage()),
            *(fields.get("stream"), fields.get("client")),
        )
        now = self._clock()
        known = self._known.pop(key, None)
        if known is None or now - known.said_mono >= 2 * known.quiet_s:
            known = _Known(now)
            is_news = True
        elif now - known.said_mono < known.quiet_s:
            known.record, known.held, known.held_mono = _kept(record), known.held + 1, now
            is_news = False
        else:
            record.more = known.held
            self._begin_anew(known, now)
            is_news = True
        self._known[key] = known  # the one that was last said or held back stands last
        if len(self._known) > MAX_KNOWN_LINES:
            del self._known[next(iter(self._known))]
        return is_news

    def _say_again(self, known: _Known, now: float) -> logging.LogRecord:
        assert known.record is not None  # it was held back
        record = logging.makeLogRecord(known.record.__dict__)
        record.more = known.held - 1
        self._begin_anew(known, now)
        return record

    def _begin_anew(self, known: _Known, now: float) -> None:
        known.said_mono, known.record, known.held = now, None, 0
        known.quiet_s = min(2 * known.quiet_s, LAST_QUIET_S)

    def _has_room(self, record: logging.LogRecord) -> bool:
        now = self._clock()
        gained = (now - self._each_mono) * MAX_EACH_PER_MINUTE / 60
        self._each_left = min(self._each_left + gained, MAX_EACH_PER_MINUTE)
        self._each_mono = now
        if self._each_left < 1:
            self._left_out += 1
            return False
        self._each_left -= 1
        record.left_out, self._left_out = self._left_out, 0
        return True
