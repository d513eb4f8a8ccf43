"""The messages of the outside contract (docs/protocol.md): the same on every way out."""

import json
import time
from collections.abc import Iterable
from typing import Any

from streamer.angles import ANGLES
from streamer.model import LANDMARK_COUNT, ModelStatus, Pose, PoseResult, Status

VERSION = 1
_SCORE_DIGITS = 3


def _rows(row: str) -> str:
    return "[" + ",".join([row] * LANDMARK_COUNT) + "]"


# Formatting all numbers of a person at once takes half the time of rounding and dumping them.
_LANDMARKS = _rows("[%.5f,%.5f,%.5f,%.5f,%.5f]")  # a hundredth of a pixel at 1920
_WORLD = _rows("[%.4f,%.4f,%.4f]")
_ANGLES = "{" + ",".join(f'"{name}":[%.1f,%d]' for name in ANGLES) + "}"


def pose_message(stream: str, result: PoseResult) -> str:
    """The ``pose`` message of one processed frame, as JSON text.

    Raises ValueError for NaN and infinities, which are no JSON; no estimator gives any.
    """
    frame = result.frame
    head = _dump(
        {
            "type": "pose",
            "v": VERSION,
            "stream": stream,
            "epoch": result.epoch,
            "seq": result.seq,
            "pts": result.pts,
            "received_at": round(frame.received_at, 4),
            "width": frame.width,
            "height": frame.height,
        }
    )
    tail = _dump(
        {
            "latency_ms": {stage: round(ms, 2) for stage, ms in result.latency_ms.items()},
            "dropped": result.dropped,
        }
    )
    return f'{head[:-1]},"poses":{poses_json(result.poses)},{tail[1:]}'


def poses_json(poses: Iterable[Pose]) -> str:
    """The message's ``poses``, as JSON text. Raises ValueError as ``pose_message`` does."""
    return f"[{','.join(map(_pose, poses))}]"


def _pose(pose: Pose) -> str:
    landmarks = _LANDMARKS % tuple(pose.landmarks.ravel().tolist())
    world = _WORLD % tuple(pose.world.ravel().tolist())
    head = _dump({"id": pose.id, "score": round(pose.score, _SCORE_DIGITS)})
    entry = f'{head[:-1]},"landmarks":{landmarks},"world":{world}{_further(pose)}}}'
    if "nan" in entry or "inf" in entry:  # no name in there has either
        raise ValueError("a pose that is not all numbers is no JSON")
    return entry


def _further(pose: Pose) -> str:
    """The fields that not every pose has."""
    fields = ""
    if pose.predicted is not None:
        fields += f',"predicted":{_dump(pose.predicted.nonzero()[0].tolist())}'
    if pose.turned is not None:
        fields += f',"turned":"{pose.turned}"'
    if pose.angles is not None:
        fields += f',"angles":{_ANGLES % tuple(pose.angles.ravel().tolist())}'
    if pose.raw is not None:
        fields += f',"raw":{_LANDMARKS % tuple(pose.raw.ravel().tolist())}'
    return fields


def state_message(stream: str, status: Status) -> str:
    """The ``state`` message, as JSON text."""
    message: dict[str, Any] = {
        "type": "state",
        "v": VERSION,
        "stream": stream,
        "state": status.state.value,
        "detail": status.detail,
    }
    if status.error_kind is not None:
        message["error"] = status.error_kind
    if status.retry_in_s is not None:
        message["retry_in_s"] = round(status.retry_in_s, 1)
    if status.attempt:
        message["attempt"] = status.attempt
    return _dump(message)


def model_message(stream: str, status: ModelStatus) -> str:
    """The ``model`` message, as JSON text."""
    message: dict[str, Any] = {
        "type": "model",
        "v": VERSION,
        "stream": stream,
        "model_complexity": status.model_complexity,
        "wanted": status.wanted,
    }
    if status.reason is not None:
        message["reason"] = status.reason
    return _dump(message)


def clock_message(
    *,
    rtp_origin: int | None = None,
    epoch: int | None = None,
    ntp: float | None = None,
    rtp: int | None = None,
    pts: int | None = None,
) -> str:
    """The ``clock`` message, as JSON text: what ties the stream's time to others.

    ``rtp_origin``: the RTP timestamp of stream time 0 in the video that the peer is sent. Of a sender
    report of the peer's own camera: ``ntp`` (Unix seconds by the peer's clock), ``rtp``, and the stream
    time ``pts`` of that moment in ``epoch``.
    """
    message: dict[str, Any] = {"type": "clock", "v": VERSION}
    known = {"rtp_origin": rtp_origin, "epoch": epoch, "ntp": ntp, "rtp": rtp, "pts": pts}
    message |= {key: value for key, value in known.items() if value is not None}
    message["t"] = round(time.time(), 4)
    return _dump(message)


def _dump(message: dict[str, Any] | list[int]) -> str:
    """Raises ValueError for NaN and infinities, which are no JSON; no estimator gives any."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False)
