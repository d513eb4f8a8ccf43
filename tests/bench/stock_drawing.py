"""What the yardsticks draw and say: as their authors would write it with MediaPipe and OpenCV."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
from mediapipe.tasks.python import vision

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_VISIBILITY = 0.5
LINE_COLOUR, DOT_COLOUR = (255, 255, 255), (0, 190, 255)
CONNECTIONS = vision.PoseLandmarksConnections.POSE_LANDMARKS


def pose_message(seq: int, found: Any) -> str:
    """A result of MediaPipe's as JSON."""
    poses = [
        {
            "landmarks": [[p.x, p.y, p.z, p.visibility, p.presence] for p in landmarks],
            "world": [[p.x, p.y, p.z] for p in world],
        }
        for landmarks, world in zip(found.pose_landmarks, found.pose_world_landmarks, strict=True)
    ]
    return json.dumps({"type": "pose", "seq": seq, "poses": poses})


def draw(picture: NDArray[Any], landmarks: Any) -> None:
    """Lines and dots on an RGB picture of shape (height, width, 3)."""
    height, width = picture.shape[:2]
    points = [(round(p.x * width), round(p.y * height)) for p in landmarks]
    seen = [p.visibility >= MIN_VISIBILITY for p in landmarks]
    for connection in CONNECTIONS:
        if seen[connection.start] and seen[connection.end]:
            cv2.line(picture, points[connection.start], points[connection.end], LINE_COLOUR, 2)
    for point, is_seen in zip(points, seen, strict=True):
        if is_seen:
            cv2.circle(picture, point, 3, DOT_COLOUR, cv2.FILLED)
