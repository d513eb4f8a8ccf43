"""GET /metrics, read as Prometheus reads it: true counts, and no id that only its owner may know."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamer.config import RtspSource, ServerConfig, StreamConfig
from streamer.model import StreamState
from streamer.stream import Stream
from streamer.streams import new_stream_id
from tests.fakes import FakeSource, RecordingSink, make_frame
from tests.in_process import Http, Service, WebcamPeer, serving

TOKEN = "0123456789-s3cret-token"
COUNTERS = ("frames_received_total", "frames_total", "reconnects_total")


class Scrape:
    """What one answer says."""

    def __init__(self, text: str) -> None:
        families = list(text_string_to_metric_families(text))
        self.types = {family.name: family.type for family in families}
        self.samples = [sample for family in families for sample in family.samples]
        series = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in self.samples]
        assert len(series) == len(set(series)), "a series is there twice: no server takes that"
        self._values = dict(zip(series, (sample.value for sample in self.samples), strict=True))

    def value(self, name: str, **labels: str) -> float | None:
        """Of ``streamer_<name>``; None where there is no such series."""
        return self._values.get((f"streamer_{name}", tuple(sorted(labels.items()))))

    def of_stream(self, name: str, stream: str = "door", **labels: str) -> float | None:
        return self.value(f"stream_{name}", stream=stream, **labels)

    def labels(self, name: str) -> set[str]:
        return {sample.labels[name] for sample in self.samples if name in sample.labels}


class LiveStream:
    """A stream whose frames the test sends and counts."""

    def __init__(self, stream: Stream, source: FakeSource) -> None:
        self.stream, self.source = stream, source
        self._sink = RecordingSink()
        stream.session.subscribe(self._sink)

    async def play(self, frames: int) -> None:
        """One frame after the other, so that none is dropped."""
        for _ in range(frames):
            number = len(self._sink.results)
            self.source.put(make_frame(number * 3000))
            await self._sink.results_come(number + 1)

    async def becomes(self, state: StreamState) -> None:
        await self._sink.state_comes(state)


async def scrape(http: Http) -> Scrape:
    response = await http.get("/metrics")
    text = await response.text()
    assert response.status == 200, text
    return Scrape(text)


async def camera(service: Service, stream_id: str = "door") -> LiveStream:
    config = StreamConfig(id=stream_id, source=RtspSource(type="rtsp", url="rtsp://127.0.0.1:9/a"))
    stream = service.streams.add_camera(config, keep=False)
    await service.cameras[-1].connected()
    return LiveStream(stream, service.cameras[-1])


async def webcam(service: Service) -> LiveStream:
    """An unlisted stream, as the webcam page makes them."""
    source = FakeSource()
    stream = service.streams.add_peer(new_stream_id(), "webcam", source, listed=False)
    await source.connected()
    return LiveStream(stream, source)


# -- the form ---------------------------------------------------------------------------------------


async def test_answer_is_prometheus_text(http: Http) -> None:
    response = await http.get("/metrics")
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert (await response.text()).endswith("\n")


async def test_every_metric_has_the_type_that_its_name_promises(
    http: Http, service: Service
) -> None:
    await (await camera(service)).play(1)
    types = (await scrape(http)).types
    assert {name: kind for name, kind in types.items() if name.startswith("streamer_")} == {
        "streamer_streams": "gauge",
        "streamer_peers": "gauge",
        "streamer_stream_frames_received": "counter",
        "streamer_stream_frames": "counter",
        "streamer_stream_reconnects": "counter",
        "streamer_stream_losses": "counter",
        "streamer_stream_viewers": "gauge",
        "streamer_stream_pose_fps": "gauge",
        "streamer_stream_people": "gauge",
        "streamer_stream_model_complexity": "gauge",
        "streamer_stream_frame_age_seconds": "gauge",
        "streamer_stream_latency_seconds": "summary",
        "streamer_stream_stage_seconds": "histogram",
        "streamer_stream_state": "gauge",
        "streamer_stream_worker_restarts": "counter",
        "streamer_build_info": "gauge",
        "streamer_ready": "gauge",
        "streamer_tasks": "gauge",
        "streamer_threads": "gauge",
        "streamer_heap_bytes": "gauge",
        "streamer_python_blocks": "gauge",
        "streamer_workers": "gauge",
        "streamer_workers_memory_bytes": "gauge",
        "streamer_http_connections": "gauge",
        "streamer_http_connections_ended": "counter",
        "streamer_worker_failures": "counter",
        "streamer_log_lines_left_out": "counter",
        "streamer_http_responses": "counter",
        "streamer_http_refused": "counter",
        "streamer_readers": "gauge",
        "streamer_event_loop_lag_seconds": "histogram",
    }


async def test_process_shows_its_memory_and_cpu_under_the_usual_names(http: Http) -> None:
    figures = {sample.name: sample.value for sample in (await scrape(http)).samples}
    assert figures["process_resident_memory_bytes"] > 10e6
    assert figures["process_cpu_seconds_total"] > 0
    assert figures["process_open_fds"] > 0


async def test_label_of_any_characters_comes_through(http: Http, service: Service) -> None:
    name = 'a "door"\\ of\nmany } , = letters ü'
    service.streams.add_peer(name, "whip", FakeSource(), listed=True).session.note_latency(name, 1)
    figures = await scrape(http)
    assert figures.of_stream("viewers", name) == 0
    assert figures.of_stream("latency_seconds", name, stage=name, quantile="0.5") == 0.001


async def test_same_token_is_needed_as_for_the_api(tmp_path: Path) -> None:
    async with serving(Service(tmp_path, server=ServerConfig(token=TOKEN))) as http:
        refused = await http.get("/metrics")
        assert refused.status == 401 and "streamer_" not in await refused.text()
        granted = await http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert granted.status == 200 and "streamer_streams" in await granted.text()


# -- the figures ------------------------------------------------------------------------------------


async def test_server_without_streams_says_so(http: Http) -> None:
    figures = await scrape(http)
    states = {state.value for state in StreamState}
    assert figures.labels("state") == states
    assert [figures.value("streams", state=state) for state in states] == [0] * len(states)
    assert figures.value("peers") == 0
    assert figures.labels("stream") == {"unlisted"}


async def test_frames_and_people_of_a_camera_are_counted(http: Http, service: Service) -> None:
    door = await camera(service)
    door.stream.viewers = 2
    await door.play(3)
    figures = await scrape(http)
    assert figures.value("streams", state="live") == 1
    assert figures.of_stream("frames_received_total") == 3
    assert figures.of_stream("frames_total", outcome="processed") == 3
    assert figures.of_stream("frames_total", outcome="dropped") == 0
    assert figures.of_stream("people") == 1
    assert figures.of_stream("viewers") == 2
    assert figures.of_stream("pose_fps") == pytest.approx(
        door.stream.session.stats().pose_fps, rel=0.5
    )


async def test_frames_that_newer_ones_replaced_are_counted_as_dropped(
    http: Http, service: Service
) -> None:
    door = await camera(service)
    service.estimators.hold()
    door.source.put(make_frame(0))
    await service.estimators.frames_come(1)
    door.source.put(make_frame(3000), make_frame(6000), make_frame(9000))
    figures = await scrape(http)
    service.estimators.let_go()
    assert figures.of_stream("frames_received_total") == 4
    assert figures.of_stream("frames_total", outcome="dropped") == 2


async def test_times_are_in_seconds(http: Http, service: Service) -> None:
    door = await camera(service)
    sink = RecordingSink()
    door.stream.session.subscribe(sink)
    minute_ago = asyncio.get_running_loop().time() - 60
    door.source.put(make_frame(received_mono=minute_ago))
    await sink.results_come(1)
    for ms in range(100):
        door.stream.session.note_latency("send", ms)
    figures = await scrape(http)
    assert figures.of_stream("frame_age_seconds") == pytest.approx(60, abs=30)
    assert figures.of_stream("latency_seconds", stage="send", quantile="0.5") == 0.05
    assert figures.of_stream("latency_seconds", stage="send", quantile="0.95") == 0.095


async def test_every_stage_that_a_session_times_is_shown(http: Http, service: Service) -> None:
    door = await camera(service)
    await door.play(1)
    door.stream.session.note_latency("a-stage-of-the-future", 1)
    stages = set(door.stream.session.stats().latency_ms)
    assert {"pose", "total", "a-stage-of-the-future"} <= stages
    assert (await scrape(http)).labels("stage") == stages


async def test_camera_that_is_lost_has_no_people_and_its_return_is_counted(
    http: Http, service: Service
) -> None:
    door = await camera(service)
    await door.play(1)
    door.source.end(ConnectionError("a fault that is tried again only after long"))
    await door.becomes(StreamState.FAILED)
    figures = await scrape(http)
    assert figures.value("streams", state="failed") == 1
    assert figures.value("streams", state="live") == 0
    assert figures.of_stream("people") is None
    assert figures.of_stream("frames_received_total") == 1
    meter = door.stream.session._meter
    meter.reconnects, meter.losses = 7, 3
    figures = await scrape(http)
    assert figures.of_stream("reconnects_total") == 7
    assert figures.of_stream("losses_total") == 3


async def test_camera_that_gave_no_frame_yet_has_no_age_and_no_people(
    http: Http, service: Service
) -> None:
    await camera(service)
    figures = await scrape(http)
    assert figures.value("streams", state="connecting") == 1
    assert figures.of_stream("frames_received_total") == 0
    assert figures.of_stream("frame_age_seconds") is None
    assert figures.of_stream("people") is None


async def test_stream_that_is_removed_is_no_longer_shown(http: Http, service: Service) -> None:
    door = await camera(service)
    assert "door" in (await scrape(http)).labels("stream")
    await service.streams.remove(door.stream)
    assert "door" not in (await scrape(http)).labels("stream")


async def test_peers_are_counted_and_a_webcams_id_is_not_told(http: Http) -> None:
    peer = WebcamPeer()
    await peer.join(http)
    await peer.plays(1, 1)
    text = await (await http.get("/metrics")).text()
    figures = Scrape(text)
    assert figures.value("peers") == 1
    assert (figures.of_stream("frames_received_total", "unlisted") or 0) > 0
    assert peer.stream_id not in text and peer.location.rpartition("/")[2] not in text
    await http.delete(peer.location)
    await peer.close()
    assert (await scrape(http)).value("peers") == 0


# -- unlisted streams -------------------------------------------------------------------------------


async def test_unlisted_streams_are_shown_as_one(http: Http, service: Service) -> None:
    first, second = await webcam(service), await webcam(service)
    await first.play(2)
    await second.play(3)
    first.stream.viewers, second.stream.viewers = 1, 4
    first.stream.session.note_latency("send", 10)
    second.stream.session.note_latency("send", 30)
    text = await (await http.get("/metrics")).text()
    figures = Scrape(text)
    assert figures.value("streams", state="live") == 2
    assert figures.labels("stream") == {"unlisted"}
    assert figures.of_stream("frames_received_total", "unlisted") == 5
    assert figures.of_stream("frames_total", "unlisted", outcome="processed") == 5
    assert figures.of_stream("people", "unlisted") == 2
    assert figures.of_stream("viewers", "unlisted") == 5
    assert figures.of_stream("latency_seconds", "unlisted", stage="send", quantile="0.5") == 0.03
    oldest = first.stream.session.stats().frame_age_ms or 0
    assert (figures.of_stream("frame_age_seconds", "unlisted") or 0) <= oldest / 1000
    for each in (first, second):
        assert each.stream.id not in text


async def test_age_of_unlisted_streams_is_that_of_the_oldest(http: Http, service: Service) -> None:
    now = asyncio.get_running_loop().time()
    for age_s in (5, 500, 50):
        one = await webcam(service)
        sink = RecordingSink()
        one.stream.session.subscribe(sink)
        one.source.put(make_frame(received_mono=now - age_s))
        await sink.results_come(1)
    age = (await scrape(http)).of_stream("frame_age_seconds", "unlisted")
    assert age == pytest.approx(500, abs=30)


async def test_counts_of_unlisted_streams_never_fall(http: Http, service: Service) -> None:
    first, second = await webcam(service), await webcam(service)
    await first.play(2)
    await second.play(1)
    assert (await scrape(http)).of_stream("frames_received_total", "unlisted") == 3
    await first.play(4)  # seen by nobody before its end
    await service.streams.remove(first.stream)
    assert (await scrape(http)).of_stream("frames_received_total", "unlisted") == 7
    await service.streams.remove(second.stream)
    figures = await scrape(http)
    assert figures.of_stream("frames_received_total", "unlisted") == 7
    assert figures.of_stream("frames_total", "unlisted", outcome="processed") == 7
    assert figures.of_stream("viewers", "unlisted") == 0
    assert figures.of_stream("frame_age_seconds", "unlisted") is None


async def test_stream_that_becomes_listed_and_unlisted_again_is_counted_once(
    http: Http, service: Service
) -> None:
    door = await camera(service)
    service.streams.set_listed(door.stream, False)
    await door.play(2)
    figures = await scrape(http)
    assert figures.labels("stream") == {"unlisted"}
    assert figures.of_stream("frames_received_total", "unlisted") == 2
    service.streams.set_listed(door.stream, True)
    await door.play(3)
    figures = await scrape(http)
    assert figures.of_stream("frames_received_total", "unlisted") == 2
    assert figures.of_stream("frames_received_total", "door") == 5
    service.streams.set_listed(door.stream, False)
    await door.play(1)
    assert (await scrape(http)).of_stream("frames_received_total", "unlisted") == 3


async def test_stream_that_bears_the_name_unlisted_breaks_nothing(
    http: Http, service: Service
) -> None:
    await (await camera(service, "unlisted")).play(1)
    await (await webcam(service)).play(1)
    assert (await scrape(http)).of_stream("frames_received_total", "unlisted") == 2


async def test_two_readers_at_once_read_the_same(http: Http, service: Service) -> None:
    for _ in range(3):
        await (await webcam(service)).play(2)
    for figures in await asyncio.gather(*(scrape(http) for _ in range(4))):
        assert figures.of_stream("frames_received_total", "unlisted") == 6
