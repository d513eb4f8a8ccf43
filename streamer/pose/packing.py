"""Poses as bytes, exactly, for the way between two processes: a record for each person, then the masks.

What comes back may come from a process that somebody has taken over: it is data, never code, and what can't
be true is refused.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamer.angles import ANGLES
from streamer.model import LANDMARK_COUNT, Mask, Pose

RECORD: Final = np.dtype(
    [
        ("id", "<i8"),
        ("score", "<f8"),
        ("landmarks", "<f4", (LANDMARK_COUNT, 5)),
        ("world", "<f4", (LANDMARK_COUNT, 3)),
        ("raw", "<f4", (LANDMARK_COUNT, 5)),
        ("angles", "<f4", (len(ANGLES), 2)),
        ("to_mask", "<f4", (2, 3)),
        ("mask_px", "<u4"),  # its side; 0: no mask
        ("predicted", "u1", (LANDMARK_COUNT,)),
        ("has", "u1"),  # bits: which of _OPTIONAL the pose has
        ("turned", "u1"),  # index into _TURNED
    ],
    align=True,
)

MAX_RECORDS: Final = 64
"""More people than the detector finds in one picture."""

MAX_MASK_PX: Final = 1024

MAX_NUMBER: Final = 1e6
"""Widths of a picture, metres, degrees: with what is far beyond, the arithmetic behind runs out of its 32
bits. A person of one pixel in the largest picture has as much in ``to_mask``."""

_OPTIONAL: Final = ("raw", "predicted", "angles")
_TURNED: Final = (None, "left_right", "front_back")
_NUMBERS: Final = ("score", "landmarks", "world", "raw", "angles", "to_mask")


def pack(poses: Sequence[Pose]) -> list[NDArray[Any]]:
    """Buffers: what ``unpack`` reads, one behind the other."""
    records = np.zeros(len(poses), RECORD)
    masks = []
    for record, pose in zip(records, poses, strict=True):
        record["id"], record["score"] = pose.id, pose.score
        record["landmarks"], record["world"] = pose.landmarks, pose.world
        record["turned"] = _TURNED.index(pose.turned)
        for bit, name in enumerate(_OPTIONAL):
            values = getattr(pose, name)
            if values is not None:
                record[name] = values
                record["has"] |= 1 << bit
        if pose.mask is not None:
            record["to_mask"], record["mask_px"] = pose.mask.to_mask, len(pose.mask.alpha)
            masks.append(np.ascontiguousarray(pose.mask.alpha))
    return [records.view(np.uint8), *masks]


def unpack(count: int, body: memoryview) -> tuple[Pose, ...]:
    """The poses, which share a copy of ``body``. Raises ValueError when it is not what ``pack`` makes of
    so many."""
    if not 0 <= count <= MAX_RECORDS:
        raise ValueError(f"{count} poses")
    data = np.frombuffer(bytearray(body), np.uint8)
    at = count * RECORD.itemsize
    records = data[:at].view(RECORD)  # raises ValueError when there are too few bytes
    if len(records) != count or not all(_are_possible(records[name]) for name in _NUMBERS):
        raise ValueError("numbers that can't be")
    poses = []
    for record in records:
        side_px = int(record["mask_px"])
        if side_px > MAX_MASK_PX or record["turned"] >= len(_TURNED):
            raise ValueError("a mask or a turn that there is not")
        alpha = data[at : at + side_px**2].reshape(side_px, side_px)
        at += side_px**2
        poses.append(_pose(record, Mask(alpha, record["to_mask"]) if side_px else None))
    if at != len(data):
        raise ValueError("bytes that belong to nobody")
    return tuple(poses)


def _are_possible(numbers: NDArray[Any]) -> bool:
    """Also those that are none (NaN) are not."""
    return bool((np.abs(numbers) <= MAX_NUMBER).all())


def _pose(record: Any, mask: Mask | None) -> Pose:
    has = {name: bool(record["has"] & 1 << bit) for bit, name in enumerate(_OPTIONAL)}
    return Pose(
        id=int(record["id"]),
        score=float(record["score"]),
        landmarks=record["landmarks"],
        world=record["world"],
        raw=record["raw"] if has["raw"] else None,
        predicted=record["predicted"] != 0 if has["predicted"] else None,
        angles=record["angles"] if has["angles"] else None,
        turned=_TURNED[record["turned"]],
        mask=mask,
    )
