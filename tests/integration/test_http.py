"""The HTTP edge: who is let in, what is refused and in which words, and what never leaves."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientResponse
from yarl import URL

from streamer.app import serve
from streamer.config import (
    Config,
    IceServer,
    LimitsConfig,
    PoseConfig,
    ServerConfig,
    WebRtcConfig,
)
from streamer.errors import ConfigError, ModelError
from streamer.model import StreamState
from tests.fakes import RecordingSink, make_frame
from tests.in_process import SDP, Http, Service, WebcamPeer, serving

SECRET = "hunter2-is-s3cret"
TOKEN = "0123456789-s3cret-token"
CAMERA = {"type": "rtsp", "url": "rtsp://127.0.0.1:9/a"}
JSON = {"Content-Type": "application/json"}
HTML = {"Accept": "text/html,application/xhtml+xml"}
PAGES = ["/", "/webcam", "/picture", "/streams/door", "/login"]


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Http]:
    """A server with an access token."""
    async with serving(Service(tmp_path, server=ServerConfig(token=TOKEN))) as http:
        yield http


def origin(http: Http) -> str:
    return f"http://127.0.0.1:{http.port}"


async def problem(response: ClientResponse, status: int, kind: str) -> str:
    """Checks that the answer is this problem in the form of RFC 9457; its detail."""
    text = await response.text()
    assert response.status == status, text
    assert response.content_type == "application/problem+json"
    body = json.loads(text)
    assert set(body) == {"type", "title", "status", "detail", "request_id"}
    assert body["type"] == f"urn:streamer:problem:{kind}"
    assert body["status"] == status
    assert body["title"] and body["detail"]
    assert body["request_id"] == response.headers["X-Request-Id"]
    assert_says_nothing_of_the_machine(text)
    return str(body["detail"])


def assert_says_nothing_of_the_machine(text: str) -> None:
    for trace in ("Traceback", "site-packages", ".py", str(Path(__file__).parents[2]), SECRET):
        assert trace not in text


async def add(http: Http, stream_id: str = "door", **more: Any) -> ClientResponse:
    return await http.post(
        "/api/v1/streams", json={"id": stream_id, "source": CAMERA | more.pop("source", {}), **more}
    )


# -- host and origin --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "[::2]", "a@b@c:x"]
)
@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/api/v1/streams", "/static/style.css", "/nowhere"]
)
async def test_request_under_a_foreign_name_is_refused(http: Http, host: str, path: str) -> None:
    await problem(await http.get(path, headers={"Host": host}), 421, "unknown-host")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "[::1]"]
)
async def test_request_under_a_name_of_this_machine_passes(http: Http, host: str) -> None:
    assert (await http.get("/healthz", headers={"Host": host})).status == 200


async def test_names_of_the_configuration_are_its_own_too(tmp_path: Path) -> None:
    config = ServerConfig(allowed_hosts=["Pose.LAN"])
    async with serving(Service(tmp_path, server=config)) as http:
        assert (await http.get("/healthz", headers={"Host": "pose.lan:8080"})).status == 200


@pytest.mark.parametrize(("host", "status"), [("192.168.1.5:8080", 200), ("evil.example", 421)])
async def test_server_of_a_network_goes_by_any_address_and_by_no_foreign_name(
    tmp_path: Path, host: str, status: int
) -> None:
    config = ServerConfig(host="0.0.0.0", insecure_lan=True)
    async with serving(Service(tmp_path, server=config)) as http:
        assert (await http.get("/healthz", headers={"Host": host})).status == status


FOREIGN = [
    "http://evil.example",
    "null",
    "http://127.0.0.1",
    "https://127.0.0.1:{port}",
    "http://localhost:{port}",
]


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/streams"),
        ("POST", "/api/v1/probe"),
        ("POST", "/api/v1/login"),
        ("PATCH", "/api/v1/streams/door"),
        ("DELETE", "/api/v1/streams/door"),
        ("POST", "/api/v1/streams/door/restart"),
        ("POST", "/webcam"),
        ("POST", "/whip/door"),
        ("POST", "/whep/door"),
        ("DELETE", "/api/v1/peers/x"),
        ("PUT", "/nowhere"),
    ],
)
async def test_page_of_another_origin_can_change_nothing(
    http: Http, method: str, path: str, foreign: str
) -> None:
    await add(http)
    headers = {"Origin": foreign.format(port=http.port)}
    await problem(await http.request(method, path, headers=headers), 403, "foreign-origin")
    assert (await http.get("/api/v1/streams/door")).status == 200


@pytest.mark.parametrize("foreign", FOREIGN)
async def test_page_of_another_origin_can_open_no_websocket(http: Http, foreign: str) -> None:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "WebSocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Origin": foreign.format(port=http.port),
    }
    response = await http.get("/api/v1/streams/door/landmarks", headers=headers)
    await problem(response, 403, "foreign-origin")


FRIEND = "http://friend.example:8000"


@pytest.fixture
async def friendly(tmp_path: Path) -> AsyncIterator[Http]:
    """A server that names another site, and has a token."""
    config = ServerConfig(allowed_origins=[FRIEND], token=TOKEN)
    async with serving(Service(tmp_path, server=config)) as http:
        yield http


async def test_page_of_a_named_origin_may_ask_and_read(friendly: Http) -> None:
    headers = {"Origin": FRIEND, "Authorization": f"Bearer {TOKEN}"}
    response = await friendly.post("/api/v1/streams", json={"source": CAMERA}, headers=headers)
    assert response.status == 201
    assert response.headers["Access-Control-Allow-Origin"] == FRIEND
    assert "Location" in response.headers["Access-Control-Expose-Headers"]
    module = await friendly.get("/client.js", headers={"Origin": FRIEND})
    assert module.status == 200 and module.headers["Access-Control-Allow-Origin"] == FRIEND
    assert module.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


async def test_page_of_a_named_origin_needs_the_token_too(friendly: Http) -> None:
    response = await friendly.get("/api/v1/streams", headers={"Origin": FRIEND})
    await problem(response, 401, "token-needed")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": FRIEND}, 204),
        ({"Origin": "http://evil.example"}, 401),
        ({"Origin": FRIEND, "Host": "evil.example"}, 421),
    ],
)
async def test_browser_may_ask_first_for_a_named_origin_only(
    friendly: Http, headers: dict[str, str], status: int
) -> None:
    headers |= {"Access-Control-Request-Method": "POST"}
    response = await friendly.options("/api/v1/streams", headers=headers)
    assert response.status == status
    assert ("Access-Control-Allow-Methods" in response.headers) is (status == 204)


async def test_others_are_told_nothing_of_the_named_origin(friendly: Http) -> None:
    for origin in ("http://evil.example", f"{FRIEND}.evil.example", "null"):
        response = await friendly.get("/client.js", headers={"Origin": origin})
        assert not [name for name in response.headers if name.startswith("Access-Control")]


async def test_own_page_may_change_things(http: Http) -> None:
    headers = {"Origin": origin(http)}
    response = await http.post("/api/v1/streams", json={"source": CAMERA}, headers=headers)
    assert response.status == 201


async def test_program_without_an_origin_may_change_things(http: Http) -> None:
    assert (await add(http)).status == 201


# -- bodies -----------------------------------------------------------------------------------------

MUTATIONS = ["/api/v1/streams", "/api/v1/probe", "/api/v1/login"]


@pytest.mark.parametrize("path", [*MUTATIONS, "/webcam", "/whip", "/whip/door", "/whep/door"])
@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"]
)
async def test_body_of_another_type_is_refused(http: Http, path: str, content_type: str) -> None:
    response = await http.post(path, data=b"{}", headers={"Content-Type": content_type})
    await problem(response, 415, "unsupported-media-type")


@pytest.mark.parametrize("path", MUTATIONS)
@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 60_000, b'{"a": 1e', b"9" * 5000])
async def test_malformed_json_is_refused(http: Http, path: str, body: bytes) -> None:
    response = await http.post(path, data=body, headers=JSON)
    kind = (await response.json())["type"].rpartition(":")[2]
    assert kind in ("bad-request", "invalid-request", "wrong-token")
    await problem(response, 401 if kind == "wrong-token" else 400, kind)


@pytest.mark.parametrize("body", [None, 1, "text", [], [CAMERA], True])
async def test_json_that_is_no_object_is_refused(http: Http, body: object) -> None:
    response = await http.post("/api/v1/streams", data=json.dumps(body), headers=JSON)
    await problem(response, 400, "invalid-request")


async def test_body_that_is_too_large_is_refused(http: Http) -> None:
    big = b'{"x": "' + b"y" * LimitsConfig().max_json_bytes + b'"}'
    response = await http.post("/api/v1/streams", data=big, headers=JSON)
    await problem(response, 413, "request-entity-too-large")
    response = await http.post(
        "/webcam", data=b"v" * (LimitsConfig().max_sdp_bytes + 1), headers=SDP
    )
    await problem(response, 413, "request-entity-too-large")


async def test_body_that_grows_without_end_is_refused(http: Http) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"v" * 1000

    try:
        response = await http.post("/webcam", data=chunks(), headers=SDP)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        return  # it hung up while we were still sending
    await problem(response, 413, "request-entity-too-large")


# -- streams ----------------------------------------------------------------------------------------


async def test_stream_is_made_shown_listed_changed_and_removed(http: Http) -> None:
    created = await add(http, pose={"num_poses": 2})
    assert created.status == 201
    assert created.headers["Location"] == "/api/v1/streams/door"
    stream = await (await http.get("/api/v1/streams/door")).json()
    assert stream["id"] == "door" and stream["state"] == "connecting" and stream["listed"]
    assert stream["source"] == CAMERA
    assert stream["pose"]["num_poses"] == 2 and stream["pose"]["model_complexity"] == 1
    listed = await (await http.get("/api/v1/streams")).json()
    assert [each["id"] for each in listed] == ["door"]
    patch = {"pose": {"smooth_landmarks": False}, "listed": False}
    changed = await (await http.patch("/api/v1/streams/door", json=patch)).json()
    assert changed["pose"]["smooth_landmarks"] is False and changed["pose"]["num_poses"] == 2
    assert await (await http.get("/api/v1/streams")).json() == []
    usual = {
        "style": "skeleton",
        "side_colours": True,
        "line_width": 0.0,
        "angles": False,
        "ids": False,
    }
    usual |= {"confidence": False, "trails": False}
    assert changed["overlay"] == usual
    patch = {"overlay": {"style": "none", "trails": True}}
    changed = await (await http.patch("/api/v1/streams/door", json=patch)).json()
    assert changed["overlay"] == usual | {"style": "none", "trails": True}
    assert (await http.delete("/api/v1/streams/door")).status == 204
    await problem(await http.get("/api/v1/streams/door"), 404, "not-found")


async def test_live_stream_shows_its_figures(http: Http, service: Service) -> None:
    await add(http)
    sink = RecordingSink()
    service.streams.get("door").session.subscribe(sink)
    await service.cameras[0].connected()
    for number in range(3):
        service.cameras[0].put(make_frame(number * 3000))
        await sink.results_come(number + 1)
    stream = await (await http.get("/api/v1/streams/door")).json()
    assert stream["state"] == "live" and stream["people"] == 1 and stream["last_error"] is None
    stats = stream["stats"]
    counts = [stats[f"frames_{name}"] for name in ("in", "processed", "dropped")]
    assert counts == [3, 3, 0]
    assert set(stats["latency_ms"]) == {"decode", "queue", "pose", "draw", "total"}
    assert set(stats["latency_ms"]["pose"]) == {"p50", "p95"}


async def test_stream_without_an_id_gets_a_free_one(http: Http) -> None:
    for number in (1, 2):
        response = await http.post("/api/v1/streams", json={"source": CAMERA})
        assert response.headers["Location"] == f"/api/v1/streams/camera-{number}"


async def test_taken_id_is_a_conflict(http: Http) -> None:
    await add(http)
    await problem(await add(http), 409, "conflict")


BAD_IDS = ["", "Door", "a b", "a/b", "..", "a" * 65, "tür", "door\n", "<b>", "a_b"]


@pytest.mark.parametrize("stream_id", BAD_IDS)
async def test_id_that_is_none_is_refused(http: Http, stream_id: str) -> None:
    await problem(await add(http, stream_id), 400, "invalid-request")


@pytest.mark.parametrize("stream_id", ["Door", "a%20b", "a" * 65, "t%C3%BCr", "door%0A", "%3Cb%3E"])
async def test_publisher_can_not_make_a_stream_whose_id_is_none(
    http: Http, service: Service, stream_id: str
) -> None:
    peer = WebcamPeer()
    response = await http.post(f"/whip/{stream_id}", data=await peer.offer(), headers=SDP)
    await problem(response, 400, "invalid-request")
    assert list(service.streams) == []
    await peer.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/streams/nowhere"),
        ("PATCH", "/api/v1/streams/nowhere"),
        ("DELETE", "/api/v1/streams/nowhere"),
        ("POST", "/api/v1/streams/nowhere/restart"),
        ("GET", "/api/v1/peers/nowhere"),
        ("PATCH", "/api/v1/peers/nowhere"),
        ("DELETE", "/api/v1/peers/nowhere"),
        ("GET", "/nowhere"),
        ("GET", "/static/nowhere.js"),
        ("GET", "/static/../pyproject.toml"),
        ("GET", "/static/%2e%2e/pyproject.toml"),
        ("GET", "/static/..%2fpyproject.toml"),
    ],
)
async def test_what_is_not_there_is_not_found(http: Http, method: str, path: str) -> None:
    await problem(await http.request(method, path), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v1/streams", "GET,HEAD,POST"),
        ("PUT", "/api/v1/streams/door", "DELETE,GET,HEAD,PATCH"),
        ("GET", "/api/v1/probe", "POST"),
        ("PUT", "/whip", "GET,HEAD,OPTIONS,POST"),
        ("PATCH", "/whip/door", "GET,HEAD,OPTIONS,POST"),
        ("DELETE", "/whep/door", "GET,HEAD,OPTIONS,POST"),
        ("POST", "/", "GET,HEAD"),
        ("POST", "/api/v1/peers/x", "DELETE,GET,HEAD,OPTIONS,PATCH"),
    ],
)
async def test_wrong_method_is_told_with_the_right_ones(
    http: Http, method: str, path: str, allowed: str
) -> None:
    response = await http.request(method, path)
    assert response.headers["Allow"] == allowed
    await problem(response, 405, "method-not-allowed")


@pytest.mark.parametrize(
    "body",
    [
        {"source": CAMERA, "colour": "red"},
        {"source": CAMERA | {"uri": "x"}},
        {"source": {"type": "file", "path": ""}},
        {"source": {"type": "file", "path": "a\0b"}},
        {"source": {"type": "usb", "device": "/dev/sda"}},
        {"source": {"type": "usb", "device": "/dev/video0/../sda"}},
        {"source": {"type": "smoke-signals"}},
        {"source": {"type": "rtsp"}},
        {"source": CAMERA, "pose": {"num_poses": 0}},
        {"source": CAMERA, "pose": {"num_poses": "2"}},
        {"source": CAMERA, "pose": {"poses": 2}},
        {"source": CAMERA, "pose": {"model_complexity": True}},
        {"source": CAMERA, "overlay": {"style": "bones"}},
        {"source": CAMERA | {"url": "rtsp://h/" + "x" * 3000}},
        {"source": CAMERA | {"username": "\ud800"}},
        {"id": 5, "source": CAMERA},
        {},
    ],
)
async def test_wrong_keys_and_values_are_named(http: Http, body: Mapping[str, Any]) -> None:
    detail = await problem(await http.post("/api/v1/streams", json=body), 400, "invalid-request")
    assert ": " in detail


@pytest.mark.parametrize("path", ["/api/v1/streams", "/api/v1/probe"])
@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "http://127.0.0.1/x.m3u8",
        "concat:/etc/passwd|/etc/shadow",
        "/etc/passwd",
        "subfile,,start,0,end,9,,:/etc/passwd",
        "data:video/mp4;base64,AAAA",
        "tcp://127.0.0.1:80",
        "srt://127.0.0.1",
        "rtsp+http://h/",
        "rtsp:",
        "rtsp:///path",
        "rtsp://",
        "",
        "rtsp://h:99999/",
        "rtsp://h:0/",
        "rtsp://h /",
        "rtsp://h/\r\nDESCRIBE",
        f"rtspx://u:{SECRET}@h/",
    ],
)
async def test_address_that_is_no_rtsp_cameras_is_refused(
    http: Http, service: Service, path: str, url: str
) -> None:
    response = await http.post(path, json={"source": CAMERA | {"url": url}})
    if path.endswith("probe"):
        assert_says_nothing_of_the_machine(await response.text())
        return
    await problem(response, 400, "invalid-request")
    assert list(service.streams) == []


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "0.0.0.0",
        "224.0.0.1",
        "8.8.8.8",
        "[2001:4860:4860::8888]",
        "2852039166",
        "0xa9fea9fe",
    ],
)
async def test_address_outside_the_allowed_networks_is_refused(
    http: Http, service: Service, host: str
) -> None:
    response = await add(http, source={"url": f"rtsp://{host}/"})
    await problem(response, 403, "address-not-allowed")
    assert list(service.streams) == []


async def test_missing_model_is_told_and_waiting_does_not_help(tmp_path: Path) -> None:
    def missing(pose: PoseConfig) -> None:
        raise ModelError("run `streamer models heavy` once")

    async with serving(Service(tmp_path, check_models=missing)) as http:
        response = await add(http)
        assert "Retry-After" not in response.headers
        assert "streamer models" in await problem(response, 503, "model-unavailable")


async def test_body_that_is_not_what_its_encoding_says_is_refused(http: Http) -> None:
    headers = JSON | {"Content-Encoding": "gzip"}
    response = await http.post("/api/v1/streams", data=b"not gzip at all", headers=headers)
    assert await problem(response, 400, "bad-request") == "The body can't be read."


async def test_body_that_dribbles_is_not_waited_for(http: Http, service: Service) -> None:
    service.services.limits = LimitsConfig(body_timeout_s=0.2)
    over = asyncio.Event()

    async def dribble() -> AsyncIterator[bytes]:
        while not over.is_set():
            yield b" "
            await asyncio.sleep(0.01)

    response = await http.post("/api/v1/streams", data=dribble(), headers=JSON)
    over.set()
    await problem(response, 408, "request-timeout")


# -- secrets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        {"url": f"rtsp://user:{SECRET}@127.0.0.1:9/a"},
        {"url": "rtsp://127.0.0.1:9/a", "username": "user", "password": SECRET},
        {"url": f"rtsp://127.0.0.1:9/a?user=u&password={SECRET}"},
    ],
)
async def test_credentials_are_never_given_back(
    http: Http, service: Service, source: dict[str, str]
) -> None:
    answers = [
        await add(http, source=source),
        await add(http, source=source),
        await http.get("/api/v1/streams/door"),
        await http.get("/api/v1/streams"),
        await http.patch("/api/v1/streams/door", json={"listed": True}),
        await http.patch("/api/v1/streams/door", json={"password": SECRET}),
        await http.post("/api/v1/streams/door/restart"),
        await http.post("/api/v1/probe", json={"source": CAMERA | source}),
        await http.post("/api/v1/streams", json={"source": {"password": SECRET}}),
        await http.post("/api/v1/streams", json={"source": source | {"colour": SECRET}}),
    ]
    sink = RecordingSink()
    service.streams.get("door").session.subscribe(sink)
    answers.append(await http.delete("/api/v1/streams/door"))
    for answer in answers:
        assert SECRET not in await answer.text()
        assert SECRET not in str(answer.headers)


async def test_of_a_cameras_query_only_the_keys_are_shown(http: Http) -> None:
    url = f"rtsp://u:{SECRET}@127.0.0.1:9/a?vendors_own_word={SECRET}&channel=1"
    stream = await (await add(http, source={"url": url})).json()
    assert stream["source"]["url"] == "rtsp://127.0.0.1:9/a?vendors_own_word=…&channel=…"


async def test_error_of_our_own_says_nothing_of_its_cause(
    http: Http, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(source: object) -> dict[str, Any]:
        raise ZeroDivisionError("hunter2")

    service.services.probe = broken
    response = await http.post("/api/v1/probe", json={"source": CAMERA})
    await problem(response, 500, "internal")
    assert response.headers["X-Request-Id"] in caplog.text
    assert "ZeroDivisionError" in caplog.text


# -- headers and pages ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", page) for page in PAGES),
        ("HEAD", "/"),
        ("GET", "/static/style.css"),
        ("GET", "/static/nowhere.css"),
        ("GET", "/healthz"),
        ("GET", "/api/v1/streams"),
        ("GET", "/api/v1/streams/nowhere"),
        ("PUT", "/"),
        ("POST", "/webcam"),
        ("DELETE", "/api/v1/streams/door"),
    ],
)
async def test_every_answer_has_the_headers_that_protect_a_browser(
    http: Http, method: str, path: str
) -> None:
    await add(http)
    headers = (await http.request(method, path)).headers
    policy = headers["Content-Security-Policy"]
    parts = (each.strip().partition(" ") for each in policy.split(";"))
    directives = defaultdict(str, {name: value for name, _, value in parts})
    assert directives["default-src"] == directives["form-action"] == "'self'"
    assert directives["frame-ancestors"] == directives["object-src"] == "'none'"
    assert directives["require-trusted-types-for"] == "'script'"
    assert not {"script-src", "style-src", "connect-src"} & set(directives), (
        "weaker than default-src"
    )
    assert "unsafe" not in policy and "*" not in policy
    assert headers.get("X-Content-Type-Options") == "nosniff"
    assert headers.get("Referrer-Policy") == "no-referrer"
    assert headers.get("Cross-Origin-Resource-Policy") == "same-origin"
    assert headers.get("Cross-Origin-Opener-Policy") == "same-origin"
    assert "camera=(self), microphone=()" in headers["Permissions-Policy"]
    assert "Access-Control-Allow-Origin" not in headers
    assert len(headers["X-Request-Id"]) == 16


async def test_file_that_has_not_changed_is_answered_with_the_headers_too(http: Http) -> None:
    first = await http.get("/static/style.css")
    again = await http.get("/static/style.css", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status == 304
    assert again.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/../pyproject.toml",
        "/static/%2e%2e/pyproject.toml",
        "/static/..%2fpyproject.toml",
        "/static/pyproject.toml",
        "/static//etc/passwd",
        "/static/streamer/app.py",
        "/static/style.css/..",
    ],
)
async def test_nothing_but_the_pages_files_is_served(http: Http, path: str) -> None:
    url = URL(f"http://127.0.0.1:{http.port}{path}", encoded=True)
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 404


@pytest.mark.parametrize("page", PAGES)
async def test_pages_are_there(http: Http, page: str) -> None:
    response = await http.get(page)
    assert (response.status, response.content_type) == (200, "text/html")


async def test_health_tells_of_streams_that_stand_still(http: Http, service: Service) -> None:
    health = await (await http.get("/healthz")).json()
    assert health == {
        "status": "ok",
        "stale_streams": 0,
        "streams": {state.value: 0 for state in StreamState},
        "loop_lag_s": 0.0,
    }
    await add(http)
    sink = RecordingSink()
    service.streams.get("door").session.subscribe(sink)
    await service.cameras[0].connected()
    loop_time = asyncio.get_running_loop().time()
    service.cameras[0].put(make_frame(received_mono=loop_time - 60))
    await sink.results_come(1)
    assert (await (await http.get("/healthz")).json())["stale_streams"] == 1


async def test_server_that_drains_is_not_ready_and_serves(http: Http, service: Service) -> None:
    assert (await http.get("/readyz")).status == 200
    service.services.ready = False
    assert (await http.get("/readyz")).status == 503
    assert (await http.get("/healthz")).status == 200


# -- the access token -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/api/v1/streams", "/api/v1/streams/x", "/api/v1/ice", "/metrics", "/nowhere"]
)
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer \udcff"],
)
async def test_nothing_is_told_without_the_right_token(
    guarded: Http, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = await guarded.get(path, headers=headers)
    assert response.headers["WWW-Authenticate"] == 'Bearer, Basic realm="Streamer"'
    await problem(response, 401, "token-needed")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/webcam"),
        ("POST", "/whip"),
        ("POST", "/api/v1/streams"),
        ("DELETE", "/api/v1/peers/x"),
        ("OPTIONS", "/whip"),
    ],
)
async def test_nothing_is_done_without_the_token(guarded: Http, method: str, path: str) -> None:
    await problem(await guarded.request(method, path), 401, "token-needed")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_bearer_of_the_token_is_let_in(guarded: Http, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {TOKEN}"}
    assert (await guarded.get("/api/v1/streams", headers=headers)).status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/login", "/static/style.css"])
async def test_sign_in_page_and_health_need_no_token(guarded: Http, path: str) -> None:
    assert (await guarded.get(path)).status == 200


@pytest.mark.parametrize("page", ["/", "/webcam", "/streams/door?a=b&c=//evil.example"])
async def test_browser_is_sent_to_the_sign_in_page(guarded: Http, page: str) -> None:
    response = await guarded.get(page, headers=HTML, allow_redirects=False)
    assert response.status == 303
    location = response.headers["Location"]
    assert location.startswith("/login?next=%2F") and "&" not in location
    assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_person_signs_in_with_a_cookie_that_is_not_the_token(guarded: Http) -> None:
    response = await guarded.post("/api/v1/login", json={"token": TOKEN})
    assert response.status == 204
    cookie = response.cookies["streamer_session"]
    assert cookie["httponly"] and cookie["samesite"] == "Strict" and cookie["path"] == "/"
    assert TOKEN not in cookie.value
    headers = {"Cookie": f"streamer_session={cookie.value}"}
    assert (await guarded.get("/api/v1/streams", headers=headers)).status == 200
    assert (await guarded.get("/", headers=headers | HTML)).status == 200


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"token": "wrong"}, 401, "wrong-token"),
        ({"token": ""}, 401, "wrong-token"),
        ({"token": "\ud800"}, 401, "wrong-token"),
        ({"token": 5}, 400, "invalid-request"),
        ({}, 400, "invalid-request"),
        ([], 400, "invalid-request"),
        (None, 400, "invalid-request"),
    ],
)
async def test_wrong_token_signs_nobody_in(
    guarded: Http, body: object, status: int, kind: str
) -> None:
    response = await guarded.post("/api/v1/login", data=json.dumps(body), headers=JSON)
    await problem(response, status, kind)
    assert not response.cookies


@pytest.mark.parametrize("cookie", ["", "0" * 64, TOKEN, "\udcff"])
async def test_made_up_cookie_lets_nobody_in(guarded: Http, cookie: str) -> None:
    headers = {"Cookie": f"streamer_session={cookie}"}
    await problem(await guarded.get("/api/v1/streams", headers=headers), 401, "token-needed")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
async def test_server_for_others_does_not_start_without_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match="access token.*--insecure-lan"):
        await serve(Config(server=ServerConfig(host=host, port=0)), Config)


# -- peers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/webcam", "/whip", "/whip/door"])
@pytest.mark.parametrize(
    "offer", ["", "hello", "v=0\r\n", "v=0\r\no=- 1 1 IN IP4 0\r\ns=-\r\nt=0 0\r\n"]
)
async def test_broken_offer_is_refused_and_leaves_nothing(
    http: Http, service: Service, path: str, offer: str
) -> None:
    await problem(await http.post(path, data=offer, headers=SDP), 400, "invalid-offer")
    assert list(service.streams) == [] and len(service.peers) == 0


async def test_offer_without_video_is_refused_and_says_so(http: Http) -> None:
    peer = WebcamPeer()
    offer = (await peer.offer()).replace("m=video", "m=audio")
    detail = await problem(
        await http.post("/webcam", data=offer, headers=SDP), 400, "invalid-offer"
    )
    assert "video" in detail
    await peer.close()


async def test_offer_that_no_codec_fits_is_refused_and_leaves_nothing(
    http: Http, service: Service
) -> None:
    peer = WebcamPeer()
    offer = (
        (await peer.offer()).replace("VP8/90000", "VP9/90000").replace("H264/90000", "H265/90000")
    )
    await problem(await http.post("/webcam", data=offer, headers=SDP), 400, "invalid-offer")
    assert list(service.streams) == [] and len(service.peers) == 0
    await peer.close()


async def test_viewer_of_an_unknown_stream_is_told(http: Http) -> None:
    peer = WebcamPeer()
    response = await http.post("/whep/nowhere", data=await peer.offer(), headers=SDP)
    await problem(response, 404, "not-found")
    await peer.close()


async def test_resuming_a_webcam_stream_that_has_ended_is_told(http: Http) -> None:
    peer = WebcamPeer()
    response = await http.post("/webcam/nowhere", data=await peer.offer(), headers=SDP)
    await problem(response, 404, "not-found")
    await peer.close()


async def test_publishing_to_a_camera_or_to_a_taken_stream_is_a_conflict(http: Http) -> None:
    await add(http)
    peer, other = WebcamPeer(), WebcamPeer()
    offer = await other.offer()
    for path in ("/whip/door", "/webcam/door"):
        await problem(await http.post(path, data=offer, headers=SDP), 409, "conflict")
    await peer.join(http, "/whip/mine")
    await problem(await http.post("/whip/mine", data=offer, headers=SDP), 409, "conflict")
    await peer.close()
    await other.close()


async def test_webcam_stream_is_unlisted_under_an_id_that_nobody_guesses(http: Http) -> None:
    peer = WebcamPeer()
    await peer.join(http)
    assert len(peer.stream_id) == 32
    assert len(peer.location.rpartition("/")[2]) == 32  # base64: who knows it may end the peer
    assert await (await http.get("/api/v1/streams")).json() == []
    stream = await (await http.get(f"/api/v1/streams/{peer.stream_id}")).json()
    assert (stream["listed"], stream["source"]) == (False, {"type": "webcam"})
    patched = await http.patch(f"/api/v1/streams/{peer.stream_id}", json={"listed": True})
    assert patched.status == 200
    assert len(await (await http.get("/api/v1/streams")).json()) == 1
    await peer.close()


async def test_too_many_peers_are_asked_to_come_back(tmp_path: Path) -> None:
    service = Service(tmp_path, webrtc=WebRtcConfig(max_peers=1))
    async with serving(service) as http:
        first, second = WebcamPeer(), WebcamPeer()
        await first.join(http)
        for path in ("/webcam", f"/whep/{first.stream_id}"):
            response = await http.post(path, data=await second.offer(), headers=SDP)
            assert int(response.headers.get("Retry-After", 0)) > 0
            await problem(response, 503, "limit-reached")
        assert (await http.delete(first.location)).status == 200
        await second.join(http)
        await first.close()
        await second.close()


async def test_too_many_streams_are_asked_to_come_back(tmp_path: Path) -> None:
    service = Service(tmp_path, server=ServerConfig(max_streams=1))
    async with serving(service) as http:
        assert (await add(http, "one")).status == 201
        response = await add(http, "two")
        assert int(response.headers.get("Retry-After", 0)) > 0
        await problem(response, 503, "limit-reached")


async def test_ice_servers_are_those_of_the_configuration_only(tmp_path: Path) -> None:
    turn = IceServer(urls=["turn:10.0.0.1:3478"], username="u", credential="c")
    for servers in ([], [turn]):
        service = Service(tmp_path, webrtc=WebRtcConfig(ice_servers=servers))
        async with serving(service) as http:
            answer = await (await http.get("/api/v1/ice")).json()
            told = [{"urls": s.urls, "username": "u", "credential": "c"} for s in servers]
            assert answer == {"iceServers": told, "iceTransportPolicy": "all"}
