"""Files to upright RGB pictures. The files are strangers': nothing of one is believed, and its size is
known before a pixel of it is decoded."""

import io
import re
import struct
import warnings
from typing import Final, NamedTuple

import numpy as np
import pi_heif
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from streamer.aio import assert_off_loop
from streamer.errors import InvalidPicture, PictureTooLarge

_DRAFTED: Final = ("JPEG", "MPO")
FORMATS: Final = ("JPEG", "PNG", "WEBP", "HEIF", "BMP", "TIFF", "GIF")
_SAME_SIDES: Final = (
    None,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM,
)
MAX_SIDE_PX: Final = 16_384
"""Drawing counts eighths of a pixel from there on down; JPEG and WebP end not far above."""

MAX_JPEG_SCANS: Final = 100
"""A progressive JPEG may repeat itself in tiny scans, each of which costs a pass over all pixels: minutes,
from a few megabytes. Cameras and programs write about ten; libtiff draws the same line."""

_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_NEXT_MARKER: Final = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
"""Within a scan's data, 0xff is followed by 0 or by a restart marker (ITU-T T.81, B.1.1.2 and table B.1)."""

_UNREADABLE: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    ArithmeticError,
    LookupError,
    TypeError,
    RuntimeError,
)
"""What Pillow's readers raise for files that lie: not documented, found by feeding them such."""

_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation (CIPA DC-008, tag 0x0112); 1 is upright."""


class Decoded(NamedTuple):
    """``image``: mode RGB. ``width``, ``height``: of the upright picture in the file; ``image`` may be
    smaller."""

    image: Image.Image
    width: int
    height: int


def prepare_decoders(max_pixels: int) -> None:
    """Once in a process: whatever Pillow opens is refused beyond so many pixels."""
    Image.MAX_IMAGE_PIXELS = max_pixels
    # Their warnings are about single tags and chunks of strangers' files; nobody could act on them.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # Last, since the last filter is the first that is asked: without it the limit would be twice as high.
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    pi_heif.register_heif_opener(
        decode_threads=1, thumbnails=False, depth_images=False, aux_images=False
    )


def decode(data: bytes | bytearray, max_pixels: int, enough_px: int = 0) -> Decoded:
    """The picture, upright: of an animation the first, transparent parts white.

    ``enough_px``: its longer side needs no more than this; a JPEG may then come smaller, in half the
    time. Raises InvalidPicture and PictureTooLarge, the latter before anything is decoded.
    """
    assert_off_loop()
    try:
        _check_webp(data, max_pixels)
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image.size, max_pixels)
            _check_effort(image, data, max_pixels)
            size = image.size
            if enough_px and max(size) > enough_px:
                share = enough_px / max(size)
                image.draft("RGB", (int(size[0] * share), int(size[1] * share)))
            image.load()
            if image.format not in _DRAFTED:
                _check_size(image.size, max_pixels)  # a HEIC file may have said less than it holds
                size = image.size
            turn = _turn(image)
            upright = _to_rgb(image) if turn is None else _to_rgb(image).transpose(turn)
            width, height = size if turn in _SAME_SIDES else size[::-1]
            return Decoded(upright, width, height)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(max_pixels) from error
    except UnidentifiedImageError as error:
        raise InvalidPicture(
            "This is not a picture that can be read here. Send JPEG, PNG, WebP, HEIC, TIFF, GIF or BMP."
        ) from error
    except MemoryError as error:
        raise PictureTooLarge(
            "The picture needs more memory than one may have: save it anew, or make it smaller."
        ) from error
    except _UNREADABLE as error:
        raise InvalidPicture(
            "The picture's file is damaged or not complete. Send it again, or save it anew."
        ) from error


def _check_webp(data: bytes | bytearray, max_pixels: int) -> None:
    """Pillow has the reader set up two pictures of the file's size when it opens one, before it asks how
    large that is. The sizes' places are in RFC 9649, sections 2.5 to 2.7."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return
    if data[12:16] == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    _check_size((width, height), max_pixels)


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels or max(width, height) > MAX_SIDE_PX:
        raise _too_large(max_pixels)


def _too_large(max_pixels: int) -> PictureTooLarge:
    return PictureTooLarge(
        f"The picture may have at most {max_pixels / 1e6:g} million pixels, and {MAX_SIDE_PX} on a "
        "side: make it smaller and send it again."
    )


def _check_effort(image: Image.Image, data: bytes | bytearray, max_pixels: int) -> None:
    """Files of an honest size that take for ever, or more memory than their pixels."""
    if image.format in _DRAFTED and _has_too_many_scans(data):
        raise InvalidPicture("The picture's file is not one that a camera makes: save it anew.")
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]  # of Pillow's TiffImageFile
        sides = (ExifTags.Base.TileWidth, ExifTags.Base.TileLength)
        width, length = (int(tags.get(side, 1)) for side in sides)
        if (
            width * length > max_pixels
        ):  # libtiff decodes whole tiles, however little of one is seen
            raise _too_large(max_pixels)


def _has_too_many_scans(jpeg: bytes | bytearray) -> bool:
    """Up to the end of the picture: phones put whole films behind it."""
    if jpeg.count(b"\xff\xda") <= MAX_JPEG_SCANS:
        return False  # nearly every file, in a hundredth of the time
    at, scans = 2, 0
    while scans <= MAX_JPEG_SCANS and (marker := _NEXT_MARKER.search(jpeg, at)) is not None:
        kind = marker[1][0]
        if kind == _END_OF_IMAGE:
            break
        scans += kind == _START_OF_SCAN
        at = marker.end() + int.from_bytes(jpeg[marker.end() : marker.end() + 2], "big")
    return scans > MAX_JPEG_SCANS


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What makes a loaded picture upright. Pillow has turned a TIFF file's already, libheif a HEIC's."""
    orientation = image.getexif().get(ExifTags.Base.Orientation)
    return _UPRIGHT.get(orientation) if isinstance(orientation, int) else None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_eight_bits(np.asarray(image), image.mode)).convert("RGB")
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        page = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(page, picture).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(levels: NDArray[np.generic], mode: str) -> NDArray[np.uint8]:
    """Grey levels of 16 bits (modes I;16…), or of a range that the file does not tell (I, F: taken for
    the usual one that its largest fits in), as 0..255."""
    wide = np.nan_to_num(levels.astype(np.float32), posinf=0.0, neginf=0.0)
    usual = {"I": (255.0, 65535.0), "F": (1.0, 255.0, 65535.0)}.get(mode, (65535.0,))
    largest = float(wide.max())
    white = next((level for level in usual if largest <= level), largest)
    grey: NDArray[np.uint8] = np.clip(wide * (255.0 / white), 0, 255).astype(np.uint8)
    return grey
