"""The figures of one estimator: of a case, or of several added up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamer.evaluation.motion import Jitter
from streamer.evaluation.people import Errors
from streamer.evaluation.presence import First, brier, calibration_error


@dataclass(frozen=True, slots=True)
class Lag:
    """``frames``: of the stretch that it was measured on."""

    ms: float
    frames: int


@dataclass(slots=True, eq=False)
class Figures:
    """What was counted. ``people``: for each person of each case, the frames in which they are plainly
    seen, and those of them in which they have a pose. ``raw_jitter``: of the landmarks before smoothing.
    ``scores``: of ``presence.scores``."""

    frames: int = 0
    cpu_s: float = 0.0
    occupied: int = 0
    found: int = 0
    empty: int = 0
    false: int = 0
    first: list[First] = field(default_factory=list)
    errors: Errors = field(default_factory=Errors)
    people: list[tuple[int, int]] = field(default_factory=list)
    switches: int | None = None
    extra: int = 0
    jitter: Jitter = field(default_factory=Jitter)
    raw_jitter: Jitter = field(default_factory=Jitter)
    lags: list[Lag] = field(default_factory=list)
    scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))


def added(parts: Sequence[Figures]) -> Figures:
    """Of all cases together: every frame counts the same."""
    known = [each.switches for each in parts if each.switches is not None]
    return Figures(
        frames=sum(each.frames for each in parts),
        cpu_s=sum(each.cpu_s for each in parts),
        occupied=sum(each.occupied for each in parts),
        found=sum(each.found for each in parts),
        empty=sum(each.empty for each in parts),
        false=sum(each.false for each in parts),
        first=[first for each in parts for first in each.first],
        errors=Errors(
            np.concatenate([each.errors.px for each in parts]),
            np.concatenate([each.errors.torso for each in parts]),
        ),
        people=[person for each in parts for person in each.people],
        switches=sum(known) if known else None,
        extra=sum(each.extra for each in parts),
        jitter=_all(each.jitter for each in parts),
        raw_jitter=_all(each.raw_jitter for each in parts),
        lags=[lag for each in parts for lag in each.lags],
        scores=np.concatenate([each.scores for each in parts]),
    )


def _all(parts: Iterable[Jitter]) -> Jitter:
    listed = list(parts)
    return Jitter(sum(each.total for each in listed), sum(each.count for each in listed))


def summary(figures: Figures) -> dict[str, float | None]:
    """The figures that are shown, by their names; None where no label of the clips tells."""
    first, errors, lags = figures.first, figures.errors, figures.lags
    seen = sum(seen for seen, _ in figures.people)
    return {
        "recall": _share(figures.found, figures.occupied),
        "false_poses": _share(figures.false, figures.empty),
        "person_recall": _share(sum(found for _, found in figures.people), seen),
        "worst_person_recall": min(
            (found / seen for seen, found in figures.people if seen), default=None
        ),
        "id_switches": figures.switches,
        "extra_poses": _share(figures.extra, figures.frames) if figures.people else None,
        "error_px": _mean(errors.px),
        "error_px_p95": _p95(errors.px),
        "error_torso": _mean(errors.torso),
        "error_torso_p95": _p95(errors.torso),
        "jitter": figures.jitter.mean if figures.jitter.count else None,
        "raw_jitter": figures.raw_jitter.mean if figures.raw_jitter.count else None,
        "lag_ms": _share(sum(lag.ms * lag.frames for lag in lags), sum(lag.frames for lag in lags)),
        "first_pose_frames": _mean([each.frames for each in first]),
        "first_pose_ms": _mean([each.ms for each in first]),
        "never_found": sum(not each.found for each in first) if first else None,
        "brier": brier(figures.scores) if len(figures.scores) else None,
        "calibration_error": calibration_error(figures.scores) if len(figures.scores) else None,
        "cpu_ms": _share(figures.cpu_s * 1000, figures.frames),
    }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _mean(values: Sequence[float] | NDArray[np.float32]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _p95(values: NDArray[np.float32]) -> float | None:
    return float(np.percentile(values, 95)) if len(values) else None
