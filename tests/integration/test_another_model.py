"""Another model on a live stream, through the API and with the real networks."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from streamer.app import check_models, make_estimator
from streamer.config import PoseConfig
from streamer.errors import ModelError
from streamer.model import Frame, ModelStatus, PoseResult
from streamer.pose.models import Complexity, ensure_models, model_path
from tests.decoded import decode
from tests.fakes import FakeSource, RecordingSink
from tests.in_process import Http, Service, serving

FRAME = 3000


class Film:
    """A camera that gives each frame when the one before has its result: nothing is dropped, however slow
    the machine is. It plays forth and back, so that the person never jumps."""

    def __init__(self, frames: list[Frame], source: FakeSource, sink: RecordingSink) -> None:
        self._frames = frames + frames[-2:0:-1]
        self._source = source
        self._sink = sink

    @property
    def results(self) -> list[PoseResult]:
        return self._sink.results

    @property
    def models(self) -> list[ModelStatus]:
        return self._sink.models

    async def play(self, count: int) -> None:
        for _ in range(count):
            number = len(self.results)
            frame = self._frames[number % len(self._frames)]
            self._source.put(replace(frame, pts=number * FRAME))
            await self._sink.results_come(number + 1)

    async def play_until(self, model_complexity: int) -> int:
        """Until a frame was found by this model; how many frames it took."""
        before = len(self.results)
        while not self.models or self.models[-1] != ModelStatus(model_complexity, model_complexity):
            await self.play(1)
        return len(self.results) - before


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    await asyncio.to_thread(ensure_models, (Complexity.LITE, Complexity.FULL))
    yield Service(tmp_path, estimator=make_estimator, check_models=check_models)


async def film_on(service: Service, http: Http, frames: list[Frame]) -> Film:
    camera = {"id": "door", "source": {"url": "rtsp://127.0.0.1:9/"}}
    assert (await http.post("/api/v1/streams", json=camera)).status == 201
    sink = RecordingSink()
    service.streams.get("door").session.subscribe(sink)
    (source,) = service.cameras
    await source.connected()
    return Film(frames, source, sink)


async def change(http: Http, **pose: object) -> int:
    response = await http.patch("/api/v1/streams/door", json={"pose": pose})
    return response.status


async def test_switching_the_model_breaks_neither_the_stream_nor_the_person(
    service: Service, person_clip: Path
) -> None:
    frames = await asyncio.to_thread(decode, person_clip, 30)
    async with serving(service) as http:
        film = await film_on(service, http, frames)
        await film.play(10)
        for wanted in (0, 1, 0):
            assert await change(http, model_complexity=wanted) == 200
            await film.play_until(wanted)
            await film.play(5)
        stats = (await (await http.get("/api/v1/streams/door")).json())["stats"]
    assert (stats["model_complexity"], stats["model_reason"]) == (0, None)
    results = film.results
    assert [result.seq for result in results] == list(range(len(results)))
    assert {result.epoch for result in results} == {results[0].epoch}
    assert results[-1].dropped == 0
    assert {tuple(pose.id for pose in result.poses) for result in results} == {(1,)}
    assert film.models == [
        ModelStatus(1, 1),
        *(ModelStatus(1, 0, "loading"), ModelStatus(0, 0)),
        *(ModelStatus(0, 1, "loading"), ModelStatus(1, 1)),
        *(ModelStatus(1, 0, "loading"), ModelStatus(0, 0)),
    ]


async def test_landmarks_stay_on_the_person_while_the_model_is_switched(
    service: Service, person_clip: Path
) -> None:
    """From one frame to the next they move as far as they do with one model, or little more."""
    (frame,) = await asyncio.to_thread(decode, person_clip, 1)
    async with serving(service) as http:
        film = await film_on(service, http, [frame, frame])
        await film.play(30)
        assert await change(http, model_complexity=0) == 200
        await film.play_until(0)
        await film.play(10)
    places = [result.poses[0].landmarks[:, :2] for result in film.results]
    torso = abs(places[29][11, 1] - places[29][23, 1])  # left shoulder to left hip
    steps = [abs(b - a).max() for a, b in zip(places[29:], places[30:], strict=False)]
    assert max(steps) < 0.1 * torso


async def test_model_that_is_not_here_is_an_answer_and_the_stream_goes_on(
    service: Service, person_clip: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    frames = await asyncio.to_thread(decode, person_clip, 5)
    full = model_path(Complexity.FULL)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / full.name).write_bytes(await asyncio.to_thread(full.read_bytes))
    monkeypatch.setenv("STREAMER_MODELS_DIR", str(tmp_path / "models"))
    async with serving(service) as http:
        film = await film_on(service, http, frames)
        await film.play(3)
        for options in ({"model_complexity": 2}, {"adapt": True}):
            patch = {"pose": options, "privacy": {"mode": "skeleton"}, "listed": False}
            response = await http.patch("/api/v1/streams/door", json=patch)
            problem = await response.json()
            assert response.status == 503
            assert problem["type"].endswith("model-unavailable")
            assert "run `streamer models " in problem["detail"]
        await film.play(3)
        stream = await (await http.get("/api/v1/streams/door")).json()
    assert stream["pose"] == PoseConfig().model_dump()
    assert (stream["privacy"]["mode"], stream["listed"]) == ("off", True), "all of it, or nothing"
    assert film.models == [ModelStatus(1, 1)]


def test_models_that_a_stream_may_step_down_to_must_be_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STREAMER_MODELS_DIR", str(tmp_path))
    for complexity in (Complexity.FULL, Complexity.HEAVY):
        model_path(complexity).touch()
    check_models(PoseConfig(model_complexity=2))
    with pytest.raises(ModelError, match="streamer models lite"):
        check_models(PoseConfig(model_complexity=2, adapt=True))
    model_path(Complexity.LITE).touch()
    check_models(PoseConfig(model_complexity=2, adapt=True))
