"""The registry: ids, limits, what is remembered, and streams that end by themselves."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from streamer.config import (
    AnySource,
    OutputConfig,
    OverlayConfig,
    PoseConfig,
    PrivacyConfig,
    RtspConfig,
    RtspSource,
    StreamConfig,
    VideoConfig,
)
from streamer.errors import (
    Conflict,
    InvalidRequest,
    LimitReached,
    ModelError,
    NotFound,
    SourceEnded,
)
from streamer.model import StreamState
from streamer.outputs.output import Output
from streamer.ports import CameraSource
from streamer.retry import RetryPolicy
from streamer.session import Session
from streamer.state import StateFile
from streamer.stream import StreamOptions, Workshop
from streamer.streams import Streams, new_stream_id
from tests.fakes import (
    FakeEstimators,
    FakePainter,
    FakeSource,
    RecordingListener,
    RecordingScreen,
    RecordingSink,
    make_frame,
)

DEFAULT = PoseConfig()
HEAVY = PoseConfig(model_complexity=2)


def camera(stream_id: str, pose: PoseConfig | None = None) -> StreamConfig:
    return StreamConfig(id=stream_id, source=RtspSource(url="rtsp://10.0.0.1/"), pose=pose)


class Rig:
    """Streams over fakes, with a state file. There is no heavy model on this machine."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.sources: list[FakeSource] = []
        self.poses: list[PoseConfig] = []
        self.painters: list[tuple[OverlayConfig, FakePainter]] = []
        self.estimators = FakeEstimators()
        self.streams = self.make()

    def make(self, max_streams: int = 4) -> Streams:
        workshop = Workshop(
            self._source,
            self._check_models,
            self.estimators,
            self._painter,
            RetryPolicy(),
            self._output,
        )
        return Streams(
            workshop, StreamOptions(DEFAULT, VideoConfig()), max_streams, StateFile(self.file)
        )

    def saved(self) -> list[str]:
        return [config.id for config in StateFile(self.file).load()]

    def _source(self, source: AnySource) -> CameraSource:
        assert isinstance(source, RtspSource)
        if not source.url.startswith("rtsp://"):
            raise InvalidRequest("no camera's address")
        self.sources.append(FakeSource())
        return self.sources[-1]

    def _output(
        self, session: Session, config: OutputConfig, limits: Callable[[], VideoConfig]
    ) -> Output:
        return Output(session, config, RtspConfig(), RetryPolicy(), limits)

    def _painter(self, overlay: OverlayConfig) -> FakePainter:
        self.painters.append((overlay, FakePainter()))
        return self.painters[-1][1]

    def _check_models(self, pose: PoseConfig) -> None:
        if 2 in pose.complexities:
            raise ModelError("not on this machine")
        self.poses.append(pose)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path / "streams.json")
    yield rig
    await rig.streams.close()


async def test_added_stream_is_found_and_listed_and_runs(rig: Rig) -> None:
    stream = rig.streams.add_camera(camera("door"), keep=True)
    assert rig.streams.get("door") is stream and rig.streams.has("door")
    assert list(rig.streams) == [stream]
    await rig.sources[0].connected()


async def test_unknown_id_is_not_found(rig: Rig) -> None:
    with pytest.raises(NotFound):
        rig.streams.get("nowhere")
    assert not rig.streams.has("nowhere")


async def test_taken_id_is_a_conflict_and_leaves_the_first_alone(rig: Rig) -> None:
    stream = rig.streams.add_camera(camera("door"), keep=True)
    with pytest.raises(Conflict):
        rig.streams.add_camera(camera("door"), keep=True)
    with pytest.raises(Conflict):
        rig.streams.add_peer("door", "whip", FakeSource(), listed=True)
    assert list(rig.streams) == [stream]


async def test_there_are_no_more_streams_than_allowed(rig: Rig) -> None:
    for number in range(4):
        rig.streams.add_camera(camera(f"camera-{number}"), keep=False)
    with pytest.raises(LimitReached):
        rig.streams.add_camera(camera("one-more"), keep=False)
    await rig.streams.remove(rig.streams.get("camera-0"))
    rig.streams.add_camera(camera("one-more"), keep=False)


async def test_camera_with_an_unusable_address_is_not_added(rig: Rig) -> None:
    config = StreamConfig(id="door", source=RtspSource(url="file:///etc/passwd"))
    with pytest.raises(InvalidRequest):
        rig.streams.add_camera(config, keep=True)
    assert not rig.streams.has("door")


async def test_removed_stream_is_gone_with_all_its_threads_and_tasks(rig: Rig) -> None:
    stream = rig.streams.add_camera(camera("door"), keep=True)
    await rig.sources[0].connected()
    await rig.streams.remove(stream)
    await rig.streams.remove(stream)
    assert not rig.streams.has("door")
    assert rig.sources[0].open_connections == 0
    assert stream.session.status.state is StreamState.ENDED
    assert not [thread for thread in threading.enumerate() if thread.name == "pose-door"]


async def test_removing_a_stream_spares_its_successor_of_the_same_name(rig: Rig) -> None:
    first = rig.streams.add_camera(camera("door"), keep=False)
    await rig.streams.remove(first)
    second = rig.streams.add_camera(camera("door"), keep=False)
    await rig.streams.remove(first)
    assert rig.streams.get("door") is second


async def test_stream_whose_source_is_over_removes_itself(rig: Rig) -> None:
    source, sink = FakeSource(), RecordingSink()
    stream = rig.streams.add_peer(new_stream_id(), "webcam", source, listed=False)
    stream.session.subscribe(sink)
    await source.connected()
    source.put(make_frame())
    source.end(SourceEnded("the camera has left"))
    await sink.state_comes(StreamState.ENDED)
    await asyncio.sleep(0)  # the removal is on the loop already
    assert not rig.streams.has(stream.id)
    await rig.streams.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pose-")]


async def test_stream_has_its_own_pose_options_or_the_servers(rig: Rig) -> None:
    own = PoseConfig(num_poses=3)
    assert rig.streams.add_camera(camera("a", own), keep=False).pose == own
    assert rig.streams.add_camera(camera("b"), keep=False).pose == DEFAULT
    assert rig.poses == [own, DEFAULT]


async def test_changed_options_make_a_new_estimator_and_are_remembered(rig: Rig) -> None:
    stream = rig.streams.add_camera(camera("door"), keep=True)
    changed = PoseConfig(num_poses=2)
    rig.streams.set_pose(stream, changed)
    await rig.streams.close()
    assert stream.pose == changed and rig.poses[-1] == changed
    (config,) = StateFile(rig.file).load()
    assert config.pose == changed


async def test_changed_overlay_paints_the_next_frame_of_the_same_connection_and_is_remembered(
    rig: Rig,
) -> None:
    stream = rig.streams.add_camera(camera("door"), keep=True)
    screen = RecordingScreen()
    stream.session.screens.add(screen)
    ((_, first),) = rig.painters
    await rig.sources[0].connected()
    rig.sources[0].put(make_frame(0))
    await screen.until(lambda: len(first.annotated) == 1 and not screen.pictures[-1].is_notice)
    dots = OverlayConfig(style="landmarks")
    rig.streams.set_overlay(stream, dots)
    overlay, second = rig.painters[-1]
    rig.sources[0].put(make_frame(3000))
    await screen.until(lambda: len(second.annotated) == 1 and len(screen.pictures) > 1)
    assert overlay == stream.overlay == dots
    assert len(first.annotated) == 1
    assert rig.sources[0].runs == 1
    await rig.streams.close()
    (config,) = StateFile(rig.file).load()
    assert config.overlay == dots


async def test_options_that_can_not_be_had_change_nothing(rig: Rig) -> None:
    stream = rig.streams.add_camera(camera("door"), keep=True)
    with pytest.raises(ModelError):
        rig.streams.set_pose(stream, HEAVY)
    assert stream.pose == DEFAULT


async def test_the_model_that_hiding_people_needs_is_asked_for_before_a_stream_begins(
    rig: Rig,
) -> None:
    hidden = camera("door").model_copy(update={"privacy": PrivacyConfig(mode="silhouette")})
    rig.streams.add_camera(hidden, keep=False)
    assert rig.poses[-1].enable_segmentation


# -- what is remembered -----------------------------------------------------------------------------


async def test_kept_streams_come_back_after_a_restart(rig: Rig) -> None:
    for name in ("a", "b", "c"):
        rig.streams.add_camera(camera(name), keep=True)
    await rig.streams.remove(rig.streams.get("b"))
    await rig.streams.close()
    assert rig.saved() == ["a", "c"]
    rig.streams = rig.make()
    await rig.streams.load_kept()
    assert [stream.id for stream in rig.streams] == ["a", "c"]


async def test_streams_of_the_configuration_and_of_peers_are_not_remembered(rig: Rig) -> None:
    rig.streams.add_camera(camera("kept"), keep=True)
    rig.streams.add_camera(camera("configured"), keep=False)
    rig.streams.add_peer("peer", "whip", FakeSource(), listed=True)
    await rig.streams.close()
    assert rig.saved() == ["kept"]


async def test_nothing_is_written_for_streams_that_are_not_remembered(rig: Rig) -> None:
    stream = rig.streams.add_peer("peer", "whip", FakeSource(), listed=True)
    await rig.streams.remove(stream)
    await rig.streams.close()
    assert not rig.file.exists()


async def test_configured_stream_goes_before_a_remembered_one_of_the_same_name(rig: Rig) -> None:
    StateFile(rig.file).save([camera("door", PoseConfig(num_poses=5)), camera("yard")])
    rig.streams.add_camera(camera("door"), keep=False)
    await rig.streams.load_kept()
    assert rig.streams.get("door").pose == DEFAULT
    assert rig.streams.has("yard")


async def test_remembered_camera_that_can_not_start_stops_nobody_and_stays_remembered(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    StateFile(rig.file).save([camera("heavy", HEAVY), camera("yard")])
    await rig.streams.load_kept()
    assert [stream.id for stream in rig.streams] == ["yard"]
    assert "heavy" in caplog.text and "not on this machine" in caplog.text
    rig.streams.add_camera(camera("new"), keep=True)
    await rig.streams.close()
    assert sorted(rig.saved()) == ["heavy", "new", "yard"]


async def test_starting_the_remembered_cameras_does_not_write_the_file(rig: Rig) -> None:
    StateFile(rig.file).save([camera("a"), camera("b")])
    before = rig.file.stat()
    await rig.streams.load_kept()
    await rig.streams.close()
    assert rig.file.stat().st_ino == before.st_ino  # every save makes a new file
    assert rig.saved() == ["a", "b"]


async def test_camera_that_was_unlisted_stays_so_over_a_restart(rig: Rig) -> None:
    rig.streams.set_listed(rig.streams.add_camera(camera("door"), keep=True), False)
    await rig.streams.close()
    rig.streams = rig.make()
    await rig.streams.load_kept()
    assert not rig.streams.get("door").listed


async def test_last_of_many_quick_changes_is_the_one_remembered(rig: Rig) -> None:
    stream = rig.streams.add_camera(camera("door"), keep=True)
    for number in range(1, 9):
        rig.streams.set_pose(stream, PoseConfig(num_poses=number))
    await rig.streams.close()
    (config,) = StateFile(rig.file).load()
    assert config.pose is not None and config.pose.num_poses == 8


# -- ids and messages -------------------------------------------------------------------------------


def test_ids_of_unlisted_streams_have_128_bits() -> None:
    ids = {new_stream_id() for _ in range(100)}
    assert len(ids) == 100
    assert {len(each) for each in ids} == {32}
    StreamConfig(id=ids.pop(), source=RtspSource(url="rtsp://h/"))  # and are ids


async def test_listener_hears_the_state_then_one_message_per_frame(rig: Rig) -> None:
    source = FakeSource()
    stream = rig.streams.add_peer("peer", "whip", source, listed=True)
    listener = RecordingListener()
    sink = RecordingSink()
    stream.feed.listen(listener)
    stream.session.subscribe(sink)
    await source.connected()
    for number in range(3):
        source.put(make_frame(number * 3000))
        await sink.results_come(number + 1)
    kinds = [message.split('"')[3] for message in map(str, listener.all)]
    assert kinds == ["state", "state", "pose", "pose", "pose"]
    stream.feed.leave(listener)
    stream.feed.leave(listener)
    count = len(listener.all)
    source.put(make_frame(9000))
    await sink.results_come(4)
    await asyncio.sleep(0)
    assert len(listener.all) == count


async def test_an_output_whose_address_can_not_be_keeps_its_stream_from_starting(rig: Rig) -> None:
    config = camera("door").model_copy(update={"output": OutputConfig(url="http://10.0.0.2/x")})
    with pytest.raises(InvalidRequest):
        rig.streams.add_camera(config, keep=True)
    assert list(rig.streams) == []
    assert rig.saved() == []


async def test_of_two_outputs_set_at_once_the_later_one_counts(rig: Rig) -> None:
    stream = rig.streams.add_camera(camera("door"), keep=False)
    urls = [f"rtsp://127.0.0.1:9/{number}" for number in range(3)]
    await asyncio.gather(*(rig.streams.set_output(stream, OutputConfig(url=url)) for url in urls))
    assert stream.output is not None
    assert stream.output.config.url == urls[-1]
    running = {task.get_name() for task in asyncio.all_tasks()}
    assert "output-door" in running
    await rig.streams.set_output(stream, None)
    assert "output-door" not in {task.get_name() for task in asyncio.all_tasks()}
