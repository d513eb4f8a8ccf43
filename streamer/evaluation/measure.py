"""A case that has been run -> the figures of ours and of bare MediaPipe."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamer.evaluation import motion, people, presence
from streamer.evaluation.case import BARE, BARE_RAW, OURS, Played, Track
from streamer.evaluation.figures import Figures, Lag
from streamer.evaluation.manifest import Span
from streamer.evaluation.truth import boxes_of, torso_px
from streamer.model import Pose

_VISIBLE = 0.5
"""The mean visibility from which on a landmark's movements are measured; by either estimator's word, so
that both are measured on the same ones."""

Theirs = dict[int, Pose]
"""Person -> pose, of one frame."""


def measure(played: Played, min_score: float) -> dict[str, Figures]:
    """By the names of the two estimators. ``min_score``: below it ours doesn't publish a pose."""
    tracks = {**played.tracks, OURS: played.tracks[OURS].gated(min_score)}
    theirs = {run: _theirs(played, track) for run, track in tracks.items()}
    visible = _visible([theirs[OURS], theirs[BARE]])
    figures = {}
    for run in (OURS, BARE):
        track = tracks[run]
        raw = theirs.get(BARE_RAW) if run == BARE else None
        figures[run] = _counted(played, track, theirs[run])
        figures[run].scores = presence.scores(played, played.tracks[run])
        for person, landmarks in visible.items():
            walk = _Walk(played, theirs[run], raw, person, landmarks)
            walk.add_to(figures[run])
    return figures


def _counted(played: Played, track: Track, theirs: list[Theirs]) -> Figures:
    there = [bool(found) for found in theirs]
    occupied, found = presence.found_in(played, there)
    empty, false = presence.false_in(played, track)
    figures = Figures(
        frames=len(played.times_s),
        cpu_s=track.cpu_s,
        occupied=occupied,
        found=found,
        empty=empty,
        false=false,
        first=presence.first_poses(played, there),
    )
    if played.truth is not None:
        size = (played.width, played.height)
        everywhere = list(range(len(theirs)))
        figures.errors = people.errors(played.truth, theirs, *size, everywhere)
        figures.people = people.found_people(played.truth, theirs)
        figures.switches = people.switches(theirs)
        figures.extra = people.extra_poses(track.poses, theirs)
    return figures


def _theirs(played: Played, track: Track) -> list[Theirs]:
    """With no truth there is one person, whose is the largest pose."""
    if played.truth is not None:
        return people.matches(played.truth, track.poses, played.width, played.height)
    return [{0: max(found, key=_area)} if found else {} for found in track.poses]


def _area(pose: Pose) -> float:
    left, top, right, bottom = boxes_of(pose.landmarks[:, :2])
    return float((right - left) * (bottom - top))


def _visible(tracks: list[list[Theirs]]) -> dict[int, NDArray[np.bool_]]:
    """Person -> (33,): the landmarks that all of the estimators see, for those whom all of them find."""
    seen = []
    for theirs in tracks:
        numbers = {person for found in theirs for person in found}
        seen.append(
            {
                person: np.mean(
                    [found[person].landmarks[:, 3] for found in theirs if person in found], axis=0
                )
                >= _VISIBLE
                for person in numbers
            }
        )
    common = set.intersection(*(set(each) for each in seen))
    return {person: np.all([each[person] for each in seen], axis=0) for person in common}


@dataclass(frozen=True, slots=True, eq=False)
class _Walk:
    """One person's poses. ``raw``: another run's, in place of the poses' own raw landmarks.
    ``landmarks``: (33,) bool, those that are measured."""

    played: Played
    theirs: list[Theirs]
    raw: list[Theirs] | None
    person: int
    landmarks: NDArray[np.bool_]

    def add_to(self, figures: Figures) -> None:
        """The jitter at rest, and the lag in movement."""
        for run in self._runs(self.played.clip.rest):
            times_s, points = self._times(run), self._points(run)
            torso = self._torso_px(run)
            _add(figures.jitter, motion.jitter(times_s, points, torso))
            if (raw := self._raw(run)) is not None:
                _add(figures.raw_jitter, motion.jitter(times_s, raw, torso))
        for run in self._runs(self.played.clip.moving):
            self._add_lag(run, figures)

    def _add_lag(self, run: list[int], figures: Figures) -> None:
        raw = self._raw(run)
        if raw is None:
            return
        lag = motion.lag_s(self._times(run), self._points(run), raw)
        if lag is not None:
            figures.lags.append(Lag(lag * 1000, len(run)))

    def _runs(self, spans: list[Span]) -> list[list[int]]:
        """The frames of the spans that have the person's pose, where they follow on one another."""
        places = [place for place in self.played.within(spans) if self.person in self.theirs[place]]
        return list(motion.runs_of(places))

    def _times(self, run: list[int]) -> motion.Array:
        return np.array([self.played.times_s[place] for place in run])

    def _points(self, run: list[int]) -> motion.Array:
        return self._pixels([self.theirs[place][self.person].landmarks for place in run])

    def _raw(self, run: list[int]) -> motion.Array | None:
        if self.raw is not None:
            poses = [self.raw[place].get(self.person) for place in run]
            raw = [None if pose is None else pose.landmarks for pose in poses]
        else:
            raw = [self.theirs[place][self.person].raw for place in run]
        known = [each for each in raw if each is not None]
        return self._pixels(known) if len(known) == len(run) else None

    def _torso_px(self, run: list[int]) -> float:
        everything = np.stack([self.theirs[place][self.person].landmarks[:, :2] for place in run])
        size = np.array([self.played.width, self.played.height], np.float32)
        return float(np.median(torso_px(everything * size)))

    def _pixels(self, landmarks: list[NDArray[np.float32]]) -> motion.Array:
        """(frames, measured landmarks, 2)."""
        size = np.array([self.played.width, self.played.height], np.float64)
        return np.stack(landmarks)[:, self.landmarks, :2] * size


def _add(whole: motion.Jitter, part: motion.Jitter) -> None:
    whole.total += part.total
    whole.count += part.count
