"""Smoothing on what the networks see of a real person, beside MediaPipe's own."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.pixels import small_rgb
from streamer.pose.landmarker import Found, Landmarker
from streamer.pose.models import Complexity, ensure_models
from streamer.pose.smoothing import PoseSmoother
from tests.decoded import decode
from tests.rigs.steadiness import Watched, lateness_ms, trembling, watch_clip, watch_held

FRAMES = 45
FRAME_MS = 33
UNSMOOTHED_STRETCH = 1_000_000
"""Timestamps so far apart switch MediaPipe's filter of coordinates off."""

SIZES_PX = np.geomspace(300, 900, 1101)  # steps of 0.1 %
RATES = (30.0, 15.0, 5.0)


@pytest.fixture(scope="module")
def by_mediapipe(person_clip: Path) -> dict[int, list[Found]]:
    """Of the same pictures, unsmoothed and smoothed, by how much their times were stretched. Where it
    looks does not depend on its smoothing, so both see the same."""
    (model,) = ensure_models([Complexity.FULL])
    found: dict[int, list[Found]] = {}
    pictures = [small_rgb(frame, 640) for frame in decode(person_clip, FRAMES)]
    for stretch in (UNSMOOTHED_STRETCH, 1):
        landmarker = Landmarker(
            model,
            video=True,
            num_poses=1,
            min_pose_detection_confidence=0.5,
            min_pose_presence_confidence=0.5,
        )
        # Not from 0 on: MediaPipe takes a time of 0 for none.
        times_ms = [FRAME_MS * (1 + number) * stretch for number in range(FRAMES)]
        found[stretch] = [
            landmarker.find(rgb, ms)[0] for rgb, ms in zip(pictures, times_ms, strict=True)
        ]
        landmarker.close()
    return found


def in_pixels(found: Found) -> NDArray[np.float32]:
    return found.landmarks * np.array([640, 480, 640, 1, 1], np.float32)


def unfiltered_visibility(found: list[Found]) -> NDArray[np.float64]:
    """(frames, 33): what MediaPipe's low-pass filter, which nothing switches off, was given."""
    shown = np.array([each.landmarks[:, 3] for each in found], np.float64)
    shown[1:] = (shown[1:] - 0.9 * shown[:-1]) / 0.1
    return shown


def test_as_mediapipe_is_what_mediapipe_does(
    by_mediapipe: dict[int, list[Found]], person_clip: Path
) -> None:
    """World landmarks and visibility in full. In the picture the filter also depends on the size of the
    region, which MediaPipe does not tell: the one number per frame is found by the 99 that depend on it,
    and must be the size that our own engine comes to."""
    raw, smoothed = by_mediapipe[UNSMOOTHED_STRETCH], by_mediapipe[1]
    visibility = unfiltered_visibility(raw)
    smoother = PoseSmoother("mediapipe")
    sizes_px = []
    for number, (found, expected) in enumerate(zip(raw, smoothed, strict=True)):
        landmarks, wanted = in_pixels(found), in_pixels(expected)
        landmarks[:, 3] = visibility[number]
        t_s = number * FRAME_MS / 1000

        def off_px(size_px: float) -> float:
            shown, _ = deepcopy(smoother).smooth(landmarks, found.world, size_px, t_s)  # noqa: B023
            return float(np.abs(shown - wanted)[:, :3].mean())  # noqa: B023

        size_px = float(min(SIZES_PX[::10], key=off_px))
        around = SIZES_PX[np.abs(SIZES_PX / size_px - 1) < 0.011]
        sizes_px.append(float(min(around, key=off_px)))
        shown, world = smoother.smooth(landmarks, found.world, sizes_px[-1], t_s)
        off = np.abs(shown[:, :3] - wanted[:, :3])
        assert off.mean() < 0.02
        # A step of 0.1 % in size shows where the filter changes most.
        assert off.max() < 0.02 + 0.02 * np.abs(landmarks - wanted)[:, :3].max()
        assert np.abs(shown[:, 3] - wanted[:, 3]).max() < 1e-5
        assert np.abs(world - expected.world).max() < 5e-5
    apart_px = [
        np.abs(in_pixels(a) - in_pixels(b)).mean() for a, b in zip(raw, smoothed, strict=True)
    ]
    assert np.mean(apart_px) > 0.5  # or there was nothing to smooth
    ours = [each.next_region.size for each in watch_clip(person_clip, FRAMES).sightings]
    assert np.median(np.array(sizes_px[1:]) / ours[1:]) == pytest.approx(1, abs=0.01)


@pytest.fixture(scope="module", params=[0, 60])
def held(request: pytest.FixtureRequest, person_clip: Path) -> Watched:
    return watch_held(person_clip, request.param, 60)


@pytest.mark.parametrize("fps", RATES)
def test_who_holds_still_trembles_by_0_7_of_mediapipe_or_less(held: Watched, fps: float) -> None:
    watched = held.at(fps)
    mediapipe, default, steady = (
        trembling(watched.smoothed(strength), watched)
        for strength in ("mediapipe", "default", "steady")
    )
    assert mediapipe < trembling(watched.raw, watched)
    assert default < 0.7 * mediapipe
    assert steady < 0.5 * default


@pytest.mark.parametrize("every", [1, 2, 6])
def test_who_moves_is_later_by_1_2_of_mediapipe_or_less(person_clip: Path, every: int) -> None:
    watched = watch_clip(person_clip, 90, every)
    mediapipe, default = (
        lateness_ms(watched.smoothed(strength), watched) for strength in ("mediapipe", "default")
    )
    assert 0 < default < 1.2 * mediapipe
