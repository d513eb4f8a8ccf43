"""A session adds nothing to its estimator's landmarks and takes nothing from them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamer.app import make_estimator
from streamer.config import PoseConfig
from streamer.errors import SourceEnded, SourceLost
from streamer.model import Frame, PoseResult, StreamState
from streamer.ports import FrameReceiver
from streamer.pose.models import Complexity, ensure_models
from streamer.retry import RetryPolicy
from streamer.session import Session
from tests.decoded import decode
from tests.fakes import PATIENCE_S, FakePainter, RecordingSink

Landmarks = list[tuple[NDArray[np.float32], NDArray[np.float32]]]


class PatientSource:
    """Gives a frame when the one before it has become a result; connects once for each film."""

    def __init__(self, *films: Sequence[Frame]) -> None:
        self._films = list(films)
        self._done = asyncio.Semaphore(0)

    def on_result(self) -> None:
        self._done.release()

    async def run(self, receiver: FrameReceiver) -> None:
        if not self._films:
            raise SourceEnded("all films were shown")
        now = asyncio.get_running_loop().time  # the monotonic clock
        for frame in self._films.pop(0):
            receiver.put(replace(frame, received_mono=now()))
            await self._done.acquire()
        raise SourceLost("the film is over")


class ReleasingSink(RecordingSink):
    def __init__(self, source: PatientSource) -> None:
        super().__init__()
        self._source = source

    def on_result(self, result: PoseResult) -> None:
        super().on_result(result)
        self._source.on_result()


def bare_loop(frames: Sequence[Frame]) -> list[Landmarks]:
    """The estimator alone, on the same pictures and their times."""
    estimator = make_estimator(PoseConfig())
    try:
        return [
            [(pose.landmarks, pose.world) for pose in estimator.estimate(frame, frame.pts)]
            for frame in frames
        ]
    finally:
        estimator.close()


async def test_landmarks_of_a_session_equal_a_bare_loops_exactly_and_again_after_a_reconnect(
    person_clip: Path,
) -> None:
    await asyncio.to_thread(ensure_models, [Complexity.FULL])
    first = await asyncio.to_thread(decode, person_clip, 120)
    second = first[60:100]
    source = PatientSource(first, second)
    sink = ReleasingSink(source)
    session = Session(
        "film", source, make_estimator, PoseConfig(), FakePainter(), RetryPolicy(first_s=0.001)
    )
    session.subscribe(sink)
    session.start()
    async with asyncio.timeout(2 * PATIENCE_S):
        while sink.statuses[-1].state is not StreamState.ENDED:
            await sink.until(lambda: sink.statuses[-1].state is StreamState.ENDED)
    await session.close()
    by_epoch = {
        epoch: [
            [(pose.landmarks, pose.world) for pose in result.poses]
            for result in sink.results
            if result.epoch == epoch
        ]
        for epoch in (1, 2)
    }
    assert [len(film) for film in by_epoch.values()] == [120, 40]
    for film, frames in ((by_epoch[1], first), (by_epoch[2], second)):
        expected = await asyncio.to_thread(bare_loop, frames)
        assert all(len(people) == 1 for people in expected)
        for ours, bare in zip(film, expected, strict=True):
            assert len(ours) == len(bare)
            for (image, world), (bare_image, bare_world) in zip(ours, bare, strict=True):
                assert np.array_equal(image, bare_image)
                assert np.array_equal(world, bare_world)
