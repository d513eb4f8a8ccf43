"""Pictures keep their pixels between PyAV and our frames, whatever their size and rows."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.model import Frame
from streamer.pixels import small_rgb, to_av, to_frame, to_jpeg, turned

SIZES = [(640, 480), (216, 384), (608, 1080), (480, 270), (2, 2), (34, 18), (1920, 1080)]


def noise(width: int, height: int) -> Frame:
    generator = np.random.default_rng(width * height)
    i420 = generator.integers(16, 235, (height * 3 // 2, width), dtype=np.uint8)
    return Frame(i420, pts=4500, received_mono=1.0, received_at=2.0)


def test_turned_frame_has_its_upper_left_corner_below_and_four_turns_change_nothing() -> None:
    frame = noise(34, 18)
    once = turned(frame, 90)
    assert (once.width, once.height) == (18, 34)
    for straight, plane in zip(frame.planes(), once.planes(), strict=True):
        assert plane[-1, 0] == straight[0, 0]
        assert plane[0, 0] == straight[0, -1]
    assert once.i420.flags.c_contiguous
    assert once.pts == frame.pts
    again = turned(turned(turned(once, 90), 90), 90)
    assert np.array_equal(again.i420, frame.i420)
    assert np.array_equal(turned(frame, -90).i420, turned(frame, 270).i420)
    assert turned(frame, 0) is frame


@pytest.mark.parametrize("degrees", [90, 180, 270])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_plane_is_turned_whole(width: int, height: int, degrees: int) -> None:
    frame = noise(width, height)
    for straight, plane in zip(frame.planes(), turned(frame, degrees).planes(), strict=True):
        assert np.array_equal(plane, np.rot90(straight, degrees // 90))


def padded_picture(width: int, height: int) -> tuple[av.VideoFrame, list[NDArray[np.uint8]]]:
    """A picture in memory of FFmpeg's own, whose rows are padded, and its three planes."""
    picture = av.VideoFrame(width, height, "yuv420p")
    generator = np.random.default_rng(7)
    planes = []
    for plane in picture.planes:
        rows = generator.integers(16, 235, (plane.height, plane.line_size), dtype=np.uint8)
        plane.update(rows.tobytes())
        planes.append(rows[:, : plane.width])
    return picture, planes


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_frame_comes_back_from_pyav_unchanged(width: int, height: int) -> None:
    frame = noise(width, height)
    back = to_frame(to_av(frame), frame.pts, 1.0, 2.0)
    assert (back.width, back.height) == (width, height)
    assert np.array_equal(back.i420, frame.i420)
    assert back.i420.flags.c_contiguous


@pytest.mark.parametrize(("width", "height"), [*SIZES, (641, 481), (217, 385), (3, 3)])
def test_padding_and_odd_edges_are_left_out(width: int, height: int) -> None:
    picture, (y, u, v) = padded_picture(width, height)
    frame = to_frame(picture, 0, 1.0, 2.0)
    even_width, even_height = width & ~1, height & ~1
    assert (frame.width, frame.height) == (even_width, even_height)
    for got, sent in zip(frame.planes(), (y, u, v), strict=True):
        assert np.array_equal(got, sent[: got.shape[0], : got.shape[1]])


def test_frame_for_the_encoder_shares_memory_and_has_its_time() -> None:
    frame = noise(64, 48)
    picture = to_av(frame)
    frame.i420[0, 0] = 99
    assert bytes(memoryview(picture.planes[0]))[0] == 99
    assert (picture.pts, picture.time_base) == (4500, Fraction(1, 90_000))
    assert to_av(frame, pts=90_000).pts == 90_000


@pytest.mark.parametrize("format_name", ["yuvj420p", "yuv420p flagged as full", "yuvj422p", "gray"])
def test_full_range_becomes_limited_range(format_name: str) -> None:
    name = format_name.split()[0]
    picture = av.VideoFrame(64, 48, name)
    for index, plane in enumerate(picture.planes):
        plane.update(bytes([128 if index else 255]) * plane.buffer_size)
    if "flagged" in format_name:
        picture.color_range = 2
    y, u, v = to_frame(picture, 0, 1.0, 2.0).planes()
    assert np.abs(y.astype(int) - 235).max() <= 1
    assert np.abs(u.astype(int) - 128).max() <= 1
    assert np.abs(v.astype(int) - 128).max() <= 1


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (640, 480, (480, 640)),
        (1278, 720, (720, 1278)),
        (1280, 720, (360, 640)),
        (1366, 768, (384, 682)),
        (1280, 722, (360, 640)),
        (1920, 1080, (540, 960)),
        (3840, 2160, (540, 960)),
        (608, 1080, (1080, 608)),
        (216, 384, (384, 216)),
        (20, 10, (10, 20)),
        (2, 2, (2, 2)),
        (4096, 2, (2, 4096)),
    ],
)
def test_rgb_is_halved_to_the_width_contiguous_and_keeps_the_aspect_ratio(
    width: int, height: int, expected: tuple[int, int]
) -> None:
    rgb = small_rgb(noise(width, height), 640)
    assert rgb.shape == (*expected, 3)
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous


@pytest.mark.parametrize("width", [640, 1280, 1366, 216, 20])
def test_rgb_has_the_colours_of_the_frame_in_every_row(width: int) -> None:
    i420 = np.empty((96 * 3 // 2, width), np.uint8)
    i420[:96], i420[96:120], i420[120:] = 81, 90, 240  # BT.601 limited range: red
    rgb = small_rgb(Frame(i420, 0, 0.0, 0.0), 640)
    assert np.abs(rgb.astype(int) - (255, 0, 0)).max() <= 4


def test_half_is_the_mean_of_each_four_pixels_at_their_place() -> None:
    frame = noise(1280, 720)
    y, u, v = frame.planes()
    u[:], v[:] = 128, 128
    y[:] = np.where(np.arange(720)[:, None] < 360, y // 2 + 16, y // 2 + 100)
    grey = small_rgb(frame, 640)[:, :, 1].astype(float)
    means = y.reshape(360, 2, 640, 2).mean(axis=(1, 3))
    expected = np.clip((means - 16) * 255 / 219, 0, 255)
    assert np.abs(grey - expected).max() <= 2


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1282, 722), (1920, 1080)])
def test_frame_that_was_given_stays_as_it_was(width: int, height: int) -> None:
    frame = noise(width, height)
    before = frame.i420.copy()
    small_rgb(frame, 640)
    assert np.array_equal(frame.i420, before)


async def test_scaling_and_conversion_refuse_to_run_on_the_event_loop() -> None:
    with pytest.raises(RuntimeError, match="event loop"):
        small_rgb(noise(64, 48), 640)
    with pytest.raises(RuntimeError, match="event loop"):
        turned(noise(64, 48), 90)
    with pytest.raises(RuntimeError, match="event loop"):
        to_frame(av.VideoFrame(64, 48, "yuvj420p"), 0, 0.0, 0.0)


async def test_plain_copy_may_run_on_the_event_loop() -> None:
    assert to_frame(to_av(noise(64, 48)), 1, 2.0, 3.0).pts == 1


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("at_most", [None, 3, 100, 10_000])
def test_jpeg_has_the_frame_s_size_or_the_width_that_was_asked_for(
    width: int, height: int, at_most: int | None
) -> None:
    picture = cv2.imdecode(np.frombuffer(to_jpeg(noise(width, height), at_most), np.uint8), 1)
    assert picture is not None
    if at_most is None or at_most >= width:
        assert picture.shape[:2] == (height, width)
    else:
        assert picture.shape[1] in (at_most, at_most - 1)
        assert abs(picture.shape[0] - height * picture.shape[1] / width) <= 1


def test_jpeg_keeps_the_colours() -> None:
    blank = noise(64, 48)
    for plane, level in zip(blank.planes(), (145, 54, 34), strict=True):  # green, in BT.601
        plane[:] = level
    picture = cv2.imdecode(np.frombuffer(to_jpeg(blank), np.uint8), 1)
    assert picture is not None
    assert np.allclose(picture, (0, 255, 0), atol=6)


async def test_jpeg_is_not_made_on_the_event_loop() -> None:
    with pytest.raises(RuntimeError, match="event loop"):
        to_jpeg(noise(64, 48))
