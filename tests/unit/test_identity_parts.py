"""What tells people apart: the assignment, clothes, motion; and where the detector looks."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.pose.appearance import blend, describe, difference
from streamer.pose.identity import owners_of
from streamer.pose.matching import assign
from streamer.pose.motion import Motion
from streamer.pose.networks import Detection, Sighting
from streamer.pose.person import SETTLE_S, Body, Person
from streamer.pose.regions import Region
from streamer.pose.search import SQUARE_INTERVAL_S, Search
from tests.rigs.people_world import BLUE, RED, SIZE, Walker, World, stay


def test_the_assignment_is_the_cheapest_of_all() -> None:
    random = np.random.default_rng(1)
    for _ in range(200):
        rows, columns = (int(count) for count in random.integers(1, 5, 2))
        costs = random.random((rows, columns)) * 2
        costs[random.random(costs.shape) < 0.1] = np.inf
        pairs = assign(costs, 1.0)
        padded = np.hstack([costs, np.full((rows, rows), 1.0)])
        best = min(
            sum(padded[row, column] for row, column in enumerate(choice))
            for choice in itertools.permutations(range(rows + columns), rows)
        )
        assert sum(costs[pair] for pair in pairs) + rows - len(pairs) == pytest.approx(best)
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)


def test_nobody_and_nothing_are_not_assigned() -> None:
    assert assign(np.zeros((0, 3)), 1.0) == assign(np.zeros((3, 0)), 1.0) == []


def painted(colour: tuple[int, int, int]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    walker = Walker(stay(300), colour)
    return World([walker]).paint(), walker.landmarks(300)


def test_clothes_of_other_colours_differ_and_a_little_more_light_changes_little() -> None:
    red, blue = describe(*painted(RED)), describe(*painted(BLUE))
    lighter = describe(*painted((230, 40, 40)))
    assert difference(red, red) == pytest.approx(0, abs=1e-3)
    assert (difference(red, blue) or 0) > 0.5
    assert (difference(red, lighter) or 1) < 0.3


def test_what_cannot_be_seen_is_not_compared_and_not_forgotten() -> None:
    picture, points = painted(RED)
    whole = describe(picture, points)
    points[25:27, 3] = 0
    torso = describe(picture, points)
    points[:, 3] = 0
    nothing = describe(picture, points)
    assert difference(whole, nothing) is None
    assert difference(whole, torso) == pytest.approx(0, abs=1e-3)
    assert np.array_equal(blend(whole, nothing, 0.5), whole)
    assert np.array_equal(blend(nothing, whole, 0.5), whole)


def test_somebody_beyond_the_picture_wears_nothing_that_counts() -> None:
    picture, points = painted(RED)
    points[:, 0] += 10_000
    assert not describe(picture, points).any()


@pytest.mark.parametrize("fps", [5, 15, 60])
def test_a_walk_goes_on_as_before_at_any_rate_and_fades(fps: int) -> None:
    motion = Motion(np.array([100.0, 200.0]), 200.0, 0.0)
    for number in range(1, 2 * fps + 1):
        t_s = number / fps
        motion.go(np.array([100 + 60 * t_s, 200.0]), 200.0, t_s)
    assert motion.shift(2.1)[0] == pytest.approx(6, abs=0.5)
    assert 30 < motion.shift(3.0)[0] < 60
    assert motion.shift(60.0)[0] == pytest.approx(60, abs=1)
    assert motion.misfit(0.0, 200.0, 2.1) == 0
    assert motion.misfit(20.0, 200.0, 2.1) > motion.misfit(20.0, 200.0, 3.0) > 0
    assert motion.misfit(20.0, 200.0, 2.1) > motion.misfit(20.0, 200.0, 2.1, turns=0.5) > 0


def standing(x: float) -> Sighting:
    return World([Walker(stay(x))]).look(painted(RED)[0], Region(x, 240, SIZE, 0.0))


def in_a_crowd(number: int, x: float, colour: tuple[int, int, int]) -> Person:
    motion = Motion(Body(standing(x), []).place, SIZE, 0.0)
    person = Person(number, 0.0, standing(x), motion, describe(*painted(colour)))
    person.approach = motion.copy()
    return person


@pytest.mark.parametrize("x, leaps", [(322, True), (278, False)])
def test_who_leaps_to_where_another_should_be_is_uncertain_for_a_moment(
    x: float, leaps: bool
) -> None:
    red, blue = in_a_crowd(1, 300, RED), in_a_crowd(2, 322, BLUE)
    blue.hidden_s = 0.0
    picture = World([Walker(stay(x), RED)]).paint()
    assert owners_of(picture, 0.05, [Body(standing(x), [red])], [red, blue]) == [red]
    assert red.is_certain(0.05) is red.is_certain(0.05 + SETTLE_S / 2) is not leaps
    assert red.is_certain(0.06 + SETTLE_S)


class Views:
    """A detector that finds somebody in the middle of whatever it is shown."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.finds = True

    def __call__(self, rgb: NDArray[np.uint8], min_score: float) -> list[Detection]:
        self.shapes.append(rgb.shape[:2])
        box = np.array([0, 0, 10, 10], np.float32)
        region = Region(rgb.shape[1] / 2, rgb.shape[0] / 2, 100.0, 0.0)
        return [Detection(0.9, box, region)] if self.finds else []


@pytest.mark.parametrize(
    ("shape", "middles"),
    [
        ((480, 640), {(320, 240), (240, 240), (400, 240)}),
        ((640, 480), {(240, 320), (240, 240), (240, 400)}),
        ((480, 500), {(250, 240)}),
    ],
)
def test_squares_are_looked_at_in_turn_and_found_people_placed_in_the_picture(
    shape: tuple[int, int], middles: set[tuple[int, int]]
) -> None:
    views = Views()
    search = Search(views)
    picture = np.zeros((*shape, 3), np.uint8)
    found = [search(picture, 0.5, number / 2, alone=False)[0] for number in range(6)]
    assert {(each.region.x, each.region.y) for each in found} == middles
    halves = (min(shape) / 2, shape[1] / 2)
    assert all(each.region.x - each.box[0] in halves for each in found)


def test_where_nobody_is_the_whole_picture_is_looked_at_and_now_and_then_a_square() -> None:
    views = Views()
    views.finds = False
    search = Search(views)
    for number in range(30):
        search(np.zeros((480, 640, 3), np.uint8), 0.5, number / 30, alone=True)
    squares = [shape for shape in views.shapes if shape[1] == 480]
    assert len(views.shapes) - len(squares) == 30
    assert 5 <= len(squares) <= 1 / SQUARE_INTERVAL_S
