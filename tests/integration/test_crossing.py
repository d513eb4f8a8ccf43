"""Two people who cross, seen by the real networks: the man of the clip, and himself in another shirt."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.config import PoseConfig
from streamer.pixels import small_rgb
from streamer.pose.bundle import read_bundle
from streamer.pose.models import Complexity, ensure_models
from streamer.pose.networks import LANDMARK_SIDE_PX, Detector, LandmarkNetwork
from streamer.pose.people import People
from streamer.pose.person import Person
from tests.decoded import decode
from tests.rigs.clips import Clips

FPS, SECONDS = 15, 3.0
SCALE = 0.7
Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def networks() -> tuple[Detector, LandmarkNetwork]:
    (bundle,) = ensure_models([Complexity.FULL])
    detector, landmarker = read_bundle(bundle)
    return Detector(detector), LandmarkNetwork(landmarker, segmentation=False)


@pytest.fixture(scope="module")
def man(clips: Clips, networks: tuple[Detector, LandmarkNetwork]) -> tuple[Picture, Picture, float]:
    """His picture, how much each pixel is his, and his x: the first frame of the clip."""
    picture = small_rgb(decode(clips.person, 1)[0], 640)
    (bundle,) = ensure_models([Complexity.FULL], segmentation=True)
    network = LandmarkNetwork(read_bundle(bundle)[1], segmentation=True)
    (found,) = networks[0].detect(picture, 0.5)
    sighting = network.look(picture, found.region)
    assert sighting.mask is not None
    alpha = cv2.warpAffine(
        sighting.mask,
        sighting.region.to_crop(LANDMARK_SIDE_PX),
        picture.shape[1::-1],
        flags=cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR,
    )
    return picture, np.asarray(alpha, np.uint8), sighting.region.x


def pasted(
    scene: Picture, man: tuple[Picture, Picture, float], x: float, shirt: tuple[int, int, int]
) -> Picture:
    picture, alpha, own_x = man
    place = np.array([[SCALE, 0, x - SCALE * own_x], [0, SCALE, 100.0]])
    size = scene.shape[1::-1]
    moved = cv2.warpAffine(picture, place, size) * 0.6 + np.array(shirt) * 0.4
    share = cv2.warpAffine(alpha, place, size)[..., None] / 255
    return np.asarray(scene * (1 - share) + moved * share, np.uint8)


def test_two_people_who_cross_keep_their_ids(
    clips: Clips, networks: tuple[Detector, LandmarkNetwork], man: tuple[Picture, Picture, float]
) -> None:
    detector, network = networks
    scene = small_rgb(decode(clips.nobody, 1)[0], 640)
    people = People(detector.detect, network.look, PoseConfig(num_poses=2))
    seen: list[dict[int, float]] = []
    ways = []
    for number in range(round(SECONDS * FPS)):
        t_s = number / FPS
        left, right = 110 + 420 * t_s / SECONDS, 530 - 420 * t_s / SECONDS
        picture = pasted(pasted(scene, man, left, (200, 40, 40)), man, right, (40, 60, 200))
        seen.append({each.id: middle(each) for each in people.follow(picture, t_s)})
        ways.append((left, right))
    for frame, places in zip((seen[12], seen[-1]), (ways[12], ways[-1]), strict=True):
        assert len(frame) == 2
        assert sorted(frame.values()) == pytest.approx(sorted(places), abs=25)
    early = sorted(seen[12], key=lambda id: seen[12][id])
    late = sorted(seen[-1], key=lambda id: seen[-1][id])
    assert early == late[::-1]
    assert {id for frame in seen for id in frame} == {1, 2}


def middle(person: Person) -> float:
    return float(person.sighting.landmarks[[23, 24], 0].mean())
