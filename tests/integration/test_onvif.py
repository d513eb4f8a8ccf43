"""Finding cameras and asking them, against one that speaks ONVIF on this machine and does not always mean
well."""

import asyncio
import contextlib
import ipaddress
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace

import aiohttp
import pytest

from streamer.config import OnvifConfig, RtspConfig
from streamer.errors import (
    InvalidRequest,
    LimitReached,
    SourceForbidden,
    SourceRejected,
    SourceUnreachable,
    SourceUnusable,
    StreamerError,
)
from streamer.sources import address, discovery, onvif
from streamer.sources.address import IpAddress
from streamer.sources.discovery import CameraFinder, FoundCamera
from streamer.sources.onvif import CameraStream, Login, OnvifAsker, parse_address
from tests.rigs.net import free_port
from tests.rigs.onvif import Mood, OnvifCamera, match_message

RTSP_URL = "rtsp://127.0.0.1:8554/cam?channel=1"
LOGIN = Login("admin", "p@ss w0rd ü")
NETWORKS = RtspConfig().allowed_networks
ON_LOOPBACK = OnvifConfig(search_s=2.0, timeout_s=60.0, interfaces=["127.0.0.1"])


def camera(**options: object) -> OnvifCamera:
    return replace(OnvifCamera(RTSP_URL), **options)  # type: ignore[arg-type]


def locked(**options: object) -> OnvifCamera:
    return camera(user=LOGIN.username, password=LOGIN.password, **options)


async def ask(
    one: OnvifCamera,
    login: Login = LOGIN,
    *,
    networks: list[str] = NETWORKS,
    timeout_s: float = 60.0,
) -> list[CameraStream]:
    asker = OnvifAsker(OnvifConfig(timeout_s=timeout_s), networks)
    return await asker.streams(one.xaddr, login)


async def refusal(one: OnvifCamera, login: Login = LOGIN, **options: object) -> StreamerError:
    with pytest.raises(StreamerError) as caught:
        await ask(one, login, **options)  # type: ignore[arg-type]
    return caught.value


@contextlib.contextmanager
def canary() -> Iterator[tuple[int, socket.socket]]:
    """A port on which nobody may call."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener.getsockname()[1], listener
        with pytest.raises(BlockingIOError):
            listener.accept()


# -- finding ----------------------------------------------------------------------------------------


async def test_camera_in_the_network_is_found_with_its_name_and_address() -> None:
    with camera(name="Front_Door%20%28north%29") as one:
        found = await CameraFinder(ON_LOOPBACK, NETWORKS).find()
    (only,) = found
    assert replace(only, scopes=[]) == FoundCamera(
        "Front Door (north) T-1000", "127.0.0.1", one.xaddr, []
    )
    assert "onvif://www.onvif.org/hardware/T-1000" in only.scopes


async def test_several_cameras_are_found_each_once() -> None:
    with camera(name="B") as b, camera(name="A") as a:
        found = await CameraFinder(ON_LOOPBACK, NETWORKS).find()
    assert [each.xaddr for each in found] == [a.xaddr, b.xaddr]


async def test_network_without_cameras_is_an_empty_list_not_an_error() -> None:
    assert await CameraFinder(ON_LOOPBACK, NETWORKS).find() == []
    off = ON_LOOPBACK.model_copy(update={"interfaces": ["192.0.2.77"], "search_s": 0.1})
    assert await CameraFinder(off, NETWORKS).find() == []


async def test_one_search_at_a_time_and_one_that_nobody_waits_for_counts() -> None:
    finder = CameraFinder(ON_LOOPBACK, NETWORKS)
    first = asyncio.create_task(finder.find())
    await asyncio.sleep(0)
    with pytest.raises(LimitReached):
        await finder.find()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    with pytest.raises(LimitReached):
        await finder.find()


NAME = "onvif://www.onvif.org/name/Liar"
HOSTILE_ANSWERS = [
    b"",
    b"\xff\xfe\x00 no xml",
    b"<" * 60_000,
    b"<a>" * 20_000,
    b'<!DOCTYPE a [<!ENTITY b "x">]><a>&b;</a>',
    match_message("urn:uuid:of-nobody", "http://127.0.0.1/of-nobody", NAME).encode(),
    match_message("{question}", "", NAME).encode(),
    match_message(
        "{question}", "ftp://127.0.0.1/x file:///etc/passwd http://u:p@127.0.0.1/ http://[", NAME
    ).encode(),
    match_message("{question}", "http://127.0.0.1/" + "x" * 2000, NAME).encode(),
    match_message("{question}", "http://127.0.0.1/no-version", NAME)
    .replace("<d:MetadataVersion>1</d:MetadataVersion>", "")
    .encode(),
    match_message("{question}", "http://127.0.0.1/no-id", NAME)
    .replace("MessageID", "Other")
    .encode(),
]


@pytest.mark.parametrize("answer", HOSTILE_ANSWERS, ids=range(len(HOSTILE_ANSWERS)))
async def test_answer_that_is_none_hides_no_camera(answer: bytes) -> None:
    with camera(extra_answers=[answer]) as one:
        found = await CameraFinder(ON_LOOPBACK, NETWORKS).find()
    assert [each.xaddr for each in found] == [one.xaddr]


async def test_flood_of_answers_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "MAX_ANSWERS", 4)  # so few come in time on any machine
    flood = [match_message("{question}", f"http://127.0.0.1/{n}", NAME).encode() for n in range(40)]
    with camera(extra_answers=flood):
        assert len(await CameraFinder(ON_LOOPBACK, NETWORKS).find()) <= 4


async def test_of_several_addresses_the_allowed_one_is_shown() -> None:
    xaddrs = "http://[fe80::1]/onvif http://203.0.113.9/onvif http://127.0.0.1:81/onvif"
    with camera(extra_answers=[match_message("{question}", xaddrs, NAME).encode()]):
        found = await CameraFinder(ON_LOOPBACK, NETWORKS).find()
    assert "http://127.0.0.1:81/onvif" in [each.xaddr for each in found]


# -- asking -----------------------------------------------------------------------------------------


async def test_camera_tells_its_streams() -> None:
    with locked() as one:
        streams = await ask(one)
    assert streams == [
        CameraStream("Main stream", RTSP_URL, "h264", 640, 480, 30),
        CameraStream("Bare", RTSP_URL, None, None, None, None),
    ]


async def test_camera_without_a_password_is_asked_without_one() -> None:
    with camera() as one:
        assert len(await ask(one, Login())) == 2


@pytest.mark.parametrize("clock_s", [-3 * 365 * 86400.0, -40.0, 7200.0])
async def test_camera_whose_clock_is_wrong_lets_us_in(clock_s: float) -> None:
    with locked(clock_s=clock_s) as one:
        assert len(await ask(one)) == 2


@pytest.mark.parametrize(
    "login", [Login("admin", "wr0ng-s3cret"), Login("somebody", LOGIN.password), Login()]
)
async def test_wrong_or_missing_password_is_told(login: Login) -> None:
    with locked() as one:
        assert isinstance(await refusal(one, login), SourceRejected)


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ("bomb", "does not speak ONVIF"),
        ("huge", "does not speak ONVIF"),
        ("not xml", "does not speak ONVIF"),
        ("utf-16", "does not speak ONVIF"),
        ("html", "ONVIF"),
        ("no media", "no video"),
    ],
)
async def test_what_is_no_camera_or_means_no_good_is_unusable(mood: Mood, words: str) -> None:
    with camera(mood=mood) as one:
        error = await refusal(one)
    assert isinstance(error, SourceUnusable)
    assert words in str(error)


@pytest.mark.parametrize("answer", [b"<!DOCTYPE a><a/>", "<a/>".encode("utf-16"), b"<a>\0</a>"])
def test_answer_that_must_not_be_read_is_refused_before_it_is(answer: bytes) -> None:
    """The library that reads it refuses some of these by itself, and may not for ever."""
    from streamer.sources.onvif_talk import check_answer  # it takes seconds

    with pytest.raises(aiohttp.ClientError):
        check_answer(answer)


async def test_camera_that_does_not_answer_in_time_is_unreachable() -> None:
    with camera(mood="slow") as one:
        error = await refusal(one, timeout_s=0.5)
    assert isinstance(error, SourceUnreachable)
    assert "0.5 s" in str(error)


async def test_port_where_nothing_listens_is_unreachable() -> None:
    asker = OnvifAsker(OnvifConfig(), NETWORKS)
    with pytest.raises(SourceUnreachable):
        await asker.streams(f"127.0.0.1:{free_port()}", LOGIN)


async def test_redirect_is_refused_and_not_followed() -> None:
    with (
        canary() as (port, _),
        camera(mood="redirect", media_url=f"http://127.0.0.1:{port}/") as one,
    ):
        assert isinstance(await refusal(one), SourceForbidden)


async def test_media_service_elsewhere_is_refused_and_not_asked() -> None:
    with locked(media_url="http://198.51.100.1/onvif") as one:
        error = await refusal(one)
    assert isinstance(error, SourceForbidden)
    assert "198.51.100.1" in str(error)


@pytest.mark.parametrize("host", ["198.51.100.1", "169.254.169.254", "0.0.0.0"])
async def test_video_elsewhere_is_refused(host: str) -> None:
    with camera(rtsp_url=f"rtsp://{host}/x") as one:
        assert isinstance(await refusal(one), SourceForbidden)


async def test_other_names_are_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []

    def look_up(host: str) -> Future[list[IpAddress]]:
        looked_up.append(host)
        return real(host)

    real = address.look_up
    monkeypatch.setattr(address, "look_up", look_up)
    with camera(rtsp_url="rtsp://elsewhere.example/x") as one:
        error = await refusal(one)
    assert isinstance(error, SourceForbidden) and "elsewhere.example" in str(error)
    assert looked_up == ["127.0.0.1"]


async def test_door_is_the_address_that_was_checked_whatever_its_name_means_by_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No name server knows the name: it is looked up once, by us."""

    def look_up(host: str) -> Future[list[IpAddress]]:
        known: Future[list[IpAddress]] = Future()
        known.set_result([ipaddress.ip_address("127.0.0.1")])
        return known

    monkeypatch.setattr(address, "look_up", look_up)
    with camera() as one:
        there = one.xaddr.replace("127.0.0.1", "camera.invalid")
        streams = await OnvifAsker(OnvifConfig(), NETWORKS).streams(there, LOGIN)
    assert {stream.url for stream in streams} == {RTSP_URL}


async def test_video_under_the_cameras_own_name_is_taken() -> None:
    with camera(rtsp_url="rtsp://LocalHost:8554/x") as one:
        there = one.xaddr.replace("127.0.0.1", "localhost")
        streams = await OnvifAsker(OnvifConfig(), NETWORKS).streams(there, LOGIN)
    assert {stream.url for stream in streams} == {"rtsp://localhost:8554/x"}


@pytest.mark.parametrize("url", ["http://127.0.0.1/x", "file:///etc/passwd", "", "rtsp://h /"])
async def test_video_that_is_not_rtsp_is_unusable(url: str) -> None:
    with camera(rtsp_url=url) as one:
        assert isinstance(await refusal(one), SourceUnusable)


async def test_credentials_in_a_cameras_answer_are_not_handed_on() -> None:
    with camera(rtsp_url="rtsp://root:s3cret@127.0.0.1/x") as one:
        assert {stream.url for stream in await ask(one)} == {"rtsp://127.0.0.1:554/x"}


async def test_address_that_is_not_allowed_is_not_asked() -> None:
    with camera() as one:
        error = await refusal(one, networks=["10.0.0.0/8"])
    assert isinstance(error, SourceForbidden)
    assert "allowed_networks" in str(error)
    assert one.requests == []


async def test_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with canary() as (port, _), locked() as one:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        assert len(await ask(one)) == 2


async def test_only_so_many_cameras_are_asked_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onvif, "MAX_ASKING", 1)
    asker = OnvifAsker(OnvifConfig(timeout_s=1.0), NETWORKS)
    with camera(mood="slow") as one:
        first = asyncio.create_task(asker.streams(one.xaddr, LOGIN))
        while not one.requests:  # noqa: ASYNC110 - the camera's thread sets no event
            await asyncio.sleep(0.01)
        with pytest.raises(LimitReached):
            await asker.streams(one.xaddr, LOGIN)
        with pytest.raises(SourceUnreachable):
            await first
    with locked() as one:
        assert len(await asker.streams(one.xaddr, LOGIN)) == 2


async def test_no_password_appears_in_any_error_or_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with locked() as one:
        await ask(one)
        told = [str(await refusal(one, Login("admin", "wr0ng-s3cret")))]
    with camera(mood="bomb") as one:
        told.append(repr(await refusal(one, Login("admin", "wr0ng-s3cret"))))
    shown = " ".join(told) + caplog.text
    assert (
        "s3cret" not in shown
        and LOGIN.password not in shown
        and "s3cret" not in repr(Login("a", "s3cret"))
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("192.168.1.20", "http://192.168.1.20:80/onvif/device_service"),
        ("camera.lan:8080", "http://camera.lan:8080/onvif/device_service"),
        ("http://192.168.1.20/", "http://192.168.1.20:80/onvif/device_service"),
        ("http://192.168.1.20:2020/other", "http://192.168.1.20:2020/other"),
        ("https://192.168.1.20/x?y=z", "https://192.168.1.20:443/x?y=z"),
        ("http://[fd00::1]/x", "http://[fd00::1]:80/x"),
    ],
)
def test_address_is_understood(text: str, place: str) -> None:
    url = parse_address(text)
    assert f"{url.scheme}://{url.place}{url.path}" == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "file:///etc/passwd",
        "rtsp://h/",
        "http://",
        "http://u:p@h/",
        "h:0",
        "h:99999",
        "h\r\nx",
        "http://[",
        "ä",
    ],
)
def test_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_address(text)


def test_libraries_are_loaded_by_nobody_who_does_not_ask() -> None:
    program = (
        "import sys, streamer.app; print([n for n in ('onvif', 'zeep', 'wsdiscovery', 'lxml')"
        " if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
