"""A stream's estimator through all changes of its options: those of people, and its own under overload."""

import logging
import time
from collections.abc import Callable

from streamer.adapting import Adaptation
from streamer.config import PoseConfig
from streamer.errors import ModelError
from streamer.model import Frame, ModelReason, ModelStatus, Pose
from streamer.ports import Estimator, EstimatorFactory

logger = logging.getLogger(__name__)


class SwitchingEstimator:
    """All but ``configure`` belongs to the thread that estimates, where ``on_model`` is called, too.

    Builds its estimator with the first frame, and another one with the first frame after ``close``.
    """

    def __init__(
        self,
        name: str,
        make_estimator: EstimatorFactory,
        options: PoseConfig,
        on_model: Callable[[ModelStatus], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._make_estimator = make_estimator
        self._wanted = options  # may be another at any time: whoever reads it reads it once
        self._on_model = on_model
        self._clock = clock
        self._estimator: Estimator | None = None
        self._seen = self._accepted = self._given = options
        self._adaptation = Adaptation(options.model_complexity)
        self._failed = False
        self._told: ModelStatus | None = None

    def configure(self, options: PoseConfig) -> None:
        """Callable from any thread: in effect from the next frame on, or once their model is loaded. Of
        several the newest counts."""
        self._wanted = options

    def estimate(self, frame: Frame, pts: int) -> tuple[Pose, ...]:
        """As an estimator does. Raises ModelError only when there is no estimator yet: a model that can't
        be loaded later leaves the one before at work."""
        estimator = self._ready()
        try:
            poses = estimator.estimate(frame, pts)
        except ModelError as error:
            self._keep_network(estimator, error)
            poses = estimator.estimate(frame, pts)
        self._tell(estimator)
        return poses

    @property
    def bystanders(self) -> tuple[Pose, ...]:
        """As an estimator has them."""
        return self._estimator.bystanders if self._estimator is not None else ()

    def note(self, taken_s: float, arrived: int, dropped: int) -> None:
        """The frame that was taken from the slot at ``taken_s`` is done with; ``arrived``, ``dropped``: the
        connection's frames so far."""
        if self._accepted.adapt and self._estimator is not None:
            now_s = self._clock()
            running = self._estimator.model_complexity
            self._adaptation.note(now_s, now_s - taken_s, arrived, dropped, running)

    def reset(self) -> None:
        if self._estimator is not None:
            self._estimator.reset()

    def close(self) -> None:
        estimator, self._estimator = self._estimator, None
        if estimator is not None:
            estimator.close()

    def _ready(self) -> Estimator:
        """The estimator, with the options that are due."""
        wanted = self._wanted
        if self._estimator is None:
            self._accept(wanted, self._adaptation_for(wanted))
            self._given = _with(wanted, self._adaptation.target)
            self._estimator = self._make_estimator(self._given, self._name)
        elif wanted is not self._seen:
            adaptation = self._adaptation_for(wanted)
            if self._give(self._estimator, _with(wanted, adaptation.target)):
                self._accept(wanted, adaptation)
            self._seen = wanted
        elif self._adaptation.target != self._given.model_complexity:
            self._step(self._estimator)
        return self._estimator

    def _adaptation_for(self, wanted: PoseConfig) -> Adaptation:
        """What was learnt stays while it is about the same model."""
        before = self._accepted
        same = (wanted.adapt, wanted.model_complexity) == (before.adapt, before.model_complexity)
        return self._adaptation if same else Adaptation(wanted.model_complexity)

    def _accept(self, wanted: PoseConfig, adaptation: Adaptation) -> None:
        self._seen = self._accepted = wanted
        self._adaptation = adaptation

    def _step(self, estimator: Estimator) -> None:
        """Down to a lighter model, or back up."""
        target = self._adaptation.target
        logger.info("stream %s: model_complexity %d, as load allows", self._name, target)
        if not self._give(estimator, _with(self._given, target)):
            self._adaptation.give_up(estimator.model_complexity)

    def _give(self, estimator: Estimator, options: PoseConfig) -> bool:
        """False when the estimator refuses them and goes on with those before."""
        self._failed = False
        try:
            estimator.configure(options)
        except ModelError as error:
            logger.error("stream %s goes on with the options before: %s", self._name, error)
            self._failed = True
            return False
        self._given = options
        return True

    def _keep_network(self, estimator: Estimator, error: ModelError) -> None:
        """The model that was being loaded can't be: the one before goes on."""
        logger.error("stream %s goes on with the model before: %s", self._name, error)
        running = estimator.model_complexity
        if self._given.model_complexity == self._accepted.model_complexity:
            self._accepted = _with(self._accepted, running)
            self._adaptation = Adaptation(running)
        else:
            self._adaptation.give_up(running)
        self._given = _with(self._given, running)
        self._failed = True

    def _tell(self, estimator: Estimator) -> None:
        """Before the result of the frame with which it changed."""
        status = ModelStatus(estimator.model_complexity, self._seen.model_complexity)
        if status.model_complexity != status.wanted:
            status = ModelStatus(status.model_complexity, status.wanted, self._reason())
        if status != self._told:
            self._told = status
            self._on_model(status)

    def _reason(self) -> ModelReason:
        if self._failed:
            return "failed"
        stepped_down = self._adaptation.target < self._accepted.model_complexity
        return "overload" if stepped_down else "loading"


def _with(options: PoseConfig, model_complexity: int) -> PoseConfig:
    return options.model_copy(update={"model_complexity": model_complexity})
