"""A publisher's child: decodes one packet after the other, and answers each with its pictures."""

from typing import Annotated, Literal

import av
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from streamer.isolation.pictures import MAX_PIXELS, Side, Ticks
from streamer.isolation.worker import Worker
from streamer.model import Codec
from streamer.pixels import to_frame

_DECODERS: dict[Codec, str] = {"vp8": "vp8", "h264": "h264"}
"""In FFmpeg's names. Its own VP8 decoder takes 4 to 10 % less CPU than libvpx, for the same pictures."""


class Answer(BaseModel):
    """``left``: how many more answers follow to the same packet."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    left: Annotated[int, Field(ge=0, le=32)]


class Picture(Answer):
    """Its I420 is the body. ``pts``: None where the decoder lost it."""

    answer: Literal["picture"] = "picture"
    width: Side
    height: Side
    pts: Ticks | None


class Nothing(Answer):
    """``failed``: the packet can't be decoded; else it only gave no picture yet. ``too_large``: the size of
    what FFmpeg therefore refuses, or nothing."""

    answer: Literal["nothing"] = "nothing"
    left: Literal[0] = 0
    failed: bool
    too_large: Annotated[str, Field(pattern=r"^([0-9]{1,6}x[0-9]{1,6})?$")] = ""


ANSWERS: TypeAdapter[Picture | Nothing] = TypeAdapter(
    Annotated[Picture | Nothing, Field(discriminator="answer")]
)


def main(worker: Worker) -> None:
    codec: Codec | None = None
    context: VideoCodecContext | None = None
    while True:
        header, body = worker.receive()
        if context is None or codec != header["codec"]:
            codec, context = header["codec"], _context(header["codec"])
        encoded = av.Packet(bytes(body))
        encoded.pts = header["pts"]
        try:
            pictures = context.decode(encoded)
        except (av.FFmpegError, MemoryError):
            # Its state stays: what follows can still be decoded, or asks for the same key frame.
            too_large = _too_large(context, codec, bytes(body))
            worker.send(Nothing(failed=True, too_large=too_large).model_dump())
            continue
        _show(worker, pictures)


def _too_large(context: VideoCodecContext, codec: Codec | None, data: bytes) -> str:
    """FFmpeg decodes nothing that is too large, and does not say so."""
    width, height = context.width, context.height
    if codec == "vp8" and data[3:6] == b"\x9d\x01\x2a" and len(data) >= 10:
        # It does not even keep the size (RFC 6386, section 9.1: 14 bits each, little-endian).
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return f"{width}x{height}" if width * height > MAX_PIXELS else ""


def _show(worker: Worker, pictures: list[av.VideoFrame]) -> None:
    if not pictures:
        worker.send(Nothing(failed=False).model_dump())
    for number, picture in enumerate(pictures, 1):
        frame = to_frame(picture, 0, 0.0, 0.0)
        answer = Picture(
            left=len(pictures) - number,
            width=frame.width,
            height=frame.height,
            pts=picture.pts,
        )
        worker.send(answer.model_dump(), frame.i420.data)


def _context(codec: Codec) -> VideoCodecContext:
    """One thread: two would hold back a picture or cost more than they save."""
    context = av.CodecContext.create(_DECODERS[codec], "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    context.flags |= Flags.low_delay
    context.options = {"max_pixels": str(MAX_PIXELS)}
    return context
