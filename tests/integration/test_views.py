"""A camera that hangs askew, zones, and the dark, on a real person."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import aiohttp
import av
import cv2
import numpy as np
import pytest
from av.video.stream import VideoStream
from numpy.typing import NDArray

from streamer.app import make_estimator
from streamer.client import Client, PoseFrame
from streamer.config import PoseConfig
from streamer.landmarks import NAMES
from streamer.model import Frame
from streamer.pixels import small, to_av, turned
from streamer.pose import INPUT_WIDTH_PX
from streamer.pose.low_light import LowLight
from streamer.pose.mediapipe import StillEstimator
from streamer.pose.models import Complexity, model_path
from streamer.pose.zones import Zones
from tests.decoded import decode
from tests.rigs.server import StreamerServer

NOSE, ANKLE = NAMES.index("nose"), NAMES.index("left_ankle")


@pytest.fixture(scope="module")
def film(person_clip: Path) -> list[Frame]:
    return decode(person_clip, 40)


@pytest.fixture(scope="module")
def askew(film: list[Frame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "askew.mp4"
    write_turned(path, film, 90)
    return path


def write_turned(path: Path, frames: Sequence[Frame], degrees: int) -> None:
    """As a camera films that hangs so: counterclockwise. It notes nothing of that in the file."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        assert isinstance(stream, VideoStream)
        first = turned(frames[0], degrees)
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(to_av(turned(frame, degrees))))
        container.mux(stream.encode(None))


async def until_it_is(
    frames: AsyncIterator[PoseFrame], size: tuple[int, int], way: Callable[[PoseFrame], bool]
) -> PoseFrame:
    async for frame in frames:
        if (frame.width, frame.height) == size and frame.poses and way(frame):
            return frame
    raise AssertionError("the stream ended")


def is_upright(frame: PoseFrame) -> bool:
    landmarks = frame.poses[0].landmarks
    return bool(landmarks[ANKLE, 1] - landmarks[NOSE, 1] > 0.4)


def difference(jpeg: bytes, frames: Sequence[Frame]) -> float:
    """The least mean difference in luma, of any of the frames."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None and picture.shape == (frames[0].height, frames[0].width)
    scale = 219 / 255
    return min(float(np.abs(picture * scale + 16 - frame.planes()[0]).mean()) for frame in frames)


async def test_camera_that_hangs_askew_gives_an_upright_picture_and_pose(
    server: Callable[..., StreamerServer], film: list[Frame], askew: Path
) -> None:
    running = server(f"[files]\nfolders = ['{askew.parent}']\n")
    source = {"type": "file", "path": str(askew)}
    async with aiohttp.ClientSession(running.url) as http, Client(running.url) as client:
        body = {"id": "askew", "source": source, "video_options": {"rotation": 90}}
        async with http.post("/api/v1/streams", json=body) as answer:
            assert answer.status == 201, await answer.text()
        async with aclosing(client.landmarks("askew")) as frames:
            await until_it_is(frames, (640, 480), is_upright)
            async with http.get("/api/v1/streams/askew") as answer:
                video = (await answer.json())["video"]
            assert (video["width"], video["height"]) == (640, 480)
            async with http.get("/api/v1/streams/askew/snapshot.jpg?video=plain") as answer:
                assert difference(await answer.read(), film) < 6

            change = {"video_options": {"rotation": 270}}
            async with http.patch("/api/v1/streams/askew", json=change) as answer:
                assert answer.status == 200, await answer.text()
            on_his_head = await until_it_is(frames, (640, 480), lambda frame: not is_upright(frame))
            assert on_his_head.epoch == 1  # the stream went on
            async with http.get("/api/v1/streams/askew/snapshot.jpg?video=plain") as answer:
                assert difference(await answer.read(), film) > 20


def darkened(frame: Frame, gain: float, noise: float, seed: int) -> Frame:
    """So much of the levels, and noise of a standard deviation of so many."""
    chance = np.random.default_rng(seed)
    dark = replace(frame, i420=np.empty_like(frame.i420))
    for black, plane, target in zip((16, 128, 128), frame.planes(), dark.planes(), strict=True):
        level = black + gain * (plane.astype(np.float32) - black)
        noisy = level + noise * chance.standard_normal(plane.shape, np.float32)
        target[:] = np.clip(np.round(noisy), 0, 255)
    return dark


def found(pictures: Sequence[NDArray[np.uint8]]) -> int:
    """In how many of the pictures, each by itself, MediaPipe finds somebody."""
    estimator = StillEstimator(model_path(Complexity.FULL), PoseConfig())
    try:
        return sum(bool(estimator.estimate(rgb)) for rgb in pictures)
    finally:
        estimator.close()


def test_more_people_are_found_in_the_dark_and_light_pictures_stay_as_they_are(
    film: list[Frame],
) -> None:
    dark = [darkened(frame, 0.25, 4.0, seed) for seed, frame in enumerate(film[::3])]
    low_light, without = LowLight("auto"), LowLight("off")
    shown = {}
    for name, frames, mode in (("dark", dark, without), ("brightened", dark, low_light)):
        shown[name] = found([mode.apply(small(frame, INPUT_WIDTH_PX)) for frame in frames])
    assert low_light.is_on
    assert shown["brightened"] >= max(6, 1.15 * shown["dark"])
    in_the_light = LowLight("auto")
    for frame in film[::3]:
        in_the_light.apply(small(frame, INPUT_WIDTH_PX))
        assert not in_the_light.is_on


# -- zones ------------------------------------------------------------------------------------------

LEFT = [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]
RIGHT = [(1 - x, y) for x, y in LEFT]


@pytest.fixture(scope="module")
def pair(film: list[Frame]) -> list[Frame]:
    """The same person twice, side by side."""
    return [side_by_side(frame) for frame in film[:16]]


def side_by_side(frame: Frame) -> Frame:
    twin = replace(frame, i420=np.full_like(frame.i420, 128))
    twin.planes()[0][:] = 16
    for plane, source in zip(twin.planes(), frame.planes(), strict=True):
        half = source[::2, ::2]
        plane[: half.shape[0]] = np.hstack([half, half])
    return twin


def places(frames: Sequence[Frame], *options: PoseConfig) -> list[list[float]]:
    """Where people are, left to right, once each of the options has had its share of the frames."""
    estimator = make_estimator(options[0])
    found = []
    each = len(frames) // len(options)
    try:
        for number, frame in enumerate(frames):
            if number and number % each == 0:
                estimator.configure(options[number // each])
            poses = estimator.estimate(frame, frame.pts)
            if (number + 1) % each == 0:
                found.append(sorted(float(pose.landmarks[NOSE, 0]) for pose in poses))
    finally:
        estimator.close()
    return found


def test_zones_choose_among_two_people_and_may_change(pair: list[Frame]) -> None:
    everywhere, right, not_left, nowhere = places(
        pair,
        PoseConfig(num_poses=2),
        PoseConfig(num_poses=2, region=RIGHT),
        PoseConfig(num_poses=2, ignore=[LEFT]),
        PoseConfig(num_poses=2, region=RIGHT, ignore=[RIGHT]),
    )
    assert [x < 0.5 for x in everywhere] == [True, False]
    assert [x < 0.5 for x in right] == [x < 0.5 for x in not_left] == [False]
    assert nowhere == []


def test_somebody_in_an_ignored_zone_takes_nobody_s_place(pair: list[Frame]) -> None:
    for zone, is_left in ((LEFT, False), (RIGHT, True)):
        ((x,),) = places(pair[:4], PoseConfig(num_poses=1, ignore=[zone]))
        assert (x < 0.5) is is_left


def test_landmarks_are_of_the_whole_picture_though_a_part_of_it_is_searched(
    pair: list[Frame],
) -> None:
    around_left = [(0.15, 0.1), (0.35, 0.1), (0.35, 0.4), (0.15, 0.4)]
    assert Zones(around_left).crop() is not None
    ((anywhere, _),) = places(pair[:4], PoseConfig(num_poses=2))
    ((there,),) = places(pair[:4], PoseConfig(num_poses=2, region=around_left))
    assert there == pytest.approx(anywhere, abs=0.01)


def test_dark_stream_is_followed_by_the_live_estimator(film: list[Frame]) -> None:
    dark = [darkened(frame, 0.15, 3.0, seed) for seed, frame in enumerate(film[:16])]
    ((_,),) = places(dark, PoseConfig())
    ((),) = places(dark, PoseConfig(low_light="off"))
