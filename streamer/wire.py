"""The binary form of the ``pose`` message, version 1 (docs/protocol.md has the table): one SCTP chunk for
one or two people, where the JSON form takes three.

NumPy and the standard library only, so that a client may take this file as it is.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamer.angles import ANGLES
from streamer.errors import InvalidRequest
from streamer.model import LANDMARK_COUNT, Pose, PoseResult

PROTOCOL: Final = "landmarks.v1+bin"
"""The data channel's (RFC 8832) or WebSocket's subprotocol that asks for this form."""

VERSION: Final = 1
KIND_POSE: Final = 1
STAGES: Final = ("decode", "queue", "pose", "draw", "total")
"""Of ``latency_ms``, in this order; later ones may be appended."""

_HEADER: Final = struct.Struct("<BBBBIIIHHIqd")
_STAGES: Final = struct.Struct(f"<{len(STAGES)}f")
_PERSON: Final = struct.Struct("<HH")
_LANDMARK: Final[np.dtype[np.void]] = np.dtype([("place", "<i2", 3), ("seen", "u1", 2)])
_POSE: Final = np.dtype(
    [
        ("id", "<u2"),
        ("score", "<u2"),
        ("landmarks", _LANDMARK, LANDMARK_COUNT),
        ("world", "<i2", (LANDMARK_COUNT, 3)),
    ]
)
_SIGHT: Final = np.dtype([("predicted", "u1", -(-LANDMARK_COUNT // 8)), ("turned", "u1")])
_ANGLES: Final = np.dtype([("degrees", "<i2", len(ANGLES)), ("valid", "u1", -(-len(ANGLES) // 8))])
_RAW: Final = np.dtype((_LANDMARK, LANDMARK_COUNT))
_HAS_SIGHT, _HAS_ANGLES, _HAS_RAW = 1, 2, 4
_BLOCKS: Final = ((_HAS_SIGHT, _SIGHT), (_HAS_ANGLES, _ANGLES), (_HAS_RAW, _RAW))
"""What may come after the poses, by the bits of the header's ``further``, in this order: each block has a
part for every person. Later ones come behind them: a reader takes those that it knows."""

_NOT_NUMBERS: Final = "a pose that is not all numbers can't be sent"
_TURNED: Final = (None, "left_right", "front_back")
_DEGREE_STEPS: Final = 10
_COORDINATE_STEPS: Final = 16384  # a twelfth of a pixel at 1280; from -2 to 2 pictures
_METRE_STEPS: Final = 10_000  # from -3.3 to 3.3 m
_SHARE_STEPS: Final = 255
_SCORE_STEPS: Final = 65535
_I16: Final = np.iinfo(np.int16)
# Of a landmark's five numbers: how they are scaled, and what the integers hold.
_LANDMARK_STEPS: Final = np.array([_COORDINATE_STEPS] * 3 + [_SHARE_STEPS] * 2, np.float32)
_LEAST_STEPS: Final = np.array([_I16.min] * 3 + [0] * 2, np.float32)
_MOST_STEPS: Final = np.array([_I16.max] * 3 + [_SHARE_STEPS] * 2, np.float32)


def encode_pose(result: PoseResult) -> bytes:
    """The ``pose`` message of one processed frame, without the stream's name.

    Raises ValueError for NaN and infinities in a pose, as the JSON form does; no estimator gives any.
    """
    frame, latency_ms, poses = result.frame, result.latency_ms, result.poses
    further, blocks = _encode_further(poses)
    header = _HEADER.pack(
        VERSION,
        KIND_POSE,
        len(poses),
        len(STAGES),
        result.epoch,
        result.seq,
        result.dropped,
        frame.width,
        frame.height,
        further,
        result.pts,
        frame.received_at,
    )
    stages = _STAGES.pack(*(latency_ms.get(stage, 0.0) for stage in STAGES))
    return b"".join((header, stages, *map(_encode_person, poses), *blocks))


def _encode_person(pose: Pose) -> bytes:
    if not np.isfinite(pose.world).all():
        raise ValueError(_NOT_NUMBERS)
    world: NDArray[np.float32] = np.rint(
        np.clip(pose.world * np.float32(_METRE_STEPS), _I16.min, _I16.max)
    )
    score = round(min(max(pose.score, 0.0), 1.0) * _SCORE_STEPS)
    landmarks = _encode_landmarks(pose.landmarks)
    return _PERSON.pack(pose.id, score) + landmarks + world.astype("<i2").tobytes()


def _encode_landmarks(values: NDArray[np.float32]) -> bytes:
    if not np.isfinite(values).all():
        raise ValueError(_NOT_NUMBERS)
    # MediaPipe may place a landmark far outside the picture: kept at the limit of 16 bits.
    steps = np.rint(np.clip(values * _LANDMARK_STEPS, _LEAST_STEPS, _MOST_STEPS))
    landmarks = np.empty(LANDMARK_COUNT, _LANDMARK)
    landmarks["place"], landmarks["seen"] = steps[:, :3], steps[:, 3:]
    return landmarks.tobytes()


def _encode_further(poses: tuple[Pose, ...]) -> tuple[int, list[bytes]]:
    """``further`` and its blocks: what every one of the poses has."""
    bits, blocks = 0, list[bytes]()
    for bit, encode in (
        (_HAS_SIGHT, _encode_sight),
        (_HAS_ANGLES, _encode_angles),
        (_HAS_RAW, _encode_raw),
    ):
        parts = [part for pose in poses if (part := encode(pose)) is not None]
        if parts and len(parts) == len(poses):
            bits |= bit
            blocks += parts
    return bits, blocks


def _encode_sight(pose: Pose) -> bytes | None:
    if pose.predicted is None:
        return None
    packed = np.packbits(pose.predicted, bitorder="little").tobytes()
    return packed + bytes([_TURNED.index(pose.turned)])


def _encode_angles(pose: Pose) -> bytes | None:
    if pose.angles is None:
        return None
    if not np.isfinite(pose.angles).all():
        raise ValueError(_NOT_NUMBERS)
    degrees = np.rint(pose.angles[:, 0] * _DEGREE_STEPS).astype("<i2")
    valid = np.packbits(pose.angles[:, 1] > 0, bitorder="little")
    return degrees.tobytes() + valid.tobytes()


def _encode_raw(pose: Pose) -> bytes | None:
    return None if pose.raw is None else _encode_landmarks(pose.raw)


def decode_pose(message: bytes, stream: str) -> dict[str, Any]:
    """The message as its JSON form would have it, within the binary form's steps and rounded to them. Raises
    InvalidRequest for what is no ``pose`` message of this version."""
    fields = read_pose(message, stream)
    return fields | {"poses": [_rounded(pose) for pose in fields["poses"]]}


def read_pose(message: bytes, stream: str) -> dict[str, Any]:
    """As ``decode_pose``, with ``poses`` as a tuple of ``Pose``."""
    if len(message) < _HEADER.size or message[:2] != bytes([VERSION, KIND_POSE]):
        raise InvalidRequest("This is no binary pose message of version 1.")
    (_, _, people, stages, epoch, seq, dropped, width, height, further, pts, received_at) = (
        _HEADER.unpack_from(message)
    )
    start = _HEADER.size + 4 * stages
    blocks = [(bit, block) for bit, block in _BLOCKS if further & bit]
    size = _POSE.itemsize + sum(block.itemsize for _, block in blocks)
    if len(message) < start + people * size:
        raise InvalidRequest("This binary pose message is cut off.")
    latencies = struct.unpack_from(f"<{stages}f", message, _HEADER.size)
    return {
        "type": "pose",
        "v": VERSION,
        "stream": stream,
        "epoch": epoch,
        "seq": seq,
        "pts": pts,
        "received_at": round(received_at, 4),
        "width": width,
        "height": height,
        "poses": tuple(_read_people(message, start, people, blocks)),
        "latency_ms": {stage: round(ms, 2) for stage, ms in zip(STAGES, latencies, strict=False)},
        "dropped": dropped,
    }


def _read_people(
    message: bytes, at: int, people: int, blocks: list[tuple[int, Any]]
) -> Iterator[Pose]:
    """``blocks``: those of ``_BLOCKS`` that there are."""
    parts: dict[int, Any] = {}
    for bit, block in ((0, _POSE), *blocks):
        parts[bit] = np.frombuffer(message, block, people, at)
        at += parts[bit].nbytes
    for number, person in enumerate(parts[0]):
        of = {bit: part[number] for bit, part in parts.items()}
        yield Pose(
            id=int(person["id"]),
            score=int(person["score"]) / _SCORE_STEPS,
            landmarks=_landmarks(person["landmarks"]),
            world=(person["world"] / _METRE_STEPS).astype(np.float32),
            raw=_landmarks(of[_HAS_RAW]) if _HAS_RAW in of else None,
            predicted=_flags(of[_HAS_SIGHT]["predicted"], LANDMARK_COUNT)
            if _HAS_SIGHT in of
            else None,
            angles=_angles(of[_HAS_ANGLES]) if _HAS_ANGLES in of else None,
            turned=_turned(of[_HAS_SIGHT]["turned"]) if _HAS_SIGHT in of else None,
        )


def _landmarks(steps: Any) -> NDArray[np.float32]:
    landmarks = np.empty((LANDMARK_COUNT, 5), np.float32)
    landmarks[:, :3] = steps["place"] / _COORDINATE_STEPS
    landmarks[:, 3:] = steps["seen"] / _SHARE_STEPS
    return landmarks


def _flags(packed: NDArray[np.uint8], count: int) -> NDArray[np.bool_]:
    return np.unpackbits(packed, count=count, bitorder="little").astype(np.bool_)


def _angles(block: Any) -> NDArray[np.float32]:
    degrees = block["degrees"] / np.float32(_DEGREE_STEPS)
    return np.stack((degrees, _flags(block["valid"], len(ANGLES))), axis=1, dtype=np.float32)


def _turned(value: int) -> str | None:
    """Of a value that a later version may add nothing is known."""
    return _TURNED[value] if value < len(_TURNED) else None


def _rounded(pose: Pose) -> dict[str, Any]:
    rounded = {
        "id": pose.id,
        "score": round(pose.score, 3),
        "landmarks": _rounded_landmarks(pose.landmarks),
        "world": _rows(pose.world, 4),
    }
    if pose.predicted is not None:
        rounded["predicted"] = pose.predicted.nonzero()[0].tolist()
    if pose.turned is not None:
        rounded["turned"] = pose.turned
    if pose.angles is not None:
        rounded["angles"] = {
            name: [degrees, int(valid)]
            for name, (degrees, valid) in zip(ANGLES, _rows(pose.angles, 1), strict=True)
        }
    if pose.raw is not None:
        rounded["raw"] = _rounded_landmarks(pose.raw)
    return rounded


def _rounded_landmarks(landmarks: NDArray[np.float32]) -> list[list[float]]:
    places, seen = _rows(landmarks[:, :3], 5), _rows(landmarks[:, 3:], 3)
    return [place + sure for place, sure in zip(places, seen, strict=True)]


def _rows(values: NDArray[np.float32], digits: int) -> list[list[float]]:
    rows: list[list[float]] = np.round(values.astype(np.float64), digits).tolist()
    return rows
