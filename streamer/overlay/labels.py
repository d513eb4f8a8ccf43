"""Numbers beside the joints and over the heads, each on a rectangle, so that it is read on any picture."""

import functools
from collections.abc import Iterator
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.angles import ANGLES
from streamer.config import OverlayConfig
from streamer.landmarks import NAMES
from streamer.model import Plane, Pose
from streamer.overlay.canvas import Canvas
from streamer.overlay.colours import DARK, MIDDLE, Colour, person_colour
from streamer.overlay.figure import Person, line_width_px

_JOINTS: Final = tuple(
    (ANGLES.index(name), NAMES.index(name), 1 if side == "left" else -1)
    for side in ("left", "right")
    for name in (f"{side}_{joint}" for joint in ("shoulder", "elbow", "hip", "knee"))
)
"""Index of the angle, index of the landmark, and to which side of it the number goes: by the joint's own
side, so that none jumps when the person turns, and two that meet in a side view don't cover each other."""

_NOSE, _SHOULDERS = NAMES.index("nose"), [NAMES.index(f"{s}_shoulder") for s in ("left", "right")]
_CROWN: Final = 0.75
"""From the nose, how far the top of the head is, in distances from the nose to the shoulders' middle."""

# Of a digit's height:
_ADVANCE: Final = {"%": 1.25, "°": 0.5}
_DIGIT_ADVANCE, _MARGIN = 0.95, 0.4

_FINER = 4  # what letters are drawn larger, to have smooth edges
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_HEIGHT_PX = 21  # of a digit at scale 1
_STAMPS_KEPT = 1024


class Label(NamedTuple):
    text: str
    ink: Colour
    ground: Colour


def digit_height_px(width: int, height: int) -> int:
    """In a picture of this size."""
    return max(8, round(min(width, height) / 45))


def draw_labels(canvas: Canvas, person: Person, look: OverlayConfig) -> None:
    digit_px = digit_height_px(canvas.width, canvas.height)
    if look.angles and person.pose.angles is not None:
        gap_px = 2 * line_width_px(look, canvas.width, canvas.height) + 2
        for text, (x, y), direction in _angles(person, person.pose.angles):
            luma = _stamp(text, digit_px, MIDDLE.y, DARK.y)
            left = x * canvas.width + direction * gap_px - (luma.shape[1] if direction < 0 else 0)
            _put(canvas, luma, DARK, left, y * canvas.height - luma.shape[0] / 2)
    badges = list(_badges(person.pose, look))
    if badges:
        _put_over_head(canvas, person, badges, digit_px)


def _angles(
    person: Person, angles: NDArray[np.float32]
) -> Iterator[tuple[str, tuple[float, float], int]]:
    """Text, place of the joint, and on which side of it: of the angles that can be trusted, in the
    picture."""
    places, plain = person.places.tolist(), person.plain.tolist()
    for angle, joint, direction in _JOINTS:
        degrees, is_valid = angles[angle].tolist()
        x, y = places[joint]
        if is_valid and plain[joint] and 0 <= x <= 1 and 0 <= y <= 1:
            yield f"{degrees:.0f}°", (x, y), direction


def _badges(pose: Pose, look: OverlayConfig) -> Iterator[Label]:
    if look.ids:
        yield Label(str(pose.id), DARK, person_colour(pose.id))
    if look.confidence:
        yield Label(f"{pose.score:.0%}", MIDDLE, DARK)


def _put_over_head(canvas: Canvas, person: Person, badges: list[Label], digit_px: int) -> None:
    place = _crown(person)
    if place is None:
        return
    stamps = [_stamp(text, digit_px, ink.y, ground.y) for text, ink, ground in badges]
    left = place[0] * canvas.width - sum(stamp.shape[1] for stamp in stamps) / 2
    left = min(left, canvas.width - sum(stamp.shape[1] for stamp in stamps))
    for stamp, badge in zip(stamps, badges, strict=True):
        left = _put(canvas, stamp, badge.ground, left, place[1] * canvas.height - stamp.shape[0])


def _crown(person: Person) -> tuple[float, float] | None:
    """The top of the head, in line with the body; else the highest landmark that is seen."""
    places, seen = person.places, person.plain | person.faint
    if seen[_NOSE] and seen[_SHOULDERS].all():
        x, y = places[_NOSE] + _CROWN * (places[_NOSE] - places[_SHOULDERS].mean(axis=0))
        return float(x), float(y)
    if not seen.any():
        return None
    x, y = min(places[seen].tolist(), key=lambda place: place[1])
    return x, y


def _put(canvas: Canvas, luma: Plane, ground: Colour, left: float, top: float) -> int:
    """As near as may be within the picture; nothing where it has no room. Returns the right edge."""
    height, width = luma.shape
    most_left, most_top = canvas.width - width, canvas.height - height
    x = round(min(max(left, 0), most_left) / 2) * 2
    y = round(min(max(top, 0), most_top) / 2) * 2
    if most_left >= 0 and most_top >= 0:
        canvas.stamp(luma, ground, x, y)
    return int(x + width)


@functools.lru_cache(maxsize=_STAMPS_KEPT)
def _stamp(text: str, digit_px: int, ink: int, ground: int) -> Plane:
    """The brightness of a text's rectangle. Even in width and height."""
    unit = digit_px * _FINER
    margin = _MARGIN * unit
    advances = [_ADVANCE.get(letter, _DIGIT_ADVANCE) * unit for letter in text]
    width = _even((sum(advances) + 2 * margin) / _FINER)
    height = _even((unit + 2 * margin) / _FINER)
    large = np.full((height * _FINER, width * _FINER), ground, np.uint8)
    x, base = margin, (height * _FINER + unit) / 2
    for letter, advance in zip(text, advances, strict=True):
        _write(large, letter, round(x), round(base), unit, ink)
        x += advance
    small = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
    small.setflags(write=False)
    return np.asarray(small, np.uint8)


def _write(large: Plane, letter: str, x: int, base: int, unit: int, ink: int) -> None:
    thickness = round(unit * 0.14)
    if letter == "°":  # which OpenCV's fonts have not
        radius = round(unit * 0.14)
        cv2.circle(large, (x + 2 * radius, base - unit + radius), radius, ink, thickness * 3 // 4)
    else:
        cv2.putText(large, letter, (x, base), _FONT, unit / _FONT_HEIGHT_PX, ink, thickness)


def _even(value: float) -> int:
    return 2 * round(value / 2)
