"""A video's parts become its outputs."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from streamer.analyze.identities import Identities
from streamer.analyze.options import CSV, LANDMARKS, PARQUET, VIDEO, Input
from streamer.analyze.outputs import Outputs, Summary
from streamer.analyze.planning import VideoPlan
from streamer.analyze.segment import Part, Report, SegmentTask
from streamer.analyze.tables import CsvTable, ParquetTable, Table
from streamer.analyze.writing import VideoPart, join_video
from streamer.errors import SourceUnusable, StreamerError

_SEQ = re.compile(r'"seq":\d+')
"""Within a stream's name, which comes before it, the quotes would be escaped."""


@dataclass(frozen=True, slots=True)
class JoinTask:
    """All parts of a video, in order."""

    input: Input
    outputs: Outputs
    plan: VideoPlan
    tasks: tuple[SegmentTask, ...]
    parts: tuple[Part, ...]

    def run(self, report: Report) -> Summary:
        """Raises StreamerError, OSError, and what PyAV raises when muxing fails."""
        frames = sum(part.frames for part in self.parts)
        if frames == 0:
            self.outputs.discard(self.input)  # of no use to anybody
            raise SourceUnusable("none of its video could be decoded")
        folder = self.outputs.parts(self.input)
        files = {s: folder / f"out{s}.new" for s in self.input.suffixes(self.outputs.options)}
        problems = [problem for part in self.parts for problem in part.problems]
        problems += self._odd_frames()
        write_landmarks(files, self._lines())
        if VIDEO in files:
            videos = [
                VideoPart(task.path.with_suffix(".mp4"), part.begin)
                for task, part in zip(self.tasks, self.parts, strict=True)
                if part.frames
            ]
            with files[VIDEO].open("wb") as file:
                problems += join_video(file, self.plan, videos, self.input.path)
        seen = sum(part.seen for part in self.parts)
        summary = Summary(frames, seen, "; ".join(dict.fromkeys(problems)))
        self.outputs.publish(self.input, files, summary)
        return summary

    def _lines(self) -> Iterator[str]:
        """Numbered through, frames and people: no part knows what came before it."""
        number = end = 0
        people = Identities()
        for task, part in zip(self.tasks, self.parts, strict=True):
            end += part.frames
            people.begin(part.before)
            with task.path.with_suffix(".jsonl").open(encoding="utf-8") as lines:
                for line in lines:
                    yield people.renumbered(_SEQ.sub(f'"seq":{number}', line, count=1))
                    number += 1
            if number != end:
                raise StreamerError("a finished segment has lost lines; the next run does it again")

    def _odd_frames(self) -> list[str]:
        """What a cut video's segments should have is known from its packets, and no guess."""
        if len(self.tasks) == 1:
            return []
        pairs = zip(self.tasks, self.parts, strict=True)
        odd = sum(abs(task.segment.frames - part.frames) for task, part in pairs)
        return [f"{odd} of its frames are missing, or there twice"] if odd else []


def write_landmarks(files: dict[str, Path], lines: Iterator[str]) -> None:
    """The messages as they are, and those tables for which there is a file."""
    with ExitStack() as stack:
        file: TextIO = stack.enter_context(files[LANDMARKS].open("w", encoding="utf-8"))
        tables: list[Table] = []
        for suffix, kind in ((CSV, CsvTable), (PARQUET, ParquetTable)):
            if suffix in files:
                tables.append(stack.enter_context(closing(kind(files[suffix]))))
        for line in lines:
            file.write(line)
            if tables:
                message = json.loads(line)
                for table in tables:
                    table.write(message)
