"""However an address is spelled and whatever a camera answers: nobody is contacted where no camera may be."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamer.config import Config, OnvifConfig, RtspConfig
from streamer.sources.address import listening_on
from tests.fakes import PATIENCE_S, make_frame
from tests.in_process import Http, Service, serving
from tests.rigs.canary import Canary
from tests.rigs.forbidden_urls import FORBIDDEN, NAMES, urls
from tests.rigs.onvif import OnvifCamera
from tests.rigs.scripted_camera import SESSION, Request, Script, reply, scripted_camera, sdp_of

CAMERA = "127.0.0.10"
"""Where a camera may be."""

CONFIG = Config(
    rtsp=RtspConfig(
        allowed_networks=[f"{CAMERA}/32", "::ffff:7f00:a/128"],
        open_timeout_s=2.0,
        read_timeout_s=2.0,
    ),
    onvif=OnvifConfig(timeout_s=2.0),
)


@pytest.fixture
def canary() -> Iterator[Canary]:
    with Canary([*FORBIDDEN, "127.0.0.1"], allowed=["127.0.0.1", CAMERA]) as canary:
        yield canary


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[Http]:
    service = Service(tmp_path, config=CONFIG, real_cameras=True)
    async with serving(service) as http:
        yield http


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attacker's: ``rebind.example`` has another address each time."""
    real: Any = socket.getaddrinfo
    rebinding = itertools.cycle([[CAMERA], ["127.0.0.2"]])

    def getaddrinfo(host: str, port: object, *rest: Any, **options: Any) -> list[Any]:
        found = next(rebinding) if host == "rebind.example" else NAMES.get(host)
        if found is not None:
            return [(0, 0, 0, "", (address, port)) for address in found]
        if any(sign.isalpha() for sign in host) and not host.lower().startswith(
            ("localhost", "0x")
        ):
            if ":" not in host:
                raise socket.gaierror(socket.EAI_NONAME, "nobody is asked")
        found_really: list[Any] = real(host, port, *rest, **options)
        return found_really

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


async def post(http: Http, path: str, body: dict[str, Any]) -> int:
    async with http.post(path, json=body) as response:
        await response.read()
        return response.status


async def add_and_remove(http: Http, body: dict[str, Any]) -> int:
    async with http.post("/api/v1/streams", json=body) as response:
        added = await response.json()
        if response.status == 201:
            async with http.delete(f"/api/v1/streams/{added['id']}") as removed:
                assert removed.status == 204
        return response.status


async def test_no_spelling_of_an_address_reaches_a_forbidden_place(
    http: Http, canary: Canary, name_server: None
) -> None:
    home = {"type": "rtsp", "url": f"rtsp://{CAMERA}:9/x"}
    cases = 0
    for url in urls(canary.port):
        statuses = [
            await post(http, "/api/v1/probe", {"source": {"url": url}}),
            await add_and_remove(http, {"source": {"url": url}}),
            await add_and_remove(http, {"source": home, "output": url}),
            await post(http, "/api/v1/discover/streams", {"address": url.replace("rtsp", "http")}),
        ]
        cases += len(statuses)
        assert set(statuses) <= {201, 400, 403, 502}, url
        assert statuses[0] != 200, url
        assert not (visits := canary.visits()), (url, visits)
    assert cases >= 500


async def output_state(http: Http) -> str:
    async with http.get("/api/v1/streams/x") as response:
        state: str = (await response.json())["output"]["state"]
        return state


def redirect(status: str) -> Callable[[int], Script]:
    class Redirecting(Script):
        def answer(self, request: Request) -> bytes:
            if request.method == "DESCRIBE":
                return reply(
                    request, f"Location: rtsp://127.0.0.2:{self.transport}/x\r\n", b"", status
                )
            return super().answer(request)

    return lambda port: Redirecting(transport=str(port))


class Asking(Script):
    """Redirects in the middle, with a request of its own (RFC 2326, section 10.10)."""

    def answer(self, request: Request) -> bytes:
        answer = super().answer(request)
        if request.method != "PLAY":
            return answer
        there = f"Location: rtsp://127.0.0.2:{self.pause_s:.0f}/x\r\n"
        return answer + f"REDIRECT rtsp://x RTSP/1.0\r\nCSeq: 9\r\n{there}\r\n".encode()


class OverUdp(Script):
    """Does not speak over TCP, and says that its UDP comes from elsewhere."""

    def answer(self, request: Request) -> bytes:
        if request.method == "SETUP" and request.is_over_tcp:
            return reply(request, status="461 Unsupported Transport")
        if request.method == "SETUP":
            client = next(
                part
                for part in request.headers["transport"].split(";")
                if part.startswith("client_port")
            )
            return reply(request, f"Transport: {self.transport.format(client=client)}\r\n{SESSION}")
        return super().answer(request)


UDP = "RTP/AVP;unicast;{{client}};{source}server_port={port}-{next}"

LIARS: dict[str, Callable[[int], Script]] = {
    **{
        f"redirect {status}": redirect(status)
        for status in ("301 Moved", "302 Found", "303 Other", "305 Use Proxy", "307 There", "399 x")
    },
    "redirect request": lambda port: Asking(pause_s=port),
    "track elsewhere": lambda port: Script(
        sdp=sdp_of("H264/90000", f"a=control:rtsp://127.0.0.2:{port}/track")
    ),
    "connection elsewhere": lambda port: Script(
        sdp=sdp_of("H264/90000", connection="127.0.0.2").replace(b"video 0", b"video %d" % port)
    ),
    "udp from elsewhere": lambda port: OverUdp(
        transport=UDP.format(source="source=127.0.0.2;", port=port, next=port + 1)
    ),
    "udp from here": lambda port: OverUdp(
        transport=UDP.format(source="", port=port, next=port + 1)
    ),
    "udp from two": lambda port: OverUdp(
        transport=UDP.format(source=f"source={CAMERA};source=127.0.0.3;", port=port, next=port + 1)
    ),
    "multicast": lambda port: OverUdp(
        transport=f"RTP/AVP;multicast;destination=127.0.0.2;port={port}-{port + 1};ttl=1"
    ),
    "transport elsewhere": lambda port: Script(
        transport=f"RTP/AVP/TCP;unicast;source=127.0.0.2;interleaved=0-1;server_port={port}-{port}"
    ),
}


async def test_no_answer_of_a_camera_leads_to_a_forbidden_place(http: Http, canary: Canary) -> None:
    """By a redirect, in its SDP, in the answer to SETUP."""
    visitors = set()

    def script_of(path: str) -> Script:
        visitors.add(path)
        return LIARS[path.strip("/").replace("_", " ")](canary.port)

    async with scripted_camera(script_of, CAMERA) as port:
        for four in _by_four(list(LIARS)):
            paths = [f"/{name.replace(' ', '_')}" for name in four]
            statuses = await asyncio.gather(
                *(
                    post(
                        http,
                        "/api/v1/probe",
                        {"source": {"url": f"rtsp://u:p@{CAMERA}:{port}{path}"}},
                    )
                    for path in paths
                )
            )
            assert set(statuses) <= {403, 502}, dict(zip(four, statuses, strict=True))
    assert len(visitors) == len(LIARS)
    assert canary.visits() == []


def _by_four(names: list[str]) -> Iterator[list[str]]:
    for at in range(0, len(names), 4):
        yield names[at : at + 4]


async def test_no_server_that_a_stream_is_published_to_leads_to_a_forbidden_place(
    tmp_path: Path, canary: Canary
) -> None:
    class Redirecting(Script):
        def answer(self, request: Request) -> bytes:
            heard.set()
            there = f"Location: rtsp://127.0.0.2:{canary.port}/x\r\n"
            return reply(request, there, b"", "302 Found")

    heard = asyncio.Event()
    service = Service(tmp_path, config=CONFIG)
    async with serving(service) as http, scripted_camera(lambda _: Redirecting(), CAMERA) as port:
        output = f"rtsp://{CAMERA}:{port}/live"
        body = {"id": "x", "source": {"url": f"rtsp://{CAMERA}:9/x"}, "output": output}
        async with http.post("/api/v1/streams", json=body) as response:
            assert response.status == 201
        await service.cameras[0].connected()
        service.cameras[0].put(make_frame())
        await asyncio.wait_for(heard.wait(), PATIENCE_S)
        async with asyncio.timeout(PATIENCE_S):
            while await output_state(http) != "failed":
                pass
        assert canary.visits() == []


@pytest.mark.parametrize("lie", ["media", "redirect", "video"])
async def test_no_onvif_camera_leads_to_a_forbidden_place(
    http: Http, canary: Canary, lie: str
) -> None:
    elsewhere = f"http://127.0.0.2:{canary.port}/onvif/media"
    camera = OnvifCamera(
        f"rtsp://127.0.0.2:{canary.port}/x" if lie == "video" else f"rtsp://{CAMERA}/x",
        media_url="" if lie == "video" else elsewhere,
        mood="redirect" if lie == "redirect" else "honest",
        host=CAMERA,
    )
    with camera:
        body = {"address": camera.xaddr, "username": "u", "password": "p"}
        assert await post(http, "/api/v1/discover/streams", body) in (403, 502)
    assert camera.requests
    assert canary.visits() == []


async def test_our_own_port_is_no_camera_even_where_cameras_may_be(
    tmp_path: Path, canary: Canary
) -> None:
    service = Service(tmp_path, config=Config(), real_cameras=True)  # all of loopback is allowed
    hosts = ("127.0.0.1", "127.0.0.2", "2130706433", "[::ffff:127.0.0.1]", "localhost")
    async with serving(service) as http:
        with listening_on(canary.port):
            for host in hosts:
                url = f"rtsp://{host}:{canary.port}/x"
                home = {"url": "rtsp://127.0.0.1:9/x"}
                assert await post(http, "/api/v1/probe", {"source": {"url": url}}) == 403
                assert await add_and_remove(http, {"source": {"url": url}}) == 403
                assert await add_and_remove(http, {"source": home, "output": url}) == 403
                door = {"address": url.replace("rtsp", "http")}
                assert await post(http, "/api/v1/discover/streams", door) == 403
    assert canary.visits() == []


def test_canary_sings() -> None:
    """Else all of the above would prove nothing."""
    with Canary(["127.0.0.2"], allowed=["127.0.0.1"]) as canary:
        socket.create_connection(("127.0.0.2", canary.port)).close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.sendto(b"hello", ("127.0.0.2", canary.port + 1))
            with pytest.raises(OSError):  # broadcast is not switched on
                udp.sendto(b"hello", ("255.255.255.255", 1))
        visits = canary.visits()
    assert [each.split()[0] for each in visits if "." in each][-2:] == ["TCP", "UDP"]
    assert any("255.255.255.255" in each for each in visits)
