"""Tokens, sessions and tickets over HTTP: what each may see, and that an end is an end."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientResponse
from aiortc import RTCSessionDescription

from streamer.access.book import TokenBook
from streamer.access.store import TokenFile
from streamer.aio import cancel_and_wait
from streamer.config import ServerConfig, WebRtcConfig
from streamer.server import access
from streamer.server.access import ACCESS
from streamer.webrtc.source import PeerSource
from tests.fakes import PATIENCE_S, make_frame
from tests.in_process import SDP, Http, Service, WebcamPeer, close_code, serving

STATIC = "a-token-of-16-chars"
FRIEND = "https://friend.example"
CAMERA = {"type": "rtsp", "url": "rtsp://127.0.0.1:9/a"}
HTML = {"Accept": "text/html"}
MJPEG = "/api/v1/streams/door/mjpeg"
LANDMARKS = "/api/v1/streams/door/landmarks"


class Guarded:
    """A server with the streams door and hall, and tokens; it looks at them when a test says so."""

    def __init__(self, folder: Path) -> None:
        self.file = TokenFile(folder / "tokens.json")
        self._secrets: dict[str, tuple[str, str]] = {}
        self.admin = self.token("admin")
        self._book = TokenBook(self.file, STATIC)
        self._book.look()
        config = ServerConfig(token=STATIC, allowed_origins=[FRIEND])
        # Peers that never connect stay, until somebody ends them.
        patient = WebRtcConfig(connect_timeout_s=3600.0)
        self.service = Service(folder, server=config, webrtc=patient, tokens=self._book)
        self.http: Http

    def token(self, *scopes: str, lasts: timedelta | None = None) -> dict[str, str]:
        """The header of a new token."""
        token, secret = self.file.create(" ".join(scopes), scopes, lasts)
        self._secrets[secret] = (token.id, secret)
        return {"Authorization": f"Bearer {secret}"}

    def secret(self, header: dict[str, str]) -> str:
        return header["Authorization"].removeprefix("Bearer ")

    def look(self) -> None:
        """What the server does by itself every second."""
        self._book.look()
        app = self.http.server.app  # type: ignore[attr-defined]
        app[ACCESS].show_out(app)

    def revoke(self, header: dict[str, str]) -> None:
        self.file.revoke(self._secrets[self.secret(header)][0])
        self.look()

    async def sign_in(self, header: dict[str, str]) -> dict[str, str]:
        """The header of a new cookie."""
        answer = await self.http.post("/api/v1/login", json={"token": self.secret(header)})
        assert answer.status == 204
        return {"Cookie": f"streamer_session={answer.cookies['streamer_session'].value}"}

    async def ticket(self, header: dict[str, str], path: str) -> str:
        answer = await self.http.post("/api/v1/tickets", json={"path": path}, headers=header)
        assert answer.status == 201
        body = await answer.json()
        assert body["expires_in_s"] == 30
        return str(body["ticket"])


@pytest.fixture
async def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guarded]:
    monkeypatch.setattr(access, "LOOK_INTERVAL_S", 3600.0)
    monkeypatch.setattr(access, "FAREWELL_S", 0.05)
    one = Guarded(tmp_path)
    async with serving(one.service) as one.http:
        for name in ("door", "hall"):
            added = {"id": name, "source": CAMERA}
            answer = await one.http.post("/api/v1/streams", json=added, headers=one.admin)
            assert answer.status == 201
        yield one


async def kind(response: ClientResponse) -> tuple[int, str]:
    """The status, and the kind of a problem where it is one."""
    if response.content_type != "application/problem+json":
        return response.status, ""
    body = await response.json(content_type=None)
    return response.status, body["type"].rpartition(":")[2]


async def test_health_tells_strangers_nothing_of_the_streams_but_those_that_stand_still(
    guarded: Guarded,
) -> None:
    async def told(header: dict[str, str]) -> dict[str, Any]:
        answer = await guarded.http.get("/healthz", headers=header)
        assert answer.status == 200
        told: dict[str, Any] = await answer.json()
        return told

    narrow = guarded.token("view:door")
    viewer = guarded.token("view")
    guarded.look()
    wrong = {"Authorization": "Bearer no-token-of-this-server"}
    for header in ({}, wrong, narrow, *([wrong] * 20)):  # as often as are too many elsewhere
        assert await told(header) == {"status": "ok", "stale_streams": 0}
    assert sum((await told(await guarded.sign_in(viewer)))["streams"].values()) == 2
    assert sum((await told(viewer))["streams"].values()) == 2


# -- one stream -------------------------------------------------------------------------------------


async def test_token_for_one_stream_finds_that_one_and_of_others_nothing(guarded: Guarded) -> None:
    door = guarded.token("view:door")
    guarded.look()
    http = guarded.http
    listed = await (await http.get("/api/v1/streams", headers=door)).json()
    assert [stream["id"] for stream in listed] == ["door"]
    assert (await http.get("/api/v1/streams/door", headers=door)).status == 200
    for path in ("", "/snapshot.jpg", "/mjpeg", "/landmarks"):
        there = await http.get(f"/api/v1/streams/hall{path}", headers=door)
        nowhere = await http.get(f"/api/v1/streams/nowhere{path}", headers=door)
        assert await kind(there) == await kind(nowhere) == (404, "not-found")
        assert {**await there.json(content_type=None), "request_id": ""} == {
            **await nowhere.json(content_type=None),
            "request_id": "",
        }


async def test_token_for_one_stream_watches_that_one_alone(guarded: Guarded) -> None:
    door = guarded.token("view:door")
    guarded.look()
    peer = WebcamPeer()
    offer = await peer.offer()
    for stream, status in (("hall", 404), ("nowhere", 404), ("door", 201)):
        answer = await guarded.http.post(f"/whep/{stream}", data=offer, headers=door | SDP)
        assert answer.status == status
    await peer.close()


async def test_unlisted_stream_is_for_whoever_knows_its_id_and_may_view_all(
    guarded: Guarded,
) -> None:
    viewer, door = guarded.token("view"), guarded.token("view:door")
    guarded.look()
    hide = {"listed": False}
    for name in ("door", "hall"):
        await guarded.http.patch(f"/api/v1/streams/{name}", json=hide, headers=guarded.admin)
    assert await (await guarded.http.get("/api/v1/streams", headers=viewer)).json() == []
    assert (await guarded.http.get("/api/v1/streams/hall", headers=viewer)).status == 200
    assert (await guarded.http.get("/api/v1/streams/hall", headers=door)).status == 404
    (named,) = await (await guarded.http.get("/api/v1/streams", headers=door)).json()
    assert named["id"] == "door"  # it is named in the token: no secret to who has that


# -- roles ------------------------------------------------------------------------------------------


async def test_only_an_admin_publishes_elsewhere_and_removes_cameras(guarded: Guarded) -> None:
    operator = guarded.token("operate")
    guarded.look()
    path, http = "/api/v1/streams/door", guarded.http
    patched = await http.patch(path, json={"pose": {"num_poses": 2}}, headers=operator)
    assert patched.status == 200
    for output in ("rtsp://127.0.0.1:9/out", None):
        refused = await http.patch(path, json={"output": output}, headers=operator)
        assert await kind(refused) == (403, "not-allowed")
    assert await kind(await http.delete(path, headers=operator)) == (403, "not-allowed")
    assert (await http.delete(path, headers=guarded.admin)).status == 204


async def test_who_publishes_a_webcam_may_remove_it_and_no_other_operator(
    guarded: Guarded,
) -> None:
    mine, other = guarded.token("operate"), guarded.token("operate")
    guarded.look()
    peer = WebcamPeer()
    answer = await guarded.http.post("/webcam", data=await peer.offer(), headers=mine | SDP)
    path, location = f"/api/v1/streams/{answer.headers['X-Stream-Id']}", answer.headers["Location"]
    assert await kind(await guarded.http.delete(path, headers=other)) == (403, "not-allowed")
    assert await kind(await guarded.http.delete(location, headers=other)) == (404, "not-found")
    assert await kind(await guarded.http.get(location, headers=other)) == (404, "not-found")
    assert (await guarded.http.get(location, headers=mine)).status == 204
    assert (await guarded.http.delete(path, headers=mine)).status == 204
    await peer.close()


async def test_stream_that_waits_for_its_publisher_is_no_other_operators(guarded: Guarded) -> None:
    """Its viewers would see somebody else's picture, and it would be theirs to end."""
    mine, other = guarded.token("operate"), guarded.token("operate")
    guarded.look()

    async def publish(who: dict[str, str]) -> tuple[WebcamPeer, ClientResponse]:
        peer = WebcamPeer()
        offer = (await peer.offer()).replace("sendrecv", "sendonly")
        return peer, await guarded.http.post("/whip/gym", data=offer, headers=who | SDP)

    first, answer = await publish(mine)
    assert answer.status == 201
    description = RTCSessionDescription(await answer.text(), "answer")
    await first.connection.setRemoteDescription(description)
    source = guarded.service.streams.get("gym").source
    assert isinstance(source, PeerSource)
    await until(lambda: first.connection.connectionState == "connected")
    await first.close()
    await until(lambda: not source.publishing)
    thief, refused = await publish(other)
    assert await kind(refused) == (409, "conflict")
    again, answer = await publish(mine)
    assert answer.status == 201
    await thief.close()
    await again.close()


async def test_caller_is_told_who_they_are(guarded: Guarded) -> None:
    door = guarded.token("view:door", lasts=timedelta(hours=1))
    guarded.look()
    me = await (await guarded.http.get("/api/v1/me", headers=door)).json()
    assert (me["name"], me["role"], me["scopes"]) == ("view:door", "view", ["view:door"])
    assert me["expires"] and not me["signed_in"]
    cookie = await guarded.sign_in(door)
    assert (await (await guarded.http.get("/api/v1/me", headers=cookie)).json())["signed_in"]


async def test_without_tokens_everybody_is_an_admin(http: Http) -> None:
    me = await (await http.get("/api/v1/me")).json()
    assert me == {
        "name": "",
        "role": "admin",
        "scopes": ["admin"],
        "expires": None,
        "signed_in": False,
    }
    assert not (await http.post("/api/v1/login", json={"token": "anything"})).cookies


async def test_page_beyond_the_role_leads_to_the_login(guarded: Guarded) -> None:
    viewer = guarded.token("view")
    guarded.look()
    answer = await guarded.http.get("/webcam?a=b", headers=viewer | HTML, allow_redirects=False)
    assert answer.status == 303
    assert answer.headers["Location"] == "/login?next=%2Fwebcam%3Fa%3Db&why=role"
    assert (await guarded.http.get("/", headers=viewer | HTML)).status == 200


# -- the end ----------------------------------------------------------------------------------------


async def ends(reading: Any) -> None:
    """Nothing more comes, in good order or not."""
    with contextlib.suppress(aiohttp.ClientError, ConnectionError):
        async with asyncio.timeout(PATIENCE_S):
            await reading


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        for _ in itertools.takewhile(lambda _: not met(), itertools.count()):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("way", ["token", "cookie"])
async def test_revoked_token_cuts_all_that_is_open_with_it_and_nothing_else(
    guarded: Guarded, way: str
) -> None:
    viewer, stays = guarded.token("view"), guarded.token("view")
    guarded.look()
    shown = await guarded.sign_in(viewer) if way == "cookie" else viewer
    camera = guarded.service.cameras[0]
    await camera.connected()
    camera.put(make_frame())
    http, peer = guarded.http, WebcamPeer()
    async with (
        http.ws_connect(LANDMARKS, headers=shown) as websocket,
        http.ws_connect(LANDMARKS, headers=stays) as kept,
        http.get(LANDMARKS, headers=shown) as events,
        http.get(MJPEG, headers=shown) as pictures,
    ):
        offer = await peer.offer()
        opened = await http.post("/whep/door", data=offer, headers=shown | SDP)
        assert opened.status == 201 and len(guarded.service.peers) == 1
        guarded.revoke(viewer)
        assert await close_code(websocket) == aiohttp.WSCloseCode.POLICY_VIOLATION
        await ends(events.read())
        await ends(pictures.read())
        await until(lambda: not len(guarded.service.peers))
        for header in (viewer, shown):
            answer = await http.get("/api/v1/streams", headers=header)
            assert await kind(answer) == (401, "token-needed")
        assert not kept.closed
        camera.put(make_frame(3000))
        async with asyncio.timeout(PATIENCE_S):
            while '"pose"' not in (await kept.receive_str()):
                pass
    await peer.close()


async def test_expired_token_cuts_what_is_open_with_it(guarded: Guarded) -> None:
    short = guarded.token("view", lasts=timedelta(seconds=2))
    guarded.look()
    async with guarded.http.ws_connect(LANDMARKS, headers=short) as websocket:
        closing = asyncio.create_task(close_code(websocket))
        while not closing.done():
            guarded.look()
            await asyncio.wait({closing}, timeout=0.1)
        assert await closing == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_token_expires_though_the_disk_with_the_token_file_hangs(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(access, "LOOK_INTERVAL_S", 0.05)
    monkeypatch.setattr(access, "LOOK_S", 0.05)
    back = threading.Event()
    short = guarded.token("view", lasts=timedelta(seconds=2))
    guarded.look()
    monkeypatch.setattr(guarded.file, "mark", lambda: back.wait(PATIENCE_S))
    app = guarded.http.server.app  # type: ignore[attr-defined]
    async with guarded.http.ws_connect(LANDMARKS, headers=short) as websocket:
        looking = asyncio.create_task(app[ACCESS]._keep_looking(app))
        assert await close_code(websocket) == aiohttp.WSCloseCode.POLICY_VIOLATION
        await cancel_and_wait(looking)
    back.set()
    assert "does not answer" in caplog.text


async def test_revoked_publisher_takes_its_stream_along(guarded: Guarded) -> None:
    operator = guarded.token("operate")
    guarded.look()
    peer = WebcamPeer()
    answer = await guarded.http.post("/webcam", data=await peer.offer(), headers=operator | SDP)
    stream = answer.headers["X-Stream-Id"]
    guarded.revoke(operator)
    await until(lambda: not guarded.service.streams.has(stream))
    await peer.close()


async def test_first_token_of_an_open_server_cuts_those_who_came_without(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens.json")
    service = Service(tmp_path, tokens=TokenBook(file))
    async with serving(service) as http:  # it looks by itself here
        await http.post("/api/v1/streams", json={"id": "door", "source": CAMERA})
        async with http.ws_connect(LANDMARKS) as websocket:
            await asyncio.to_thread(file.create, "first", ("admin",), None)
            async with asyncio.timeout(PATIENCE_S):
                async for _ in websocket:
                    pass
        assert await kind(await http.get("/api/v1/streams")) == (401, "token-needed")


async def test_sign_out_ends_the_session_and_what_it_has_open(guarded: Guarded) -> None:
    one, other = await guarded.sign_in(guarded.admin), await guarded.sign_in(guarded.admin)
    async with guarded.http.ws_connect(LANDMARKS, headers=one) as websocket:
        answer = await guarded.http.post("/api/v1/logout", headers=one)
        assert answer.status == 204 and answer.cookies["streamer_session"].value == ""
        async with asyncio.timeout(PATIENCE_S):
            async for _ in websocket:
                pass
    assert (await guarded.http.get("/api/v1/streams", headers=one)).status == 401
    assert (await guarded.http.get("/api/v1/streams", headers=other)).status == 200
    assert (await guarded.http.post("/api/v1/logout")).status == 204  # twice is safe


# -- wrong tokens -----------------------------------------------------------------------------------


async def test_wrong_tokens_are_held_up_and_the_right_one_is_not(guarded: Guarded) -> None:
    wrong = {"Authorization": "Bearer not-the-right-one"}
    held_up = None
    for _ in range(15):
        held_up = await guarded.http.get("/api/v1/streams", headers=wrong)
    assert held_up is not None and await kind(held_up) == (429, "too-many-attempts")
    assert int(held_up.headers["Retry-After"]) >= 1
    login = await guarded.http.post("/api/v1/login", json={"token": "not-the-right-one"})
    assert await kind(login) == (429, "too-many-attempts")
    assert (await guarded.http.get("/api/v1/streams", headers=guarded.admin)).status == 200
    await guarded.sign_in(guarded.admin)


# -- tickets ----------------------------------------------------------------------------------------


async def test_ticket_opens_one_address_once(guarded: Guarded) -> None:
    door = guarded.token("view:door")
    guarded.look()
    ticket = await guarded.ticket(door, LANDMARKS)
    async with guarded.http.ws_connect(f"{LANDMARKS}?ticket={ticket}") as websocket:
        assert (await websocket.receive_json(timeout=PATIENCE_S))["type"] == "state"
        again = await guarded.http.get(f"{LANDMARKS}?ticket={ticket}")
        assert await kind(again) == (401, "token-needed")
        guarded.revoke(door)  # what it has opened ends with the token
        async with asyncio.timeout(PATIENCE_S):
            async for _ in websocket:
                pass


async def test_ticket_of_a_revoked_token_or_an_ended_session_opens_nothing(
    guarded: Guarded,
) -> None:
    door = guarded.token("view:door")
    guarded.look()
    session = await guarded.sign_in(guarded.admin)
    of_token, of_session = [await guarded.ticket(each, MJPEG) for each in (door, session)]
    guarded.revoke(door)
    await guarded.http.post("/api/v1/logout", headers=session)
    for ticket in (of_token, of_session):
        answer = await guarded.http.get(f"{MJPEG}?ticket={ticket}")
        assert await kind(answer) == (401, "token-needed")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/streams/hall/landmarks",
        "/api/v1/streams/door/snapshot.jpg",
        "/api/v1/streams/door",
        "/api/v1/streams",
    ],
)
async def test_ticket_opens_nothing_else(guarded: Guarded, path: str) -> None:
    ticket = await guarded.ticket(guarded.admin, LANDMARKS)
    answer = await guarded.http.get(f"{path}?ticket={ticket}", headers=HTML)
    assert await kind(answer) == (401, "token-needed")  # no way to the login, which would show it


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/streams/hall/mjpeg", 404),
        ("/api/v1/streams/nowhere/mjpeg", 404),
        ("/api/v1/streams/door", 400),
        ("/api/v1/streams/door/mjpeg?width=16", 400),
        ("//evil.example/api/v1/streams/door/mjpeg", 400),
    ],
)
async def test_ticket_is_not_given_for_what_the_token_may_not_see(
    guarded: Guarded, path: str, status: int
) -> None:
    door = guarded.token("view:door")
    guarded.look()
    answer = await guarded.http.post("/api/v1/tickets", json={"path": path}, headers=door)
    assert answer.status == status


async def test_page_of_a_named_origin_reads_with_a_ticket(guarded: Guarded) -> None:
    page = {"Origin": FRIEND, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}
    ticket = await guarded.ticket(guarded.admin | page, MJPEG)
    async with guarded.http.get(f"{MJPEG}?ticket={ticket}", headers=page) as pictures:
        assert pictures.status == 200
        assert pictures.headers["Access-Control-Allow-Origin"] == FRIEND
    stolen = await guarded.ticket(guarded.admin, MJPEG)
    foreign = page | {"Origin": "https://evil.example"}
    answer = await guarded.http.get(f"{MJPEG}?ticket={stolen}", headers=foreign)
    assert await kind(answer) == (403, "foreign-origin")
