"""A stream's estimator through changes of its options: in order, without another one, and when they fail."""

import pytest

from streamer.config import PoseConfig
from streamer.errors import ModelError
from streamer.model import ModelStatus
from streamer.switching import SwitchingEstimator
from tests.fakes import FakeClock, FakeEstimators, make_frame

FRAME = 3000
LITE, FULL, HEAVY = (PoseConfig(model_complexity=each) for each in range(3))
ADAPTING = PoseConfig(adapt=True)


class Bench:
    """Frames for one estimator, one by one, on a machine whose clock a test turns."""

    def __init__(self, options: PoseConfig) -> None:
        self.fakes = FakeEstimators()
        self.clock = FakeClock()
        self.told: list[ModelStatus] = []
        self.switching = SwitchingEstimator(
            "bench", self.fakes, options, self.told.append, self.clock
        )
        self._frames = 0
        self._dropped = 0

    @property
    def given(self) -> list[PoseConfig]:
        """The options that the only estimator was given, from its making on."""
        (estimator,) = self.fakes.built
        return [each for each in estimator.log if isinstance(each, PoseConfig)]

    def frames(self, count: int, *, busy_s: float = 0.01, dropped: int = 0) -> None:
        """So many of them, at 30 a second or slower; with each, so many more are dropped."""
        for _ in range(count):
            taken_s = self.clock()
            pts = self._frames * FRAME
            self.switching.estimate(make_frame(pts), pts)
            self._frames += 1
            self._dropped += dropped
            self.clock.now_s += busy_s
            self.switching.note(taken_s, self._frames + self._dropped, self._dropped)
            self.clock.now_s = max(self.clock.now_s, taken_s + 1 / 30)

    def overload(self) -> None:
        """Until the machine has had no time to spare for more than three seconds."""
        self.frames(50, busy_s=0.08, dropped=1)


def test_options_take_effect_with_the_next_frame_in_the_same_estimator() -> None:
    bench = Bench(FULL)
    bench.frames(1)
    bench.switching.configure(LITE)
    bench.switching.configure(HEAVY)
    bench.frames(2)
    assert bench.fakes.built[0].log == [FULL, 0, HEAVY, FRAME, 2 * FRAME]
    assert bench.told == [ModelStatus(1, 1), ModelStatus(2, 2)]


def test_model_that_is_being_loaded_is_told_until_it_is_there() -> None:
    bench = Bench(FULL)
    bench.frames(1)
    bench.fakes.is_loading = True
    bench.switching.configure(HEAVY)
    bench.frames(3)
    bench.fakes.is_loading = False
    bench.frames(3)
    assert bench.told == [ModelStatus(1, 1), ModelStatus(1, 2, "loading"), ModelStatus(2, 2)]


def test_options_that_are_refused_leave_those_before_and_are_not_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(FULL)
    bench.frames(1)
    bench.fakes.missing = {2}
    bench.switching.configure(HEAVY)
    bench.frames(3)
    assert bench.given == [FULL]
    assert bench.told == [ModelStatus(1, 1), ModelStatus(1, 2, "failed")]
    assert caplog.text.count("goes on with the options before") == 1
    bench.switching.configure(LITE)
    bench.frames(1)
    assert bench.told[-1] == ModelStatus(0, 0)


def test_model_that_can_not_be_loaded_leaves_the_one_before_and_costs_no_frame(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(FULL)
    bench.frames(1)
    bench.fakes.broken = {2}
    bench.fakes.is_loading = True
    bench.switching.configure(PoseConfig(model_complexity=2, smoothing="steady"))
    bench.frames(2)
    bench.fakes.is_loading = False
    bench.frames(3)
    (estimator,) = bench.fakes.built
    assert estimator.seen == [n * FRAME for n in range(6)]
    assert estimator.options == PoseConfig(smoothing="steady")
    assert bench.told[1:] == [ModelStatus(1, 2, "loading"), ModelStatus(1, 2, "failed")]
    assert caplog.text.count("goes on with the model before") == 1


def test_estimator_that_can_not_be_built_is_an_error() -> None:
    bench = Bench(FULL)
    bench.fakes.unbuildable = ModelError("broken")
    with pytest.raises(ModelError):
        bench.frames(1)


def test_estimator_after_a_close_is_built_with_the_newest_options() -> None:
    bench = Bench(FULL)
    bench.frames(1)
    bench.switching.close()
    bench.switching.configure(LITE)
    bench.frames(1)
    assert [each.log[0] for each in bench.fakes.built] == [FULL, LITE]
    assert bench.fakes.built[0].closed == 1


# -- overload ---------------------------------------------------------------------------------------


def test_overload_steps_down_if_the_options_say_so() -> None:
    bench = Bench(ADAPTING)
    bench.overload()
    assert bench.given == [ADAPTING, ADAPTING.model_copy(update={"model_complexity": 0})]
    assert bench.told == [ModelStatus(1, 1), ModelStatus(0, 1, "overload")]


def test_overload_changes_nothing_otherwise() -> None:
    bench = Bench(FULL)
    bench.overload()
    assert bench.given == [FULL]


def test_recovery_is_told_as_the_wanted_model() -> None:
    bench = Bench(ADAPTING)
    bench.overload()
    bench.frames(60, busy_s=0.04)
    bench.frames(30 * 20)
    assert bench.told[1:] == [ModelStatus(0, 1, "overload"), ModelStatus(1, 1)]


def test_other_options_meanwhile_leave_the_lighter_model() -> None:
    bench = Bench(ADAPTING)
    bench.overload()
    bench.switching.configure(PoseConfig(adapt=True, smoothing="steady"))
    bench.frames(1)
    assert bench.given[-1] == PoseConfig(adapt=True, smoothing="steady", model_complexity=0)
    assert bench.told[-1] == ModelStatus(0, 1, "overload")


@pytest.mark.parametrize(
    "chosen", [FULL, PoseConfig(adapt=True, model_complexity=2)], ids=["no adapt", "heavier"]
)
def test_choice_of_a_person_is_tried_at_once(chosen: PoseConfig) -> None:
    bench = Bench(ADAPTING)
    bench.overload()
    bench.switching.configure(chosen)
    bench.frames(1)
    assert bench.given[-1] == chosen


@pytest.mark.parametrize("how", ["missing", "broken"])
def test_lighter_model_that_can_not_be_had_is_said_once(
    caplog: pytest.LogCaptureFixture, how: str
) -> None:
    bench = Bench(ADAPTING)
    setattr(bench.fakes, how, {0})
    bench.overload()
    bench.overload()
    bench.overload()
    assert bench.told == [ModelStatus(1, 1)]
    assert caplog.text.count("goes on with the") == 1


def test_new_estimator_after_a_failure_is_of_the_lighter_model() -> None:
    bench = Bench(ADAPTING)
    bench.overload()
    bench.switching.close()
    bench.frames(1)
    assert bench.fakes.built[-1].model_complexity == 0
