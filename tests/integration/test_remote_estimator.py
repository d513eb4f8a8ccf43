"""The estimator in a process of its own: the same poses, and an error instead of a crash or a hang."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamer.config import PoseConfig, WorkersConfig
from streamer.errors import EstimatorError, ModelError
from streamer.model import Frame, Pose
from streamer.pose.live import LiveEstimator
from streamer.pose.models import Complexity, ensure_models, find_model
from streamer.pose.remote import RemoteEstimator
from tests.decoded import decode
from tests.unit.test_packing import assert_same

PATIENT = WorkersConfig(hang_timeout_s=20.0)
FRAMES = 20


@pytest.fixture(scope="module")
def film(person_clip: Path) -> list[Frame]:
    ensure_models(Complexity)
    return decode(person_clip, FRAMES)


@pytest.fixture
def estimator() -> Iterator[RemoteEstimator]:
    with closing(RemoteEstimator("test", find_model, PoseConfig(), PATIENT)) as estimator:
        yield estimator


def wide(frame: Frame) -> Frame:
    """The same picture of twice the size, of which the networks see half."""
    large = replace(frame, i420=np.empty((frame.height * 3, frame.width * 2), np.uint8))
    for plane, source in zip(large.planes(), frame.planes(), strict=True):
        plane[:] = source.repeat(2, 0).repeat(2, 1)
    return large


def assert_same_poses(ours: tuple[Pose, ...], theirs: tuple[Pose, ...]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert_same(one, other)


def test_poses_are_those_of_an_estimator_in_this_process_to_the_last_bit(film: list[Frame]) -> None:
    options = PoseConfig(num_poses=2, enable_segmentation=True, raw=True)
    unsure = options.model_copy(update={"min_score": 1.0, "smoothing": "steady"})
    with (
        closing(LiveEstimator(find_model, options)) as local,
        closing(RemoteEstimator("test", find_model, options, PATIENT)) as remote,
    ):
        told, others = 0, 0
        for number, frame in enumerate(film):
            for estimator in (local, remote):
                if number == FRAMES // 2:
                    estimator.configure(unsure)
                if number == FRAMES - 4:
                    estimator.reset()
            picture = wide(frame) if number % 3 == 0 else frame
            poses = local.estimate(picture, frame.pts)
            assert_same_poses(poses, remote.estimate(picture, frame.pts))
            assert_same_poses(local.bystanders, remote.bystanders)
            told, others = told + len(poses), others + len(local.bystanders)
        assert (told, others) == (FRAMES // 2, FRAMES // 2)


def test_dead_process_is_an_error_and_closing_it_is_none(
    estimator: RemoteEstimator, film: list[Frame]
) -> None:
    estimator.estimate(film[0], 0)
    os.kill(estimator.pid, signal.SIGSEGV)
    with pytest.raises(EstimatorError, match="SIGSEGV"):
        estimator.estimate(film[1], 3000)


def test_stopped_process_is_an_error_after_a_while(film: list[Frame]) -> None:
    hasty = WorkersConfig(hang_timeout_s=1.0)
    with closing(RemoteEstimator("test", find_model, PoseConfig(), hasty)) as estimator:
        os.kill(estimator.pid, signal.SIGSTOP)
        with pytest.raises(EstimatorError, match="hung"):
            estimator.estimate(film[0], 0)
        with pytest.raises(EstimatorError):
            estimator.reset()


def test_process_that_goes_round_in_circles_ends_itself(
    estimator: RemoteEstimator, film: list[Frame]
) -> None:
    """By the processor's time, so that a busy machine ends nobody: here a whole frame is too much."""
    estimator._limit_s = 0.001
    with pytest.raises(EstimatorError, match="SIGPROF"):
        for number in range(100):
            estimator.estimate(film[0], number * 3000)


def test_fault_in_the_process_is_an_error_and_its_words_are_in_the_log(
    estimator: RemoteEstimator, film: list[Frame], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(EstimatorError):
        estimator.estimate(replace(film[0], i420=film[0].i420[:2]), 0)
    assert "Traceback" in caplog.text


def test_model_that_is_not_here_or_broken_is_told_as_such(tmp_path: Path) -> None:
    def missing(model_complexity: int, segmentation: bool) -> Path:
        raise ModelError("not on this machine")

    broken = tmp_path / "broken.task"
    broken.write_bytes(b"no model")
    with pytest.raises(ModelError, match="not on this machine"):
        RemoteEstimator("test", missing, PoseConfig(), PATIENT)
    with pytest.raises(ModelError, match="broken"):
        RemoteEstimator("test", lambda *_: broken, PoseConfig(), PATIENT)


def test_other_model_is_loaded_beside_and_a_broken_one_costs_no_frame(
    film: list[Frame], tmp_path: Path
) -> None:
    # In one folder, as all that a child may read.
    bundles = {
        complexity: Path(shutil.copy(find_model(complexity), tmp_path)) for complexity in (0, 1)
    }
    bundles[2] = tmp_path / "heavy.task"
    bundles[2].write_bytes(b"no model")
    with closing(
        RemoteEstimator("test", lambda wanted, _: bundles[wanted], PoseConfig(), PATIENT)
    ) as estimator:
        seen, pts = [], 0
        for wanted in (0, 2):
            estimator.configure(PoseConfig(model_complexity=wanted))
            for _ in range(500):
                pts += 3000
                try:
                    poses = estimator.estimate(film[0], pts)
                except ModelError:
                    seen.append(-1)
                    break
                assert len(poses) == 1
                seen.append(estimator.model_complexity)
                if seen[-1] == wanted:
                    break
        assert seen[0] == 1 and seen[-1] == -1 and 0 in seen
        assert len(estimator.estimate(film[0], pts + 3000)) == 1
        assert estimator.model_complexity == 0
