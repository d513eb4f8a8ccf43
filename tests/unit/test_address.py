"""Only a camera's address in an allowed network is ever connected to."""

import asyncio
import ipaddress
import random
import socket
import string
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streamer.config import RtspConfig, RtspSource
from streamer.errors import InvalidRequest, SourceForbidden, SourceUnreachable
from streamer.sources import address as addresses
from streamer.sources.address import CameraUrl, parse_rtsp_url, resolve
from tests.fakes import PATIENCE_S

ALLOWED = RtspConfig().allowed_networks
ANYWHERE = ["0.0.0.0/0", "::/0"]


def parse(url: str, username: str = "", password: str = "") -> CameraUrl:
    return parse_rtsp_url(RtspSource(url=url, username=username, password=password))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rtsp://10.0.0.5", CameraUrl("rtsp", "10.0.0.5", 554, "")),
        ("RTSP://Cam.Lan:8554/a/b", CameraUrl("rtsp", "cam.lan", 8554, "/a/b")),
        ("rtsps://cam/s?x=1&y=/2", CameraUrl("rtsps", "cam", 322, "/s?x=1&y=/2")),
        ("rtsp://cam?channel=1", CameraUrl("rtsp", "cam", 554, "/?channel=1")),
        ("rtsp://[::1]:554/s", CameraUrl("rtsp", "::1", 554, "/s")),
        ("rtsp://u:p@cam/s", CameraUrl("rtsp", "cam", 554, "/s", "u", "p")),
        ("rtsp://u:p%40s%2f%23%c3%a4@cam", CameraUrl("rtsp", "cam", 554, "", "u", "p@s/#ä")),
        ("rtsp://u:p@ss@cam/s", CameraUrl("rtsp", "cam", 554, "/s", "u", "p@ss")),
        ("rtsp://cam/s%40evil:1/x", CameraUrl("rtsp", "cam", 554, "/s%40evil:1/x")),
    ],
)
def test_address_is_taken_apart(url: str, expected: CameraUrl) -> None:
    assert parse(url) == expected


def test_credentials_beside_the_url_win_over_those_in_it() -> None:
    url = parse("rtsp://u:p@cam/s", username="other", password="s3cret:@/")
    assert (url.username, url.password) == ("other", "s3cret:@/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "camera",
        "192.168.1.20:554/stream1",
        "//cam/s",
        "/etc/passwd",
        "http://cam/s",
        "https://cam/s",
        "file:///etc/passwd",
        "file:/etc/passwd",
        "concat:a|b",
        "subfile,,start,0,end,0,,:/etc/passwd",
        "data:video/mp4;base64,AAAA",
        "rtp://cam",
        "udp://cam",
        "rtspu://cam",
        "satip://cam",
        "rtsp+http://cam",
        "xrtsp://cam",
        "rtsp:cam/s",
        "rtsp:/cam/s",
        "rtsp://",
        "rtsp:///s",
        "rtsp://:554/s",
        "rtsp://u:p@/s",
        "rtsp://u:p@:554/s",
        "rtsp://cam:0/s",
        "rtsp://cam:65536/s",
        "rtsp://cam:-1/s",
        "rtsp://cam:port/s",
        "rtsp://u:a/b@cam/s",
        "rtsp://u:a#b@cam/s",
        "rtsp://u:a?b@cam/s",
        "rtsp://u:12/hunter2@cam/s",
        "rtsp://u:12?hunter2@cam/s",
        "rtsp://u:p@ss/word@cam/s",
        "rtsp://cam/s@evil:1/x",
        "rtsp://cam/s#fragment",
        "rtsp://cam/s#",
        "rtsp://cam\r\nX: y/s",
        "rtsp://cam/s\r\nX: y",
        "rtsp://cam/a b",
        " rtsp://cam/s",
        "rtsp://cam/s\n",
        "rtsp://cam/s\x00",
        "rtsp://c\tam/s",
        "rtsp://cäm/s",
        "rtsp://cam\\evil/s",
        "rtsp://cam,evil/s",
        "rtsp://cam%2eevil/s",
        "rtsp://cam|evil/s",
        "rtsp://[::1/s",
        "rtsp://[fe80::1%25eth0]/s",
        "rtsp://u%0d%0aX:p@cam/s",
        "rtsp://u:p%00@cam/s",
        "tcp://cam rtsp://cam/s",
    ],
)
def test_what_is_not_a_cameras_address_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(InvalidRequest, match="looks like rtsp://user:password@"):
        parse(url)


def test_refusal_never_repeats_a_secret() -> None:
    for url in (
        "rtsp://u:s3cr/et@cam",
        "rtsp://u:12/s3cret@cam",
        "http://u:s3cret@cam",
        "rtsp://u:s3cret@cam:99999",
    ):
        with pytest.raises(InvalidRequest) as refused:
            parse(url)
        assert "s3cr" not in str(refused.value)
    assert "s3cret" not in repr(parse("rtsp://u:s3cret@cam"))


def test_any_text_is_either_refused_or_leads_to_its_own_host_only() -> None:
    generator = random.Random(4)
    pieces = ["rtsp", "rtsps", "http", "://", ":", "/", "@", "?", "#", "%", "[", "]", "\\", "cam"]
    pieces += ["10.0.0.5", "::1", "evil", "554", "0x7f000001", "%40", "\r\n", " ", ";", ".."]
    pieces += list(string.printable)
    accepted = 0
    for _ in range(5000):
        body = "".join(generator.choices(pieces, k=generator.randint(0, 8)))
        text = generator.choice(["rtsp://", "rtsps://u:p@", "rtsp://cam", ""]) + body
        try:
            url = parse(text)
        except InvalidRequest:
            continue
        accepted += 1
        assert parse(url.via("127.0.0.1", 8554)).host == "127.0.0.1"
        assert parse(url.via("127.0.0.1", 8554)).path == url.path
    assert accepted > 200


def test_url_for_another_door_keeps_path_and_login() -> None:
    url = parse("rtsps://cam:7441/s?x=1", username="a b", password="p@:/ä")
    assert url.via("127.0.0.1", 9) == "rtsp://a%20b:p%40%3A%2F%C3%A4@127.0.0.1:9/s?x=1"
    assert url.via("::1", 9) == "rtsp://a%20b:p%40%3A%2F%C3%A4@[::1]:9/s?x=1"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://u:hunter2@cam/s", "rtsp://cam:554/s"),
        ("rtsps://[::1]", "rtsps://[::1]:322"),
        ("rtsp://cam:1/s?usr=u&psw=hunter2&channel=1", "rtsp://cam:1/s?usr=…&psw=…&channel=…"),
        ("rtsp://cam:1/s?hunter2", "rtsp://cam:1/s?…"),
        ("rtsp://cam:1/user=u&password=hunter2&c=1.sdp", "rtsp://cam:1/user=…&password=…&c=1.sdp"),
    ],
)
def test_what_is_shown_of_an_address_holds_no_secret(url: str, shown: str) -> None:
    assert parse(url).shown == shown


async def resolve_host(host: str, networks: list[str]) -> list[str]:
    found = await resolve(CameraUrl("rtsp", host, 554, "/s"), networks, timeout_s=5)
    return [str(address) for address in found]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("192.168.1.20", "192.168.1.20"),
        ("10.1.2.3", "10.1.2.3"),
        ("172.31.255.1", "172.31.255.1"),
        ("fd00::5", "fd00::5"),
        ("::ffff:192.168.1.20", "192.168.1.20"),
        ("::ffff:c0a8:114", "192.168.1.20"),
        ("0x7f000001", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
    ],
)
async def test_allowed_address_in_any_form_becomes_the_literal_one(host: str, address: str) -> None:
    assert await resolve_host(host, ALLOWED) == [address]


@pytest.mark.parametrize(
    "host",
    [
        "8.8.8.8",
        "134744072",
        "0x08080808",
        "010.010.010.010",
        "::ffff:8.8.8.8",
        "::ffff:808:808",
        "2001:db8::1",
        "100.64.0.1",
        "172.32.0.1",
        "192.169.0.1",
        "64:ff9b::7f00:1",
        "::7f00:1",
    ],
)
async def test_address_outside_the_networks_is_refused_and_the_key_named(host: str) -> None:
    with pytest.raises(SourceForbidden, match="allowed_networks"):
        await resolve_host(host, ALLOWED)


@pytest.mark.parametrize("networks", [ALLOWED, ANYWHERE])
@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "fe80::1",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",
        "0",
        "::",
        "::ffff:0.0.0.0",
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "::ffff:100.100.100.200",
        "168.63.129.16",
    ],
)
async def test_address_where_no_camera_can_be_is_refused_whatever_is_allowed(
    host: str, networks: list[str]
) -> None:
    with pytest.raises(SourceForbidden):
        await resolve_host(host, networks)


async def test_every_random_address_is_allowed_exactly_when_a_network_holds_it() -> None:
    generator = random.Random(9)
    networks = [ipaddress.ip_network(network) for network in ALLOWED]
    for _ in range(500):
        address = ipaddress.IPv4Address(generator.getrandbits(32))
        spelling = generator.choice([str(address), hex(int(address)), f"::ffff:{address}"])
        if any(address in network for network in networks):
            assert await resolve_host(spelling, ALLOWED) == [str(address)]
        else:
            with pytest.raises(SourceForbidden):
                await resolve_host(spelling, ALLOWED)


GetAddrInfo = Callable[..., list[Any]]


def answer(*addresses: str) -> GetAddrInfo:
    return lambda host, port, **_: [(0, 0, 0, "", (address, port)) for address in addresses]


class DeadNameServer:
    """Leaves look-ups waiting, but those of ``localhost``, until the test lets go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.was_asked = threading.Event()
        self.answers = threading.Event()

    def __call__(self, host: str, port: object, **_: object) -> list[Any]:
        self.asked.append(host)
        self.was_asked.set()
        if host != "localhost":
            assert self.answers.wait(PATIENCE_S)
        return answer("127.0.0.1")(host, port)


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> Iterator[DeadNameServer]:
    server = DeadNameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server)
    yield server
    server.answers.set()


async def test_name_with_one_forbidden_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answer("192.168.1.20", "169.254.169.254"))
    with pytest.raises(SourceForbidden):
        await resolve_host("rebinding.example", ALLOWED)


async def test_name_gives_each_of_its_addresses_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ("fd00::5", "192.168.1.20", "::ffff:192.168.1.20", "192.168.1.21")
    monkeypatch.setattr(socket, "getaddrinfo", answer(*found))
    expected = ["fd00::5", "192.168.1.20", "192.168.1.21"]
    assert await resolve_host("cam.example", ALLOWED) == expected


async def test_name_without_address_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(host: str, port: object, **_: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(SourceUnreachable, match="nowhere"):
        await resolve_host("nowhere.example", ALLOWED)


async def test_name_server_that_never_answers_holds_up_nobody_else(dead: DeadNameServer) -> None:
    for _ in range(3):
        with pytest.raises(SourceUnreachable):
            await resolve(CameraUrl("rtsp", "slow.example", 554, ""), ALLOWED, timeout_s=0.01)
    assert await asyncio.to_thread(dead.was_asked.wait, PATIENCE_S)
    assert dead.asked == ["slow.example"]  # the retries joined the first
    assert await resolve_host("localhost", ALLOWED) == ["127.0.0.1"]
    waiting = asyncio.create_task(resolve_host("slow.example", ALLOWED))
    await asyncio.sleep(0)
    dead.answers.set()
    assert await waiting == ["127.0.0.1"]
    assert dead.asked == ["slow.example", "localhost"]


HANGING = """
import asyncio, socket, threading
from streamer.errors import SourceUnreachable
from streamer.sources.address import CameraUrl, resolve

socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
try:
    asyncio.run(resolve(CameraUrl("rtsp", "slow.example", 554, ""), [], timeout_s=0.01))
except SourceUnreachable:
    print("unreachable")
"""


def test_process_ends_while_a_look_up_hangs() -> None:
    command = [sys.executable, "-c", HANGING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert done.stdout == "unreachable\n"
    assert done.stderr == ""


def test_ports_that_were_ours_are_not_remembered() -> None:
    before = dict(addresses._own_ports)
    with addresses.listening_on(554, 8554):
        for port in range(20_000, 60_000):
            with addresses.listening_on(port, 554):
                pass
        assert addresses._own_ports[554] == before.get(554, 0) + 1
    assert addresses._own_ports == before
