"""Low light: which pictures are taken for dark, and what the networks get of them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.model import Frame
from streamer.pixels import to_rgb
from streamer.pose.low_light import (
    BRIGHT_SHARE,
    DARK,
    LIT,
    PATIENCE,
    LowLight,
    brightened,
    brightness,
)
from tests.fakes import make_frame

WIDTH, HEIGHT = 320, 240


def scene(light: float, *, noise: float = 0.0, black: int = 16, lamp: float = 0.0) -> Frame:
    """A ramp from black to so much of white, reddish at its left and bluish at its right, in which a lamp
    fills such a share of the rows."""
    ramp = black + np.linspace(0, 219 * light, WIDTH) * np.ones((HEIGHT, 1))
    ramp[: round(lamp * HEIGHT)] = 235
    frame = make_frame(width=WIDTH, height=HEIGHT)
    chance = np.random.default_rng(7)
    tint = 40 * light * np.linspace(-1, 1, WIDTH // 2)
    for plane, level in zip(frame.planes(), (ramp, 128 + tint, 128 - tint), strict=True):
        noisy = level + noise * chance.standard_normal(plane.shape)
        plane[:] = np.clip(np.round(noisy), 0, 255)
    return frame


def luma(frame: Frame) -> NDArray[np.float64]:
    return frame.planes()[0].astype(np.float64)


def lights(low_light: LowLight, *levels: float) -> list[bool]:
    """Whether it brightens pictures of such a brightness, each shown for long enough."""
    seen = []
    for level in levels:
        frame = scene(level / BRIGHT_SHARE)  # so much of the ramp lies below it
        for _ in range(PATIENCE):
            low_light.apply(frame)
        seen.append(low_light.is_on)
    return seen


def test_picture_in_usual_light_is_left_alone_and_a_dark_one_is_not() -> None:
    for light, is_dark in ((1.0, False), (0.6, False), (0.25, True), (0.1, True)):
        frame = scene(light)
        low_light = LowLight()
        rgb = low_light.apply(frame)
        assert low_light.is_on is is_dark
        assert np.array_equal(rgb, to_rgb(frame)) is not is_dark


def test_light_between_the_two_limits_changes_nothing() -> None:
    between = [DARK + 0.02, LIT - 0.01, DARK + 0.05]
    assert lights(LowLight(), 1.0, *between) == [False] * 4
    assert lights(LowLight(), 0.1, *between) == [True] * 4
    assert lights(LowLight(), 1.0, 0.1, LIT + 0.1, DARK - 0.1) == [False, True, False, True]


def test_what_is_dark_for_a_moment_only_changes_nothing() -> None:
    low_light, dark, lit = LowLight(), scene(0.1), scene(1.0)
    for frame in [lit, *[dark] * (PATIENCE - 1), lit, *[dark] * (PATIENCE - 1)]:
        low_light.apply(frame)
        assert not low_light.is_on
    low_light.apply(dark)
    assert low_light.is_on


def test_lamp_in_a_dark_room_does_not_make_it_bright() -> None:
    assert brightness(scene(0.2, lamp=0.03)) < DARK
    assert brightness(scene(0.2, lamp=0.2)) > LIT


@pytest.mark.parametrize("light", [0.25, 0.15, 0.1])
def test_dark_picture_gets_the_levels_and_the_colours_of_a_lit_one(light: float) -> None:
    bright = brightened(scene(light, noise=2.0, black=20))
    assert brightness(bright) == pytest.approx(0.8, abs=0.06)
    assert np.percentile(luma(bright), 1) == pytest.approx(16, abs=8)
    lit = scene(1.0)
    for plane, usual in zip(bright.planes()[1:], lit.planes()[1:], strict=True):
        assert np.ptp(plane.mean(axis=0)) == pytest.approx(0.8 * np.ptp(usual.mean(axis=0)), abs=12)


def test_noise_grows_less_than_what_is_seen() -> None:
    clean, noisy = scene(0.25), scene(0.25, noise=6.0)
    gain = np.ptp(luma(brightened(clean))) / np.ptp(luma(clean))
    before, after = (
        (luma(noisy) - luma(clean)).std(),
        (luma(brightened(noisy)) - luma(brightened(clean))).std(),
    )
    assert gain > 3
    assert after / before < 0.7 * gain


def test_black_frame_of_nothing_but_noise_stays_dark() -> None:
    bright = brightened(scene(0.0, noise=1.0))
    assert luma(bright).mean() < 60


def test_frame_that_was_given_stays_as_it_was_since_it_is_shown() -> None:
    frame = scene(0.1, noise=4.0)
    before = replace(frame, i420=frame.i420.copy())
    rgb = LowLight("on").apply(frame)
    assert np.array_equal(frame.i420, before.i420)
    assert rgb.shape == (HEIGHT, WIDTH, 3)
    assert rgb.flags.c_contiguous


def test_mode_is_what_a_person_says_and_may_change() -> None:
    dark, lit = scene(0.1), scene(1.0)
    low_light = LowLight("off")
    assert np.array_equal(low_light.apply(dark), to_rgb(dark))
    low_light.mode = "on"
    assert not np.array_equal(low_light.apply(lit), to_rgb(lit))
    low_light.mode = "auto"
    assert np.array_equal(low_light.apply(lit), to_rgb(lit))


@pytest.mark.parametrize(("width", "height"), [(2, 2), (16, 16), (34, 18)])
def test_smallest_pictures_are_brightened_too(width: int, height: int) -> None:
    rgb = LowLight("on").apply(make_frame(width=width, height=height, luma=20))
    assert rgb.shape == (height, width, 3)


async def test_brightening_refuses_to_run_on_the_event_loop() -> None:
    with pytest.raises(RuntimeError, match="event loop"):
        LowLight().apply(scene(0.1))
