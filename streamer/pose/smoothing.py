"""Smoothing: takes the trembling out of one person's landmarks without making their movements late.

Each coordinate goes through a low-pass filter whose cut-off frequency rises with speed, as in the One-Euro
filter (Casiez, Roussel, Vogel: CHI 2012). Of how it rises there are two laws, MediaPipe's and ours;
docs/decisions/0025-smoothing.md has the figures. All time is media time, so that the frame rate, or
a frame left out, makes no difference to how late a movement is shown.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

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
"""Of the speed's own low-pass filter (``derivate_cutoff`` of MediaPipe's options)."""

_VISIBILITY_SHARE = 0.1
_VISIBILITY_S = 0.3
"""MediaPipe gives each new visibility this share, whatever the frame rate. At its nominal 30 Hz that is a
time constant of 0.3 s."""

_IMAGE, _IMAGE_Z, _WORLD, _WORLD_Z = (
    slice(LANDMARK_COUNT * index, LANDMARK_COUNT * (index + 1)) for index in range(4)
)
"""What is filtered at once: (x, y) in the picture, (z, 0) there, and both in the world. z is for itself since
the networks only guess it: its noise is several times as large."""

Rows = NDArray[np.float64]
"""(132, 2), in pixels or metres."""


class PoseSmoother:
    """Of one person, in one thread. ``strength``: may be set at any time, nothing jumps then; None: off."""

    def __init__(self, strength: Smoothing | None) -> None:
        self._strength: Smoothing | None = strength
        self._since_change_s = math.inf
        self._scale = np.ones((_WORLD_Z.stop, 1))
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

    def smooth(
        self,
        landmarks: NDArray[np.float32],
        world: NDArray[np.float32],
        scale_px: float,
        t_s: float,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """``landmarks`` (33, 5) and ``world`` (33, 3) as they are to be shown; new arrays.

        x, y and z of ``landmarks`` are in pixels, ``world`` is in metres; visibility is smoothed, too,
        presence stays as it is. All must be finite. ``scale_px``: the side of the region that the person
        was seen in, above 0. ``t_s``: media time; when it runs back or leaps, smoothing begins anew.
        """
        rows, visibility = _rows(landmarks, world), landmarks[:, 3].astype(np.float64)
        step_s = -1.0 if self._last_s is None else t_s - self._last_s
        if not 0 <= step_s <= MAX_GAP_S:
            self._begin(rows, visibility)
        elif step_s > 0:
            self._follow(rows, visibility, scale_px, step_s)
        self._last_s = t_s
        return self._shown(landmarks)

    def _begin(self, rows: Rows, visibility: NDArray[np.float64]) -> None:
        self._raw, self._smooth, self._visibility = rows, rows, visibility
        self._speed = np.zeros_like(rows)
        self._energy = np.zeros(len(rows))

    def _follow(
        self, rows: Rows, visibility: NDArray[np.float64], scale_px: float, step_s: float
    ) -> None:
        self._scale[: _WORLD.start] = 1 / (scale_px * step_s)
        self._scale[_WORLD.start :] = 1 / step_s
        speed = (rows - self._raw) * self._scale
        share = _share(_SPEED_CUTOFF_HZ, step_s)
        self._speed += share * (speed - self._speed)
        self._energy += share * (_squared(speed) - self._energy)
        self._raw = rows
        self._since_change_s += step_s
        eased = min(1.0, self._since_change_s / _FADE_S)
        shares = self._shares(step_s) * eased
        self._smooth = self._smooth + shares * (rows - self._smooth)
        share = self._visibility_share(step_s) * eased
        self._visibility = self._visibility + share * (visibility - self._visibility)

    def _shares(self, step_s: float) -> Any:
        """What the new values count: one number, or (132, 2)."""
        if self._strength is None:
            return 1.0
        if self._strength == "mediapipe":
            return _share(_mediapipe_hz(self._speed), step_s)
        return _share(_CALM[self._strength].cutoff_hz(self._speed, self._energy), step_s)

    def _visibility_share(self, step_s: float) -> float:
        if self._strength is None:
            return 1.0
        if self._strength == "mediapipe":
            return _VISIBILITY_SHARE
        return step_s / (step_s + _VISIBILITY_S)

    def _shown(
        self, landmarks: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        shown = landmarks.copy()
        shown[:, :2] = self._smooth[_IMAGE, :2]
        shown[:, 2] = self._smooth[_IMAGE_Z, 0]
        shown[:, 3] = self._visibility
        world = np.empty((LANDMARK_COUNT, 3), np.float32)
        world[:, :2] = self._smooth[_WORLD]
        world[:, 2] = self._smooth[_WORLD_Z, 0]
        return shown, world


def _rows(landmarks: NDArray[np.float32], world: NDArray[np.float32]) -> Rows:
    rows = np.zeros((_WORLD_Z.stop, 2))
    rows[_IMAGE] = landmarks[:, :2]
    rows[_IMAGE_Z, 0] = landmarks[:, 2]
    rows[_WORLD] = world[:, :2]
    rows[_WORLD_Z, 0] = world[:, 2]
    return rows


def _squared(rows: Rows) -> NDArray[np.float64]:
    """The squared length of each row."""
    lengths: NDArray[np.float64] = np.einsum("ij,ij->i", rows, rows)
    return lengths


def _share(cutoff_hz: Any, step_s: float) -> Any:
    """What a new value counts in a first-order low-pass filter; the rest is the value before.

    dt / (dt + 1 / (2 pi f)), with which a steady movement comes 1 / (2 pi f) late at any frame rate.
    """
    turns = cutoff_hz * (2 * math.pi * step_s)
    return turns / (1 + turns)


def _of_rows(*values: float) -> NDArray[np.float64]:
    """(132,), from one for each of the four kinds."""
    return np.repeat(values, LANDMARK_COUNT)


_MEDIAPIPE_MIN_HZ = _of_rows(0.05, 0.05, 0.1, 0.1)[:, None]
_MEDIAPIPE_BETA = _of_rows(80.0, 80.0, 40.0, 40.0)[:, None]
"""``min_cutoff`` and ``beta`` of pose_landmarks_detector_graph.cc."""


def _mediapipe_hz(speed: Rows) -> Rows:
    """The One-Euro filter's law: a moving landmark comes after by a constant 1 / (2 pi beta), here 1/500 of
    the region or half a pixel of what the network sees. The noise's own speed opens it, too."""
    return _MEDIAPIPE_MIN_HZ + _MEDIAPIPE_BETA * np.abs(speed)


@dataclass(frozen=True, slots=True)
class _Calm:
    """Our law: the cut-off frequency rises with the square of the speed, times how directed it is.

    ``rest_hz``: of a landmark at rest. ``speed``: at which 1 Hz is added, in regions per second. Speed is
    the length of the row's vector, so that all directions are the same. A movement's speed is as large as
    the root of its mean square, over the speed filter's 0.16 s; of trembling to and fro it is a fraction:
    that ratio, 0..1, is how directed it is, and knows noise of any size from movement.
    """

    rest_hz: float
    speed: float

    def cutoff_hz(self, speed: Rows, energy: NDArray[np.float64]) -> Rows:
        """``energy``: (132,), the mean square of the speed that ``speed`` is the mean of."""
        squared = _squared(speed)
        directed = np.sqrt(squared / (energy + _TINY))
        return (self.rest_hz + squared * directed * (_SENSITIVITY / self.speed**2))[:, None]


_TINY = 1e-12
_REGION_M = 2.1
"""The side of a region on the person's own scale (median over the clips of decision 0025)."""
_Z_NOISE = 1.4
"""How many times as fast as x and y z has to move to be followed: it trembles more, and matters less."""
_SENSITIVITY = 1 / _of_rows(1.0, _Z_NOISE, _REGION_M, _Z_NOISE * _REGION_M) ** 2

_CALM: Final = {"default": _Calm(0.3, 0.039), "steady": _Calm(0.1, 0.12)}
