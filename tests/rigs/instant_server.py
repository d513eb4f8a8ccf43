"""The service with an estimator that finds nobody and takes no time: ``python -m tests.rigs.instant_server
serve …`` takes the arguments of ``streamer``. A frame that is lost there was not lost for want of CPU in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamer import app
from streamer.cli import main

if TYPE_CHECKING:
    from streamer.config import PoseConfig
    from streamer.model import Frame, Pose
    from streamer.ports import Estimator


class NobodyEstimator:
    def __init__(self, options: PoseConfig) -> None:
        self.model_complexity = options.model_complexity

    def estimate(self, frame: Frame, pts: int) -> tuple[Pose, ...]:
        return ()

    @property
    def bystanders(self) -> tuple[Pose, ...]:
        return ()

    def configure(self, options: PoseConfig) -> None: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...


def nobody(pose: PoseConfig, name: str) -> Estimator:
    return NobodyEstimator(pose)


if __name__ == "__main__":
    app.estimator_factory = lambda workers: nobody
    raise SystemExit(main())
