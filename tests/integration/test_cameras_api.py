"""What a program sees of files, USB cameras and cameras in the network."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from streamer.config import Config, FilesConfig, OnvifConfig, ServerConfig
from tests.fakes import PATIENCE_S
from tests.in_process import Http, Service, serving
from tests.rigs.clips import Clips
from tests.rigs.onvif import OnvifCamera
from tests.rigs.server import StreamerServer
from tests.unit.test_usb import add_node

TOKEN = "a-s3cret-of-16-chars"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[Http]:
    onvif = OnvifConfig(search_s=2.0, interfaces=["127.0.0.1"])
    (tmp_path / "clips").mkdir()
    config = Config(onvif=onvif, files=FilesConfig(folders=[str(tmp_path / "clips")]))
    async with serving(Service(tmp_path, config=config)) as http:
        yield http


async def test_devices_are_listed(http: Http, tmp_path: Path) -> None:
    assert await (await http.get("/api/v1/devices")).json() == []
    add_node(tmp_path / "sys", "video0", "Desk camera")
    assert await (await http.get("/api/v1/devices")).json() == [
        {"device": "/dev/video0", "name": "Desk camera"}
    ]


async def test_driver_that_hangs_is_told_of(tmp_path: Path) -> None:
    service = Service(tmp_path)

    async def hang() -> list[dict[str, str]]:
        raise TimeoutError

    service.services.devices = hang
    async with serving(service) as http, http.get("/api/v1/devices") as response:
        assert response.status == 502
        assert "plug it in anew" in (await response.json(content_type=None))["detail"]


async def test_camera_is_found_and_asked(http: Http) -> None:
    with OnvifCamera("rtsp://127.0.0.1:8554/cam", user="admin", password="s3cret") as camera:
        (found,) = await (await http.post("/api/v1/discover")).json()
        assert found["xaddr"] == camera.xaddr
        assert set(found) == {"name", "address", "xaddr", "scopes"}
        body = {"address": found["xaddr"], "username": "admin", "password": "s3cret"}
        response = await http.post("/api/v1/discover/streams", json=body)
        main, _ = await response.json()
    assert main == {
        "name": "Main stream",
        "url": "rtsp://127.0.0.1:8554/cam",
        "codec": "h264",
        "width": 640,
        "height": 480,
        "fps": 30,
    }


async def test_second_search_at_a_time_is_told_to_wait(http: Http) -> None:
    first, second = await asyncio.gather(
        http.post("/api/v1/discover"), http.post("/api/v1/discover")
    )
    assert sorted([first.status, second.status]) == [200, 503]


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (
            {"address": "127.0.0.1:9", "username": "u", "password": "s3cret"},
            502,
            "source-unreachable",
        ),
        ({"address": "198.51.100.1", "password": "s3cret"}, 403, "address-not-allowed"),
        ({"address": "http://u:s3cret@127.0.0.1/"}, 400, "invalid-request"),
        ({"address": 5}, 400, "invalid-request"),
        ({"xaddr": "127.0.0.1"}, 400, "invalid-request"),
        ({}, 400, "invalid-request"),
    ],
)
async def test_what_is_wrong_with_a_camera_is_a_problem(
    http: Http, body: dict[str, Any], status: int, kind: str
) -> None:
    response = await http.post("/api/v1/discover/streams", json=body)
    text = await response.text()
    assert response.status == status, text
    assert json.loads(text)["type"] == f"urn:streamer:problem:{kind}"
    assert "s3cret" not in text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/devices"),
        ("POST", "/api/v1/discover"),
        ("POST", "/api/v1/discover/streams"),
    ],
)
async def test_nobody_without_the_token_and_no_foreign_page_may_search(
    tmp_path: Path, method: str, path: str
) -> None:
    async with serving(Service(tmp_path, server=ServerConfig(token=TOKEN))) as http:
        assert (await http.request(method, path, json={})).status == 401
        if method == "POST":
            headers = BEARER | {"Origin": "http://evil.example"}
            assert (await http.request(method, path, json={}, headers=headers)).status == 403


async def test_file_outside_the_folders_can_not_be_added(http: Http, tmp_path: Path) -> None:
    for path in ("../streams.json", "/etc/passwd", str(tmp_path)):
        source = {"type": "file", "path": path}
        response = await http.post("/api/v1/streams", json={"source": source})
        text = await response.text()
        assert response.status == 403, text
        assert "[files]" in text and str(tmp_path) not in text


async def test_sources_are_shown_and_remembered_with_their_type(http: Http, tmp_path: Path) -> None:
    for id_, source in {
        "clip": {"type": "file", "path": str(tmp_path / "clips" / "a" / "b.mp4")},
        "desk": {"type": "usb", "device": "/dev/video0", "size": "640x480"},
        "door": {"url": "rtsp://u:s3cret@127.0.0.1:9/a"},
    }.items():
        response = await http.post("/api/v1/streams", json={"id": id_, "source": source})
        assert response.status == 201, await response.text()
    shown = {
        each["id"]: each["source"] for each in await (await http.get("/api/v1/streams")).json()
    }
    assert shown == {
        "clip": {"type": "file", "path": "a/b.mp4"},
        "desk": {"type": "usb", "device": "/dev/video0"},
        "door": {"type": "rtsp", "url": "rtsp://127.0.0.1:9/a"},
    }


@pytest.mark.e2e
async def test_file_is_a_live_stream_and_one_that_does_not_loop_ends(
    server: Callable[..., StreamerServer], clips: Clips
) -> None:
    running = server(f'[files]\nfolders = ["{clips.person.parent}"]\n')

    async def state(http: aiohttp.ClientSession, stream_id: str) -> dict[str, Any]:
        async with http.get(f"/api/v1/streams/{stream_id}") as response:
            shown: dict[str, Any] = await response.json()
            return shown if response.status == 200 else {"state": response.status}

    async with aiohttp.ClientSession(running.url) as http, asyncio.timeout(2 * PATIENCE_S):
        for id_, loop in (("loop", True), ("once", False)):
            source = {"type": "file", "path": clips.person.name, "loop": loop}
            async with http.post("/api/v1/streams", json={"id": id_, "source": source}) as response:
                assert response.status == 201, await response.text()
        while not (await state(http, "loop")).get("people"):  # noqa: ASYNC110 - the server's event
            await asyncio.sleep(0.1)
        while (await state(http, "once"))["state"] != 404:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        looping = await state(http, "loop")
    assert looping["state"] == "live"
    assert looping["source"] == {"type": "file", "path": clips.person.name}
    assert looping["stats"]["reconnects"] == 0
