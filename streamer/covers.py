"""Where people are in a picture, on a coarse grid of cells: no less than they, and where they may be by now.

A person's cover is their mask, widened, together with a body drawn generously around all landmarks, seen
or not: a mask misses fringes, and there may be none.
"""

from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.landmarks import CONNECTIONS, NAMES
from streamer.model import Frame, Mask, Pose

Cells = NDArray[np.uint8]
"""(rows, columns) of the grid, 255 where it is covered."""

Places = NDArray[np.floating]
"""(33, 2) or (2,): x and y in cells."""

_GRID_CELLS: Final = 160  # along the longer side
_MIN_CELL_PX: Final = 4

# Lengths of a body in those of its torso, from shoulder to hip: 0.288 of the body's height (R. Drillis and
# R. Contini, "Body Segment Parameters", 1966), half a metre. Of a person who leans or turns some are
# foreshortened: the longest counts.
_SHOULDERS: Final = 0.65  # between the joints' centres
_EARS: Final = 0.29
_NOSE_TO_EARS: Final = 0.2
_THIGH: Final = 0.85
_WALK_PER_S: Final = 2.8  # 1.4 m/s

# Generous: with clothes, hair, fingers and feet beyond the last landmark.
_LIMB_RADIUS: Final = 0.22
_TRUNK_RADIUS: Final = 0.3
_HEAD_RADIUS: Final = 0.5  # the head is 0.45 high
_MASK_MARGIN: Final = 0.12

_MASK_LOWEST: Final = 26
"""Of 255: a tenth of a hint that somebody is there is enough to cover it."""
_MASK_SURE: Final = 160

_EAR = tuple(NAMES.index(f"{side}_ear") for side in ("left", "right"))
_SHOULDER = tuple(NAMES.index(f"{side}_shoulder") for side in ("left", "right"))
_HIP = tuple(NAMES.index(f"{side}_hip") for side in ("left", "right"))
_KNEE = tuple(NAMES.index(f"{side}_knee") for side in ("left", "right"))
_NOSE = NAMES.index("nose")
_FACE_COUNT = NAMES.index("left_shoulder")
_BODY_LINES = np.array([pair for pair in CONNECTIONS if min(pair) >= _FACE_COUNT])
_TRUNK = np.array([*_SHOULDER, *reversed(_HIP)])


@dataclass(slots=True, eq=False)
class Cover:
    """Where one person is, or was last. ``torso``: in cells; ``grown``: what of the next cell is due."""

    cells: Cells
    torso: float
    seen_pts: int
    grown: float = 0.0
    area: int = field(init=False)

    def __post_init__(self) -> None:
        self.area = cv2.countNonZero(self.cells)

    def overlap(self, other: "Cover") -> float:
        """0..1: of the smaller one."""
        smaller = min(self.area, other.area)
        both = cv2.countNonZero(cv2.bitwise_and(self.cells, other.cells)) if smaller else 0
        return both / smaller if smaller else 0.0

    def grow(self, elapsed_s: float) -> None:
        """To wherever a walking person may be by now."""
        self.grown += self.torso * _WALK_PER_S * elapsed_s
        radius, self.grown = divmod(self.grown, 1)
        if radius:
            self.cells = _widened(self.cells, radius)
            self.area = cv2.countNonZero(self.cells)


class Grid:
    """The cells of a frame, and people on them."""

    def __init__(self, frame: Frame) -> None:
        longer = max(frame.width, frame.height)
        self.cell_px: Final = max(_MIN_CELL_PX, -(-longer // _GRID_CELLS))
        self._columns = -(-frame.width // self.cell_px)
        self._rows = -(-frame.height // self.cell_px)
        self._cells_of_whole = np.array((frame.width, frame.height), np.float32) / self.cell_px

    def empty(self) -> Cells:
        return np.zeros((self._rows, self._columns), np.uint8)

    def cover(self, pose: Pose, pts: int, *, only_head: bool) -> Cover:
        """Everything that may be of this person, or of their head. A pose whose places are no numbers
        may be anywhere."""
        cells, torso = self.empty(), 1.0
        for landmarks in (pose.landmarks, pose.raw):
            if landmarks is None:
                continue
            places = landmarks[:, :2] * self._cells_of_whole
            if not np.isfinite(places).all():
                cells[:] = 255
                continue
            torso = max(torso, _torso(places))
            _draw_head(cells, places, torso)
            if not only_head:
                _draw_body(cells, places, torso)
        if pose.mask is not None and not only_head:
            cells |= _widened(self._of_mask(pose.mask) >= _MASK_LOWEST, torso * _MASK_MARGIN)
        return Cover(cells, torso, pts)

    def surely(self, pose: Pose) -> Cells:
        """What is of this person for certain: the mask without its fringe, or the limbs themselves. Of what
        is shown the outermost half cell is left out as well (``only_whole``)."""
        if pose.mask is not None:
            return _as_cells(self._of_mask(pose.mask) >= _MASK_SURE)
        cells = self.empty()
        places = pose.landmarks[:, :2] * self._cells_of_whole
        if np.isfinite(places).all():
            torso = _torso(places)
            _draw_head(cells, places, torso / 2)
            _draw_body(cells, places, torso / 2)
        return cells

    def _of_mask(self, mask: Mask) -> Cells:
        """The mask's values at the centres of the cells; 0 beyond it."""
        to_whole = np.diag((*1 / self._cells_of_whole, 1.0)).astype(np.float32)
        to_whole[:2, 2] = 0.5 / self._cells_of_whole
        to_mask = mask.to_mask @ to_whole
        to_mask[:, 2] -= 0.5  # OpenCV counts from the centre of the first pixel
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (self._columns, self._rows)
        return np.asarray(cv2.warpAffine(mask.alpha, to_mask, size, flags=flags), np.uint8)


def _torso(places: Places) -> float:
    """Length of the torso from all that tells something of it."""

    def middle(pair: tuple[int, ...]) -> Places:
        centre: Places = places[list(pair)].mean(axis=0)
        return centre

    def between(a: NDArray[np.float32], b: Places) -> float:
        return float(np.hypot(*(a - b)))

    return max(
        between(middle(_SHOULDER), middle(_HIP)),
        between(places[_SHOULDER[0]], places[_SHOULDER[1]]) / _SHOULDERS,
        between(places[_EAR[0]], places[_EAR[1]]) / _EARS,
        between(places[_NOSE], middle(_EAR)) / _NOSE_TO_EARS,
        *(
            between(places[hip], places[knee]) / _THIGH
            for hip, knee in zip(_HIP, _KNEE, strict=True)
        ),
    )


def _draw_head(cells: Cells, places: Places, torso: float) -> None:
    face = places[:_FACE_COUNT]
    spread = float(np.hypot(*(face.max(axis=0) - face.min(axis=0)))) / 2
    centre = _cell(places[list(_EAR)].mean(axis=0))
    radius = _cells(max(torso * _HEAD_RADIUS, spread * 2))
    cv2.circle(cells, centre, radius, 255, cv2.FILLED)


def _draw_body(cells: Cells, places: Places, torso: float) -> None:
    limb, trunk = _cells(2 * torso * _LIMB_RADIUS), _cells(2 * torso * _TRUNK_RADIUS)
    points = [_cell(place) for place in places]
    for a, b in _BODY_LINES.tolist():
        cv2.line(cells, points[a], points[b], 255, limb)
    outline = np.array([points[index] for index in _TRUNK])
    cv2.fillConvexPoly(cells, outline, 255)
    cv2.polylines(cells, [outline], True, 255, trunk)
    neck = _cell(places[list(_SHOULDER)].mean(axis=0))
    cv2.line(cells, _cell(places[list(_EAR)].mean(axis=0)), neck, 255, trunk)


def _cell(place: Places) -> tuple[int, int]:
    """Within what OpenCV takes: a landmark may lie far outside."""
    x, y = np.clip(place, -(2**13), 2**13).tolist()
    return round(x), round(y)


def _cells(length: float) -> int:
    return min(2**13, max(1, int(np.ceil(length))))


def _widened(cells: NDArray[np.generic], radius: float) -> Cells:
    return np.asarray(cv2.dilate(_as_cells(cells), _disc(_cells(radius))), np.uint8)


def _as_cells(cells: NDArray[np.generic]) -> Cells:
    return cells.astype(np.uint8) * np.uint8(255) if cells.dtype == np.bool_ else cells  # type: ignore[return-value]


def _disc(radius: int) -> NDArray[np.uint8]:
    side = 2 * min(radius, _GRID_CELLS) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
