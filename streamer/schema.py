"""The messages of the contract as types: what their JSON Schema and the API's description are made of.

``messages.py`` writes them by hand, for speed; tests hold the two together.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from streamer.messages import VERSION
from streamer.model import LANDMARK_COUNT

Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
X = Annotated[Number, Field(title="x", description="0..1 of the width, more outside the picture")]
Y = Annotated[Number, Field(title="y", description="0..1 of the height, more outside the picture")]
Z = Annotated[Number, Field(title="z", description="on x's scale, from mid-hip; smaller is nearer")]
Visibility = Annotated[Share, Field(title="visibility", description="in the picture, not hidden")]
Presence = Annotated[Share, Field(title="presence", description="in the picture")]
Metres = Annotated[Number, Field(description="metres; x right, y down, z away from the camera")]

Landmark = tuple[X, Y, Z, Visibility, Presence]
WorldLandmark = tuple[Metres, Metres, Metres]
Degrees = Annotated[Number, Field(title="degrees", ge=-90, le=180)]
Valid = Annotated[int, Field(title="valid", ge=0, le=1, description="1: it can be trusted")]
Turned = Literal["left_right", "front_back"]
Index = Annotated[int, Field(ge=0, lt=LANDMARK_COUNT)]
_All33 = Field(min_length=LANDMARK_COUNT, max_length=LANDMARK_COUNT)


class Message(BaseModel):
    """Readers ignore the fields that they don't know: the contract grows. A field with a default factory
    may be absent (and is never null)."""

    model_config = ConfigDict(strict=True, extra="allow", use_attribute_docstrings=True)


class PoseEntry(Message):
    """One person."""

    id: Count
    score: Share
    """How likely it is that a person is there; of an uploaded picture, the mean presence of the landmarks."""
    landmarks: Annotated[list[Landmark], _All33]
    """MediaPipe's 33 in their order, in image coordinates."""
    world: Annotated[list[WorldLandmark], _All33]
    """The same 33 in metres, from the middle between the hips."""
    predicted: Annotated[list[Index], Field(max_length=LANDMARK_COUNT)] = Field(
        default_factory=list
    )
    """The landmarks that can't be seen, by their place in the list: the network's guess."""
    turned: Turned = Field(default_factory=lambda: "left_right")
    """The sides are probably mistaken: those of arms or legs, or all, as if the person faced the other way.
    Absent: they are not."""
    angles: dict[str, tuple[Degrees, Valid]] = Field(default_factory=dict)
    """Joint and segment angles by their names (docs/protocol.md); later versions may have more."""
    raw: Annotated[list[Landmark], _All33] = Field(default_factory=list)
    """As ``landmarks``, before smoothing; only with the option ``raw``."""


class PoseMessage(Message):
    """What was found in one processed frame."""

    type: Literal["pose"]
    v: Literal[1]
    stream: str
    """The stream's id."""
    epoch: Count
    """Rises when the camera starts anew; ``seq`` and ``dropped`` then begin again."""
    seq: Count
    """Rises by one with each processed frame: a gap is a lost message."""
    pts: int
    """Ticks of 90 kHz on the stream's video clock, which never runs back."""
    received_at: Number
    """Unix seconds at which the frame reached the server."""
    width: Count
    """Of the frame, in pixels."""
    height: Count
    poses: list[PoseEntry]
    """One entry for each person; empty for a frame with nobody."""
    latency_ms: dict[str, Number]
    """Milliseconds by stage; ``total`` from the frame's arrival to this message."""
    dropped: Count
    """Frames of this epoch that were never processed, because newer ones came."""


class StateMessage(Message):
    """The stream is in another state. First on every new way out."""

    type: Literal["state"]
    v: Literal[1]
    stream: str
    state: Literal["connecting", "live", "paused", "reconnecting", "failed", "ended"]
    detail: str
    """A sentence for a person."""
    error: str = Field(default_factory=str)
    """The stable kind of the error behind it, as in the API's problems."""
    retry_in_s: Number = Field(default_factory=float)
    attempt: Count = Field(default_factory=int)
    """How often it was tried in a row."""


class ModelMessage(Message):
    """Another model finds the poses from the next frame on, or another one is wanted. On a new way out only
    if what runs is not what is wanted."""

    type: Literal["model"]
    v: Literal[1]
    stream: str
    model_complexity: Annotated[int, Field(ge=0, le=2)]
    """Of the model that runs."""
    wanted: Annotated[int, Field(ge=0, le=2)]
    """Of the stream's options."""
    reason: Literal["overload", "loading", "failed"] = Field(default_factory=lambda: "loading")
    """Why they differ: the machine can't keep up (``adapt``); the wanted one is being loaded; it can't be."""


class ClockMessage(Message):
    """What ties the stream's time to others; to WebRTC peers only. Fields come when they are known."""

    type: Literal["clock"]
    v: Literal[1]
    t: Number
    """Unix seconds of the server's clock."""
    rtp_origin: Count = Field(default_factory=int)
    """The RTP timestamp of ``pts`` 0 in the video that the peer is sent."""
    epoch: Count = Field(default_factory=int)
    ntp: Number = Field(default_factory=float)
    """Of a sender report of the peer's own camera: Unix seconds by the peer's clock."""
    rtp: Count = Field(default_factory=int)
    pts: int = Field(default_factory=int)
    """The stream's time at that moment."""


class AnyMessage(
    RootModel[
        Annotated[
            PoseMessage | StateMessage | ModelMessage | ClockMessage, Field(discriminator="type")
        ]
    ]
):
    """One message of a stream (docs/protocol.md), the same on every way out and in files."""


def message_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of all messages, as docs/messages.schema.json has it."""
    schema = AnyMessage.model_json_schema()
    del schema["discriminator"]  # OpenAPI's word, which JSON Schema does not know
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:streamer:messages:{VERSION}",
        **schema,
    }
