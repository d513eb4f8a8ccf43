"""One packet a picture; key frames where they are asked for, and a rate that can change."""

import asyncio
from collections.abc import Sequence
from typing import get_args

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.encoders import VideoEncoder
from streamer.model import Codec, Frame, Packet
from streamer.pixels import to_frame

CODECS: tuple[Codec, ...] = get_args(Codec)
TICKS = 3000  # 30 pictures a second
RATE = 400_000

both_codecs = pytest.mark.parametrize("codec", CODECS)


def film(count: int, width: int = 320, height: int = 240) -> list[Frame]:
    """A soft texture that moves, with some noise on it: work for an encoder."""
    generator = np.random.default_rng(3)
    coarse = generator.integers(40, 200, (height // 8 + 2, width // 8 + 2)).astype(np.float32)
    texture = np.kron(coarse, np.ones((8, 8), np.float32))
    frames = []
    for number in range(count):
        i420 = np.full((height * 3 // 2, width), 128, np.uint8)
        noise = generator.normal(0, 3, (height, width))
        dx, dy = number % 8, number // 8 % 8
        i420[:height] = np.clip(texture[dy : dy + height, dx : dx + width] + noise, 16, 235)
        frames.append(Frame(i420, number * TICKS, received_mono=float(number), received_at=0.0))
    return frames


def encode(encoder: VideoEncoder, frames: Sequence[Frame], *keys: int) -> list[Packet]:
    """With key frames asked for at the places ``keys``."""
    return [
        encoder.encode(frame, frame.pts, force_keyframe=number in keys)
        for number, frame in enumerate(frames)
    ]


def decode(packets: Sequence[Packet]) -> list[NDArray[np.uint8]]:
    """The luma planes that a viewer sees."""
    decoder = av.CodecContext.create("vp8" if packets[0].codec == "vp8" else "h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    pictures = [picture for packet in packets for picture in decoder.decode(av.Packet(packet.data))]
    pictures += decoder.decode(None)
    return [to_frame(picture, 0, 0.0, 0.0).planes()[0] for picture in pictures]


def keys_of(packets: Sequence[Packet]) -> list[int]:
    return [number for number, packet in enumerate(packets) if packet.is_keyframe]


def bits_a_second(packets: Sequence[Packet], ticks: int = TICKS) -> float:
    return sum(len(packet.data) for packet in packets) * 8 * 90_000 / ticks / len(packets)


def units_of(packet: Packet) -> list[int]:
    """The types of the H.264 units in a packet in Annex B form."""
    assert packet.data.startswith((b"\0\0\1", b"\0\0\0\1"))
    return [part[0] & 0x1F for part in packet.data.split(b"\0\0\1")[1:]]


@both_codecs
@pytest.mark.parametrize(
    ("width", "height"), [(320, 240), (34, 18), (216, 384), (320, 182), (1280, 720), (1920, 1080)]
)
def test_each_picture_becomes_one_packet_that_shows_it(
    codec: Codec, width: int, height: int
) -> None:
    frames = film(4, width, height)
    packets = encode(VideoEncoder(codec, width, height, 20_000_000), frames)
    assert [packet.pts for packet in packets] == [frame.pts for frame in frames]
    assert [packet.received_mono for packet in packets] == [0.0, 1.0, 2.0, 3.0]
    assert {packet.codec for packet in packets} == {codec}
    seen = decode(packets)
    assert len(seen) == len(frames)
    for luma, frame in zip(seen, frames, strict=True):
        assert np.abs(luma.astype(int) - frame.planes()[0]).mean() < 4


@both_codecs
def test_key_frames_are_the_first_and_those_asked_for_and_no_other(codec: Codec) -> None:
    packets = encode(VideoEncoder(codec, 320, 240, RATE), film(30), 0, 7, 20)
    assert keys_of(packets) == [0, 7, 20]


@both_codecs
def test_cut_in_the_film_makes_no_key_frame(codec: Codec) -> None:
    frames = film(70)
    for frame in frames[60:]:
        frame.i420[:240] = 255 - frame.i420[:240, ::-1]
    assert keys_of(encode(VideoEncoder(codec, 320, 240, RATE), frames)) == [0]


@both_codecs
def test_viewer_may_begin_at_any_key_frame(codec: Codec) -> None:
    frames = film(20)
    packets = encode(VideoEncoder(codec, 320, 240, RATE), frames, 10)
    whole, late = decode(packets), decode(packets[10:])
    assert len(late) == 10
    assert all(map(np.array_equal, late, whole[10:]))


def test_h264_is_constrained_baseline_with_parameter_sets_before_each_key_frame() -> None:
    packets = encode(VideoEncoder("h264", 320, 240, RATE), film(12), 6)
    for packet in packets:
        units = [unit for unit in units_of(packet) if unit != 6]  # what the encoder says of itself
        assert units == ([7, 8, 5] if packet.is_keyframe else [1])
    parameters = packets[6].data.partition(b"\0\0\1\x67")[2]
    assert parameters[0] == 66 and parameters[1] & 0x40


@both_codecs
def test_rate_is_kept(codec: Codec) -> None:
    packets = encode(VideoEncoder(codec, 320, 240, RATE), film(150))
    assert bits_a_second(packets[60:]) == pytest.approx(RATE, rel=0.2)


@both_codecs
@pytest.mark.parametrize("fps", [10, 15])
def test_rate_is_kept_when_pictures_come_more_slowly_than_was_said(codec: Codec, fps: int) -> None:
    encoder = VideoEncoder(codec, 320, 240, RATE, fps_hint=30)
    ticks = 90_000 // fps
    packets = [encoder.encode(frame, number * ticks) for number, frame in enumerate(film(180))]
    assert bits_a_second(packets[100:], ticks) == pytest.approx(RATE, rel=0.25)
    assert keys_of(packets) == [0]


@both_codecs
def test_rate_is_kept_when_now_and_then_a_picture_is_missing(codec: Codec) -> None:
    encoder = VideoEncoder(codec, 320, 240, RATE)
    kept = [frame for number, frame in enumerate(film(200)) if number % 5]
    packets = [encoder.encode(frame, frame.pts) for frame in kept]
    assert bits_a_second(packets[60:], TICKS * 5 // 4) == pytest.approx(RATE, rel=0.2)


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_h264_takes_another_rate_without_a_key_frame(factor: float) -> None:
    encoder = VideoEncoder("h264", 320, 240, RATE)
    frames = film(270)
    packets = encode(encoder, frames[:90])
    encoder.set_bit_rate(int(RATE * factor))
    packets += encode(encoder, frames[90:])
    assert keys_of(packets) == [0]
    assert bits_a_second(packets[180:]) == pytest.approx(RATE * factor, rel=0.25)


@pytest.mark.parametrize(("codec", "factor"), [("vp8", 0.4), ("vp8", 2.5), ("h264", 5.0)])
def test_rate_that_a_context_cant_take_begins_with_a_key_frame(codec: Codec, factor: float) -> None:
    encoder = VideoEncoder(codec, 320, 240, RATE)
    frames = film(180)
    packets = encode(encoder, frames[:30])
    encoder.set_bit_rate(int(RATE * factor))
    packets += encode(encoder, frames[30:])
    assert keys_of(packets) == [0, 30]
    assert len(decode(packets)) == 180
    assert bits_a_second(packets[90:]) == pytest.approx(RATE * factor, rel=0.25)


@both_codecs
def test_small_changes_of_the_rate_cost_no_key_frame(codec: Codec) -> None:
    encoder = VideoEncoder(codec, 320, 240, RATE)
    frames = film(10)
    packets = encode(encoder, frames[:5])
    encoder.set_bit_rate(int(RATE * 1.08))
    assert keys_of([*packets, *encode(encoder, frames[5:])]) == [0]


@both_codecs
def test_time_that_stands_still_or_leaps_is_no_trouble(codec: Codec) -> None:
    encoder = VideoEncoder(codec, 320, 240, RATE)
    times = [0, 0, 0, 90, 3000, 3000, 2999, 90_000 * 3600, 90_000 * 3600 + 3000]
    packets = [encoder.encode(frame, time) for frame, time in zip(film(9), times, strict=True)]
    assert [packet.pts for packet in packets] == times
    assert len(decode(packets)) == 9
    assert keys_of(packets) == [0]


@both_codecs
def test_very_slow_source_makes_no_context_anew(codec: Codec) -> None:
    encoder = VideoEncoder(codec, 320, 240, RATE)
    packets = [encoder.encode(frame, n * 180_000) for n, frame in enumerate(film(60))]
    assert keys_of(packets) == [0]


@both_codecs
def test_frame_of_another_size_is_refused(codec: Codec) -> None:
    with pytest.raises(ValueError, match="64x48"):
        VideoEncoder(codec, 320, 240, RATE).encode(film(1, 64, 48)[0], 0)


@both_codecs
def test_encoder_begins_anew_after_it_was_closed(codec: Codec) -> None:
    encoder = VideoEncoder(codec, 320, 240, RATE)
    frames = film(4)
    encode(encoder, frames[:2])
    encoder.close()
    encoder.close()
    assert keys_of(encode(encoder, frames[2:])) == [0]


async def test_encoding_on_the_event_loop_is_refused() -> None:
    encoder = VideoEncoder("vp8", 320, 240, RATE)
    frame = film(1)[0]
    with pytest.raises(RuntimeError, match="event loop"):
        encoder.encode(frame, 0)
    assert (await asyncio.to_thread(encoder.encode, frame, 0)).is_keyframe
