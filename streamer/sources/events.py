"""What a camera's child tells of its work. Each is checked where it arrives: the decoder may be hijacked."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from streamer.isolation.pictures import Side, Ticks

Word = Annotated[str, Field(max_length=64, pattern=r"^[ -~]*$")]
Count = Annotated[int, Field(ge=0, lt=1 << 53)]


class Event(BaseModel):
    """The header of a message. Times are of the monotonic clock, which all processes share."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @property
    def header(self) -> dict[str, Any]:
        return self.model_dump()


class Opened(Event):
    """As ``model.VideoInfo``."""

    event: Literal["opened"] = "opened"
    width: Side
    height: Side
    codec: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")]
    fps: Annotated[float, Field(gt=0, le=240)] | None


class Pictured(Event):
    """A frame; its I420 is the body."""

    event: Literal["picture"] = "picture"
    width: Side
    height: Side
    pts: Ticks
    received_mono: float


class Forwarded(Event):
    """A packet for those that draw themselves; its data is the body."""

    event: Literal["packet"] = "packet"
    pts: Ticks
    is_keyframe: bool
    received_mono: float


class Progressed(Event):
    """As ``reader.Progress``."""

    event: Literal["progress"] = "progress"
    last_packet_mono: float | None
    frames: Count
    failed_packets: Count
    skipped_packets: Count
    profile: Word | None
    keyframe_interval_s: float | None


class Ended(Event):
    """The reader's error: its kind, and its sentence for a person. The last event."""

    event: Literal["ended"] = "ended"
    error: Word
    text: Annotated[str, Field(max_length=500)]


AnyEvent = Opened | Pictured | Forwarded | Progressed | Ended
EVENTS: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[AnyEvent, Field(discriminator="event")])
