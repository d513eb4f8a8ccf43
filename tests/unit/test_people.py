"""Who is who: people who cross, hide, leave and come back, and how often the detector is asked."""

import numpy as np
import pytest

from streamer.config import PoseConfig
from streamer.pose.people import HIDDEN_S, MAX_ID, People
from streamer.pose.zones import Zones
from tests.rigs.people_world import (
    BLUE,
    GREEN,
    RED,
    SIZE,
    Walker,
    World,
    stay,
    walk,
    within,
)


def ids_of(frames: list[dict[int, Walker]], walker: Walker) -> set[int]:
    return {id for frame in frames for id, who in frame.items() if who is walker}


def crossing(colour: tuple[int, int, int], seconds: float) -> World:
    behind = Walker(walk(80, 560, seconds), RED)
    return World([behind, Walker(walk(575, 60, seconds), colour, limbs=1)])


@pytest.mark.parametrize("colour", [BLUE, RED], ids=["in other clothes", "in the same clothes"])
@pytest.mark.parametrize("seconds", [2.0, 4.0])
@pytest.mark.parametrize("fps", [10.0, 30.0, 60.0])
def test_people_who_cross_keep_their_ids(
    colour: tuple[int, int, int], seconds: float, fps: float
) -> None:
    world = crossing(colour, seconds)
    frames = world.followed(PoseConfig(num_poses=2), seconds, fps)
    assert [len(ids_of(frames, walker)) for walker in world.walkers] == [1, 1]
    assert all(len(set(frame.values())) == len(frame) for frame in frames), "two ids on one body"
    assert len(frames[-1]) == 2


def test_who_stops_behind_somebody_and_turns_back_keeps_the_id() -> None:
    shy = Walker(lambda t: 100 + 220 * min(t, 3 - t) / 1.5, RED)
    still = Walker(stay(320), BLUE)
    frames = World([shy, still]).followed(PoseConfig(num_poses=2), 3.0)
    assert len(ids_of(frames, shy)) == len(ids_of(frames, still)) == 1
    assert len(frames[-1]) == 2


def test_somebody_hidden_is_not_published_and_comes_back_under_the_same_id() -> None:
    hidden = Walker(walk(100, 540, 3), RED)
    still = Walker(stay(320), BLUE)
    frames = World([hidden, still]).followed(PoseConfig(num_poses=2), 3.0)
    assert {len(frame) for frame in frames[40:50]} == {1}, "covered from 1.4 to 1.6 s"
    assert {len(frame) for frame in frames[57:]} == {2}, "before the detector tells them apart"
    assert len(ids_of(frames, hidden)) == 1
    assert len(frames[-1]) == 2


def test_three_people_are_told_apart() -> None:
    walkers = [
        Walker(stay(320), GREEN),
        Walker(walk(60, 580, 4), RED),
        Walker(walk(600, 40, 4), BLUE),
    ]
    frames = World(walkers).followed(PoseConfig(num_poses=3), 4.0)
    assert [len(ids_of(frames, walker)) for walker in walkers] == [1, 1, 1]


def test_who_is_gone_shortly_keeps_the_id_and_who_is_gone_longer_gets_a_new_one() -> None:
    back_s = 4.0 + HIDDEN_S
    walker = Walker(within(stay(300), (0, 1), (2, 3), (back_s, back_s + 1)))
    frames = World([walker]).followed(PoseConfig(), back_s + 1)
    assert ids_of(frames[:100], walker) == {1}
    assert ids_of(frames[100:], walker) == {2}


def test_ids_are_not_used_again_after_a_reset() -> None:
    world = World([Walker(stay(300))])
    people = People(world.detect, world.look, PoseConfig())
    before = world.go_on(people, 0, 0.5)
    people.reset()
    assert list(before[-1]) == [1]
    assert list(world.go_on(people, 0.5, 1)[-1]) == [2]


def test_after_the_last_id_that_a_message_can_hold_come_the_first_ones_that_are_free() -> None:
    stays = Walker(stay(100), RED)
    come_and_go = [Walker(within(stay(500), (at, at + 1)), BLUE) for at in (1.0, 6.0, 11.0)]
    world = World([stays, *come_and_go])
    people = People(world.detect, world.look, PoseConfig(num_poses=2))
    frames = world.go_on(people, 0.0, 0.5)
    people._next_id = MAX_ID  # as after half a day
    frames += world.go_on(people, 0.5, 12.0)
    assert [ids_of(frames, walker) for walker in world.walkers] == [{1}, {MAX_ID}, {2}, {3}]


def test_one_person_costs_little_more_where_several_are_allowed() -> None:
    alone, several = World([Walker(stay(300))]), World([Walker(stay(300))])
    alone.followed(PoseConfig(num_poses=1), 20)
    several.followed(PoseConfig(num_poses=4), 20)
    assert alone.detections == 1
    assert len(several.looks) == len(alone.looks) == 600 + 1 - 1
    assert several.detections < 1.4 * 20 / PoseConfig().search_interval_s, (
        "more often just after the first was found"
    )


def test_where_nobody_is_the_detector_is_asked_in_each_frame() -> None:
    late = Walker(within(stay(300), (2, 9)))
    world = World([late])
    frames = world.followed(PoseConfig(), 3)
    assert world.detections >= 60
    assert [len(frame) for frame in frames[59:62]] == [0, 1, 1], "found in the first frame"


def test_who_runs_at_five_frames_a_second_is_not_lost() -> None:
    runner = Walker(walk(-200, 800, 2.6))
    world = World([runner])
    frames = world.followed(PoseConfig(), 2.6, fps=5)
    seen = [number for number, frame in enumerate(frames) if frame]
    assert seen == list(range(seen[0], len(frames)))
    assert ids_of(frames, runner) == {1}


def test_who_is_lost_where_expected_is_looked_for_by_the_detector_in_the_same_frame() -> None:
    jump = Walker(lambda t: 150 if t < 1 else 260)
    world = World([jump])
    frames = world.followed(PoseConfig(), 2)
    assert all(frames)
    assert ids_of(frames, jump) == {1}


def test_the_one_who_was_there_first_is_followed_even_after_being_hidden() -> None:
    first = Walker(walk(100, 540, 3), RED)
    world = World([first, Walker(stay(320), BLUE)])
    frames = world.followed(PoseConfig(num_poses=1), 3.0)
    assert list(frames[0].values()) == list(frames[-1].values()) == [first]
    assert len(ids_of(frames, first)) == 1


@pytest.mark.parametrize(("larger", "followed"), [(1.1, 0), (1.6, 1)])
def test_the_largest_is_followed_but_only_if_plainly_larger(larger: float, followed: int) -> None:
    walkers = [
        Walker(stay(120), RED, 150),
        Walker(within(stay(500), (1, 9)), BLUE, 150 * larger),
    ]
    frames = World(walkers).followed(PoseConfig(follow="largest"), 4)
    assert list(frames[-1].values()) == [walkers[followed]]
    assert all(len(frame) == 1 for frame in frames)


def test_the_most_central_is_followed() -> None:
    walkers = [Walker(stay(60), RED, 150), Walker(within(stay(320), (1, 9)), BLUE, 150)]
    frames = World(walkers).followed(PoseConfig(follow="central"), 4)
    assert list(frames[0].values()) == [walkers[0]]
    assert list(frames[-1].values()) == [walkers[1]]


def test_fewer_people_are_followed_from_the_next_frame_on() -> None:
    world = World([Walker(stay(100), RED), Walker(stay(500), BLUE)])
    people = People(world.detect, world.look, PoseConfig(num_poses=2))
    assert len(world.go_on(people, 0, 1)[-1]) == 2
    people.options = PoseConfig(num_poses=1)
    assert [len(frame) for frame in world.go_on(people, 1, 2)] == [1] * 30


def test_who_is_not_admitted_is_not_followed() -> None:
    world = World([Walker(stay(100), RED), Walker(stay(500), BLUE)])
    people = People(
        world.detect,
        world.look,
        PoseConfig(num_poses=2),
        Zones([(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]),
    )
    assert world.go_on(people, 0, 2)[-1] == {1: world.walkers[0]}


def test_a_body_that_is_nobodys_yet_is_known_of() -> None:
    """Who is to be hidden must be, also while it is not known who that is: here somebody comes right to
    where another was seen last."""
    gone = Walker(within(stay(320), (0, 1)), RED)
    newcomer = Walker(within(stay(330), (1.1, 3)), BLUE, limbs=1)
    world = World([gone, newcomer])
    people = People(world.detect, world.look, PoseConfig(num_poses=8))
    world.go_on(people, 0.0, 1.1)
    for number in range(33, 60):
        (frame,) = world.go_on(people, number / 30, (number + 1) / 30)
        depths = [each.landmarks[0, 2] for each in people.others]
        assert (list(frame.values()), depths) in [([], [1.0]), ([newcomer], [])]
        assert number > 33 or not frame
    assert frame, "after a while they are somebody"
    people.reset()
    assert not people.others


def test_a_region_is_moved_ahead_of_somebody_fast_only() -> None:
    for speed, ahead in ((30.0, False), (900.0, True)):
        walker = Walker(lambda t, speed=speed: 50 + speed * t)  # type: ignore[misc]
        world = World([walker])
        world.followed(PoseConfig(), 0.4)
        last = world.looks[-1]
        before = 50 + speed * (world.t_s - 1 / 30)
        assert bool(last.x > before + 0.01 * SIZE) is ahead


def test_a_picture_of_another_size_is_no_surprise() -> None:
    world = World([Walker(stay(100))])
    people = People(world.detect, world.look, PoseConfig())
    world.go_on(people, 0, 0.2)
    assert people.follow(np.zeros((90, 160, 3), np.uint8), 0.3)
