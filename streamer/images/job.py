"""What the service and the process that analyses pictures say to each other, over a pipe.

A message is its header's and its body's length, the header as JSON, and the body's bytes. Both ends are
ours, but the process reads strangers' files: what comes from it is taken as data, never as code.
"""

import json
import struct
from dataclasses import dataclass
from typing import Any, Final, Literal

from streamer.config import PrivacyMode

LENGTHS: Final = struct.Struct("<II")

PictureFormat = Literal["jpeg", "png"]
Enhancement = Literal["none", "clahe"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may cost. ``memory_bytes``: of the process, all in all."""

    max_pixels: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Job:
    """What is wanted of a picture. ``model``: path of the .task bundle; ``picture``: in which format the
    annotated picture is wanted, if at all, and whether as text for a ``data:`` URL; ``privacy``: what may
    be seen in it."""

    model: str
    num_poses: int
    min_detection_confidence: float
    enhance: Enhancement = "none"
    picture: PictureFormat | None = None
    in_base64: bool = False
    privacy: PrivacyMode = "off"


@dataclass(frozen=True, slots=True)
class Analysis:
    """Of the upright picture. ``poses``: JSON text, as in a ``pose`` message; ``picture``: its file."""

    width: int
    height: int
    people: int
    poses: str
    picture: bytes


MAX_HEADER_BYTES: Final = 1 << 20
"""Ten people take 100 kB."""


def pack(header: dict[str, Any], body: bytes | bytearray = b"") -> tuple[bytes, bytes | bytearray]:
    """A message in two parts, so that a large body is not copied."""
    text = json.dumps(header).encode()
    return LENGTHS.pack(len(text), len(body)) + text, body
