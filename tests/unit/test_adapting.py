"""When a stream steps down to a lighter model and back up, in simulated time."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from streamer.adapting import PROBATION_S, ROOM_S, TRIAL_S, WINDOW_S, Adaptation

FPS = 30
FULL, LITE = 1, 0
COSTS_S = {0: 0.012, 1: 0.024, 2: 0.080}
"""Of a frame on a machine that does nothing else."""


@dataclass
class Machine:
    """A worker with its one-frame slot, on a machine that is ``slowness`` times slower than usual, and a
    camera whose frames come in bursts of ``burst``."""

    wanted: int = FULL
    slowness: float = 1.0
    fps: float = FPS
    burst: int = 1
    loading_frames: int = 0  # so many the model before still does
    costs_s: dict[int, float] = field(default_factory=lambda: dict(COSTS_S))

    def __post_init__(self) -> None:
        self.adaptation = Adaptation(self.wanted)
        self.running = self.wanted
        self.now_s = self.connected_s = 0.0
        self.arrived = self.dropped = 0
        self.steps: list[tuple[float, int]] = []  # when, and to which model
        self._loads = 0

    def run(self, seconds: float, before_each: Callable[[], None] = lambda: None) -> None:
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            before_each()
            self._process_one()

    def reconnect(self) -> None:
        self.connected_s, self.arrived, self.dropped = self.now_s, 0, 0

    def _process_one(self) -> None:
        burst_s = self.burst / self.fps
        next_s = self.connected_s + (self.arrived // self.burst + 1) * burst_s
        self.now_s = max(self.now_s, next_s + 1e-9)  # nothing waits: until the next burst
        bursts = int((self.now_s - self.connected_s) / burst_s)
        came = bursts * self.burst - self.arrived
        self.arrived += came
        self.dropped += came - 1  # the newest wins
        target = self.adaptation.target
        self._loads = self._loads + 1 if target != self.running else 0
        if self._loads > self.loading_frames:
            self.running = target
        busy_s = self.costs_s[self.running] * self.slowness
        self.now_s += busy_s
        self.adaptation.note(self.now_s, busy_s, self.arrived, self.dropped, self.running)
        if self.adaptation.target != target:
            self.steps.append((self.now_s, self.adaptation.target))

    @property
    def models(self) -> list[int]:
        return [model for _, model in self.steps]


def test_machine_that_keeps_up_stays_with_the_wanted_model() -> None:
    machine = Machine()
    machine.run(600)
    assert machine.steps == []


def test_overload_for_seconds_steps_down() -> None:
    machine = Machine(slowness=2.0)
    machine.run(10)
    assert machine.models == [LITE]
    assert WINDOW_S <= machine.steps[0][0] < WINDOW_S + 0.2


def test_overload_that_passes_within_the_window_is_none() -> None:
    machine = Machine()
    for _ in range(10):
        machine.run(20)
        machine.slowness = 4.0
        machine.run(WINDOW_S - 1.0)
        machine.slowness = 1.0
    assert machine.steps == []


def test_bursts_drop_frames_and_yet_are_no_overload() -> None:
    machine = Machine(burst=10)
    machine.run(120)
    assert machine.dropped > machine.arrived / 2
    assert machine.steps == []


def test_full_load_that_drops_hardly_any_frames_is_no_overload() -> None:
    machine = Machine(costs_s={1: 1 / FPS + 0.001, 0: 0.01})
    machine.run(120)
    assert 0 < machine.dropped < machine.arrived * 0.1
    assert machine.steps == []


def test_heavy_goes_down_step_by_step_as_far_as_it_must() -> None:
    machine = Machine(wanted=2, slowness=2.0)
    machine.run(30)
    assert machine.models == [1, 0]
    machine = Machine(wanted=2)
    machine.run(30)
    assert machine.models == [1]


def test_it_stays_down_while_the_heavier_model_would_not_fit_and_tries_it_ever_more_rarely() -> (
    None
):
    machine = Machine(fps=3, costs_s={0: 0.16, 1: 0.48})
    machine.run(TRIAL_S)
    assert machine.models == [LITE]
    machine.run(4 * 3600)
    ups_s = [at_s for at_s, model in machine.steps if model == FULL]
    waits_s = [later - earlier for earlier, later in zip(ups_s, ups_s[1:], strict=False)]
    assert len(ups_s) <= 5
    assert all(wait_s > 2 * TRIAL_S for wait_s in waits_s)


def test_lighter_model_that_has_no_time_to_spare_is_not_left() -> None:
    machine = Machine(fps=3, costs_s={0: 0.29, 1: 0.58})
    machine.run(3600)
    assert machine.models == [LITE]


def test_wrong_estimate_does_not_hold_it_down_for_ever() -> None:
    """The load went in the same moment as the model: full is believed to cost five times of lite."""
    machine = Machine(slowness=2.0)
    machine.run(3.2)
    assert machine.models == [LITE]
    machine.slowness = 0.4
    machine.run(TRIAL_S + 60)
    assert machine.models == [LITE, FULL]


def test_it_comes_back_when_the_load_is_gone_and_not_at_once() -> None:
    machine = Machine(slowness=2.0)
    machine.run(30)
    machine.slowness, gone_s = 1.0, machine.now_s
    machine.run(60)
    assert machine.models == [LITE, FULL]
    assert machine.steps[-1][0] - gone_s >= ROOM_S
    machine.run(600)
    assert machine.models == [LITE, FULL]


def test_room_must_last_without_a_break() -> None:
    machine = Machine(slowness=2.0)
    machine.run(30)
    for _ in range(20):
        machine.slowness = 1.0
        machine.run(ROOM_S - 1)
        machine.slowness = 2.0
        machine.run(WINDOW_S)
    assert machine.models == [LITE]


def test_step_up_that_fails_doubles_the_wait_and_so_it_does_not_flap() -> None:
    """The estimate is wrong each time: the machine has other work whenever full runs for a second."""
    machine = Machine(fps=5, costs_s={0: 0.05, 1: 0.1})
    machine.slowness = 3.0
    machine.run(20)
    assert machine.models == [LITE]

    def deceive() -> None:
        since_up_s = machine.now_s - machine.steps[-1][0]
        machine.slowness = 3.0 if machine.adaptation.target == FULL or since_up_s < 6 else 1.0

    machine.run(3600, deceive)
    ups_s = [at_s for at_s, model in machine.steps if model == FULL]
    waits_s = [later - earlier for earlier, later in zip(ups_s, ups_s[1:], strict=False)]
    assert 5 <= len(ups_s) <= 10
    assert all(later > 1.4 * earlier for earlier, later in zip(waits_s, waits_s[1:5], strict=False))


def test_step_up_that_went_well_makes_the_next_wait_short_again() -> None:
    machine = Machine(slowness=2.0)
    machine.run(30)
    machine.slowness = 1.0
    machine.run(ROOM_S + 10 + PROBATION_S)
    machine.slowness = 2.0
    machine.run(30)
    machine.slowness, gone_s = 1.0, machine.now_s
    machine.run(60)
    assert machine.models == [LITE, FULL, LITE, FULL]
    assert machine.steps[-1][0] - gone_s < ROOM_S + 2 * WINDOW_S


def test_frames_of_a_model_that_is_still_loading_say_nothing() -> None:
    machine = Machine(slowness=2.0, loading_frames=120)
    machine.run(60)
    assert machine.models == [LITE]


def test_model_that_can_not_be_had_is_tried_once() -> None:
    machine = Machine(wanted=2, slowness=2.0)
    machine.run(3.5)
    assert machine.adaptation.target == 1
    machine.adaptation.give_up(2)
    machine.steps.clear()
    machine.run(60)
    assert machine.steps == []
    assert machine.adaptation.target == 2


def test_reconnect_begins_the_counts_anew() -> None:
    machine = Machine(slowness=2.0)
    for _ in range(20):
        machine.run(WINDOW_S - 0.5)
        machine.reconnect()
    assert machine.steps == []


@pytest.mark.parametrize("fps", [2.0, 15.0, 120.0])
def test_camera_of_any_rate_is_judged_alike(fps: float) -> None:
    machine = Machine(fps=fps, costs_s={1: 1.5 / fps, 0: 0.5 / fps})
    machine.run(30)
    assert machine.models == [LITE]
    machine = Machine(fps=fps, costs_s={1: 0.9 / fps, 0: 0.5 / fps})
    machine.run(30)
    assert machine.steps == []
