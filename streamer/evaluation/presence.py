"""Is somebody there, and how soon is that known? By the spans that a clip's labels give."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamer.evaluation.case import Played, Track


@dataclass(frozen=True, slots=True)
class First:
    """How long it took from when somebody was plainly there until a pose came: in frames, and ms. Where
    none came, both are those of the whole span, and ``found`` is False."""

    frames: int
    ms: float
    found: bool


def found_in(played: Played, there: list[bool]) -> tuple[int, int]:
    """The occupied frames, and those of them in which somebody is found: presence recall is the second by
    the first. ``there``: by frame, whether a pose is somebody's. Where the clip's truth is known, a pose on
    the furniture is nobody's, whoever else is in the picture."""
    places = played.within(played.clip.occupied)
    return len(places), sum(there[place] for place in places)


def false_in(played: Played, track: Track) -> tuple[int, int]:
    """The empty frames, and those of them with a pose all the same."""
    places = played.within(played.clip.empty)
    return len(places), sum(bool(track.poses[place]) for place in places)


def first_poses(played: Played, there: list[bool]) -> list[First]:
    """One for each time that somebody comes: each span of ``occupied``, but those that go on where the one
    before ended. ``there``: as of ``found_in``."""
    firsts = []
    ends = {end for _, end in played.clip.occupied}
    for begin, end in played.clip.occupied:
        places = played.within([(begin, end)])
        if begin in ends or not places:
            continue
        found = [place for place in places if there[place]]
        at = found[0] if found else places[-1]
        ms = (played.times_s[at] - played.times_s[places[0]]) * 1000
        firsts.append(First(at - places[0], ms, bool(found)))
    return firsts


def scores(played: Played, track: Track) -> NDArray[np.float64]:
    """(frames with a label, 2): the highest score among the frame's poses (0: there is none), and 1 where
    the frame is occupied."""
    labels = ((played.clip.occupied, 1.0), (played.clip.empty, 0.0))
    rows = [
        (max((pose.score for pose in track.poses[place]), default=0.0), there)
        for spans, there in labels
        for place in played.within(spans)
    ]
    return np.array(rows, np.float64).reshape(-1, 2)


def brier(rows: NDArray[np.float64]) -> float:
    """The mean squared difference between score and truth (G. W. Brier, 1950): 0 is best, and who always
    says 0.5 has 0.25."""
    return float(((rows[:, 0] - rows[:, 1]) ** 2).mean())


@dataclass(frozen=True, slots=True)
class Bin:
    """Of the frames whose score is in ``begin``..``end``: how many, their mean score, and the share that is
    occupied; a calibrated score has the last two equal."""

    begin: float
    end: float
    frames: int
    score: float
    occupied: float


def reliability(rows: NDArray[np.float64], bins: int = 10) -> list[Bin]:
    """The bins that have frames, of equal width over 0..1."""
    place = np.minimum((rows[:, 0] * bins).astype(int), bins - 1)
    found = []
    for number in sorted(set(place.tolist())):
        inside = rows[place == number]
        mean = inside.mean(axis=0)
        begin, end = number / bins, (number + 1) / bins
        found.append(Bin(begin, end, len(inside), float(mean[0]), float(mean[1])))
    return found


def calibration_error(rows: NDArray[np.float64]) -> float:
    """Expected calibration error (Naeini, Cooper and Hauskrecht, 2015): the mean over the bins, by their
    frames, of how far the score is from the share."""
    bins = reliability(rows)
    total = sum(each.frames for each in bins)
    return sum(each.frames * abs(each.score - each.occupied) for each in bins) / total
