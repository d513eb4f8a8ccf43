"""People keep their ids over the seams of a video's segments."""

import json
import re

import numpy as np

from streamer.analyze.identities import Identities, places
from streamer.analyze.segment import message_line
from streamer.model import Pose
from tests.fakes import make_frame


def person(own: int, x: float) -> Pose:
    landmarks = np.full((33, 5), 0.5, np.float32)
    landmarks[:, 0] = x
    return Pose(own, 0.9, landmarks, np.zeros((33, 3), np.float32))


def line(*people: Pose) -> str:
    return message_line('film "id":7', 0, make_frame(pts=0), people)


def ids(text: str) -> list[int]:
    return [pose["id"] for pose in json.loads(text)["poses"]]


def test_whoever_is_in_the_same_place_on_both_sides_of_a_seam_is_the_same() -> None:
    people = Identities()
    people.begin([])
    assert ids(people.renumbered(line(person(1, 0.2), person(2, 0.8)))) == [1, 2]
    people.begin(places([person(1, 0.81), person(3, 0.21)]))
    assert ids(people.renumbered(line(person(1, 0.8), person(3, 0.2)))) == [2, 1]


def test_who_was_not_there_before_the_seam_gets_a_new_id() -> None:
    people = Identities()
    people.begin([])
    people.renumbered(line(person(1, 0.2)))
    people.begin(places([person(1, 0.2)]))
    assert ids(people.renumbered(line(person(1, 0.2), person(2, 0.6)))) == [1, 2]
    people.begin(places([person(1, 0.9)]))
    assert ids(people.renumbered(line(person(1, 0.9)))) == [3]


def test_after_a_frame_with_nobody_the_next_segment_begins_with_new_ids() -> None:
    people = Identities()
    people.begin([])
    people.renumbered(line(person(1, 0.2)))
    people.renumbered(line())
    people.begin(places([person(1, 0.2)]))
    assert ids(people.renumbered(line(person(1, 0.2)))) == [2]


def test_two_do_not_become_one_who_are_near_to_each_other() -> None:
    people = Identities()
    people.begin([])
    people.renumbered(line(person(1, 0.50), person(2, 0.55)))
    people.begin(places([person(1, 0.50), person(2, 0.51)]))
    assert sorted(ids(people.renumbered(line(person(1, 0.5), person(2, 0.51))))) == [1, 2]


def test_nothing_else_of_a_line_changes() -> None:
    text = line(person(4, 0.2))
    people = Identities()
    people.begin([])
    assert people.renumbered(text) == re.sub('"id":4', '"id":1', text)
    assert '\\"id\\":7' in people.renumbered(text)
