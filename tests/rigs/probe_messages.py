"""Pose messages as a user's program reads them, in either form; docs/protocol.md tells of both."""

from __future__ import annotations

import json
import struct
from typing import Any

BINARY_PROTOCOL = "landmarks.v1+bin"
STAGES = ("decode", "queue", "pose", "draw", "total")

_HEADER = struct.Struct("<BBBBIIIHHIqd")
_POSE_BYTES = 4 + 33 * 8 + 33 * 6
_BLOCK_BYTES = {1: 6, 2: 60, 4: 264}
_VERSION, _POSE_KIND = 1, 1


def read_message(content: str | bytes) -> dict[str, Any] | None:
    """A message as JSON has it; None for a binary one of a kind that is not known.

    Of a binary pose message's landmarks only their number of poses is told, as that many ``None``.
    """
    if isinstance(content, str):
        message: dict[str, Any] = json.loads(content)
        return message
    version, kind, poses, stages, epoch, seq, dropped, width, height, blocks, pts, received_at = (
        _HEADER.unpack_from(content)
    )
    if (version, kind) != (_VERSION, _POSE_KIND):
        return None
    extra_bytes = sum(size for bit, size in _BLOCK_BYTES.items() if blocks & bit)
    if len(content) != _HEADER.size + 4 * stages + poses * (_POSE_BYTES + extra_bytes):
        raise ValueError(f"A binary pose message of {poses} poses has {len(content)} bytes.")
    latencies = struct.unpack_from(f"<{stages}f", content, _HEADER.size)
    return {
        "type": "pose",
        "v": version,
        "epoch": epoch,
        "seq": seq,
        "pts": pts,
        "received_at": received_at,
        "width": width,
        "height": height,
        "poses": [None] * poses,
        "latency_ms": dict(zip(STAGES, latencies, strict=False)),
        "dropped": dropped,
    }
