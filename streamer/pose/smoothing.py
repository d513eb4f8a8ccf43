"""Smoothing: takes the trembling out of one person's landmarks without making their movements late.

Each value goes through a low-pass filter whose cut-off frequency rises with its speed, as in the One-Euro
filter (Casiez, Roussel, Vogel: CHI 2012). There are two laws of how it rises, MediaPipe's and ours;
docs/decisions/0025-smoothing.md has the reasons and the figures. Time is media time, so that neither the
frame rate nor a frame left out makes a difference to how late a movement is shown.
"""

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.config.media import Smoothing
from streamer.model import LANDMARK_COUNT

MAX_GAP_S = 1.0
"""After so long without a frame nothing of before counts. That is five frames of the slowest video that
is worth smoothing (5 fps), and six time constants of the speed's own filter: it remembers nothing."""

_FADE_S = 0.2
"""In which another strength comes into force, so that nothing jumps."""

_SPEED_CUTOFF_HZ = 1.0
"""Of the speed's own low-pass filter: ``derivate_cutoff`` of MediaPipe's options."""

_VISIBILITY_SHARE = 0.1
_VISIBILITY_S = 0.3
"""MediaPipe gives each new visibility this share, whatever the frame rate. At its nominal 30 Hz that is a
time constant of 0.3 s."""

_IMAGE, _IMAGE_Z, _WORLD, _WORLD_Z = range(4)
Values = NDArray[np.float64]
"""(4, 33, 2), all that is filtered, at once: (x, y) in the picture, (z, 0) there, and both in the world;
pixels and metres. z is for itself, since the network only guesses it and it trembles more."""


class PoseSmoother:
    """Of one person, in one thread. ``strength``: may be set at any time, nothing jumps; None: off."""

    def __init__(self, strength: Smoothing | None) -> None:
        self._strength: Smoothing | None = strength
        self.reset()

    @property
    def strength(self) -> Smoothing | None:
        return self._strength

    @strength.setter
    def strength(self, strength: Smoothing | None) -> None:
        if strength != self._strength:
            self._since_change_s = 0.0
        self._strength = strength

    def reset(self) -> None:
        """The next landmarks have nothing to do with the last."""
        self._last_s: float | None = None
        self._since_change_s = math.inf

    def smooth(
        self,
        landmarks: NDArray[np.float32],
        world: NDArray[np.float32],
        scale_px: float,
        t_s: float,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """``landmarks`` (33, 5) and ``world`` (33, 3) as they are to be shown: new arrays.

        x, y and z of ``landmarks`` are in pixels, ``world`` is in metres; visibility is smoothed, too,
        presence stays as it is. All must be finite. ``scale_px``: the side of the region in which to look
        for the person next, above 0. ``t_s``: media time. When it leaps or runs back smoothing begins
        anew; when it stands still, so does the result.
        """
        values, visibility = _values(landmarks, world), landmarks[:, 3].astype(np.float64)
        step_s = -1.0 if self._last_s is None else t_s - self._last_s
        if not 0 <= step_s <= MAX_GAP_S:
            self._begin(values, visibility)
        elif step_s > 0:
            self._follow(values, visibility, scale_px, step_s)
        self._last_s = t_s
        return self._shown(landmarks)

    def _begin(self, values: Values, visibility: NDArray[np.float64]) -> None:
        self._raw, self._smooth, self._visibility = values, values, visibility
        self._speed = np.zeros_like(values)
        self._power = np.zeros(values.shape[:2])
        self._since_change_s = math.inf  # there is nothing to jump from

    def _follow(
        self, values: Values, visibility: NDArray[np.float64], scale_px: float, step_s: float
    ) -> None:
        self._since_change_s += step_s
        eased = min(1.0, self._since_change_s / _FADE_S)
        self._visibility = self._visibility + eased * self._visibility_share(step_s) * (
            visibility - self._visibility
        )
        speed = (values - self._raw) / step_s
        speed[:_WORLD] /= scale_px
        share = _share(_SPEED_CUTOFF_HZ, step_s)
        self._speed += share * (speed - self._speed)
        self._power += share * (_squared(speed) - self._power)
        self._raw = values
        self._smooth = self._smooth + eased * self._shares(step_s) * (values - self._smooth)

    def _visibility_share(self, step_s: float) -> float:
        if self._strength is None:
            return 1.0
        if self._strength == "mediapipe":
            return _VISIBILITY_SHARE
        return step_s / (step_s + _VISIBILITY_S)

    def _shares(self, step_s: float) -> Any:
        """What the new values count: one number, or an array that goes with them."""
        if self._strength is None:
            return 1.0
        if self._strength == "mediapipe":
            return _share(_MEDIAPIPE_MIN_HZ + _MEDIAPIPE_BETA * np.abs(self._speed), step_s)
        law = _LAWS[self._strength]
        return _share(law.cutoff_hz(self._speed, self._power, self._visibility), step_s)

    def _shown(
        self, landmarks: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        shown = landmarks.copy()
        shown[:, :2] = self._smooth[_IMAGE]
        shown[:, 2] = self._smooth[_IMAGE_Z, :, 0]
        shown[:, 3] = self._visibility
        world = np.empty((LANDMARK_COUNT, 3), np.float32)
        world[:, :2] = self._smooth[_WORLD]
        world[:, 2] = self._smooth[_WORLD_Z, :, 0]
        return shown, world


def _values(landmarks: NDArray[np.float32], world: NDArray[np.float32]) -> Values:
    values = np.zeros((4, LANDMARK_COUNT, 2))
    values[_IMAGE] = landmarks[:, :2]
    values[_IMAGE_Z, :, 0] = landmarks[:, 2]
    values[_WORLD] = world[:, :2]
    values[_WORLD_Z, :, 0] = world[:, 2]
    return values


def _squared(speed: Values) -> NDArray[np.float64]:
    """(4, 33): the squared length of each vector."""
    lengths: NDArray[np.float64] = np.einsum("klj,klj->kl", speed, speed)
    return lengths


def _share(cutoff_hz: Any, step_s: float) -> Any:
    """What a new value counts in a first-order low-pass filter; the rest is the value before.

    dt / (dt + 1 / (2 pi f)), with which a steady movement comes 1 / (2 pi f) late at any frame rate.
    """
    turns = cutoff_hz * (2 * math.pi * step_s)
    return turns / (1 + turns)


_MEDIAPIPE_MIN_HZ: Final = np.array([0.05, 0.05, 0.1, 0.1])[:, None, None]
_MEDIAPIPE_BETA: Final = np.array([80.0, 80.0, 40.0, 40.0])[:, None, None]
"""``min_cutoff`` and ``beta`` of pose_landmarks_detector_graph.cc. With them a landmark in motion trails by
1 / (2 pi 80), half a pixel of the 256 that the network sees, at any speed. Its trembling is speed, too, and
keeps the filter open."""

_REGION_M: Final = 2.1
"""The side of a region in the person's own metres (median over the clips of decision 0025)."""
_Z: Final = 1.4
"""How much faster than x and y z has to move to be followed as closely: it trembles more, matters less."""
_UNIT_SPEEDS: Final = np.array([1.0, _Z, _REGION_M, _Z * _REGION_M])[:, None]
_TINY: Final = 1e-12


class _Law(NamedTuple):
    """Ours: the cut-off frequency rises with the square of the speed, and with how directed that is.

    ``rest_hz``: of what is at rest. ``speed``: in regions per second, at which 1 Hz is added.

    The mean velocity of a movement is as large as the root mean square of its speed, over the 0.16 s that
    both are taken of; that of trembling to and fro is a fraction. The ratio, 0..1, is how directed a
    movement is: it tells movement from noise of any size. It counts to the power of 1.5 for what is plainly
    seen, and up to 3 for what is not: there the network guesses, now here, now there.
    """

    rest_hz: float
    speed: float

    def cutoff_hz(
        self, speed: Values, power: NDArray[np.float64], visibility: NDArray[np.float64]
    ) -> Values:
        """``power``: (4, 33), the mean square of the speed of which ``speed`` is the mean."""
        squared = _squared(speed)
        directed = np.sqrt(squared / (power + _TINY))
        rising: Values = (
            squared * directed ** (3 - 1.5 * visibility) / (self.speed * _UNIT_SPEEDS) ** 2
        )
        return (self.rest_hz + rising)[..., None]


_LAWS: Final = {"default": _Law(0.2, 0.03), "steady": _Law(0.1, 0.1)}
