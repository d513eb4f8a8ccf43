"""What a soak's samples say: a table with slopes and verdicts, as text, JSON and CSV."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from tests.bench.table import figure, print_table
from tests.soak.load import CAMERA_FPS
from tests.soak.trend import Trend, lowest_in_bins, trend

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.soak.samples import Sample

Verdict = Literal["pass", "FAIL", "not sure", "too short"]

MAX_MEMORY_SLOPE_MB_PER_H = 1.0
BIN_CYCLES, MIN_BINS = 5, 8
"""A figure's lowest value in so many cycles: in one alone a guest may have stayed longer, or the allocator
has kept what it gives back a minute later. Fewer, but one at least, in a run too short for so many bins."""

MIN_SHARE = 0.995
MIN_JUDGED_S = 1500.0
"""A slope of 1 MB/h is 0.4 MB in that time: in less than 25 min after the warm-up nobody can tell."""

GAUGES = {
    "streamer_tasks": "tasks",
    "streamer_peers": "peers",
    "streamer_http_connections": "HTTP connections",
}
"""Of the service's own figures, those that must not grow, and what the table calls them."""

MB = 1e6
GROWTH_HEADER = ("what", "first", "last", "slope /h", "from", "to", "to reach", "")
STREAM_HEADER = ("stream", "fps", "% of the camera's", "dropped", "reconnects", "age ms", "")
CLIENT_HEADER = ("clients", "done", "/s", "missing", "broken", "")


@dataclass(frozen=True)
class Growth:
    """How a figure went, by its lowest values in some cycles each. "not sure": its slope is small enough,
    but may as well not be; a longer run tells."""

    what: str
    first: float
    last: float
    trend: Trend
    to_reach: str
    verdict: Verdict


@dataclass(frozen=True)
class StreamShare:
    """A stream's frames after the warm-up, beside those that its camera sent. ``max_age_ms``: of the newest
    frame, whenever somebody looked."""

    stream: str
    fps: float
    share: float
    dropped: int
    reconnects: int
    max_age_ms: float
    passed: bool


@dataclass(frozen=True)
class ClientShare:
    """What one kind of client had after the warm-up."""

    kind: str
    done: int
    per_s: float
    missing: int
    broken: int
    passed: bool


@dataclass(frozen=True)
class Report:
    """Everything that is told of a run; ``measured_s`` is what follows the warm-up."""

    run_s: float
    measured_s: float
    growths: list[Growth]
    streams: list[StreamShare]
    clients: list[ClientShare]

    @property
    def passed(self) -> bool:
        """Nothing failed; a growth that could not be judged, or not for sure, has not, and is told."""
        return all(
            (
                *(each.verdict != "FAIL" for each in self.growths),
                *(each.passed for each in self.streams),
                *(each.passed for each in self.clients),
            )
        )


def warm_up_s(duration_s: float) -> float:
    """15 % of the run, and 25 minutes of one that has them to spare: until then the heaps fill the gaps
    between what stays, 3 MB in that time, and less and less of it."""
    return max(0.15 * duration_s, min(1500.0, 0.4 * duration_s))


def bin_s(span_s: float, cycle_s: float) -> float:
    """How long a figure is looked at for one lowest value of it."""
    return max(cycle_s, min(BIN_CYCLES * cycle_s, span_s / MIN_BINS))


def make_report(samples: Sequence[Sample], skip_s: float, cycle_s: float) -> Report:
    """Of the samples after ``skip_s``; ValueError when they are too few."""
    measured = [sample for sample in samples if sample.at_s >= skip_s]
    if len(measured) < 2:
        raise ValueError(f"There are only {len(samples)} samples: the run was too short.")
    measured_s = measured[-1].at_s - measured[0].at_s
    return Report(
        run_s=samples[-1].at_s,
        measured_s=measured_s,
        growths=_growths(measured, cycle_s, measured_s >= MIN_JUDGED_S),
        streams=[_stream_share(measured, stream) for stream in measured[0].streams],
        clients=[_client_share(measured, kind) for kind in measured[-1].clients],
    )


def series_of(samples: Sequence[Sample]) -> dict[str, list[float]]:
    """The figures whose growth is looked at: name -> one value a sample."""
    tree = [sample.processes for sample in samples]
    series = {
        "memory of all processes in MB": [sum(p.own_bytes for p in all_) / MB for all_ in tree],
        "RSS of the service in MB": [all_[0].rss_bytes / MB for all_ in tree],
    }
    if all("streamer_heap_bytes" in sample.gauges for sample in samples):
        series["memory of the service that glibc handed out in MB"] = [
            sample.gauges["streamer_heap_bytes"] / MB for sample in samples
        ]
    lasting = set.intersection(*({p.pid for p in all_[1:]} for all_ in tree))
    for process in tree[0]:
        if process.pid in lasting:
            name = f"RSS of {process.role} {process.pid} in MB"
            series[name] = [
                next(p.rss_bytes for p in all_ if p.pid == process.pid) / MB for all_ in tree
            ]
    series["files open in all processes"] = [float(sum(p.fds for p in all_)) for all_ in tree]
    series["threads of all processes"] = [float(sum(p.threads for p in all_)) for all_ in tree]
    series["processes"] = [float(len(all_)) for all_ in tree]
    for name, what in GAUGES.items():
        if all(name in sample.gauges for sample in samples):
            series[what] = [sample.gauges[name] for sample in samples]
    return series


def _growths(samples: Sequence[Sample], cycle_s: float, is_judged: bool) -> list[Growth]:
    hours = [sample.at_s / 3600 for sample in samples]
    bin_h = bin_s(samples[-1].at_s - samples[0].at_s, cycle_s) / 3600
    found = []
    for what, values in series_of(samples).items():
        at, lowest = lowest_in_bins(hours, values, bin_h)
        if len(at) < 3:
            continue
        went = trend(at, lowest)
        is_memory = what.startswith(("memory", "RSS"))
        to_reach = f"< {MAX_MEMORY_SLOPE_MB_PER_H:g}" if is_memory else "0"
        verdict = judge(went, is_memory) if is_judged else "too short"
        third = max(1, len(lowest) // 3)
        first, last = (sum(part) / third for part in (lowest[:third], lowest[-third:]))
        found.append(Growth(what, first, last, went, to_reach, verdict))
    return found


def judge(went: Trend, is_memory: bool) -> Verdict:
    """What is counted is counted without error; of memory there is more or less at any time."""
    if not is_memory:
        return "FAIL" if went.slope > 0 else "pass"
    if went.slope >= MAX_MEMORY_SLOPE_MB_PER_H:
        return "FAIL"
    return "pass" if went.high < MAX_MEMORY_SLOPE_MB_PER_H else "not sure"


def _stream_share(samples: Sequence[Sample], stream: str) -> StreamShare:
    rows = [sample.streams[stream] for sample in samples]
    gone = {name: (rows[-1][name] or 0) - (rows[0][name] or 0) for name in rows[0]}
    fps = gone["frames_processed"] / gone["read_at_s"]
    return StreamShare(
        stream=stream,
        fps=fps,
        share=fps / CAMERA_FPS,
        dropped=int(gone["frames_dropped"]),
        reconnects=int(gone["reconnects"]),
        max_age_ms=max(row["frame_age_ms"] or 0 for row in rows),
        passed=fps / CAMERA_FPS >= MIN_SHARE,
    )


def _client_share(samples: Sequence[Sample], kind: str) -> ClientShare:
    told = [(sample.at_s, sample.clients[kind]) for sample in samples if kind in sample.clients]
    (begun_s, begun), (ended_s, ended) = told[0], told[-1]
    done, missing = ended.done - begun.done, ended.gaps - begun.gaps
    broken = ended.broken - begun.broken
    return ClientShare(
        kind=kind,
        done=done,
        per_s=done / max(ended_s - begun_s, 1e-9),
        missing=missing,
        broken=broken,
        passed=not broken and done > 0 and done / (done + missing) >= MIN_SHARE,
    )


def print_report(report: Report) -> None:
    """Three tables and a word."""
    print_table(
        f"What grew in {report.measured_s / 60:.0f} min after the warm-up (from, to: by 90 %)",
        GROWTH_HEADER,
        [_growth_row(each) for each in report.growths],
    )
    print_table(
        f"Frames processed, of {CAMERA_FPS} a second from each camera (to reach: 99.5 %)",
        STREAM_HEADER,
        [
            (
                each.stream,
                figure(each.fps, 2),
                figure(100 * each.share, 2),
                str(each.dropped),
                str(each.reconnects),
                figure(each.max_age_ms, 0),
                _word(each.passed),
            )
            for each in report.streams
        ],
    )
    print_table(
        "Clients (to reach: none broken, 99.5 % of what there is)",
        CLIENT_HEADER,
        [
            (
                each.kind,
                str(each.done),
                figure(each.per_s, 2),
                str(each.missing),
                str(each.broken),
                _word(each.passed),
            )
            for each in report.clients
        ],
    )
    unsure = any(each.verdict not in ("pass", "FAIL") for each in report.growths)
    print("\n" + ("FAIL" if not report.passed else "not sure" if unsure else "pass"), flush=True)


def write_files(report: Report, samples: Sequence[Sample], folder: Path) -> None:
    """``report.json`` and ``samples.csv``."""
    content = {"passed": report.passed, **asdict(report)}
    (folder / "report.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    series = series_of(samples)
    for name in sorted(set.intersection(*(set(sample.gauges) for sample in samples))):
        series[name] = [sample.gauges[name] for sample in samples]
    for stream in samples[0].streams:
        for name in samples[0].streams[stream]:
            values = [sample.streams[stream][name] for sample in samples]
            series[f"{stream} {name}"] = [float("nan") if v is None else v for v in values]
    with (folder / "samples.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["at_s", *series])
        for place, sample in enumerate(samples):
            writer.writerow([f"{sample.at_s:.1f}", *(each[place] for each in series.values())])


def _growth_row(each: Growth) -> tuple[str, ...]:
    slopes = (each.trend.slope, each.trend.low, each.trend.high)
    values = (figure(each.first), figure(each.last), *(figure(slope, 2) for slope in slopes))
    return (each.what, *values, each.to_reach, each.verdict)


def _word(passed: bool) -> str:
    return "pass" if passed else "FAIL"
