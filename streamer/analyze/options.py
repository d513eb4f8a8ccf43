"""What was asked for, and what an input's outputs are called."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamer.config import PoseConfig, PrivacyMode
from streamer.model import Pose
from streamer.pose.zones import Zones
from streamer.privacy import sought

FORMAT = 1
"""Rises when a newer Streamer would write something else for the same input and options."""

LANDMARKS = ".landmarks.jsonl"
CSV = ".landmarks.csv"
PARQUET = ".landmarks.parquet"
VIDEO = ".mp4"
PICTURE = ".jpg"
SUFFIXES = (VIDEO, PICTURE, LANDMARKS, CSV, PARQUET)


@dataclass(frozen=True, slots=True)
class Options:
    """``annotated``: write the annotated video or picture too; ``privacy``: what may be seen in it."""

    pose: PoseConfig
    annotated: bool = True
    csv: bool = False
    parquet: bool = False
    privacy: PrivacyMode = "off"

    @property
    def hidden(self) -> PrivacyMode:
        """Nobody needs to be hidden where no picture is written."""
        return self.privacy if self.annotated else "off"

    @property
    def sought(self) -> PoseConfig:
        """``pose``, or more of it: everybody who is to be hidden."""
        if self.hidden == "off":
            return self.pose
        return sought(self.pose, self.hidden)

    def told(self, found: tuple[Pose, ...]) -> tuple[Pose, ...]:
        """Of those found the ones that ``pose`` asks for."""
        zones = Zones(self.pose.region, self.pose.ignore) if self.hidden != "off" else Zones()
        counting = (pose for pose in found if zones.admits(pose.landmarks))
        return tuple(itertools.islice(counting, self.pose.num_poses))

    def key(self) -> dict[str, Any]:
        """What outputs depend on, as JSON has it."""
        return {
            "format": FORMAT,
            "pose": self.pose.model_dump(mode="json"),
            "annotated": self.annotated,
            "privacy": self.privacy,
            "csv": self.csv,
            "parquet": self.parquet,
        }


@dataclass(frozen=True, slots=True)
class Input:
    """A file to analyze. ``name``: what people and messages call it. ``stem``: its outputs' path below the
    output folder, without their suffixes."""

    path: Path
    name: str
    is_picture: bool
    stem: str

    def suffixes(self, options: Options) -> tuple[str, ...]:
        """Of the outputs."""
        shown = PICTURE if self.is_picture else VIDEO
        wanted = (
            (shown, options.annotated),
            (LANDMARKS, True),
            (CSV, options.csv),
            (PARQUET, options.parquet),
        )
        return tuple(suffix for suffix, is_wanted in wanted if is_wanted)
