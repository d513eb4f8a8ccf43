"""An estimator in a process of its own, as its stream sees it: whatever happens to that process, a crash in
a network or a hang, is an EstimatorError here, and the next one is a few milliseconds away.
"""

import time
from typing import Any, Final

from streamer.aio import assert_off_loop
from streamer.config import PoseConfig, WorkersConfig
from streamer.errors import EstimatorError, ModelError, WorkerDied, WorkerHung
from streamer.isolation.child import Child
from streamer.isolation.landlock import CPU, Rights
from streamer.model import Frame, Pose
from streamer.pixels import small
from streamer.pose import INPUT_WIDTH_PX
from streamer.pose.models import FindModel, places
from streamer.pose.packing import unpack

ANSWER_TIMEOUT_S: Final = 20.0
"""In any case: for a frame, or for networks from a cold disk, on a machine that has no time for us."""

LOOK_S: Final = 0.1
"""Between two looks whether it still runs."""

MAX_DETAIL: Final = 500  # characters


class RemoteEstimator:
    """As ``LiveEstimator``, number by number. ``name``: the stream's. Raises EstimatorError when there can
    be no process, and ModelError when there is no model."""

    def __init__(
        self, name: str, find_model: FindModel, options: PoseConfig, workers: WorkersConfig
    ) -> None:
        self._find_model = find_model
        self._limit_s = workers.hang_timeout_s
        self._model_complexity = options.model_complexity
        self._bystanders: tuple[Pose, ...] = ()
        bundle = find_model(options.model_complexity, options.enable_segmentation)
        # The whole folder: another model may be wanted later.
        rights = Rights(reads=(*places(bundle.parent), *CPU))
        self._child = Child("estimator", name, rights, workers)
        try:
            self._configure(options)
        except BaseException:
            self.close()
            raise

    def estimate(self, frame: Frame, pts: int) -> tuple[Pose, ...]:
        """Only what the networks see goes over: a quarter of the bytes of a large picture, and half of
        those of its RGB. On a machine that can't keep up it takes as long as it takes; hung is what does
        not run at all, or uses up the processor for that long, and that dies by itself."""
        assert_off_loop()
        frame = small(frame, INPUT_WIDTH_PX)
        request = {"do": "estimate", "width": frame.width, "pts": pts, "limit_s": self._limit_s}
        answer, body = self._ask(request, frame.i420)
        try:
            told, model_complexity = answer["told"], answer["model_complexity"]
            everybody = unpack(answer["count"], body)
            if told not in range(len(everybody) + 1) or model_complexity not in range(3):
                raise ValueError("counts that can't be true")
            told, model_complexity = int(told), int(model_complexity)
        except (KeyError, TypeError, ValueError) as error:
            raise EstimatorError(str(self._child.refuse(repr(error)))) from error
        self._model_complexity = model_complexity
        self._bystanders = everybody[told:]
        return everybody[:told]

    @property
    def bystanders(self) -> tuple[Pose, ...]:
        return self._bystanders

    def configure(self, options: PoseConfig) -> None:
        self._configure(options)

    @property
    def model_complexity(self) -> int:
        return self._model_complexity

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._child.pid

    def reset(self) -> None:
        self._ask({"do": "reset"})

    def close(self) -> None:
        self._child.close()

    def _configure(self, options: PoseConfig) -> None:
        """The model is looked for here: the process knows none of our settings."""
        bundle = self._find_model(options.model_complexity, options.enable_segmentation)
        request = {
            "do": "configure",
            "bundle": str(bundle),
            "options": options.model_dump_json(),
        }
        is_running = self._child.pid != 0
        if not is_running:
            self._start()
        # While the first networks are read Python's lock is held there: on a busy machine for seconds.
        self._ask(request, is_watched=is_running)

    def _start(self) -> None:
        try:
            self._child.start()
        except WorkerDied as error:
            raise EstimatorError(str(error)) from error

    def _ask(
        self, request: dict[str, Any], *buffers: Any, is_watched: bool = True
    ) -> tuple[dict[str, Any], memoryview]:
        """Raises what it answers, if that is an error, and EstimatorError when it is no more.
        ``is_watched``: also when it shows no sign of life."""
        try:
            self._child.send(request, *buffers)
            deadline = time.monotonic() + ANSWER_TIMEOUT_S
            while is_watched and time.monotonic() < deadline:
                if self._child.wait(LOOK_S):
                    break
            answer, body = self._child.receive(max(self._limit_s, deadline - time.monotonic()))
        except (WorkerDied, WorkerHung) as error:
            raise EstimatorError(str(error)) from error
        if "error" in answer:
            kind = ModelError if answer["error"] == ModelError.kind else EstimatorError
            raise kind(str(answer.get("detail"))[:MAX_DETAIL])
        return answer, body
