"""The figures of the service as a whole and of its process, as the metrics that docs/protocol.md lists."""

import asyncio
import os
import platform
import shutil
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from aiohttp import web
from prometheus_client import GC_COLLECTOR, PROCESS_COLLECTOR
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from streamer import __version__
from streamer.aio import Inquiry
from streamer.heap import handed_out_bytes
from streamer.isolation.child import failures
from streamer.log_writer import stderr
from streamer.server.health import why_not_ready
from streamer.server.journal import JOURNAL
from streamer.server.keys import SERVICES, Services
from streamer.server.landmarks import READERS
from streamer.telemetry import Histogram

MACHINE_S: Final = 2.0
"""For what is read from files; Prometheus waits for 10 s, by default."""

_ANSWERS: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")  # 1xx: WebSockets
_ENDS: Final = ("dropped", "late", "refused")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class ServiceFigures:
    """Belongs to the event loop's thread."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self._machine = Inquiry("machine", lambda: Machine(app[SERVICES]))

    async def machine(self) -> "Metrics":
        """What is read from files. Nothing while a disk hangs: all else is worth being told."""
        try:
            return await self._machine.answer(MACHINE_S)
        except TimeoutError:
            return Metrics(())

    async def read(self) -> "Metrics":
        """What only the event loop knows."""
        app = self._app
        services, journal = app[SERVICES], app[JOURNAL]
        readers = {
            "landmarks": len(app[READERS]),
            "pictures": sum(each.stills.readers for each in services.streams),
        }
        lag = services.heartbeat.lag_s
        late = HistogramMetricFamily(
            "streamer_event_loop_lag_seconds",
            "By how much the event loop's work came too late, seen four times a second.",
        )
        late.add_metric([], buckets(lag), lag.total)
        return Metrics(
            (
                _one("ready", "1 while work is accepted.", not await why_not_ready(app)),
                _one("tasks", "Tasks of the event loop.", len(asyncio.all_tasks())),
                _one("http_connections", "Open HTTP connections.", services.connections()),
                _labelled("readers", "Who reads streams without WebRTC.", "kind", readers),
                _counts(
                    "http_responses",
                    "Requests by the first digit of the status of their answer.",
                    "status",
                    {**dict.fromkeys(_ANSWERS, 0), **journal.answered},
                ),
                _counts(
                    "http_refused",
                    "Requests that were refused, by the kind of the problem.",
                    "reason",
                    journal.refused,
                ),
                _counts(
                    "http_connections_ended",
                    "Connections that were ended: late with what they send, dropped to make room, refused.",
                    "reason",
                    {**dict.fromkeys(_ENDS, 0), **services.connections_ended()},
                ),
                _worker_failures(),
                _log_lines_left_out(),
                late,
            )
        )


class Metrics(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = tuple(metrics)

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


class Machine(Metrics):
    """What is read from files. Made off the event loop; where there is no /proc, less of it."""

    def __init__(self, services: Services) -> None:
        build = InfoMetricFamily("streamer_build", "What runs.")
        build.add_metric([], {"version": __version__, "python": platform.python_version()})
        super().__init__(
            (
                *PROCESS_COLLECTOR.collect(),
                *GC_COLLECTOR.collect(),
                build,
                _one("threads", "Threads of the process.", threading.active_count()),
                *_memory(),
                *_children(),
                *_state(services.state_folder),
                *_certificate(services.certificate_until()),
            )
        )


def buckets(times: Histogram) -> list[tuple[str, float]]:
    """As Prometheus has them: each with all below it, the last is ``+Inf``."""
    shown, below = [], 0
    for bound, count in zip((*times.bounds, float("inf")), times.counts, strict=True):
        below += count
        shown.append(("+Inf" if bound == float("inf") else str(bound), float(below)))
    return shown


def _memory() -> Iterator[Metric]:
    handed_out = handed_out_bytes()
    if handed_out is not None:
        text = "What the process has of the C library and has not freed."
        yield _one("heap_bytes", text, handed_out)
    blocks = sys.getallocatedblocks()
    yield _one("python_blocks", "Blocks that Python has handed out to small objects.", blocks)


def _children() -> Iterator[Metric]:
    """The processes that work for this one. A thread's children are those that it started."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        return
    children = _descendants(os.getpid())
    sizes = [_read(Path("/proc") / child / "statm").split() for child in children]
    resident = sum(int(size[1]) for size in sizes if size) * _PAGE_BYTES
    yield _one("workers", "Processes that work for the service.", len(children))
    yield _one("workers_memory_bytes", "Resident memory of all of them.", resident)


def _descendants(pid: int) -> set[str]:
    """A thread's children are those that it started; one of ours has children of its own."""
    tasks = Path(f"/proc/{pid}/task")
    try:
        files = [task / "children" for task in tasks.iterdir()]
    except OSError:
        return set()  # it has ended meanwhile
    children = {child for file in files for child in _read(file).split()}
    return children.union(*(_descendants(int(child)) for child in children))


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""  # it has ended meanwhile


def _state(folder: Path | None) -> Iterator[Metric]:
    while folder is not None and not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if folder is not None:
        free = shutil.disk_usage(folder).free
        yield _one("state_free_bytes", "Room on the disk for what is remembered.", free)


def _certificate(until: float | None) -> Iterator[Metric]:
    if until is not None:
        text = "When the server's certificate runs out, Unix time."
        yield _one("certificate_expiry_timestamp_seconds", text, until)


def _worker_failures() -> Metric:
    text = "Workers that ended by themselves, stood still, or said what can't be true."
    metric = CounterMetricFamily("streamer_worker_failures", text, labels=["role", "how"])
    for (role, how), count in failures.items():
        metric.add_metric([role, how], count)
    return metric


def _log_lines_left_out() -> Metric:
    text = "Lines of the log that nobody read in time, or that could not be written."
    return CounterMetricFamily("streamer_log_lines_left_out", text, value=float(stderr.left_out))


def _one(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"streamer_{name}", text, value=float(value))


def _labelled(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    metric = GaugeMetricFamily(f"streamer_{name}", text, labels=[label])
    for value, count in values.items():
        metric.add_metric([value], count)
    return metric


def _counts(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    metric = CounterMetricFamily(f"streamer_{name}", text, labels=[label])
    for value, count in values.items():
        metric.add_metric([value], count)
    return metric
