"""What of a camera's picture may be seen: people are hidden before a picture is drawn on, encoded or kept.

``covers`` says where people are; what is done about it is done on the Y, U and V planes.
"""

from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.aio import assert_off_loop
from streamer.config import MAX_POSES, PoseConfig, PrivacyConfig, PrivacyMode
from streamer.covers import Cells, Cover, Grid
from streamer.model import VIDEO_CLOCK_HZ, Frame, Plane, Pose, Rule

MASKED_MODES: Final[frozenset[PrivacyMode]] = frozenset(("silhouette", "blur", "blur_background"))
"""Those that are better with people's masks (``enable_segmentation``)."""

HIDING_MODES: Final[frozenset[PrivacyMode]] = frozenset(("silhouette", "blur", "cover_face"))
"""Those for which everybody must be found, however many poses are wanted."""

SETTLE_S: Final = 1.0
"""So long nobody is trusted to be nowhere: at the beginning everything counts as covered."""

SEARCH_INTERVAL_S: Final = 0.1
"""Between two looks for people who have come in since: so long one may be seen while others are there."""

MAX_CONFIDENCE: Final = 0.5
"""More is not asked of those who are to be hidden, or whoever may change [pose] could have nobody found."""

_CONFIDENCES: Final = ("min_detection_confidence", "min_tracking_confidence")

MAX_LOST: Final = 16
"""Places remembered where somebody was lost; of more than these the oldest become one."""

_MEANS: Final = 24  # along the longer side, at most, are left of a blurred picture
_MIN_MEAN_PX: Final = 12
_MEAN_SIDE: Final = 0.15  # of a torso: three of these side by side are as wide as a head
_BLACK: Final = (16, 128, 128)  # BT.601, limited range
_FLAT: Final = (90, 128, 128)


def sought(pose: PoseConfig, mode: PrivacyMode) -> PoseConfig:
    """What an estimator is to do, so that people can be hidden so: also those who don't count."""
    wanted: dict[str, object] = {}
    if mode in MASKED_MODES:
        wanted["enable_segmentation"] = True
    if mode in HIDING_MODES:
        wanted |= {"num_poses": MAX_POSES, "region": [], "ignore": []}
        wanted["search_interval_s"] = min(pose.search_interval_s, SEARCH_INTERVAL_S)
        wanted |= {name: min(getattr(pose, name), MAX_CONFIDENCE) for name in _CONFIDENCES}
        wanted["low_light"] = "auto" if pose.low_light == "off" else pose.low_light
    return pose.model_copy(update=wanted)


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
        self._here: list[Cover] = []
        self._lost: list[Cover] = []

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
        grid = Grid(frame)
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

    def _covered(self, grid: Grid, poses: tuple[Pose, ...], pts: int) -> Cells:
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


def _not_continued(before: list[Cover], now: list[Cover]) -> list[Cover]:
    """Those before whom nobody now is the continuation of; each is of one at most. By place and not by
    ids: where an id is mistaken somebody would be left uncovered."""
    pairs = [
        (overlap, old, new) for old in before for new in now if (overlap := old.overlap(new)) > 0
    ]
    pairs.sort(key=lambda pair: pair[0], reverse=True)
    continued: set[Cover] = set()
    for _, old, new in pairs:
        if not continued & {old, new}:
            continued |= {old, new}
    return [each for each in before if each not in continued]


def _joined(a: Cover, b: Cover) -> Cover:
    seen_pts, torso = max(a.seen_pts, b.seen_pts), max(a.torso, b.torso)
    return Cover(a.cells | b.cells, torso, seen_pts)


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
    frame: Frame, other: Frame, grid: Grid, cells: Cells, *, only_whole: bool = False
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
