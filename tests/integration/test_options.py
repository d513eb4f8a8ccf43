"""Each of MediaPipe's options does what it says, on a real person."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.app import make_estimator
from streamer.config import PoseConfig
from streamer.errors import ModelError
from streamer.model import Frame, Pose
from streamer.pose.models import Complexity, ensure_models
from tests.decoded import decode

FRAMES = 60
DEFAULT = PoseConfig()
RAW = PoseConfig(smooth_landmarks=False)


@pytest.fixture(scope="module")
def film(person_clip: Path) -> list[Frame]:
    ensure_models(Complexity)  # lite and heavy come from npm the first time
    return decode(person_clip, FRAMES)


@pytest.fixture(scope="module")
def tracked(film: list[Frame]) -> list[tuple[Pose, ...]]:
    """What the default options give."""
    return estimate(film, DEFAULT)


def estimate(frames: Sequence[Frame], options: PoseConfig) -> list[tuple[Pose, ...]]:
    estimator = make_estimator(options)
    try:
        return [estimator.estimate(frame, frame.pts) for frame in frames]
    finally:
        estimator.close()


def places(poses: Sequence[tuple[Pose, ...]]) -> NDArray[np.float32]:
    """(frames, 33, 2): x and y of the one person."""
    return np.array([people[0].landmarks[:, :2] for people in poses])


def jitter(poses: Sequence[tuple[Pose, ...]]) -> float:
    """The mean second difference: what is left of a motion when its speed is taken away."""
    return float(np.abs(np.diff(places(poses), n=2, axis=0)).mean())


def equal(a: Sequence[tuple[Pose, ...]], b: Sequence[tuple[Pose, ...]]) -> bool:
    return all(
        len(x) == len(y)
        and all(np.array_equal(p.landmarks, q.landmarks) for p, q in zip(x, y, strict=True))
        for x, y in zip(a, b, strict=True)
    )


def test_default_finds_the_person_in_every_frame(tracked: list[tuple[Pose, ...]]) -> None:
    assert [len(people) for people in tracked] == [1] * FRAMES
    assert min(people[0].score for people in tracked) > 0.5


def test_same_options_give_the_same_landmarks(
    film: list[Frame], tracked: list[tuple[Pose, ...]]
) -> None:
    assert equal(estimate(film, PoseConfig()), tracked)


def test_high_min_tracking_confidence_gives_people_up(film: list[Frame]) -> None:
    strict = estimate(film, PoseConfig(min_tracking_confidence=0.9999))
    assert sum(len(people) for people in strict) < FRAMES / 2


def test_high_min_detection_confidence_finds_nobody(film: list[Frame]) -> None:
    assert estimate(film[:10], PoseConfig(min_detection_confidence=1.0)) == [()] * 10


def test_without_smooth_landmarks_they_are_raw(
    film: list[Frame], tracked: list[tuple[Pose, ...]]
) -> None:
    raw = estimate(film, RAW)
    steady = estimate(film, PoseConfig(smoothing="steady"))
    assert jitter(raw) > jitter(tracked) > 1.1 * jitter(steady)
    beside = estimate(film, PoseConfig(raw=True))
    assert equal(beside, tracked)
    for (alone,), (both,) in zip(raw, beside, strict=True):
        assert both.raw is not None and alone.raw is None
        assert np.array_equal(both.raw[:, :3], alone.landmarks[:, :3])


def test_time_between_frames_matters_to_smoothed_landmarks_only(
    film: list[Frame], tracked: list[tuple[Pose, ...]]
) -> None:
    slow = [replace(frame, pts=frame.pts * 10) for frame in film]
    smoothed_px = np.abs(places(estimate(slow, DEFAULT)) - places(tracked)) * 640
    raw_px = np.abs(places(estimate(slow, RAW)) - places(estimate(film, RAW))) * 640
    assert smoothed_px.max() > 5
    assert raw_px.max() < 0.1


def test_in_static_image_mode_every_frame_stands_alone(
    film: list[Frame], tracked: list[tuple[Pose, ...]]
) -> None:
    options = PoseConfig(static_image_mode=True)
    together = estimate(film[:12], options)
    alone = [estimate([frame], options)[0] for frame in film[:12:4]]
    assert equal(together[::4], alone)
    backwards = estimate(film[:12][::-1], options)
    assert equal(backwards[::-1], together)
    assert not equal(together, tracked[:12])


def test_num_poses_is_how_many_people_are_found_at_most(film: list[Frame]) -> None:
    pair = [side_by_side(frame) for frame in film[:6]]
    assert {len(people) for people in estimate(pair, PoseConfig(num_poses=1))} == {1}
    two = estimate(pair, PoseConfig(num_poses=2))
    assert {len(people) for people in two} == {2}
    assert {pose.id for people in two for pose in people} == {1, 2}
    left, right = sorted(float(pose.landmarks[0, 0]) for pose in two[-1])
    assert left < 0.5 < right


def side_by_side(frame: Frame) -> Frame:
    """The picture at half its size, twice."""
    i420 = np.full_like(frame.i420, 128)
    i420[: frame.height] = 16
    twin = Frame(i420, frame.pts, frame.received_mono, frame.received_at)
    for plane, source in zip(twin.planes(), frame.planes(), strict=True):
        half = source[::2, ::2]
        plane[: half.shape[0]] = np.hstack([half, half])
    return twin


def test_model_complexity_chooses_the_bundle(
    film: list[Frame], tracked: list[tuple[Pose, ...]]
) -> None:
    found = {each: estimate(film[:8], PoseConfig(model_complexity=each)) for each in (0, 1, 2)}
    assert equal(found[1], tracked[:8])
    for each in (0, 2):
        assert not equal(found[each], found[1])
        assert np.abs(places(found[each]) - places(found[1])).mean() < 0.05


def test_complexity_whose_model_is_not_here_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STREAMER_MODELS_DIR", str(tmp_path))
    with pytest.raises(ModelError, match="streamer models heavy"):
        make_estimator(PoseConfig(model_complexity=2))


def test_bundle_that_mediapipe_can_not_load_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STREAMER_MODELS_DIR", str(tmp_path))
    (tmp_path / "pose_landmarker_full.task").write_bytes(b"no bundle")
    with pytest.raises(ModelError, match="streamer models"):
        make_estimator(DEFAULT)


async def test_estimating_on_the_event_loop_is_refused(film: list[Frame]) -> None:
    estimator = make_estimator(DEFAULT)
    with pytest.raises(RuntimeError, match="event loop"):
        estimator.estimate(film[0], 0)
    estimator.close()
