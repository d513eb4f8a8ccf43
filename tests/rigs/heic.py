"""HEIC files, as phones write them: nothing at hand writes any, so libx265 makes the picture and this the
boxes around it (ISO/IEC 23008-12)."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

QUARTERS = {1: 0, 3: 2, 6: 3, 8: 1}
"""EXIF orientation -> anticlockwise quarter turns of the `irot` box that says the same."""


def make_heic(
    rgb: NDArray[np.uint8], *, orientation: int = 1, claimed: tuple[int, int] | None = None
) -> bytes:
    """The picture (H, W, 3) as it lies in the file. ``orientation`` (1, 3, 6, 8) stands in the container
    and in EXIF, as phones do it; ``claimed``: a width and height that are not the picture's."""
    config, coded = _encode(rgb)
    height, width = rgb.shape[:2]
    exif = struct.pack(">I", 6) + _exif(orientation)
    properties = [
        _box(b"hvcC", config),
        _full_box(b"ispe", struct.pack(">II", *(claimed or (width, height)))),
        _box(b"irot", bytes([QUARTERS[orientation]])),
    ]
    head = _box(b"ftyp", b"heic\0\0\0\0mif1heic")
    size = len(_meta(properties, [(0, 0), (0, 0)]))
    start = len(head) + size + 8
    extents = [(start, len(coded)), (start + len(coded), len(exif))]
    return head + _meta(properties, extents) + _box(b"mdat", coded + exif)


def _encode(rgb: NDArray[np.uint8]) -> tuple[bytes, bytes]:
    """The decoder's configuration, and the picture's NAL units with their lengths, out of an MP4 file."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        options = {"x265-params": "log-level=error:keyint=1", "crf": "18", "preset": "ultrafast"}
        stream = container.add_stream("libx265", rate=1, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = rgb.shape[1], rgb.shape[0]
        stream.pix_fmt = "yuv420p"
        frame = VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.pts, frame.time_base = 0, Fraction(1, 1)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return _find(file.getvalue(), b"hvcC"), _find(file.getvalue(), b"mdat")


def _find(mp4: bytes, kind: bytes) -> bytes:
    at = mp4.index(kind)
    (size,) = struct.unpack_from(">I", mp4, at - 4)
    return mp4[at + 4 : at - 4 + size]


def _exif(orientation: int) -> bytes:
    """One tag: 0x0112, a short (CIPA DC-008)."""
    tag = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + tag + bytes(4)


def _meta(properties: list[bytes], extents: list[tuple[int, int]]) -> bytes:
    """Item 1 is the picture, item 2 its EXIF data."""
    items = [_item(1, b"hvc1"), _item(2, b"Exif")]
    places = b"".join(
        struct.pack(">HHHII", number, 0, 1, *extent) for number, extent in enumerate(extents, 1)
    )
    indices = bytes([0x80 | 1, 2, 0x80 | 3])
    return _full_box(
        b"meta",
        _full_box(b"hdlr", bytes(4) + b"pict" + bytes(13)),
        _full_box(b"pitm", struct.pack(">H", 1)),
        _full_box(b"iloc", b"\x44\x00" + struct.pack(">H", len(extents)), places),
        _full_box(b"iinf", struct.pack(">H", len(items)), *items),
        _full_box(b"iref", _box(b"cdsc", struct.pack(">HHH", 2, 1, 1))),
        _box(
            b"iprp",
            _box(b"ipco", *properties),
            _full_box(b"ipma", struct.pack(">IHB", 1, 1, len(indices)), indices),
        ),
    )


def _item(number: int, kind: bytes) -> bytes:
    return _full_box(b"infe", struct.pack(">HH", number, 0), kind, b"\0", version=2)


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _full_box(kind: bytes, *parts: bytes, version: int = 0) -> bytes:
    return _box(kind, bytes([version, 0, 0, 0]), *parts)
