"""Picture files: every kind is read upright, and none can lie its way into memory."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from streamer.errors import InvalidPicture, PictureTooLarge, StreamerError
from streamer.images.decoding import FORMATS, Decoded, decode, prepare_decoders
from tests.rigs.heic import make_heic
from tests.rigs.pictures import difference, file_of, person_picture

MAX_PIXELS = 25_000_000
BOMB_PX = (16_000, 16_000)


@pytest.fixture(autouse=True)
def decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    prepare_decoders(MAX_PIXELS)


@pytest.fixture(scope="module")
def person(person_clip: Path) -> Image.Image:
    return person_picture(person_clip)


def read(data: bytes) -> Decoded:
    return decode(data, MAX_PIXELS)


# -- kinds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "off_by"),
    [
        *(("PNG", 0), ("BMP", 0), ("TIFF", 0)),
        *(("JPEG", 3), ("WEBP", 3), ("HEIC", 3), ("GIF", 6)),
    ],
)
def test_every_kind_of_file_gives_its_picture(
    person: Image.Image, kind: str, off_by: float
) -> None:
    decoded = read(file_of(person, kind))
    assert decoded.image.mode == "RGB"
    assert (decoded.width, decoded.height) == decoded.image.size == person.size
    assert difference(decoded.image, person) <= off_by


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_are_made_upright(
    person: Image.Image, kind: str, orientation: int
) -> None:
    decoded = read(file_of(person, kind, orientation=orientation))
    assert (decoded.width, decoded.height) == decoded.image.size == person.size
    assert difference(decoded.image, person) < 3


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_heic_that_is_turned_in_container_and_exif_is_turned_once(
    person: Image.Image, orientation: int
) -> None:
    decoded = read(file_of(person, "HEIC", orientation=orientation))
    assert (decoded.width, decoded.height) == decoded.image.size == person.size
    assert difference(decoded.image, person) < 3


@pytest.mark.parametrize("orientation", [1, 6])
def test_large_jpeg_comes_smaller_for_who_needs_less_and_keeps_its_size_in_words(
    person: Image.Image, orientation: int
) -> None:
    large = person.resize((2560, 1920))
    file = file_of(large, "JPEG", orientation=orientation)
    decoded = decode(file, MAX_PIXELS, enough_px=1280)
    assert (decoded.width, decoded.height) == large.size
    assert decoded.image.size == (1280, 960)
    assert difference(decoded.image.resize(person.size), person) < 6


def test_of_an_animation_the_first_picture_is_taken(person: Image.Image) -> None:
    rest = [Image.new("RGB", person.size, colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        decoded = read(file_of(person, kind, save_all=True, append_images=rest))
        assert difference(decoded.image, person) < 6


def _modes(person: Image.Image) -> dict[str, tuple[Image.Image, str]]:
    grey = person.convert("L")
    wide = np.asarray(grey).astype(np.uint16) * 257
    return {
        "grey": (grey, "PNG"),
        "grey JPEG": (grey, "JPEG"),
        "grey and alpha": (grey.convert("LA"), "PNG"),
        "16 bits PNG": (Image.fromarray(wide), "PNG"),
        "16 bits TIFF": (Image.fromarray(wide), "TIFF"),
        "32 bits": (Image.fromarray(wide.astype(np.int32)), "TIFF"),
        "float": (Image.fromarray(wide.astype(np.float32) / 65535), "TIFF"),
        "palette": (person.quantize(256), "PNG"),
        "alpha": (person.convert("RGBA"), "PNG"),
        "alpha WebP": (person.convert("RGBA"), "WEBP"),
        "CMYK": (person.convert("CMYK"), "JPEG"),
        "CMYK TIFF": (person.convert("CMYK"), "TIFF"),
        "YCbCr": (person.convert("YCbCr"), "TIFF"),
    }


@pytest.mark.parametrize("name", list(_modes(Image.new("RGB", (8, 8)))))
def test_every_mode_of_colour_looks_as_it_should(person: Image.Image, name: str) -> None:
    picture, kind = _modes(person)[name]
    decoded = read(file_of(picture, kind))
    seen = person.convert("L")
    assert decoded.image.size == person.size
    assert difference(decoded.image.convert("L"), seen) < 5


def test_what_is_transparent_becomes_white(person: Image.Image) -> None:
    clear = person.convert("RGBA")
    clear.putalpha(0)
    assert read(file_of(clear, "PNG")).image.getextrema() == ((255, 255),) * 3


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (641, 481)])
def test_odd_sizes_are_kept(size: tuple[int, int]) -> None:
    assert read(file_of(Image.new("RGB", size), "PNG")).image.size == size


def test_exif_that_is_no_exif_is_no_reason_to_refuse_a_picture(person: Image.Image) -> None:
    broken = file_of(person, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff rubbish")
    assert read(broken).image.size == person.size


# -- bombs ------------------------------------------------------------------------------------------


def _png_claiming(width: int, height: int) -> bytes:
    """A few bytes that say they are so large a picture."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1_000_000), 9)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _gif_with_a_large_frame() -> bytes:
    """Its screen is small; the one picture on it is not."""
    gif = bytearray(file_of(Image.new("L", (16, 16)), "GIF"))
    at = gif.index(b",\0\0\0\0")  # the image descriptor: left, top, then width and height
    struct.pack_into("<HH", gif, at + 5, 60_000, 60_000)
    return bytes(gif)


def _tiff_with_a_large_tile() -> bytes:
    """A picture of 16 x 16 in one tile of a gigapixel: libtiff would make room for all of it."""
    data = zlib.compress(bytes(1_000_000), 9)
    tags = [(256, 16), (257, 16), (258, 8), (259, 8), (262, 1), (277, 1)]
    tags += [(322, 32_000), (323, 32_000), (324, 8), (325, len(data))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory


def _webp_claiming(size: tuple[int, int], **options: Any) -> bytes:
    """In both places that may say how large a picture is."""
    file = bytearray(file_of(Image.new("RGBA", (16, 16), (9, 9, 9, 9)), "WEBP", **options))
    width, height = (side - 1 for side in size)
    if file[12:16] == b"VP8X":
        file[24:30] = width.to_bytes(3, "little") + height.to_bytes(3, "little")
    else:
        flags = struct.unpack_from("<I", file, 21)[0] & ~0xFFFFFFF
        struct.pack_into("<I", file, 21, flags | width | height << 14)
    return bytes(file)


def _bombs() -> dict[str, bytes]:
    black = Image.new("1", BOMB_PX)
    return {
        "PNG": file_of(black, "PNG"),
        "PNG header": _png_claiming(60_000, 60_000),
        "PNG wide": _png_claiming(1_000_000, 20),
        "WebP": file_of(Image.new("RGB", (6000, 5000)), "WEBP", method=0),
        "WebP lossless": _webp_claiming(BOMB_PX, lossless=True),
        "WebP alpha": _webp_claiming(BOMB_PX),
        "HEIC": make_heic(np.zeros((64, 64, 3), np.uint8), claimed=(30_000, 30_000)),
        "TIFF": file_of(black, "TIFF", compression="tiff_adobe_deflate"),
        "TIFF tile": _tiff_with_a_large_tile(),
        "GIF": file_of(black.convert("L"), "GIF"),
        "GIF frame": _gif_with_a_large_frame(),
        "JPEG": file_of(black.convert("L"), "JPEG"),
        "a little": file_of(Image.new("1", (5001, 5000)), "PNG"),
    }


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    return _bombs()


BOMBS = [
    *("PNG", "PNG header", "PNG wide", "WebP", "WebP lossless", "WebP alpha", "HEIC", "TIFF"),
    *("TIFF tile", "GIF", "GIF frame", "JPEG", "a little"),
]


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_is_refused_before_it_is_decoded(
    bombs: dict[str, bytes], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> Any:
        raise AssertionError("it was decoded")

    monkeypatch.setattr("PIL.Image.core.new", never)
    monkeypatch.setattr("PIL._webp.WebPAnimDecoder", never)  # it makes room for all at once
    monkeypatch.setattr(Image.Image, "load", never)
    with pytest.raises(PictureTooLarge, match="25 million pixels"):
        read(bombs[name])


def test_heic_that_holds_more_than_it_says_is_refused() -> None:
    liar = make_heic(np.zeros((1200, 1600, 3), np.uint8), claimed=(100, 100))
    with pytest.raises((InvalidPicture, PictureTooLarge)):
        read(liar)


def test_pillow_refuses_what_is_a_little_too_large() -> None:
    """By itself, where a size shows only while it decodes; its own limit is twice as high."""
    large = file_of(Image.new("1", (5000, 5001)), "PNG")
    with pytest.raises(Image.DecompressionBombWarning):
        Image.open(io.BytesIO(large))


def test_picture_of_just_so_many_pixels_is_taken() -> None:
    assert read(file_of(Image.new("1", (5000, 5000)), "PNG")).image.size == (5000, 5000)


def test_jpeg_that_scans_itself_for_ever_is_refused(person: Image.Image) -> None:
    file = file_of(person, "JPEG", progressive=True)
    last = file.rindex(b"\xff\xda")
    scan = file[last:-2]
    assert read(file).image.size == person.size
    with pytest.raises(InvalidPicture, match="save it anew"):
        read(file[:-2] + scan * 200 + b"\xff\xd9")


def test_film_behind_the_picture_of_a_phone_is_no_scan_of_it(person: Image.Image) -> None:
    for progressive in (False, True):
        file = file_of(person, "JPEG", progressive=progressive)
        assert read(file + b"film\xff\xda" * 10_000).image.size == person.size
        exif = b"Exif\0\0" + b"\xff\xda\0\x02" * 1000
        assert read(file_of(person, "JPEG", exif=exif)).image.size == person.size


# -- no pictures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"hello, I am a text",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7 and so on",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\x00\x00\x00\x18ftypmp42" + bytes(40),
        bytes(1000),
    ],
)
def test_what_is_no_picture_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(InvalidPicture, match="Send JPEG, PNG"):
        read(data)


@pytest.mark.parametrize("kind", [*FORMATS, "HEIC"])
def test_truncated_file_of_any_kind_is_refused(person: Image.Image, kind: str) -> None:
    if kind == "HEIF":
        return  # HEIC is one
    file = file_of(person, kind)
    for share in (0.9, 0.5, 0.1):
        with pytest.raises(InvalidPicture):
            read(file[: int(len(file) * share)])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIC", "BMP", "TIFF", "GIF"])
def test_damaged_files_end_in_our_errors_only(person: Image.Image, kind: str) -> None:
    file = file_of(person.resize((160, 120)), kind)
    random = np.random.default_rng(4)
    for _ in range(150):
        damaged = bytearray(file)
        for at in random.integers(0, min(len(file), 600), 4):
            damaged[at] = random.integers(0, 256)
        try:
            assert read(bytes(damaged)).image.mode == "RGB"
        except StreamerError as error:
            assert isinstance(error, (InvalidPicture, PictureTooLarge))


def test_no_other_format_of_pillow_is_read(person: Image.Image) -> None:
    for kind in ("PPM", "TGA", "ICO", "PCX"):
        file = io.BytesIO()
        person.save(file, kind)
        with pytest.raises(InvalidPicture, match="Send JPEG"):
            read(file.getvalue())
