"""The API's description: it names every route, and says what the handlers do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamer.config import ServerConfig
from streamer.errors import SourceRejected
from streamer.model import VideoInfo
from streamer.server.application import make_application
from streamer.server.openapi import make_document, operations
from streamer.server.shapes import Problem, StreamInfo
from tests.fakes import RecordingSink, make_frame
from tests.in_process import Http, Service, serving
from tests.rigs.generated_requests import CONFIG, run
from tests.rigs.server import StreamerServer

CAMERA = {"type": "rtsp", "url": "rtsp://127.0.0.1:9/a"}
PAGES = {"/", "/client.js", "/docs", "/login", "/picture", "/streams/{id}", "/trust", "/webcam"}


async def test_every_route_is_described_but_pages_and_their_files(tmp_path: Path) -> None:
    service = Service(tmp_path)
    app = make_application(service.server_config, service.services)
    silent = {(method, path) for method, path, operation in operations(app) if operation is None}
    assert {path for method, path in silent if method != "get"} == set()
    assert {path for _, path in silent if not path.startswith("/static/")} <= PAGES
    await service.close()


async def test_operations_have_names_of_their_own_and_words(tmp_path: Path) -> None:
    service = Service(tmp_path)
    document = make_document(make_application(service.server_config, service.services))
    every = [each for methods in document["paths"].values() for each in methods.values()]
    assert len({each["operationId"] for each in every}) == len(every) > 15
    assert all(each["summary"] for each in every)
    await service.close()


async def test_operations_say_who_may_and_how_they_show_it(tmp_path: Path) -> None:
    service = Service(tmp_path)
    document = make_document(make_application(service.server_config, service.services))
    schemes = document["components"]["securitySchemes"]
    for path, methods in document["paths"].items():
        for operation in methods.values():
            role, ways = operation["x-role"], operation["security"]
            assert ({} in ways) != (role == "none"), path  # {}: where there is no token
            for name, roles in (each for way in ways for each in way.items()):
                assert name in schemes and roles == [role], path
    assert document["paths"]["/api/v1/probe"]["post"]["x-role"] == "admin"
    assert {"ticket": ["view"]} in document["paths"]["/api/v1/streams/{id}/mjpeg"]["get"][
        "security"
    ]
    await service.close()


async def test_addresses_begin_where_the_sender_sees_the_server(tmp_path: Path) -> None:
    service = Service(tmp_path, server=ServerConfig(base_path="/pose"))
    async with serving(service) as http:
        document = await (await http.get("/pose/api/v1/openapi.json")).json()
    assert document["servers"] == [{"url": "/pose/"}]
    assert "/api/v1/streams" in document["paths"]
    assert not [path for path in document["paths"] if path.startswith("/pose")]


async def show(http: Http) -> dict[str, Any]:
    stream: dict[str, Any] = await (await http.get("/api/v1/streams/door")).json()
    StreamInfo.model_validate(stream)  # no field more, none less
    return stream


async def test_stream_is_as_described_in_each_state(http: Http, service: Service) -> None:
    await http.post("/api/v1/streams", json={"id": "door", "source": CAMERA})
    sink, camera = RecordingSink(), service.cameras[0]
    service.streams.get("door").session.subscribe(sink)
    assert (await show(http))["state"] == "connecting"
    await camera.connected()
    camera.open(VideoInfo(64, 48, "h264"))
    camera.put(make_frame())
    await sink.results_come(1)
    assert (await show(http))["state"] == "live"
    camera.end(SourceRejected("the password is wrong"))
    await sink.until(lambda: sink.statuses[-1].error_kind is not None)
    assert (await show(http))["last_error"]["type"] == "urn:streamer:problem:wrong-credentials"


async def test_problem_is_as_described(http: Http) -> None:
    Problem.model_validate(await (await http.get("/api/v1/streams/nobody")).json())


@pytest.mark.timeout(300)
def test_generated_requests_find_nothing_that_is_not_as_described(
    server: Callable[..., StreamerServer], tmp_path: Path
) -> None:
    found = run(server(CONFIG), tmp_path)
    assert found.code == 0, found.output
