"""What of a camera's picture may be seen: people are hidden before a picture is drawn on, encoded or kept.

Everything is decided on a coarse grid of cells and done on the Y, U and V planes. A person's cover is
their mask, widened, together with a body drawn generously around all landmarks, seen or not: a mask
misses fringes, and there may be none.
"""

from dataclasses import dataclass, field, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.aio import assert_off_loop
from streamer.config import MAX_POSES, PoseConfig, PrivacyConfig, PrivacyMode
from streamer.landmarks import CONNECTIONS, NAMES
from streamer.model import VIDEO_CLOCK_HZ, Frame, Mask, Plane, Pose, Rule

MASKED_MODES: Final[frozenset[PrivacyMode]] = frozenset(("silhouette", "blur", "blur_background"))
"""Those that are better with people's masks (``enable_segmentation``)."""

HIDING_MODES: Final[frozenset[PrivacyMode]] = frozenset(("silhouette", "blur", "cover_face"))
"""Those for which everybody must be found, however many poses are wanted."""

SETTLE_S: Final = 1.0
"""So long nobody is trusted to be nowhere: at the beginning everything counts as covered."""

MAX_LOST: Final = 16
"""Places remembered where somebody was lost; of more than these the oldest become one."""

_GRID_CELLS: Final = 160  # along the longer side
_MIN_CELL_PX: Final = 4
_MEANS: Final = 24  # along the longer side, at most, are left of a blurred picture
_MIN_MEAN_PX: Final = 12
_BLACK: Final = (16, 128, 128)  # BT.601, limited range
_FLAT: Final = (90, 128, 128)

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
_MEAN_SIDE: Final = 0.15  # three of these side by side are as wide as a head

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


def sought(pose: PoseConfig, mode: PrivacyMode) -> PoseConfig:
    """What an estimator is to do, so that people can be hidden so."""
    has_mask = pose.enable_segmentation or mode in MASKED_MODES
    num_poses = MAX_POSES if mode in HIDING_MODES else pose.num_poses
    return pose.model_copy(update={"enable_segmentation": has_mask, "num_poses": num_poses})


Cells = NDArray[np.uint8]
"""(rows, columns) of the grid, 255 where it is covered."""

Places = NDArray[np.floating]
"""(33, 2) or (2,): x and y in cells."""


@dataclass(slots=True, eq=False)
class _Cover:
    """Where one person is, or was last. ``torso``: in cells; ``grown``: what of the next cell is due."""

    cells: Cells
    torso: float
    seen_pts: int
    grown: float = 0.0
    area: int = field(init=False)

    def __post_init__(self) -> None:
        self.area = cv2.countNonZero(self.cells)

    def overlap(self, other: "_Cover") -> float:
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


class Obscurer:
    """Applies one privacy setting to the frames of one stream, in their order and in one thread.

    ``rule`` goes with every picture made: when the setting changes the session sets it over, and what
    is still under way goes nowhere. ``settle_s``: for so long everything counts as covered.
    """

    def __init__(self, config: PrivacyConfig, *, settle_s: float = SETTLE_S) -> None:
        self.mode: Final = config.mode
        self.rule: Final = Rule()
        self._hold = round(config.hold_s * VIDEO_CLOCK_HZ)
        self._settle = round(settle_s * VIDEO_CLOCK_HZ)
        self._size = (0, 0)
        self._first_pts = self._last_pts = 0
        self._here: list[_Cover] = []
        self._lost: list[_Cover] = []

    @property
    def shows_camera(self) -> bool:
        """Whether pictures and packets may go out as they come."""
        return self.mode == "off"

    def reset(self) -> None:
        """The next frame has nothing to do with the last."""
        self._size = (0, 0)

    def obscure(self, frame: Frame, poses: tuple[Pose, ...], pts: int) -> Frame:
        """A new frame in which nothing is left that must not be seen; with mode "off", the frame itself.

        ``poses``: everybody who may be there, in doubt too. ``pts``: 90 kHz ticks, never running back.
        """
        if self.mode == "off":
            return frame
        assert_off_loop()
        if self.mode == "skeleton":
            return _flat(frame, _BLACK)
        if self._size != (frame.width, frame.height):
            self._size = (frame.width, frame.height)
            self._first_pts = self._last_pts = pts
            self._here, self._lost = [], []
        grid = _Grid(frame)
        if self.mode == "blur_background":
            shown = grid.empty()
            if not self._is_settling(pts):
                for pose in poses:
                    shown |= grid.surely(pose)
            return _replaced(_blurred(frame, 0.0), frame, grid, shown, only_whole=True)
        covered = self._covered(grid, poses, pts)
        if self.mode == "blur":
            torsos_px = [each.torso * grid.cell_px for each in self._here + self._lost]
            if self._is_settling(pts):
                torsos_px.append(max(self._size))  # somebody may be as near as that
            cover = _blurred(frame, max(torsos_px, default=0.0))
        else:
            cover = _flat(frame, _FLAT)
        return _replaced(frame, cover, grid, covered)

    def _is_settling(self, pts: int) -> bool:
        return pts - self._first_pts < self._settle

    def _covered(self, grid: "_Grid", poses: tuple[Pose, ...], pts: int) -> Cells:
        """Where people are, and where they may be who were lost."""
        only_head = self.mode == "cover_face"
        elapsed_s = (pts - self._last_pts) / VIDEO_CLOCK_HZ
        self._last_pts = pts
        before = self._here + self._lost
        self._here = [grid.cover(pose, pts, only_head=only_head) for pose in poses]
        self._lost = [
            each for each in _not_continued(before, self._here) if pts - each.seen_pts < self._hold
        ]
        for each in self._lost:
            each.grow(elapsed_s)
        while len(self._lost) > MAX_LOST:
            self._lost[:2] = [_joined(*self._lost[:2])]
        covered = grid.empty()
        if self._is_settling(pts):
            covered[:] = 255
        for each in (*self._here, *self._lost):
            covered |= each.cells
        return covered


def obscured_rgb(
    rgb: NDArray[np.uint8], poses: tuple[Pose, ...], mode: PrivacyMode
) -> NDArray[np.uint8]:
    """A single picture of shape (H, W, 3), with nothing left in it that must not be seen."""
    height, width = rgb.shape[:2]
    even = cv2.copyMakeBorder(rgb, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    i420 = np.asarray(cv2.cvtColor(even, cv2.COLOR_RGB2YUV_I420), np.uint8)
    frame = Frame(i420, pts=0, received_mono=0.0, received_at=0.0)
    hidden = Obscurer(PrivacyConfig(mode=mode), settle_s=0.0).obscure(frame, poses, 0)
    back = np.asarray(cv2.cvtColor(hidden.i420, cv2.COLOR_YUV2RGB_I420), np.uint8)
    return back[:height, :width]


def _not_continued(before: list[_Cover], now: list[_Cover]) -> list[_Cover]:
    """Those before whom nobody now is the continuation of; each is of one at most. By place and not by
    ids: where an id is mistaken somebody would be left uncovered."""
    pairs = [
        (overlap, old, new) for old in before for new in now if (overlap := old.overlap(new)) > 0
    ]
    pairs.sort(key=lambda pair: pair[0], reverse=True)
    continued: set[_Cover] = set()
    for _, old, new in pairs:
        if not continued & {old, new}:
            continued |= {old, new}
    return [each for each in before if each not in continued]


def _joined(a: _Cover, b: _Cover) -> _Cover:
    seen_pts, torso = max(a.seen_pts, b.seen_pts), max(a.torso, b.torso)
    return _Cover(a.cells | b.cells, torso, seen_pts)


class _Grid:
    """The cells of a frame, and people on them."""

    def __init__(self, frame: Frame) -> None:
        longer = max(frame.width, frame.height)
        self.cell_px: Final = max(_MIN_CELL_PX, -(-longer // _GRID_CELLS))
        self._columns = -(-frame.width // self.cell_px)
        self._rows = -(-frame.height // self.cell_px)
        self._cells_of_whole = np.array((frame.width, frame.height), np.float32) / self.cell_px

    def empty(self) -> Cells:
        return np.zeros((self._rows, self._columns), np.uint8)

    def cover(self, pose: Pose, pts: int, *, only_head: bool) -> _Cover:
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
        return _Cover(cells, torso, pts)

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


def _flat(frame: Frame, colour: tuple[int, int, int]) -> Frame:
    flat = replace(frame, i420=np.empty_like(frame.i420))
    for plane, level in zip(flat.planes(), colour, strict=True):
        plane[:] = level
    return flat


def _blurred(frame: Frame, torso_px: float) -> Frame:
    """Nothing is left but means over squares, of which three are as wide as the largest head, and these
    run into each other."""
    blurred = replace(frame, i420=np.empty_like(frame.i420))
    longer = max(frame.width, frame.height)
    side_px = max(_MIN_MEAN_PX, longer / _MEANS, torso_px * _MEAN_SIDE)
    size = (max(1, round(frame.width / side_px)), max(1, round(frame.height / side_px)))
    for plane, target in zip(frame.planes(), blurred.planes(), strict=True):
        means = cv2.resize(_halved(plane, size), size, interpolation=cv2.INTER_AREA)
        smooth = cv2.GaussianBlur(means, (3, 3), 0)
        cv2.resize(smooth, target.shape[::-1], dst=target, interpolation=cv2.INTER_LINEAR)
    return blurred


def _halved(plane: Plane, size: tuple[int, int]) -> Plane:
    """Down to at least twice ``size`` by halves, which OpenCV makes with vector instructions."""
    while min(plane.shape[1] // size[0], plane.shape[0] // size[1]) >= 4:
        half = (plane.shape[1] // 2, plane.shape[0] // 2)
        plane = np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA), np.uint8)
    return plane


def _replaced(
    frame: Frame, other: Frame, grid: "_Grid", cells: Cells, *, only_whole: bool = False
) -> Frame:
    """The frame with the other one's pixels where the grid says so; where a cell only touches, too, or
    ``only_whole``: not there."""
    mixed = replace(frame, i420=frame.i420.copy())
    for plane, source, px in zip(mixed.planes(), other.planes(), (1, 2, 2), strict=True):
        height, width = plane.shape
        cell = grid.cell_px
        size = (cells.shape[1] * cell // px, cells.shape[0] * cell // px)
        mask = np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        if only_whole:
            mask = np.asarray(cv2.threshold(mask, 254, 255, cv2.THRESH_BINARY)[1], np.uint8)
        cv2.copyTo(source, mask[:height, :width], plane)
    return mixed
