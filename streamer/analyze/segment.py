"""A segment of a video: decoded, estimated, drawn and encoded, each in a thread of its own."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from streamer.analyze.ahead import Ahead
from streamer.analyze.files import Faults, open_video
from streamer.analyze.identities import Place, places
from streamer.analyze.options import Input, Options
from streamer.analyze.outputs import sync, write_json
from streamer.analyze.planning import Segment, VideoPlan
from streamer.analyze.reading import Decoded, read_frames
from streamer.analyze.writing import SegmentVideo
from streamer.config import PoseConfig, PrivacyConfig
from streamer.errors import EstimatorError, SourceUnusable
from streamer.messages import pose_message
from streamer.model import Frame, Pose, PoseResult
from streamer.overlay import SkeletonPainter
from streamer.pose.live import LiveEstimator
from streamer.pose.models import find_model
from streamer.privacy import Obscurer

_AHEAD_FRAMES = 4
"""Decoded, or estimated, frames that wait: enough that no stage stands still for another's odd frame."""

Report = Callable[[int], None]
"""Called with so many frames as were done since."""


@dataclass(frozen=True, slots=True)
class Part:
    """What became of a segment. ``begin``: of its video (``SegmentVideo.finish``); ``before``: who was
    there on the frame before its first, by the segment's own ids."""

    frames: int
    seen: int
    begin: int
    problems: list[str]
    before: list[Place] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SegmentTask:
    """``folder``: for the parts."""

    input: Input
    options: Options
    plan: VideoPlan
    segment: Segment
    folder: Path

    @property
    def path(self) -> Path:
        """Of the part, without a suffix: ``.jsonl``, ``.mp4``, and at last ``.json``."""
        return self.folder / f"{self.segment.number:05}"

    def done(self) -> Part | None:
        """What a run before has left, if it is whole."""
        try:
            part = Part(**json.loads(self.path.with_suffix(".json").read_text("utf-8")))
            return part if self._holds(part.frames) else None
        except (OSError, ValueError, TypeError, SourceUnusable):
            return None

    def run(self, report: Report) -> Part:
        """Raises StreamerError, OSError and what PyAV raises when encoding fails."""
        faults = Faults()
        frames = read_frames(self.input.path, self.plan, self.segment, faults)
        part = self._write(frames, faults, report)
        for suffix in (".jsonl", ".mp4") if self.options.annotated else (".jsonl",):
            new = self.path.with_suffix(f"{suffix}.new")
            sync(new)
            new.replace(self.path.with_suffix(suffix))
        write_json(self.path.with_suffix(".json"), asdict(part))
        return part

    def _holds(self, frames: int) -> bool:
        """Whether the part's files have so many. Raises OSError and SourceUnusable."""
        with self.path.with_suffix(".jsonl").open("rb") as lines:
            if sum(1 for _ in lines) != frames:
                return False
        if not self.options.annotated or frames == 0:  # a video without pictures is no video
            return True
        container, stream = open_video(self.path.with_suffix(".mp4"))
        with container:
            return stream.frames == frames

    def _write(self, frames: Iterator[Decoded], faults: Faults, report: Report) -> Part:
        painter = SkeletonPainter()
        obscurer = Obscurer(PrivacyConfig(mode=self.options.hidden), settle_s=0.0)
        count = seen = begin = 0
        with ExitStack() as stack:
            decoded = stack.enter_context(Ahead(frames, _AHEAD_FRAMES, "decode"))
            people_in = estimated(decoded, self.options.sought, faults)
            found = stack.enter_context(Ahead(people_in, _AHEAD_FRAMES, "pose"))
            lines = stack.enter_context(
                self.path.with_suffix(".jsonl.new").open("w", encoding="utf-8")
            )
            video = self._open_video(stack) if self.options.annotated else None
            before: list[Place] = []
            for each, poses, bystanders in found:
                people = self.options.told(poses)
                hidden = obscurer.obscure(each.frame, poses + bystanders, each.frame.pts)
                if each.is_warm_up:
                    before = places(people)
                    continue
                lines.write(message_line(self.input.name, count, each.frame, people))
                if video is not None:
                    video.write(painter.annotate(hidden, people), each.ticks)
                count += 1
                seen += bool(people)
                report(1)
            if video is not None and count:
                begin = video.finish()
        return Part(count, seen, begin, faults.told, before)

    def _open_video(self, stack: ExitStack) -> SegmentVideo:
        file = stack.enter_context(self.path.with_suffix(".mp4.new").open("wb"))
        return stack.enter_context(SegmentVideo(file, self.plan))


def estimated(
    frames: Iterable[Decoded], options: PoseConfig, faults: Faults
) -> Iterator[tuple[Decoded, tuple[Pose, ...], tuple[Pose, ...]]]:
    """Each frame with its poses, and who else may be there. A frame that the estimator refuses twice has
    nobody in it."""
    estimator = LiveEstimator(find_model, options)
    try:
        for each in frames:
            try:
                poses = estimator.estimate(each.frame, each.frame.pts)
            except EstimatorError:
                estimator.reset()
                poses = _second_try(estimator, each, faults)
            yield each, poses, estimator.bystanders
    finally:
        estimator.close()


def _second_try(estimator: LiveEstimator, each: Decoded, faults: Faults) -> tuple[Pose, ...]:
    try:
        return estimator.estimate(each.frame, each.frame.pts)
    except EstimatorError as error:
        faults.tell(f"the frame at {each.frame.pts / 90_000:.2f} s: {error}")
        estimator.reset()
        return ()


def message_line(name: str, seq: int, frame: Frame, poses: tuple[Pose, ...]) -> str:
    """The ``pose`` message of docs/protocol.md. A file's frames reach nobody at any time, and so the same
    file gives the same lines again."""
    result = PoseResult(
        epoch=1, seq=seq, pts=frame.pts, frame=frame, poses=poses, dropped=0, latency_ms={}
    )
    return f"{pose_message(name, result)}\n"
