"""The messages of the outside contract (docs/protocol.md): the same on every way out."""

import json
import time
from typing import Any

import numpy as np

from streamer.model import PoseResult, Status

VERSION = 1
_COORDINATE_DIGITS = 5  # a hundredth of a pixel at 1920
_SCORE_DIGITS = 3
_METRE_DIGITS = 4


def pose_message(stream: str, result: PoseResult) -> str:
    """The ``pose`` message of one processed frame, as JSON text."""
    frame = result.frame
    return _dump(
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
            "poses": [
                {
                    "id": pose.id,
                    "score": round(pose.score, _SCORE_DIGITS),
                    "landmarks": _rows(pose.landmarks, _COORDINATE_DIGITS),
                    "world": _rows(pose.world, _METRE_DIGITS),
                }
                for pose in result.poses
            ],
            "latency_ms": {stage: round(ms, 2) for stage, ms in result.latency_ms.items()},
            "dropped": result.dropped,
        }
    )


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


def _rows(array: Any, digits: int) -> list[list[float]]:
    rows: list[list[float]] = np.round(array.astype(np.float64), digits).tolist()
    return rows


def _dump(message: dict[str, Any]) -> str:
    """Raises ValueError for NaN and infinities, which are no JSON; no estimator gives any."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False)
