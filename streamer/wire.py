"""The binary form of the ``pose`` message, version 1 (docs/protocol.md has the table): one SCTP chunk for
one or two people, where the JSON form takes three.

NumPy and the standard library only, so that a client may take this file as it is.
"""

import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamer.errors import InvalidRequest
from streamer.model import LANDMARK_COUNT, PoseResult

PROTOCOL: Final = "landmarks.v1+bin"
"""The data channel's (RFC 8832) or WebSocket's subprotocol that asks for this form."""

VERSION: Final = 1
KIND_POSE: Final = 1
STAGES: Final = ("decode", "queue", "pose", "draw", "total")
"""Of ``latency_ms``, in this order; later ones may be appended."""

_HEADER: Final = struct.Struct("<BBBBIIIHHIqd")
_STAGES: Final = struct.Struct(f"<{len(STAGES)}f")
_POSE: Final = np.dtype(
    [
        ("id", "<u2"),
        ("score", "<u2"),
        ("landmarks", [("place", "<i2", 3), ("seen", "u1", 2)], LANDMARK_COUNT),
        ("world", "<i2", (LANDMARK_COUNT, 3)),
    ]
)
_COORDINATE_STEPS: Final = 16384  # a twelfth of a pixel at 1280; from -2 to 2 pictures
_METRE_STEPS: Final = 10_000  # from -3.3 to 3.3 m
_SHARE_STEPS: Final = 255
_SCORE_STEPS: Final = 65535


def encode_pose(result: PoseResult) -> bytes:
    """The ``pose`` message of one processed frame, without the stream's name."""
    frame, latency_ms = result.frame, result.latency_ms
    people = np.empty(len(result.poses), _POSE)
    for person, pose in zip(people, result.poses, strict=True):
        person["id"] = pose.id
        person["score"] = round(min(max(pose.score, 0.0), 1.0) * _SCORE_STEPS)
        landmarks = person["landmarks"]
        landmarks["place"] = _fixed(pose.landmarks[:, :3], _COORDINATE_STEPS)
        landmarks["seen"] = np.rint(np.clip(pose.landmarks[:, 3:], 0, 1) * _SHARE_STEPS)
        person["world"] = _fixed(pose.world, _METRE_STEPS)
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
    return header + stages + people.tobytes()


def decode_pose(message: bytes, stream: str) -> dict[str, Any]:
    """The message as its JSON form would have it, within the binary form's steps. Raises InvalidRequest
    for what is no ``pose`` message of this version."""
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
        "received_at": received_at,
        "width": width,
        "height": height,
        "poses": [_person(each) for each in np.frombuffer(message, _POSE, people, start)],
        "latency_ms": dict(zip(STAGES, latencies, strict=False)),
        "dropped": dropped,
    }


def _fixed(values: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """To whole steps, kept within 16 bits: MediaPipe may place a landmark far outside the picture."""
    limits = np.iinfo(np.int16)
    fixed: NDArray[np.float32] = np.clip(np.rint(values * steps), limits.min, limits.max)
    return fixed


def _person(person: Any) -> dict[str, Any]:
    places = person["landmarks"]["place"] / _COORDINATE_STEPS
    seen = person["landmarks"]["seen"] / _SHARE_STEPS
    return {
        "id": int(person["id"]),
        "score": int(person["score"]) / _SCORE_STEPS,
        "landmarks": np.hstack([places, seen]).tolist(),
        "world": (person["world"] / _METRE_STEPS).tolist(),
    }
