"""[pose], [video], [overlay], [privacy], [images]: what is found in pictures, and how they are shown."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from streamer.config.section import Section, Share

Point = Annotated[tuple[Share, Share], Field(strict=False)]
"""x and y, in 0..1 of the width and height of the picture as it is shown."""

MAX_CORNERS, MAX_ZONES = 32, 16

Zone = Annotated[list[Point], Field(min_length=3, max_length=MAX_CORNERS)]
"""The corners of a polygon."""


def _is_polygon(corners: list[Point]) -> list[Point]:
    if len(corners) in (1, 2):
        raise ValueError("a region has three corners at least; none: the whole picture")
    return corners


Region = Annotated[list[Point], Field(max_length=MAX_CORNERS), AfterValidator(_is_polygon)]

Smoothing = Literal["mediapipe", "default", "steady"]
"""How much jitter is filtered out: as MediaPipe does; less jitter at the same lag; calm, with more lag."""


MAX_POSES = 8


class PoseConfig(Section):
    """MediaPipe's options under the names of its ``Pose`` solution, and ours.

    ``min_score``: poses of a lower score are not published; 0: all are. ``follow``: whom, where there are
    more people than ``num_poses``. ``search_interval_s``: between two looks for others while somebody is
    there, as far as places are free. ``height_m``: the person's height, to which world landmarks are scaled;
    0: as MediaPipe's statistical body has it. ``region``: only people in this polygon, if it has corners;
    ``ignore``: nobody in these. ``adapt``: a lower ``model_complexity`` while the machine can't keep up.
    ``raw``: publish the unfiltered landmarks, too.
    """

    model_complexity: int = Field(default=1, ge=0, le=2)
    adapt: bool = False
    static_image_mode: bool = False
    smooth_landmarks: bool = True
    smoothing: Smoothing = "default"
    raw: bool = False
    enable_segmentation: bool = False
    min_detection_confidence: Share = 0.5
    min_tracking_confidence: Share = 0.5
    min_score: Share = 0.5
    num_poses: int = Field(default=1, ge=1, le=MAX_POSES)
    search_interval_s: float = Field(default=0.5, ge=0.0, le=10.0)
    follow: Literal["sticky", "largest", "central"] = "sticky"
    height_m: float = Field(default=0.0, ge=0.0, le=3.0)
    low_light: Literal["auto", "off", "on"] = "auto"
    region: Region = []
    ignore: Annotated[list[Zone], Field(max_length=MAX_ZONES)] = []

    @property
    def complexities(self) -> range:
        """Of the models that may be run: with ``adapt`` the lighter ones, too."""
        lowest = 0 if self.adapt else self.model_complexity
        return range(lowest, self.model_complexity + 1)


Idle = Literal["run", "pause"]
"""What a stream does that nobody watches."""

Rotation = Literal[0, 90, 180, 270]
"""Of a camera's picture, in degrees clockwise until it is upright."""

MAX_BITRATE = 100_000_000
"""Bits per second; encoders count in 32 bits, several times over."""


def _is_number(value: object) -> object:
    if isinstance(value, bool):  # to Python, and so to pydantic, False is one of the numbers: 0
        raise ValueError("a rotation is 0, 90, 180 or 270")
    return value


class VideoConfig(Section):
    """What viewers are sent, in bits per second, and what a stream does that nobody watches."""

    max_bitrate: int = Field(default=0, ge=0, le=MAX_BITRATE)
    min_bitrate: int = Field(default=250_000, ge=50_000, le=MAX_BITRATE)
    idle: Idle = "run"
    rotation: Annotated[Rotation, BeforeValidator(_is_number)] = 0

    @model_validator(mode="after")
    def _limits_leave_room(self) -> "VideoConfig":
        if self.max_bitrate and self.max_bitrate < self.min_bitrate:
            raise ValueError("max_bitrate is below min_bitrate; 0 means: by the picture's size")
        return self


class OverlayConfig(Section):
    """What is drawn of each pose on the annotated picture. Lines are as wide as suits the picture."""

    style: Literal["skeleton", "landmarks", "none"] = "skeleton"
    side_colours: bool = True
    line_width: float = Field(default=0.0, ge=0.0, le=20.0)  # px; 0: as suits the picture
    angles: bool = False
    ids: bool = False
    confidence: bool = False
    trails: bool = False


PrivacyMode = Literal["off", "skeleton", "silhouette", "blur", "blur_background", "cover_face"]


class PrivacyConfig(Section):
    """What of the camera's picture may be seen by anybody at all. ``locked``: the API can't change it.
    ``hold_s``: for so long the place is covered where somebody was seen who is not found any more."""

    mode: PrivacyMode = "off"
    hold_s: float = Field(default=2.0, ge=0.5, le=3600.0)
    locked: bool = False


class ImagesConfig(Section):
    """Pictures that people upload."""

    max_bytes: int = Field(default=10 * 1024 * 1024, ge=1024)
    max_pixels: int = Field(default=25_000_000, ge=1, le=250_000_000)
    max_waiting: int = Field(default=8, ge=0)
    receive_timeout_s: float = Field(default=30.0, gt=0)
    work_timeout_s: float = Field(default=20.0, gt=0)
    keep_s: float = Field(default=300.0, ge=0)
