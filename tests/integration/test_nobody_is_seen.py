"""Nothing of a real person gets out of the real server while they are hidden, by whatever way."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from aiohttp import ClientResponse
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from aiortc.mediastreams import MediaStreamError

from streamer.app import make_estimator
from streamer.config import AnySource, PoseConfig, PrivacyConfig
from streamer.errors import SourceLost
from streamer.model import Forwarded, Frame, Plane, Pose, StreamState
from streamer.pixels import small_rgb, to_jpeg
from streamer.pose.mediapipe import StillEstimator
from streamer.pose.models import Complexity, ensure_models
from tests.decoded import decode
from tests.fakes import PATIENCE_S, FakeSource, RecordingSink, make_frame
from tests.in_process import SDP, Camera, Http, Service, WebcamPeer, serving
from tests.integration.test_http import problem
from tests.rigs.hiding import body_of, detail_left

CAMERA = {"type": "rtsp", "url": "rtsp://127.0.0.1:9/a"}
DOOR = "/api/v1/streams/door"
TENTH = 9000  # ticks
HIDDEN, SEEN = 0.15, 0.5
"""Of the original's detail in the person's place; in a picture that was encoded, too."""


class Person:
    """A frame of a clip, and where the person is in it."""

    def __init__(self, clip: Path) -> None:
        (model, *_) = ensure_models([Complexity.FULL])
        ensure_models([Complexity.FULL], segmentation=True)
        self.frame: Frame = decode(clip, 30)[-1]
        estimator = StillEstimator(model, PoseConfig())
        pose: Pose = estimator.estimate(small_rgb(self.frame, 640))[0]
        estimator.close()
        self.body = body_of(pose, self.frame.width, self.frame.height)

    def left_in(self, luma: Plane) -> float:
        size = (self.frame.width, self.frame.height)
        whole = cv2.resize(luma, size).astype(np.uint8, copy=False)  # a notice is smaller
        return detail_left(whole, self.frame.planes()[0], self.body)

    def left_in_jpeg(self, jpeg: bytes) -> float:
        luma = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert luma is not None
        return self.left_in(luma.astype(np.uint8, copy=False))


@pytest.fixture(scope="module")
def person(person_clip: Path) -> Person:
    return Person(person_clip)


class Watcher:
    """A peer that looks at its video: how much of the person is left in each picture."""

    def __init__(self, person: Person) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.left: list[float] = []
        self._person = person
        self._news = asyncio.Event()
        self.connection.on("track", self._on_track)
        self._reading: asyncio.Task[None] | None = None

    async def join(self, http: Http, url: str) -> None:
        self.connection.addTransceiver("video", direction="recvonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        async with http.post(url, data=self.connection.localDescription.sdp, headers=SDP) as answer:
            text = await answer.text()
            assert answer.status == 201, text
        await self.connection.setRemoteDescription(RTCSessionDescription(text, "answer"))

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(2 * PATIENCE_S):
            while not met():
                self._news.clear()
                await self._news.wait()

    async def sees(self, count: int) -> list[float]:
        before = len(self.left)
        await self.until(lambda: len(self.left) >= before + count)
        return self.left[before:]

    async def close(self) -> None:
        await self.connection.close()
        if self._reading is not None:
            await self._reading

    def _on_track(self, track: VideoStreamTrack) -> None:
        self._reading = asyncio.create_task(self._read(track))

    async def _read(self, track: VideoStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                picture: Any = await track.recv()
                luma = picture.to_ndarray(format="yuv420p")[: picture.height]
                self.left.append(self._person.left_in(luma))
                self._news.set()


@contextlib.asynccontextmanager
async def filming(http: Http, service: Service, person: Person) -> AsyncIterator[FakeSource]:
    """The stream "door" with the person before its camera, ten times as fast as it says."""
    assert (await http.post("/api/v1/streams", json={"id": "door", "source": CAMERA})).status == 201
    camera = service.cameras[-1]
    await camera.connected()

    async def film() -> None:
        for number in range(10_000):
            camera.put(replace(person.frame, pts=number * TENTH))
            await asyncio.sleep(0.03)

    task = asyncio.create_task(film())
    try:
        yield camera
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def settled(service: Service) -> None:
    """More than the first second, in which everything is covered."""
    sink = RecordingSink()
    service.streams.get("door").session.subscribe(sink)
    await sink.results_come(15)
    service.streams.get("door").session.unsubscribe(sink)


async def snapshot(http: Http, **query: str) -> bytes:
    async with http.get(f"{DOOR}/snapshot.jpg", params=query) as response:
        assert response.status == 200
        return await response.read()


async def mjpeg_part(response: ClientResponse) -> bytes:
    await response.content.readuntil(b"Content-Length: ")
    length = int(await response.content.readline())
    await response.content.readuntil(b"\r\n\r\n")
    return await response.content.readexactly(length)


async def set_privacy(http: Http, **privacy: object) -> dict[str, Any]:
    async with http.patch(DOOR, json={"privacy": privacy}) as response:
        assert response.status == 200, await response.text()
        return dict((await response.json())["privacy"])


@pytest.mark.parametrize("mode", ["blur", "silhouette"])
async def test_by_no_way_out_a_hidden_person_is_seen(
    tmp_path: Path, person: Person, mode: Any
) -> None:
    privacy = PrivacyConfig(mode=mode)
    service = Service(tmp_path, estimator=make_estimator, privacy=privacy)
    async with serving(service) as http, filming(http, service, person) as camera:
        await settled(service)
        watchers = {look: Watcher(person) for look in ("annotated", "plain")}
        for look, watcher in watchers.items():
            await watcher.join(http, f"/whep/door?video={look}")
            assert person.left_in_jpeg(await snapshot(http, video=look)) < HIDDEN
            async with http.get(f"{DOOR}/mjpeg", params={"video": look}) as response:
                assert person.left_in_jpeg(await mjpeg_part(response)) < HIDDEN
            assert max(await watcher.sees(5)) < HIDDEN
        session = service.streams.get("door").session
        assert session.last_result is not None and session.last_result.poses
        camera.end(SourceLost("gone"))
        sink = RecordingSink()
        session.subscribe(sink)
        await sink.state_comes(StreamState.RECONNECTING)
        assert person.left_in_jpeg(await snapshot(http, notice="1")) < HIDDEN
        for watcher in watchers.values():
            assert max(await watcher.sees(2)) < HIDDEN
            await watcher.close()


async def test_somebody_who_watches_sees_the_person_until_the_switch_and_never_after(
    tmp_path: Path, person: Person
) -> None:
    service = Service(tmp_path, estimator=make_estimator)
    async with serving(service) as http, filming(http, service, person):
        watcher = Watcher(person)
        await watcher.join(http, "/whep/door?video=plain")
        await watcher.until(lambda: bool(watcher.left) and watcher.left[-1] > SEEN)
        assert person.left_in_jpeg(await snapshot(http, video="plain")) > SEEN
        await set_privacy(http, mode="blur")
        seen = len(watcher.left)
        assert person.left_in_jpeg(await snapshot(http, video="plain")) < HIDDEN
        await watcher.until(lambda: watcher.left[-1] < HIDDEN)
        under_way = len(watcher.left) - seen
        assert under_way < 15, "what is on the network, and in the viewer's own buffer"
        assert max(await watcher.sees(10)) < HIDDEN
        await set_privacy(http, mode="off")
        await watcher.until(lambda: watcher.left[-1] > SEEN)
        await watcher.close()


async def test_a_publishers_own_packets_go_to_nobody_after_the_switch(
    tmp_path: Path, person: Person
) -> None:
    service = Service(tmp_path, estimator=make_estimator)
    async with serving(service) as http:
        publisher = WebcamPeer(Camera([person.frame]))
        await publisher.join(http, "/webcam?video=none")
        stream = service.streams.get(publisher.stream_id)
        watcher = Watcher(person)
        await watcher.join(http, f"/whep/{stream.id}?video=plain")
        await watcher.until(lambda: bool(watcher.left) and watcher.left[-1] > SEEN)

        def forwarded() -> Forwarded | None:
            return stream.session.screens.forwarded

        assert forwarded() is not None
        url = f"/api/v1/streams/{stream.id}"
        async with http.patch(url, json={"privacy": {"mode": "silhouette"}}) as response:
            assert response.status == 200
        assert forwarded() is None
        await watcher.until(lambda: watcher.left[-1] < HIDDEN)
        assert max(await watcher.sees(10)) < HIDDEN
        await watcher.close()
        await publisher.close()


async def test_of_a_picture_that_is_sent_in_none_comes_back_that_shows_the_person(
    tmp_path: Path, person: Person
) -> None:
    left = []
    for mode in ("off", "blur"):
        service = Service(tmp_path, privacy=PrivacyConfig(mode=mode))
        async with serving(service) as http:
            headers = {"Content-Type": "image/jpeg", "Accept": "image/png"}
            jpeg = await asyncio.to_thread(to_jpeg, person.frame)
            async with http.post("/api/v1/images", data=jpeg, headers=headers) as response:
                assert (response.status, response.headers["X-Poses"]) == (200, "1")
                left.append(person.left_in_jpeg(await response.read()))
    assert left[0] > SEEN > HIDDEN > left[1]


# -- the lock ---------------------------------------------------------------------------------------

LOCKED = PrivacyConfig(mode="blur", locked=True)


async def add(http: Http, **body: object) -> ClientResponse:
    return await http.post("/api/v1/streams", json={"id": "door", "source": CAMERA, **body})


async def test_what_the_configuration_has_locked_nobody_can_change(tmp_path: Path) -> None:
    async with serving(Service(tmp_path, privacy=LOCKED)) as http:
        await problem(await add(http, privacy={"mode": "off"}), 403, "locked")
        response = await add(http, privacy={"mode": "blur"})
        assert (await response.json())["privacy"] == LOCKED.model_dump()
        for change in ({"mode": "off"}, {"locked": False}, {"hold_s": 0.5}):
            await problem(await http.patch(DOOR, json={"privacy": change}), 403, "locked")
        assert await set_privacy(http, mode="blur") == LOCKED.model_dump()


async def test_a_refused_change_of_privacy_changes_nothing_else(tmp_path: Path) -> None:
    service = Service(tmp_path, privacy=LOCKED)
    async with serving(service) as http:
        await add(http)
        change = {"privacy": {"mode": "off"}, "overlay": {"style": "none"}, "listed": False}
        await problem(await http.patch(DOOR, json=change), 403, "locked")
        stream = service.streams.get("door")
        assert stream.listed and stream.overlay.style == "skeleton"
        assert stream.session.obscurer.mode == "blur"


async def test_a_change_that_waits_for_a_name_does_not_undo_one_that_comes_meanwhile(
    http: Http, service: Service
) -> None:
    await add(http)
    asked, answered = asyncio.Event(), asyncio.Event()

    async def check(source: AnySource) -> None:
        asked.set()
        await answered.wait()

    service.services.check_source = check
    slow = {"output": {"url": "rtsp://recorder.example/door"}, "privacy": {"hold_s": 5.0}}
    waiting = asyncio.create_task(http.patch(DOOR, json=slow))
    await asked.wait()
    await set_privacy(http, mode="blur")
    answered.set()
    privacy = (await (await waiting).json())["privacy"]
    assert (privacy["mode"], privacy["hold_s"]) == ("blur", 5.0)
    await http.patch(DOOR, json={"output": None})


async def test_the_lock_holds_for_a_camera_remembered_without_it(tmp_path: Path) -> None:
    async with serving(Service(tmp_path)) as http:
        response = await add(http, privacy={"mode": "cover_face"})
        assert (await response.json())["privacy"]["mode"] == "cover_face"
    service = Service(tmp_path, privacy=LOCKED)
    async with serving(service):
        await service.streams.load_kept()
        assert service.streams.get("door").session.obscurer.mode == "blur"


async def test_the_servers_lock_is_not_remembered_with_a_camera(tmp_path: Path) -> None:
    async with serving(Service(tmp_path, privacy=LOCKED)) as http:
        response = await add(http, privacy={"mode": LOCKED.mode})
        assert (await response.json())["privacy"]["locked"]
    service = Service(tmp_path)
    async with serving(service) as http:
        await service.streams.load_kept()
        assert (await set_privacy(http, mode="off"))["locked"] is False


async def test_a_stream_remembers_its_mode(tmp_path: Path) -> None:
    async with serving(Service(tmp_path)) as http:
        await add(http)
        await set_privacy(http, mode="skeleton", hold_s=10.0)
    (remembered,) = json.loads((tmp_path / "streams.json").read_text())
    assert remembered["privacy"] == {"mode": "skeleton", "hold_s": 10.0, "locked": False}
    service = Service(tmp_path)
    async with serving(service):
        await service.streams.load_kept()
        assert service.streams.get("door").session.obscurer.mode == "skeleton"


async def test_nobody_can_lock_what_they_could_not_unlock(http: Http) -> None:
    await add(http)
    await problem(await http.patch(DOOR, json={"privacy": {"locked": True}}), 403, "locked")
    assert not (await set_privacy(http, mode="blur"))["locked"]


BLIND = {"min_detection_confidence": 1, "min_tracking_confidence": 1, "low_light": "off"}


async def test_for_hiding_people_everybody_is_looked_for_and_as_many_are_told_of_as_before(
    http: Http, service: Service
) -> None:
    response = await add(http, privacy={"mode": "silhouette"})
    camera = service.cameras[-1]
    await camera.connected()
    camera.put(make_frame())
    await service.estimators.frames_come(1)
    (estimator,) = service.estimators.built
    assert estimator.options.num_poses == 8 and estimator.options.enable_segmentation
    pose = (await response.json())["pose"]
    assert pose["num_poses"] == 1 and not pose["enable_segmentation"]
    assert service.streams.get("door").session.max_poses == 1
    await http.patch(DOOR, json={"pose": BLIND})
    camera.put(make_frame(3000))
    await service.estimators.frames_come(2)
    assert estimator.options.min_detection_confidence == 0.5, "or nobody would be found any more"
    assert estimator.options.min_tracking_confidence == 0.5
    assert estimator.options.low_light == "auto"
    await set_privacy(http, mode="off")
    camera.put(make_frame(6000))
    await service.estimators.frames_come(3)
    assert (
        estimator.options.min_detection_confidence == estimator.options.min_tracking_confidence == 1
    )
    assert estimator.options.num_poses == 1 and not estimator.options.enable_segmentation


async def test_a_browsers_stream_is_hidden_as_the_server_says(tmp_path: Path) -> None:
    service = Service(tmp_path, privacy=LOCKED)
    async with serving(service) as http:
        peer = WebcamPeer()
        await peer.join(http)
        assert service.streams.get(peer.stream_id).session.obscurer.mode == "blur"
        url = f"/api/v1/streams/{peer.stream_id}"
        change = {"privacy": {"mode": "off"}}
        await problem(await http.patch(url, json=change), 403, "locked")
        await peer.close()
