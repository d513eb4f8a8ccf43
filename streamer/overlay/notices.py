"""What is said on the picture while no frames come."""

import cv2
import numpy as np

from streamer.model import Frame, Plane

_SIZE_PX = (640, 360)
_LIGHT = 0.35  # what is left of the last picture's light and colour
_LINE_LETTERS = 54  # what fits a line at every width, as the letters grow with it


def draw_notice(frame: Frame | None, text: str) -> Frame:
    """As of ``Painter.notice``. ``text``: lines of ASCII, as OpenCV's fonts have no other letters."""
    canvas = _blank() if frame is None else _dimmed(frame)
    _write(canvas.planes()[0], text)
    return canvas


def _blank() -> Frame:
    width, height = _SIZE_PX
    i420 = np.full((height * 3 // 2, width), 128, np.uint8)
    i420[:height] = 30
    return Frame(i420, pts=0, received_mono=0.0, received_at=0.0)


def _dimmed(frame: Frame) -> Frame:
    """Towards black: luma to 16, both chromas to 128."""
    canvas = Frame(frame.i420.copy(), frame.pts, frame.received_mono, frame.received_at)
    for plane, black in zip(canvas.planes(), (16, 128, 128), strict=True):
        levels = black + (np.arange(256) - black) * _LIGHT
        plane[:] = np.clip(levels, 0, 255).astype(np.uint8)[plane]
    return canvas


def _write(luma: Plane, text: str) -> None:
    height, width = luma.shape
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, max(0.5, width / 1100)
    lines = [line for part in text.split("\n") for line in _wrapped(part, _LINE_LETTERS)]
    step = round(34 * scale)
    top = height // 2 - step * (len(lines) - 1) // 2
    for row, line in enumerate(lines):
        size = scale if row == 0 else scale * 0.7
        (text_width, text_height), _ = cv2.getTextSize(line, font, size, 1)
        origin = (max(4, (width - text_width) // 2), top + row * step + text_height // 2)
        cv2.putText(luma, line, origin, font, size, 235, max(1, round(scale * 1.6)), cv2.LINE_AA)


def _wrapped(line: str, limit: int) -> list[str]:
    rows = [""]
    for word in line.encode("ascii", "replace").decode().split():
        if rows[-1] and len(rows[-1]) + len(word) >= limit:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return rows
