"""The process of one stream's estimator: a ``LiveEstimator`` that is told what to do by ``remote``.

Each request is a message with ``do``, and each is answered with one: what went wrong (``error``, ``detail``),
or of ``estimate``: how many poses the body has, how many of these are told of, the others being bystanders,
and the model that found them.
"""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from streamer.config import PoseConfig
from streamer.errors import EstimatorError, ModelError
from streamer.isolation.lives import CAN_FORK
from streamer.isolation.worker import Worker
from streamer.model import Frame
from streamer.pose.live import LiveEstimator
from streamer.pose.packing import pack

Reply = tuple[dict[str, Any], list[Any]]


def main(worker: Worker) -> None:
    estimator = _Served()
    while True:
        header, body = worker.receive()
        try:
            answer, buffers = estimator.serve(header, body)
        except (EstimatorError, ModelError) as error:
            answer, buffers = {"error": error.kind, "detail": str(error)}, []
        del body  # the next message may come into its place
        worker.send(answer, *buffers)


class _Served:
    def __init__(self) -> None:
        self._estimator: LiveEstimator | None = None
        self._bundles: dict[tuple[int, bool], Path] = {}

    def serve(self, request: dict[str, Any], body: memoryview) -> Reply:
        if request["do"] == "configure":
            return self._configure(request)
        estimator = self._estimator
        if estimator is None:
            raise EstimatorError("the estimator was asked before it was made")
        if request["do"] == "reset":
            estimator.reset()
            return {}, []
        return _estimate(estimator, request, body)

    def _configure(self, request: dict[str, Any]) -> Reply:
        """With the first options it is made."""
        options = PoseConfig.model_validate_json(request["options"])
        wanted = (options.model_complexity, options.enable_segmentation)
        self._bundles[wanted] = Path(request["bundle"])
        if self._estimator is None:
            self._estimator = LiveEstimator(self._find_model, options)
        else:
            self._estimator.configure(options)
        return {}, []

    def _find_model(self, model_complexity: int, segmentation: bool) -> Path:
        return self._bundles[model_complexity, segmentation]


def _estimate(estimator: LiveEstimator, request: dict[str, Any], body: memoryview) -> Reply:
    i420 = np.frombuffer(body, np.uint8).reshape(-1, request["width"])
    with _limited(request["limit_s"]):
        poses = estimator.estimate(Frame(i420, request["pts"], 0.0, 0.0), request["pts"])
    everybody = (*poses, *estimator.bystanders)
    answer = {
        "count": len(everybody),
        "told": len(poses),
        "model_complexity": estimator.model_complexity,
    }
    return answer, pack(everybody)


@contextlib.contextmanager
def _limited(cpu_s: float) -> Iterator[None]:
    """More than so much of the processor's time, and this process dies (of SIGPROF): a network that goes
    round in circles holds no lock and can't be asked to stop. Time in which others run does not count."""
    if not CAN_FORK:  # this is the service's own process
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
