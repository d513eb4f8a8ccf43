"""/metrics: the figures of all streams in Prometheus' text format, for dashboards and alerts."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

from aiohttp import web
from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    Sample,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from streamer.access import Role
from streamer.model import ModelStatus, PoseResult, SessionStats, Status, StreamState
from streamer.server.figures import ServiceFigures, buckets
from streamer.server.keys import SERVICES
from streamer.server.openapi import Answer, describe, text_body
from streamer.session import Session
from streamer.stream import Stream
from streamer.telemetry import Histogram

UNLISTED: Final = "unlisted"
"""The label of all unlisted streams together: whoever knows the id of one may watch it."""

_COUNTED: Final = (
    *("frames_in", "frames_processed", "frames_dropped"),
    *("reconnects", "losses", "worker_restarts"),
)
_OUTCOMES: Final = {"processed": "frames_processed", "dropped": "frames_dropped"}
_QUANTILES: Final = {"p50": "0.5", "p95": "0.95"}


def add_metrics(app: web.Application) -> None:
    services = app[SERVICES]
    figures = Figures(services.streams, services.peers)
    service = ServiceFigures(app)

    @describe(
        "Service",
        "Figures of all streams, for Prometheus",
        role=Role.ADMIN,
        answers={200: Answer("Prometheus' text format", text_body("text/plain"))},
    )
    async def show(request: web.Request) -> web.Response:
        registry = CollectorRegistry()
        registry.register(await figures.read())
        registry.register(await service.read())
        registry.register(await service.machine())
        # 0.0.4 is what every reader knows; the names and labels here need nothing newer.
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
        )

    app.router.add_get("/metrics", show)


class Figures:
    """Reads the figures of all streams. Belongs to the event loop's thread."""

    def __init__(self, streams: Iterable[Stream], peers: Sized) -> None:
        self._streams = streams
        self._peers = peers
        self._unlisted = _UnlistedCounts()

    async def read(self) -> "Reading":
        """One stream after the other, with a turn for the rest of the loop after each: the percentiles
        of one take a few tenths of a millisecond."""
        reading = Reading(self._unlisted.sums, self._unlisted.stages)
        for stream in self._streams:
            stats = stream.session.stats()
            self._unlisted.note(stream, stats)
            reading.add(stream, stats)
            await asyncio.sleep(0)
        reading.peers = len(self._peers)
        return reading


class _UnlistedCounts:
    """Sums over all unlisted streams that never fall, as a counter must not, though streams come, go and
    become listed. A stream is in them up to its end, if it lived when somebody asked."""

    def __init__(self) -> None:
        self.sums: Counter[str] = Counter()
        self.stages: dict[str, Histogram] = {}
        self._seen = WeakKeyDictionary[Session, Counter[str]]()
        self._seen_stages = WeakKeyDictionary[Session, dict[str, Histogram]]()

    def note(self, stream: Stream, stats: SessionStats) -> None:
        session, counts = stream.session, _counts(stats)
        seen = self._seen.get(session)
        self._seen[session] = counts
        stages = {name: each.copy() for name, each in session.stage_times.items()}
        seen_stages = self._seen_stages.get(session, {})
        self._seen_stages[session] = stages
        if _label(stream) == UNLISTED:
            self.sums += counts - (seen or Counter())
            for name, each in stages.items():
                sums = self.stages.setdefault(name, Histogram(each.bounds))
                sums.grow(each, seen_stages.get(name))
        if seen is None:
            session.subscribe(_EndNote(self, stream))


@dataclass(frozen=True, slots=True, eq=False)
class _EndNote:
    """A sink that notes what a stream counted since it was last asked."""

    counts: _UnlistedCounts
    stream: Stream

    def on_result(self, result: PoseResult) -> None: ...

    def on_model(self, status: ModelStatus) -> None: ...

    def on_status(self, status: Status) -> None:
        if status.state is StreamState.ENDED:
            self.counts.note(self.stream, self.stream.session.stats())


@dataclass(slots=True)
class _Group:
    """What stands under one label: a listed stream, or all unlisted ones."""

    counts: Counter[str] = field(default_factory=Counter)
    viewers: int = 0
    pose_fps: float = 0.0
    people: int | None = None
    model_complexity: int | None = None
    frame_age_s: float | None = None
    latency_s: dict[tuple[str, str], float] = field(default_factory=dict)  # by stage and quantile
    stages: Mapping[str, Histogram] = field(default_factory=dict)
    states: Counter[StreamState] = field(default_factory=Counter)

    def add(self, stream: Stream, stats: SessionStats) -> None:
        """Sums; of ages and latencies the worst, of models the lightest."""
        session = stream.session
        self.states[session.status.state] += 1
        self.viewers += stream.viewers
        self.pose_fps += stats.pose_fps
        if (result := session.result) is not None:
            self.people = (self.people or 0) + len(result.poses)
        if stats.frame_age_ms is not None:
            self.frame_age_s = max(self.frame_age_s or 0.0, stats.frame_age_ms / 1000)
        if stats.model_complexity is not None:
            known = (self.model_complexity, stats.model_complexity)
            self.model_complexity = min(each for each in known if each is not None)
        for stage, percentiles in stats.latency_ms.items():
            for name, quantile in _QUANTILES.items():
                worst = self.latency_s.get((stage, quantile), 0.0)
                self.latency_s[stage, quantile] = max(worst, percentiles[name] / 1000)


class Reading(Collector):
    """The figures of one moment, as the metrics that docs/protocol.md lists."""

    def __init__(self, unlisted: Counter[str], stages: Mapping[str, Histogram]) -> None:
        # There from the start, at 0: a rate begins with the second value of a counter.
        self._groups = {UNLISTED: _Group(unlisted, stages=stages)}
        self._states = Counter(dict.fromkeys(StreamState, 0))
        self.peers = 0

    def add(self, stream: Stream, stats: SessionStats) -> None:
        label = _label(stream)
        group = self._groups.setdefault(label, _Group())
        if label != UNLISTED:
            group.counts = _counts(stats)
            group.stages = stream.session.stage_times
        group.add(stream, stats)
        self._states[stream.session.status.state] += 1

    def collect(self) -> Iterator[Metric]:
        streams = GaugeMetricFamily(
            "streamer_streams", "Streams by state, listed and not.", labels=["state"]
        )
        for state, count in self._states.items():
            streams.add_metric([state.value], count)
        yield streams
        yield GaugeMetricFamily(
            "streamer_peers", "WebRTC peers, those still connecting too.", value=self.peers
        )
        yield from self._counters()
        yield from self._gauges()
        yield self._latencies()
        yield self._stages()
        yield self._stream_states()

    def _counters(self) -> Iterator[Metric]:
        received = CounterMetricFamily(
            "streamer_stream_frames_received", "Frames that came in.", labels=["stream"]
        )
        frames = CounterMetricFamily(
            "streamer_stream_frames",
            "Frames by what became of them: processed, or dropped because a newer one came.",
            labels=["stream", "outcome"],
        )
        reconnects = CounterMetricFamily(
            "streamer_stream_reconnects", "Times the camera was tried again.", labels=["stream"]
        )
        losses = CounterMetricFamily(
            "streamer_stream_losses", "Times that video came and was lost.", labels=["stream"]
        )
        restarts = CounterMetricFamily(
            "streamer_stream_worker_restarts",
            "Times a process that worked for the stream was replaced.",
            labels=["stream"],
        )
        for label, group in self._groups.items():
            restarts.add_metric([label], group.counts["worker_restarts"])
            received.add_metric([label], group.counts["frames_in"])
            for outcome, name in _OUTCOMES.items():
                frames.add_metric([label, outcome], group.counts[name])
            reconnects.add_metric([label], group.counts["reconnects"])
            losses.add_metric([label], group.counts["losses"])
        yield from (received, frames, reconnects, losses, restarts)

    def _gauges(self) -> Iterator[Metric]:
        groups = self._groups.items()
        yield _gauge("viewers", "Who watches.", {label: group.viewers for label, group in groups})
        yield _gauge(
            "pose_fps",
            "Frames processed per second, over the last seconds.",
            {label: group.pose_fps for label, group in groups},
        )
        yield _gauge(
            "people",
            "People in the newest frame of a stream that is live and has poses.",
            {label: group.people for label, group in groups},
        )
        yield _gauge(
            "model_complexity",
            "Of the model that runs: lower than wanted while the machine can't keep up.",
            {label: group.model_complexity for label, group in groups},
        )
        yield _gauge(
            "frame_age_seconds",
            "Time since the newest processed frame reached the server.",
            {label: group.frame_age_s for label, group in groups},
        )

    def _latencies(self) -> Metric:
        latencies = SummaryMetricFamily(
            "streamer_stream_latency_seconds",
            "What the last frames took in each stage.",
            labels=["stream", "stage"],
        )
        for label, group in self._groups.items():
            for (stage, quantile), seconds in group.latency_s.items():
                labels = {"stream": label, "stage": stage, "quantile": quantile}
                latencies.samples.append(Sample(latencies.name, labels, seconds))
        return latencies

    def _stages(self) -> Metric:
        stages = HistogramMetricFamily(
            "streamer_stream_stage_seconds",
            "What all frames took in each stage.",
            labels=["stream", "stage"],
        )
        for label, group in self._groups.items():
            for stage, times in sorted(group.stages.items()):
                stages.add_metric([label, stage], buckets(times), times.total)
        return stages

    def _stream_states(self) -> Metric:
        states = GaugeMetricFamily(
            "streamer_stream_state",
            "1 for the state that the stream is in, 0 for the others; how many of the unlisted ones.",
            labels=["stream", "state"],
        )
        for label, group in self._groups.items():
            for state in StreamState:
                states.add_metric([label, state.value], group.states[state])
        return states


def _gauge(name: str, help_text: str, values: Mapping[str, float | None]) -> Metric:
    """Without those that have no value now."""
    gauge = GaugeMetricFamily(f"streamer_stream_{name}", help_text, labels=["stream"])
    for label, value in values.items():
        if value is not None:
            gauge.add_metric([label], value)
    return gauge


def _label(stream: Stream) -> str:
    return stream.id if stream.listed else UNLISTED


def _counts(stats: SessionStats) -> Counter[str]:
    return Counter({name: getattr(stats, name) for name in _COUNTED})
