"""One case, a clip or a harder variant of it: what each estimator gives for its frames.

The estimators take turns at each frame, so that a clip is decoded once and only one of its pictures is
in memory.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from streamer.analyze.files import Faults
from streamer.analyze.planning import plan_video
from streamer.analyze.reading import read_frames
from streamer.analyze.segment import Report
from streamer.config import PoseConfig
from streamer.evaluation.degrade import degraded, kept, matrix_of
from streamer.evaluation.manifest import Clip, Span, Variant
from streamer.evaluation.truth import Truth, load_truth
from streamer.model import VIDEO_CLOCK_HZ, Frame, Pose
from streamer.pose.mediapipe import MediaPipeEstimator
from streamer.pose.models import Complexity, model_path


class Judged(Protocol):
    """As much of an ``Estimator`` as is needed here."""

    def estimate(self, frame: Frame, pts: int) -> tuple[Pose, ...]: ...

    def close(self) -> None: ...


MakeEstimator = Callable[[PoseConfig], Judged]
"""A function of a module, so that another process finds it."""

OURS, BARE, BARE_RAW = "ours", "bare", "bare_raw"
"""The runs of a case: what is judged; MediaPipe; MediaPipe without its filter, to compare with."""


@dataclass(slots=True)
class Track:
    """What one estimator gave. ``poses``: by frame, without masks. ``cpu_s``: of all frames together, of
    the whole process."""

    poses: list[tuple[Pose, ...]] = field(default_factory=list)
    cpu_s: float = 0.0

    def gated(self, min_score: float) -> "Track":
        """What is published: poses of a lower score are not."""
        poses = [tuple(pose for pose in found if pose.score >= min_score) for found in self.poses]
        return Track(poses, self.cpu_s)


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """A case that has been run. ``times_s``: of the frames, in the file; ``numbers``: theirs in the file.
    ``truth`` is that of these very frames. ``width``, ``height``: of the pictures that the estimators
    saw. ``faults``: what was wrong with the file."""

    clip: Clip
    variant: Variant | None
    times_s: list[float]
    width: int
    height: int
    truth: Truth | None
    tracks: Mapping[str, Track]
    faults: list[str]

    @property
    def title(self) -> str:
        return title_of(self.clip, self.variant)

    def within(self, spans: list[Span]) -> list[int]:
        """The places of the frames whose times are in the spans."""
        inside = (any(begin <= t < end for begin, end in spans) for t in self.times_s)
        return [place for place, is_in in enumerate(inside) if is_in]


def title_of(clip: Clip, variant: Variant | None) -> str:
    return clip.title if variant is None else f"{clip.title}/{variant.name}"


def bare_mediapipe(options: PoseConfig) -> Judged:
    """MediaPipe's own graph in VIDEO mode, with the bundle that gives the published one's landmarks."""
    return MediaPipeEstimator(model_path(Complexity(options.model_complexity)), options)


def play(
    folder: Path,
    clip: Clip,
    variant: Variant | None,
    makers: Mapping[str, tuple[MakeEstimator, PoseConfig]],
    report: Report,
) -> Played:
    """Runs the estimators of ``makers``, by the names of their runs, over the case's frames. Raises
    StreamerError."""
    faults = Faults()
    change = variant or Variant(name="plain")
    estimators = {run: make(options) for run, (make, options) in makers.items()}
    tracks = {run: Track() for run in makers}
    numbers: list[int] = []
    times_s: list[float] = []
    frame = original = None
    try:
        for number, original in _used(folder, clip, change, faults):
            frame = degraded(original, change, number)
            numbers.append(number)
            times_s.append(frame.pts / VIDEO_CLOCK_HZ)
            for run, estimator in estimators.items():
                _step(estimator, frame, tracks[run])
            report(1)
    finally:
        for estimator in estimators.values():
            estimator.close()
    truth = None
    if clip.truth and original is not None:
        whole = load_truth(folder / clip.truth).at(numbers)
        truth = whole.mapped(matrix_of(change, original.width, original.height))
    size = (frame.width, frame.height) if frame is not None else (0, 0)
    return Played(clip, variant, times_s, *size, truth, tracks, faults.told)


def _step(estimator: Judged, frame: Frame, track: Track) -> None:
    began_s = time.process_time()
    poses = estimator.estimate(frame, frame.pts)
    track.cpu_s += time.process_time() - began_s
    track.poses.append(tuple(replace(pose, mask=None) for pose in poses))


def _used(
    folder: Path, clip: Clip, variant: Variant, faults: Faults
) -> Iterator[tuple[int, Frame]]:
    """The frames of the part that is used, with their numbers in the file."""
    path = folder / clip.file
    plan = plan_video(path, segment_frames=sys.maxsize, warm_up_frames=0)
    begin_s, end_s = clip.use or (0.0, float("inf"))
    decoded = (each.frame for each in read_frames(path, plan, plan.segments[0], faults))
    for number, frame in kept(decoded, variant):
        time_s = frame.pts / VIDEO_CLOCK_HZ
        if time_s >= end_s:
            return
        if time_s >= begin_s:
            yield number, frame
