"""A service that ends: whoever is there is told, whoever comes is asked to come later, and nobody hears that
a stream is over that will be back."""

import asyncio
import json
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp.web import Application

from streamer.app import drain
from streamer.config import Config, RtspSource, StreamConfig
from streamer.log_writer import stderr
from streamer.model import StreamState
from streamer.reloading import Reload, later
from streamer.server import figures, health
from streamer.server.health import CHECKS, CHECKS_HOLD_S, Checks, Reason
from tests.fakes import PATIENCE_S, FakeClock, make_frame
from tests.in_process import Http, Service, WebcamPeer
from tests.rigs.logs import logging_kept

CAMERA = {"id": "door", "source": {"type": "rtsp", "url": "rtsp://10.0.0.1/a"}}


async def add(http: Http, service: Service) -> None:
    assert (await http.post("/api/v1/streams", json=CAMERA)).status == 201
    await service.cameras[0].connected()


def app_of(http: Http) -> Application:
    assert http.app is not None
    return http.app


# -- readiness --------------------------------------------------------------------------------------


async def test_server_that_starts_says_so_and_takes_no_work(http: Http, service: Service) -> None:
    service.services.ready = False
    ready = await http.get("/readyz")
    assert ready.status == 503
    assert (await ready.json())["reasons"] == [
        {"reason": "starting", "detail": "The server is starting."}
    ]
    refused = await http.post("/api/v1/streams", json=CAMERA)
    assert (refused.status, (await refused.json())["type"]) == (
        503,
        "urn:streamer:problem:starting",
    )


async def test_server_that_lacks_something_is_not_ready_but_goes_on(
    http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    trouble: list[Reason | None] = [Reason("state-not-writable", "The disk is full.")]
    checks = Checks([lambda: trouble[0]], clock)
    monkeypatch.setattr(app_of(http)[CHECKS], "reasons", checks.reasons)
    answer = await http.get("/readyz")
    assert answer.status == 503
    assert (await answer.json()) == {
        "ready": False,
        "reasons": [{"reason": "state-not-writable", "detail": "The disk is full."}],
    }
    assert (await http.get("/api/v1/streams")).status == 200
    trouble[0] = None
    assert (await http.get("/readyz")).status == 503  # it was looked at a moment ago
    clock.now_s += CHECKS_HOLD_S
    assert (await http.get("/readyz")).status == 200


async def test_server_whose_disk_hangs_says_so_and_answers_those_who_ask(
    http: Http, service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    goes_on = threading.Event()
    looks: list[str] = []

    def hang(*_: object) -> None:
        looks.append(threading.current_thread().name)
        assert goes_on.wait(PATIENCE_S)

    service.services.state_folder = tmp_path
    monkeypatch.setattr(health, "LOOK_S", 0.01)
    monkeypatch.setattr(figures, "MACHINE_S", 0.01)
    monkeypatch.setattr(shutil, "disk_usage", hang)
    monkeypatch.setattr(app_of(http)[CHECKS], "reasons", Checks([hang]).reasons)
    for _ in range(20):
        ready = await http.get("/readyz")
        assert [each["reason"] for each in (await ready.json())["reasons"]] == ["checks-hang"]
        told = await (await http.get("/metrics")).text()
        assert "streamer_ready 0.0" in told and "streamer_state_free_bytes" not in told
    goes_on.set()
    assert sorted(looks) == ["checks", "machine"]


# -- draining ---------------------------------------------------------------------------------------

NEW_WORK = [
    ("POST", "/webcam"),
    ("POST", "/whip"),
    ("POST", "/whep/door"),
    ("POST", "/api/v1/streams"),
    ("POST", "/api/v1/images"),
    ("POST", "/upload"),
    ("GET", "/api/v1/streams/door/landmarks"),
    ("GET", "/api/v1/streams/door/mjpeg"),
    ("GET", "/api/v1/streams/door/snapshot.jpg"),
    ("GET", "/"),
]


async def test_new_work_is_asked_to_come_later(http: Http, service: Service) -> None:
    await drain(service.services)
    for method, path in NEW_WORK:
        answer = await http.request(method, path)
        assert answer.status == 503, path
        assert int(answer.headers["Retry-After"]) > 0
        assert (await answer.json())["type"] == "urn:streamer:problem:shutting-down"


async def test_what_ends_something_and_what_tells_of_the_service_still_works(
    http: Http, service: Service
) -> None:
    await add(http, service)
    await drain(service.services)
    assert (await http.delete("/api/v1/streams/door")).status == 204
    assert (await http.get("/healthz")).status == 200
    assert "streamer_ready 0.0" in await (await http.get("/metrics")).text()
    assert [each["reason"] for each in (await (await http.get("/readyz")).json())["reasons"]] == [
        "shutting-down"
    ]


async def _messages(websocket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[dict[str, object]]:
    async for message in websocket:
        yield json.loads(message.data)


async def test_readers_are_told_that_the_server_goes_not_that_the_stream_is_over(
    http: Http, service: Service
) -> None:
    await add(http, service)
    async with http.ws_connect("/api/v1/streams/door/landmarks") as websocket:
        service.cameras[0].put(make_frame())
        said = []
        async with asyncio.timeout(PATIENCE_S):
            async for message in _messages(websocket):
                said.append(message)
                if message["type"] == "pose":
                    break
            await drain(service.services)
            closing = asyncio.create_task(service.streams.close())
            said += [message async for message in _messages(websocket)]
            await closing
        states = [message for message in said if message["type"] == "state"]
        assert states[-1] == {
            "type": "state",
            "v": 1,
            "stream": "door",
            "state": "reconnecting",
            "detail": "The server is shutting down; this goes on when it is back.",
            "error": "shutting-down",
            "retry_in_s": 3.0,
        }
        assert "ended" not in [message["state"] for message in states]


async def test_peers_are_told_the_same_before_their_connection_is_closed(
    http: Http, service: Service
) -> None:
    peer = WebcamPeer()
    await peer.join(http)
    await peer.plays(poses=1)
    await drain(service.services)
    await asyncio.gather(service.peers.close(), service.streams.close())
    async with asyncio.timeout(PATIENCE_S):
        while not [each for each in peer.messages if each.get("error") == "shutting-down"]:
            peer.news.clear()
            await peer.news.wait()
    assert "ended" not in [each.get("state") for each in peer.messages]
    await peer.close()


async def test_stream_that_comes_in_the_last_moment_is_refused(
    http: Http, service: Service
) -> None:
    await service.streams.close()
    answer = await http.post("/api/v1/streams", json=CAMERA)
    assert (answer.status, len(list(service.streams))) == (503, 0)


# -- reading the configuration again ----------------------------------------------------------------


def stream(stream_id: str, path: str = "a") -> StreamConfig:
    return StreamConfig(id=stream_id, source=RtspSource(url=f"rtsp://127.0.0.1:9/{path}"))


def config(**sections: object) -> Config:
    return Config.model_validate(sections)


async def test_reload_changes_streams_and_limits_and_leaves_the_others_alone(
    http: Http, service: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    before = config(streams=[stream("stays"), stream("goes"), stream("changes")])
    for each in before.streams:
        service.streams.add_camera(each, keep=False)
    service.streams.add_camera(stream("added-through-the-api"), keep=True)
    untouched = service.streams.get("stays").session
    after = config(
        server={"max_streams": 5, "allowed_hosts": ["pose.lan"], "log_level": "warning"},
        webrtc={"max_peers": 7},
        pose={"num_poses": 3},
        streams=[stream("stays"), stream("changes", "b"), stream("new")],
    )
    with logging_kept():
        await Reload(before, lambda: after, app_of(http))()
    there = {each.id for each in service.streams}
    assert there == {"stays", "changes", "new", "added-through-the-api"}
    assert service.streams.get("stays").session is untouched
    assert service.streams.get("changes").shown["url"].endswith("/b")
    assert (service.streams.max_streams, service.peers.max_peers) == (5, 7)
    assert (await http.get("/healthz", headers={"Host": "pose.lan"})).status == 200
    assert stderr.flush(PATIENCE_S)
    assert "need a restart to take effect: [pose] num_poses" in capfd.readouterr().err


async def test_broken_configuration_changes_nothing(
    http: Http, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    from streamer.errors import ConfigError

    before = config(streams=[stream("stays")])
    service.streams.add_camera(before.streams[0], keep=False)

    def broken() -> Config:
        raise ConfigError("my.toml: not valid TOML")

    await Reload(before, broken, app_of(http))()
    assert [each.id for each in service.streams] == ["stays"]
    assert service.streams.get("stays").session.status.state is not StreamState.ENDED
    assert "stays as it was" in caplog.text and "not valid TOML" in caplog.text


def test_what_waits_for_a_restart_is_named() -> None:
    after = config(server={"port": 9, "max_streams": 3}, rtsp={"transport": "udp"})
    assert later(Config(), after) == ["[server] port", "[rtsp] transport"]
    assert later(after, after) == []
