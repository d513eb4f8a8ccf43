"""One run of ``streamer analyze``: what is done, in which order, and what is told of it."""

import heapq
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from streamer.analyze.inputs import find_inputs
from streamer.analyze.joining import JoinTask
from streamer.analyze.options import Input, Options
from streamer.analyze.outputs import Outputs, Summary, TakenError
from streamer.analyze.pictures import PictureTask
from streamer.analyze.planning import VideoPlan, plan_video
from streamer.analyze.pool import Done, Event, Failed, Pool, Progress, Task
from streamer.analyze.progress import ProgressView, open_progress
from streamer.analyze.segment import Part, Report, SegmentTask
from streamer.analyze.tables import assert_parquet
from streamer.errors import ConfigError
from streamer.pose.models import Complexity, ensure_models

SEGMENT_FRAMES = 900
"""About what a segment of a long video has. One that is twice as long, or longer, is cut."""

WARM_UP_FRAMES = 45
"""Estimated before a segment: docs/decisions/0013-analyze-in-segments.md has the figures."""

_WAIT_S = 1.0
_JOIN, _PLAN, _WORK = range(3)
"""What goes first: what ends a file; then plans, so that it is known how much there is."""


@dataclass(frozen=True, slots=True)
class PlanTask:
    input: Input
    segment_frames: int
    warm_up_frames: int

    def run(self, report: Report) -> VideoPlan:
        return plan_video(self.input.path, self.segment_frames, self.warm_up_frames)


@dataclass(slots=True)
class _Video:
    """A video under way; ``parts`` by the segment's number."""

    plan: VideoPlan
    tasks: tuple[SegmentTask, ...]
    parts: dict[int, Part] = field(default_factory=dict)


def analyze(
    arguments: Sequence[str],
    out: Path,
    options: Options,
    *,
    jobs: int | None = None,
    overwrite: bool = False,
    segment_frames: int = SEGMENT_FRAMES,
) -> int:
    """The exit status: 0 all done, 1 something failed. Raises ConfigError for an ``out`` that can't be
    one or a library that is missing, ModelError, and KeyboardInterrupt when it is interrupted."""
    if options.parquet:
        assert_parquet()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"-o {out}: this can't be a folder: {error.strerror}") from error
    outputs = Outputs(out, options)
    inputs, missing = find_inputs(arguments, out, outputs.written())
    sought = options.sought
    complexity = Complexity(sought.model_complexity)
    ensure_models([complexity], segmentation=sought.enable_segmentation)
    run = _Run(outputs, open_progress(), overwrite, segment_frames)
    for argument, why in missing:
        run.fail(argument, why)
    with Pool(jobs or cores()) as pool:
        try:
            run.all_of(inputs, pool)
        finally:
            run.close()
    return run.status()


def cores() -> int:
    """That this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable is not None else os.cpu_count() or 1


class _Run:
    def __init__(
        self, outputs: Outputs, progress: ProgressView, overwrite: bool, segment_frames: int
    ) -> None:
        self._outputs = outputs
        self._progress = progress
        self._overwrite = overwrite
        self._segment_frames = segment_frames
        self._waiting: list[tuple[int, int, Input, Task]] = []
        self._running: dict[int, Input] = {}  # by the task's id: equal tasks are none
        self._order = count()
        self._videos: dict[Input, _Video] = {}
        self._failures: list[tuple[str, str]] = []  # names, reasons
        self._broken: set[Input] = set()
        self._done = self._skipped = 0

    def all_of(self, inputs: Sequence[Input], pool: Pool) -> None:
        for each in inputs:
            self._take(each)
        while self._waiting or pool.is_busy:
            while self._waiting and pool.has_room:
                _, _, each, task = heapq.heappop(self._waiting)
                if each not in self._broken:
                    self._running[id(task)] = each
                    pool.start(task)
            for task, event in pool.events(_WAIT_S):
                self._note(self._running[id(task)], task, event)

    def close(self) -> None:
        self._progress.close()

    def status(self) -> int:
        """Tells the end of it all."""
        say = self._progress.say
        counts = [f"{self._done} done", f"{self._skipped} done before"]
        say(", ".join([*counts, f"{len(self._failures)} with problems"]))
        for name, reason in self._failures:
            say(f"  {name}: {reason}")
        return int(bool(self._failures))

    def fail(self, name: str, reason: str) -> None:
        self._failures.append((name, reason))
        self._progress.say(f"{name}: {reason}")

    def _take(self, each: Input) -> None:
        try:
            before = self._outputs.finished(each, overwrite=self._overwrite)
        except TakenError as error:
            self.fail(each.name, f"{error}; say --overwrite, or choose another folder")
            return
        except OSError as error:
            self.fail(each.name, f"{error.strerror}")
            return
        if before is not None:
            self._skipped += 1
            if before.problem:
                self.fail(each.name, before.problem)
        elif each.is_picture:
            self._progress.expect(1)
            self._add(_WORK, each, PictureTask(each, self._outputs))
        else:
            self._add(_PLAN, each, PlanTask(each, self._segment_frames, WARM_UP_FRAMES))

    def _add(self, turn: int, each: Input, task: Task) -> None:
        heapq.heappush(self._waiting, (turn, next(self._order), each, task))

    def _note(self, each: Input, task: Task, event: Event) -> None:
        if isinstance(event, Progress):
            self._progress.advance(event.frames)
            return
        del self._running[id(task)]
        if each not in self._broken:
            if isinstance(event, Failed):
                self._break(each, event.reason)
            else:
                self._go_on(each, task, event)
        if each in self._broken and each not in self._running.values():
            self._outputs.tidy(each)

    def _go_on(self, each: Input, task: Task, event: Done) -> None:
        match event.result:
            case VideoPlan() as plan:
                self._begin(each, plan)
            case Part() as part:
                assert isinstance(task, SegmentTask)
                self._progress.expect(part.frames - task.segment.frames)
                self._videos[each].parts[task.segment.number] = part
                self._join_when_whole(each)
            case Summary() as summary:
                self._finish(each, summary)

    def _begin(self, each: Input, plan: VideoPlan) -> None:
        try:
            folder = self._outputs.begin(each)
        except OSError as error:
            self._break(each, f"{error.strerror}")
            return
        tasks = tuple(
            SegmentTask(each, self._outputs.options, plan, segment, folder)
            for segment in plan.segments
        )
        video = self._videos[each] = _Video(plan, tasks)
        for task in tasks:
            if (part := task.done()) is not None:
                video.parts[task.segment.number] = part
            else:
                self._progress.expect(task.segment.frames)
                self._add(_WORK, each, task)
        self._join_when_whole(each)

    def _join_when_whole(self, each: Input) -> None:
        video = self._videos[each]
        if len(video.parts) == len(video.tasks):
            parts = tuple(video.parts[number] for number in range(len(video.tasks)))
            self._add(_JOIN, each, JoinTask(each, self._outputs, video.plan, video.tasks, parts))

    def _finish(self, each: Input, summary: Summary) -> None:
        self._done += 1
        self._videos.pop(each, None)
        somebody = "somebody" if summary.seen else "nobody"
        told = f"{summary.frames} frames, somebody in {summary.seen}"
        if each.is_picture:
            told = f"{somebody} in it"
        if summary.problem:
            self._failures.append((each.name, f"{summary.problem} ({told})"))
            told = f"{told}, but {summary.problem}"
        self._progress.say(f"{each.name}: {told}")

    def _break(self, each: Input, reason: str) -> None:
        """No task of the input is started any more. Its finished segments stay for the next run."""
        self._broken.add(each)
        self._videos.pop(each, None)
        self.fail(each.name, reason)
