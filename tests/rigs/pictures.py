"""Pictures of a real person, out of the clips, as files of every kind."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import ExifTags, Image

from tests.decoded import decode
from tests.rigs.heic import make_heic

if TYPE_CHECKING:
    from pathlib import Path


PHONE = (4000, 3000)
AS_LAID = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""EXIF orientation -> how the upright picture is turned to lie in a file that says so."""


def person_picture(clip: Path) -> Image.Image:
    """The first frame of a clip."""
    (frame,) = decode(clip, 1)
    return Image.fromarray(cv2.cvtColor(frame.i420, cv2.COLOR_YUV2RGB_I420))


def phone_picture(clip: Path) -> bytes:
    """A JPEG file of 12 megapixels, as a phone makes it."""
    return file_of(person_picture(clip).resize(PHONE, Image.Resampling.LANCZOS), "JPEG", quality=90)


def two_people(clip: Path) -> Image.Image:
    """The same man twice, side by side; the middle of each picture."""
    one = person_picture(clip)
    width, height = one.size
    half = one.crop((width // 4, 0, 3 * width // 4, height))
    both = Image.new("RGB", (width, height))
    both.paste(half, (0, 0))
    both.paste(half, (width // 2, 0))
    return both


def nobody() -> Image.Image:
    return Image.new("RGB", (640, 480), (90, 120, 90))


def file_of(picture: Image.Image, kind: str, *, orientation: int = 1, **options: Any) -> bytes:
    """``kind``: one of Pillow's formats, or HEIC (orientations 1, 3, 6, 8). The picture seen by a person
    is the same with every orientation."""
    turn = AS_LAID[orientation]
    laid = picture if turn is None else picture.transpose(turn)
    if kind == "HEIC":
        return make_heic(np.asarray(laid), orientation=orientation)
    if orientation != 1:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        options["exif"] = exif
    file = io.BytesIO()
    laid.save(file, kind, **options)
    return file.getvalue()


def open_picture(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of levels, of 255."""
    return float(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).mean())
