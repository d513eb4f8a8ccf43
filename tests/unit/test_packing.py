"""Poses on their way between two processes: exact, and nothing that can't be true is believed."""

import math
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from streamer.angles import ANGLES
from streamer.config import PoseConfig, WorkersConfig
from streamer.errors import EstimatorError
from streamer.model import LANDMARK_COUNT, Frame, Mask, Pose
from streamer.pose.packing import MAX_MASK_PX, MAX_RECORDS, RECORD, pack, unpack
from streamer.pose.remote import RemoteEstimator
from tests.fakes import make_pose

DICE = np.random.default_rng(6)


def numbers(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return DICE.normal(size=shape).astype(np.float32)


def full_pose(number: int, mask_px: int = 16) -> Pose:
    return Pose(
        id=2**40 + number,
        score=0.1 + number / 3,
        landmarks=numbers(LANDMARK_COUNT, 5),
        world=numbers(LANDMARK_COUNT, 3),
        raw=numbers(LANDMARK_COUNT, 5),
        predicted=DICE.random(LANDMARK_COUNT) > 0.5,
        angles=numbers(len(ANGLES), 2),
        turned="front_back",
        mask=Mask(DICE.integers(0, 256, (mask_px, mask_px), np.uint8), numbers(2, 3)),
    )


def body_of(*poses: Pose) -> memoryview:
    return memoryview(b"".join(buffer.tobytes() for buffer in pack(poses)))


def assert_same(one: object, other: object) -> None:
    """To the last bit, and of the same kinds."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.tobytes() == other.tobytes()
    elif isinstance(one, Pose | Mask):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name))
    else:
        assert one == other


def test_poses_come_back_to_the_last_bit() -> None:
    poses = [full_pose(0), make_pose(nose=(0.25, 0.75)), full_pose(2, mask_px=256)]
    for before, after in zip(poses, unpack(3, body_of(*poses)), strict=True):
        assert_same(before, after)


def test_nobody_comes_back_as_nobody() -> None:
    assert unpack(0, body_of()) == ()


def test_poses_keep_nothing_of_the_memory_they_came_through() -> None:
    body = bytearray(body_of(full_pose(1)))
    (before,), (pose,) = unpack(1, memoryview(body)), unpack(1, memoryview(body))
    body[:] = bytes(len(body))
    assert_same(before, pose)


@pytest.mark.parametrize("count", [-1, 0, 1, 3, MAX_RECORDS + 1, 2**70])
def test_another_count_of_poses_than_there_are_is_refused(count: int) -> None:
    with pytest.raises(ValueError):
        unpack(count, body_of(full_pose(0), full_pose(1)))


def test_more_poses_than_there_can_be_are_refused() -> None:
    body = body_of(*map(full_pose, range(MAX_RECORDS + 1)))
    assert len(unpack(MAX_RECORDS, body_of(*map(full_pose, range(MAX_RECORDS))))) == MAX_RECORDS
    with pytest.raises(ValueError):
        unpack(MAX_RECORDS + 1, body)


def test_mask_larger_than_there_can_be_is_refused() -> None:
    assert len(unpack(1, body_of(full_pose(0, MAX_MASK_PX)))) == 1
    with pytest.raises(ValueError):
        unpack(1, body_of(full_pose(0, MAX_MASK_PX + 1)))


@pytest.mark.parametrize("change", [-1, 1, -RECORD.itemsize])
def test_too_few_and_too_many_bytes_are_refused(change: int) -> None:
    body = body_of(full_pose(0)).tobytes()
    with pytest.raises(ValueError):
        unpack(1, memoryview(body[:change] if change < 0 else body + bytes(change)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("score", np.nan),
        ("landmarks", np.inf),
        ("landmarks", -1e30),
        ("world", 1e30),
        ("to_mask", np.nan),
        ("mask_px", 2**32 - 1),
        ("turned", 3),
    ],
)
def test_what_no_estimator_says_is_refused(name: str, value: float) -> None:
    body = bytearray(body_of(full_pose(0)))
    np.frombuffer(body, RECORD, 1)[name] = value
    with pytest.raises(ValueError):
        unpack(1, memoryview(body))


def test_random_bytes_are_refused_or_poses_and_nothing_else() -> None:
    for _ in range(300):
        body = memoryview(DICE.bytes(RECORD.itemsize * 2))
        try:
            assert len(unpack(2, body)) == 2
        except ValueError:
            continue


class Hijacked(RemoteEstimator):
    """Its process answers what it likes."""

    answer: ClassVar[dict[str, Any]] = {}

    def _start(self) -> None:
        pass

    def _ask(
        self, request: dict[str, Any], *buffers: Any, is_watched: bool = True
    ) -> tuple[dict[str, Any], memoryview]:
        return self.answer, body_of(full_pose(0))


TRUTH = {"count": 1, "told": 1, "model_complexity": 1}


@pytest.mark.parametrize("name", TRUTH)
@pytest.mark.parametrize("lie", [-1, 3, 0.5, math.nan, "1", None, [1], 10**40])
def test_estimator_that_lies_about_its_poses_is_one_that_failed(name: str, lie: object) -> None:
    estimator = Hijacked("door", lambda *_: Path(), PoseConfig(), WorkersConfig())
    frame = Frame(np.zeros((96, 64), np.uint8), 0, 0.0, 0.0)
    Hijacked.answer = TRUTH
    assert len(estimator.estimate(frame, 0)) == 1
    Hijacked.answer = TRUTH | {name: lie}
    with pytest.raises(EstimatorError):
        estimator.estimate(frame, 0)
