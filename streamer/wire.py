"""The binary form of the ``pose`` message, version 1 (docs/protocol.md has the table): one SCTP chunk for
one or two people, where the JSON form takes three.

NumPy and the standard library only, so that a client may take this file as it is.
"""

import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

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
    frame, latency_ms = result.frame, result.latency_ms
    header = _HEADER.pack(
        VERSION,
        KIND_POSE,
        len(result.poses),
        len(STAGES),
        result.epoch,
        result.seq,
        result.dropped,
        frame.width,
        frame.height,
        0,
        result.pts,
        frame.received_at,
    )
    stages = _STAGES.pack(*(latency_ms.get(stage, 0.0) for stage in STAGES))
    return b"".join((header, stages, *map(_encode_person, result.poses)))


def _encode_person(pose: Pose) -> bytes:
    if not (np.isfinite(pose.landmarks).all() and np.isfinite(pose.world).all()):
        raise ValueError("a pose that is not all numbers can't be sent")
    # MediaPipe may place a landmark far outside the picture: kept at the limit of 16 bits.
    steps = np.rint(np.clip(pose.landmarks * _LANDMARK_STEPS, _LEAST_STEPS, _MOST_STEPS))
    landmarks = np.empty(LANDMARK_COUNT, _LANDMARK)
    landmarks["place"], landmarks["seen"] = steps[:, :3], steps[:, 3:]
    world: NDArray[np.float32] = np.rint(
        np.clip(pose.world * np.float32(_METRE_STEPS), _I16.min, _I16.max)
    )
    score = round(min(max(pose.score, 0.0), 1.0) * _SCORE_STEPS)
    return _PERSON.pack(pose.id, score) + landmarks.tobytes() + world.astype("<i2").tobytes()


def decode_pose(message: bytes, stream: str) -> dict[str, Any]:
    """The message as its JSON form would have it, within the binary form's steps and rounded to them. Raises
    InvalidRequest for what is no ``pose`` message of this version."""
    fields = read_pose(message, stream)
    return fields | {"poses": [_rounded(pose) for pose in fields["poses"]]}


def read_pose(message: bytes, stream: str) -> dict[str, Any]:
    """As ``decode_pose``, with ``poses`` as a tuple of ``Pose``."""
    if len(message) < _HEADER.size or message[:2] != bytes([VERSION, KIND_POSE]):
        raise InvalidRequest("This is no binary pose message of version 1.")
    (_, _, people, stages, epoch, seq, dropped, width, height, _, pts, received_at) = (
        _HEADER.unpack_from(message)
    )
    start = _HEADER.size + 4 * stages
    if len(message) < start + people * _POSE.itemsize:
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
        "poses": tuple(map(_person, np.frombuffer(message, _POSE, people, start))),
        "latency_ms": {stage: round(ms, 2) for stage, ms in zip(STAGES, latencies, strict=False)},
        "dropped": dropped,
    }


def _person(person: Any) -> Pose:
    landmarks = np.empty((LANDMARK_COUNT, 5), np.float32)
    landmarks[:, :3] = person["landmarks"]["place"] / _COORDINATE_STEPS
    landmarks[:, 3:] = person["landmarks"]["seen"] / _SHARE_STEPS
    world = (person["world"] / _METRE_STEPS).astype(np.float32)
    return Pose(int(person["id"]), int(person["score"]) / _SCORE_STEPS, landmarks, world)


def _rounded(pose: Pose) -> dict[str, Any]:
    places, seen = _rows(pose.landmarks[:, :3], 5), _rows(pose.landmarks[:, 3:], 3)
    return {
        "id": pose.id,
        "score": round(pose.score, 3),
        "landmarks": [place + sure for place, sure in zip(places, seen, strict=True)],
        "world": _rows(pose.world, 4),
    }


def _rows(values: NDArray[np.float32], digits: int) -> list[list[float]]:
    rows: list[list[float]] = np.round(values.astype(np.float64), digits).tolist()
    return rows
