"""One run of ``streamer eval``."""

import fnmatch
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamer.analyze.pool import Done, Failed, Pool
from streamer.analyze.progress import open_progress
from streamer.analyze.run import cores
from streamer.analyze.segment import Report
from streamer.config import PoseConfig
from streamer.errors import ConfigError, StreamerError
from streamer.evaluation.case import (
    BARE,
    BARE_RAW,
    OURS,
    Judged,
    MakeEstimator,
    bare_mediapipe,
    play,
    title_of,
)
from streamer.evaluation.figures import Figures
from streamer.evaluation.manifest import Clip, Variant, check_files, load_manifest
from streamer.evaluation.measure import measure
from streamer.evaluation.report import as_json, print_report
from streamer.pose.live import LiveEstimator
from streamer.pose.models import Complexity, ensure_models, find_model

_WAIT_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class CaseResult:
    """``figures``: by ``OURS`` and ``BARE``. ``faults``: what was wrong with the clip's file."""

    title: str
    figures: Mapping[str, Figures]
    faults: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class CaseTask:
    """``options``: of the estimator that is judged, but for the number of people, where ``people`` says
    that it is the clip's."""

    folder: Path
    clip: Clip
    variant: Variant | None
    make: MakeEstimator
    options: PoseConfig
    people: bool = True

    def run(self, report: Report) -> CaseResult:
        """Raises StreamerError."""
        played = play(self.folder, self.clip, self.variant, self._makers(), report)
        figures = measure(played, self.options.min_score)
        return CaseResult(played.title, figures, played.faults)

    def _makers(self) -> dict[str, tuple[MakeEstimator, PoseConfig]]:
        count = {"num_poses": self.clip.people} if self.people else {}
        # With every pose, of whatever score: so that the score is judged too, and not the gate alone.
        ours = self.options.model_copy(update={"raw": True, "min_score": 0.0, **count})
        # What MediaPipe gives by itself: only what it knows, and as it is when nothing is chosen.
        bare = PoseConfig(
            model_complexity=ours.model_complexity,
            num_poses=self.clip.people,
            min_detection_confidence=ours.min_detection_confidence,
            min_tracking_confidence=ours.min_tracking_confidence,
        )
        makers = {OURS: (self.make, ours), BARE: (bare_mediapipe, bare)}
        if self.clip.people == 1 and (self.clip.rest or self.clip.moving):
            unfiltered = bare.model_copy(update={"smooth_landmarks": False})
            makers[BARE_RAW] = (bare_mediapipe, unfiltered)
        return makers


def live_estimator(options: PoseConfig) -> Judged:
    """What live streams use."""
    return LiveEstimator(find_model, options)


def evaluate(
    folder: Path,
    options: PoseConfig,
    make: MakeEstimator,
    *,
    only: Sequence[str] = (),
    quick: bool = False,
    people: bool = True,
    jobs: int | None = None,
) -> list[CaseResult]:
    """The results of the folder's cases, in the manifest's order. Raises ConfigError for what is wrong
    with the folder, ModelError, and StreamerError when a case can't be run."""
    cases = _cases(load_manifest(folder), only, quick=quick)
    check_files(folder, [clip for clip, _ in cases])
    for segmentation in {False, options.enable_segmentation}:
        ensure_models([Complexity(options.model_complexity)], segmentation=segmentation)
    tasks = [CaseTask(folder, clip, variant, make, options, people) for clip, variant in cases]
    return _run(tasks, jobs or cores())


def evaluate_and_print(
    folder: Path, options: PoseConfig, make: MakeEstimator, json_file: Path | None, **choice: Any
) -> None:
    """``choice``: as of ``evaluate``."""
    results = evaluate(folder, options, make, **choice)
    print_report(results)
    if json_file is not None:
        try:
            json_file.write_text(json.dumps(as_json(results, options), indent=1) + "\n", "utf-8")
        except OSError as error:
            raise ConfigError(f"--json {json_file}: can't be written: {error.strerror}") from error


def _cases(
    clips: Sequence[Clip], only: Sequence[str], *, quick: bool
) -> list[tuple[Clip, Variant | None]]:
    """``only``: names of clips, or of cases; ``*`` stands for anything."""
    cases: list[tuple[Clip, Variant | None]] = []
    for clip in clips:
        if clip.plain and (clip.quick or not quick):
            cases.append((clip, None))
        cases += [(clip, each) for each in clip.variant if each.quick or not quick]
    names = [{case[0].title, title_of(*case)} for case in cases]
    for pattern in only:
        if not any(fnmatch.filter(each, pattern) for each in names):
            known = ", ".join(sorted(set().union(*names)))
            raise ConfigError(f"--only {pattern}: there is no such clip; there are {known}")
    return [
        case
        for case, each in zip(cases, names, strict=True)
        if not only or any(fnmatch.filter(each, pattern) for pattern in only)
    ]


def _run(tasks: Sequence[CaseTask], jobs: int) -> list[CaseResult]:
    progress = open_progress("cases")
    progress.expect(len(tasks))
    waiting = list(reversed(tasks))
    results: dict[int, CaseResult] = {}
    with Pool(jobs) as pool:
        try:
            while waiting or pool.is_busy:
                while waiting and pool.has_room:
                    pool.start(waiting.pop())
                for task, event in pool.events(_WAIT_S):
                    if isinstance(event, Failed):
                        assert isinstance(task, CaseTask)
                        title = title_of(task.clip, task.variant)
                        raise StreamerError(f"{title} can't be evaluated: {event.reason}")
                    if isinstance(event, Done):
                        results[id(task)] = event.result
                        progress.advance(1)
        finally:
            progress.close()
    return [results[id(task)] for task in tasks]
