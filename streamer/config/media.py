"""[pose], [video], [overlay], [images]: what is found in pictures, and how they are shown."""

from typing import Literal

from pydantic import Field, model_validator

from streamer.config.section import Section, Share


class PoseConfig(Section):
    """MediaPipe's options under the names of its ``Pose`` solution."""

    model_complexity: int = Field(default=1, ge=0, le=2)
    static_image_mode: bool = False
    smooth_landmarks: bool = True
    min_detection_confidence: Share = 0.5
    min_tracking_confidence: Share = 0.5
    num_poses: int = Field(default=1, ge=1, le=8)


Idle = Literal["run", "pause"]
"""What a stream does that nobody watches."""

MAX_BITRATE = 100_000_000
"""Bits per second; encoders count in 32 bits, several times over."""


class VideoConfig(Section):
    """What viewers are sent, in bits per second, and what a stream does that nobody watches."""

    max_bitrate: int = Field(default=0, ge=0, le=MAX_BITRATE)
    min_bitrate: int = Field(default=250_000, ge=50_000, le=MAX_BITRATE)
    idle: Idle = "run"

    @model_validator(mode="after")
    def _limits_leave_room(self) -> "VideoConfig":
        if self.max_bitrate and self.max_bitrate < self.min_bitrate:
            raise ValueError("max_bitrate is below min_bitrate; 0 means: by the picture's size")
        return self


class OverlayConfig(Section):
    """What is drawn of each pose on the annotated picture. Lines are as wide as suits the picture."""

    style: Literal["skeleton", "landmarks", "none"] = "skeleton"
    side_colours: bool = True


class ImagesConfig(Section):
    """Pictures that people upload."""

    max_bytes: int = Field(default=10 * 1024 * 1024, ge=1024)
    max_pixels: int = Field(default=25_000_000, ge=1, le=250_000_000)
    max_waiting: int = Field(default=8, ge=0)
    receive_timeout_s: float = Field(default=30.0, gt=0)
    work_timeout_s: float = Field(default=20.0, gt=0)
    keep_s: float = Field(default=300.0, ge=0)
