"""A segment's frames."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av

from streamer.analyze.files import Faults, RisingClock, open_video, pictures
from streamer.analyze.planning import Segment, VideoPlan
from streamer.model import VIDEO_CLOCK_HZ, Frame
from streamer.pixels import to_frame, turned

_SEEK_EARLIER_S = 0.5
"""Some containers seek by the time of decoding, which is a few frames before that of showing."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """``frame.pts``: 90 kHz ticks from the file's first frame on. ``ticks``: the stream's own time."""

    frame: Frame
    ticks: int
    is_warm_up: bool


def read_frames(path: Path, plan: VideoPlan, segment: Segment, faults: Faults) -> Iterator[Decoded]:
    """The segment's frames, its warm-up's before them. Damage is skipped, and told in ``faults``."""
    container, stream = open_video(path)
    with container:
        if segment.warm_up is not None:
            earlier = int(_SEEK_EARLIER_S / plan.time_base)
            container.seek(max(plan.first, segment.warm_up - earlier), stream=stream)
        timed = _timed(pictures(container, stream, faults), plan)
        ahead = next(timed, None)
        if segment.warm_up is not None and (ahead is None or ahead[0] > segment.warm_up):
            # The container's own index is wrong: go there from the beginning.
            container.seek(plan.first, stream=stream)
            timed, ahead = _timed(pictures(container, stream, faults), plan), None
        last = -1
        for ticks, picture in itertools.chain([ahead] if ahead else [], timed):
            if segment.end is not None and ticks >= segment.end:
                return
            if segment.warm_up is not None and ticks < segment.warm_up:
                continue
            media_s = (ticks - plan.first) * plan.time_base
            last = max(round(media_s * VIDEO_CLOCK_HZ), last + 1)
            is_warm_up = segment.begin is not None and ticks < segment.begin
            if picture.is_corrupt and not is_warm_up:
                faults.tell("some of its pictures show damage")
            yield Decoded(_upright(picture, plan, last), ticks, is_warm_up)


def _timed(
    decoded: Iterator[av.VideoFrame], plan: VideoPlan
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Each with its time in ticks, which always rises."""
    clock = RisingClock(float(1 / plan.time_base), plan.frame_ticks, plan.first)
    for picture in decoded:
        yield clock.at(picture.pts), picture


def _upright(picture: av.VideoFrame, plan: VideoPlan, pts: int) -> Frame:
    """In the plan's size, whatever the picture's own; ``pts``: 90 kHz ticks."""
    size = (plan.height, plan.width) if plan.turns % 2 else (plan.width, plan.height)
    if (picture.width & ~1, picture.height & ~1) != size:
        picture = picture.reformat(width=size[0], height=size[1])
    frame = to_frame(picture, pts, received_mono=0.0, received_at=0.0)
    return replace(turned(frame, 90 * plan.turns), decode_ms=0.0)
