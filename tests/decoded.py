"""Frames of the tests' clips, decoded."""

from pathlib import Path

import av

from streamer.model import VIDEO_CLOCK_HZ, Frame
from streamer.pixels import to_frame


def decode(clip: Path, count: int) -> list[Frame]:
    """The first frames of a clip, with the clip's own times."""
    frames: list[Frame] = []
    with av.open(str(clip)) as container:
        for picture in container.decode(video=0):
            assert picture.pts is not None and picture.time_base is not None
            pts = round(picture.pts * picture.time_base * VIDEO_CLOCK_HZ)
            frames.append(to_frame(picture, pts, received_mono=0.0, received_at=0.0))
            if len(frames) == count:
                return frames
    raise AssertionError(f"{clip} has only {len(frames)} frames")
