"""A track in doubt is set right by the detector; what a square cuts off is not believed."""

import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.config import PoseConfig
from streamer.pose.motion import Motion
from streamer.pose.networks import Detection, Sighting
from streamer.pose.people import People
from streamer.pose.regions import Region
from streamer.pose.search import SQUARE_INTERVAL_S, Search

PICTURE = np.zeros((480, 640, 3), np.uint8)
PLACE = Region(320.0, 240.0, 300.0, 0.0)


def seen_at(region: Region, *, flag: float, peak: float) -> Sighting:
    """Somebody in the middle of the region, who will be looked for there."""
    landmarks = np.zeros((33, 5), np.float32)
    spread = np.random.default_rng(1).uniform(-0.2, 0.2, (33, 2)) * region.size
    landmarks[:, :2] = spread + (region.x, region.y)
    landmarks[:, 3:] = 1.0
    world, peaks = np.zeros((33, 3), np.float32), np.full(33, peak, np.float32)
    return Sighting(landmarks, world, flag, peaks, region, region, None)


def found_at(region: Region) -> Detection:
    return Detection(0.9, np.zeros(4, np.float32), region)


def test_track_that_slid_off_somebody_goes_on_where_the_detector_sees_them() -> None:
    lying = PLACE.moved(60.0, 0.0)
    has_fallen = False

    def look(_: NDArray[np.uint8], region: Region) -> Sighting:
        plain = not has_fallen or region == lying
        return (
            seen_at(region, flag=0.99, peak=0.9) if plain else seen_at(region, flag=0.95, peak=0.5)
        )

    where = PLACE
    people = People(lambda rgb, score: [found_at(where)], look, PoseConfig())
    (person,) = people.follow(PICTURE, 0.0)
    has_fallen, where = True, lying
    looked_at = []
    for number in range(1, 6):
        (person,) = people.follow(PICTURE, number / 10)
        looked_at.append(person.sighting.region)
        assert person.id == 1
    assert lying in looked_at


def test_who_moves_fast_and_stops_is_found_where_they_were() -> None:
    regions = [PLACE.moved(40.0 * number, 0.0) for number in range(5)]
    last = regions[-1]
    has_stopped = False

    def look(_: NDArray[np.uint8], region: Region) -> Sighting:
        if has_stopped:
            return seen_at(last, flag=0.99 if region == last else 0.1, peak=0.9)
        here = regions.pop(0) if regions else last
        return seen_at(here, flag=0.99, peak=0.9)

    people = People(lambda rgb, score: [found_at(PLACE)][: len(regions)], look, PoseConfig())
    for number in range(5):
        people.follow(PICTURE, number / 30)
    has_stopped = True
    assert [person.id for person in people.follow(PICTURE, 5 / 30)] == [1]


@pytest.mark.parametrize(("size", "found"), [(470.0, 1), (490.0, 0)])
def test_who_does_not_fit_a_square_is_not_found_in_it(size: float, found: int) -> None:
    def detect(rgb: NDArray[np.uint8], min_score: float) -> list[Detection]:
        return [found_at(PLACE._replace(size=size))] if rgb.shape[1] < 640 else []

    search = Search(detect)
    assert len(search(PICTURE, 0.5, SQUARE_INTERVAL_S, alone=True)) == found


def test_somebody_who_may_have_turned_back_suits_better_than_by_motion_alone() -> None:
    motion = Motion(np.zeros(2), 300.0, 0.0)
    for number in range(1, 30):
        motion.go(np.array([10.0 * number, 0.0]), 300.0, number / 30)
    off_px = float(np.linalg.norm(motion.shift(1.5)))  # they stand where they were seen last
    assert motion.misfit(off_px, 300.0, 1.5, turns=0.5) < motion.misfit(off_px, 300.0, 1.5) / 1.5
