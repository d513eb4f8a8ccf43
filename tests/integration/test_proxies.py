"""What the server believes of a reverse proxy, and of those who pretend to be one."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from streamer.app import serve
from streamer.config import Config, ServerConfig
from streamer.errors import ConfigError
from streamer.server.application import make_application
from tests.in_process import Http, Service, WebcamPeer, serving

TOKEN = "0123456789-s3cret-token"
HTML = {"Accept": "text/html"}
CAMERA = {"type": "rtsp", "url": "rtsp://127.0.0.1:9/a"}
TOLD = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "pose.example",
    "X-Forwarded-Prefix": "/pose",
    "X-Forwarded-For": "203.0.113.9",
}


def trusting(**more: object) -> ServerConfig:
    names = ["pose.example"]
    return ServerConfig.model_validate(
        {"trusted_proxies": ["127.0.0.0/8"], "allowed_hosts": names, "token": TOKEN} | more
    )


@pytest.fixture
async def proxied(tmp_path: Path) -> AsyncIterator[Http]:
    """A server whose client is a proxy that it trusts."""
    async with serving(Service(tmp_path, server=trusting())) as http:
        http.session.headers["Authorization"] = f"Bearer {TOKEN}"
        yield http


@pytest.fixture
async def based(tmp_path: Path) -> AsyncIterator[Http]:
    """A server under a path, which trusts nobody."""
    async with serving(Service(tmp_path, server=ServerConfig(base_path="/a/pose"))) as http:
        yield http


async def test_links_and_locations_have_the_prefix_that_a_trusted_proxy_tells(
    proxied: Http,
) -> None:
    page = await (await proxied.get("/webcam", headers=TOLD)).text()
    assert '<base href="/pose/">' in page
    added = await proxied.post(
        "/api/v1/streams", json={"id": "door", "source": CAMERA}, headers=TOLD
    )
    assert added.headers["Location"] == "/pose/api/v1/streams/door"


async def test_browser_is_sent_to_the_sign_in_page_under_the_prefix_and_from_there_back(
    proxied: Http,
) -> None:
    headers = TOLD | HTML | {"Authorization": ""}
    response = await proxied.get("/streams/door?a=b", headers=headers, allow_redirects=False)
    assert response.headers["Location"] == "/pose/login?next=%2Fpose%2Fstreams%2Fdoor%3Fa%3Db"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://pose.example", 201),
        ("http://pose.example", 403),
        ("https://pose.example:8443", 403),
        ("https://evil.example", 403),
        ("http://127.0.0.1:{port}", 403),
    ],
)
async def test_page_must_come_from_the_outside_scheme_name_and_port(
    proxied: Http, origin: str, status: int
) -> None:
    headers = TOLD | {"Origin": origin.format(port=proxied.port)}
    response = await proxied.post("/api/v1/streams", json={"source": CAMERA}, headers=headers)
    assert response.status == status


@pytest.mark.parametrize("host", ["pose.example:443", "POSE.example", "nonsense, pose.example"])
async def test_host_is_that_of_the_nearest_proxy_in_the_form_of_an_origin(
    proxied: Http, host: str
) -> None:
    headers = TOLD | {"X-Forwarded-Host": host, "Origin": "https://pose.example"}
    response = await proxied.post("/api/v1/streams", json={"source": CAMERA}, headers=headers)
    assert response.status == 201


@pytest.mark.parametrize("host", ["evil.example", "pose.example:99999", "pose.example:x"])
async def test_name_that_is_not_ours_is_refused_behind_a_proxy_too(
    proxied: Http, host: str
) -> None:
    response = await proxied.get("/", headers=TOLD | {"X-Forwarded-Host": host})
    assert response.status == 421


@pytest.mark.parametrize(("scheme", "secure"), [("https", True), ("http", False)])
async def test_cookie_is_for_the_prefix_and_secure_when_the_outside_is(
    proxied: Http, scheme: str, secure: bool
) -> None:
    headers = TOLD | {"X-Forwarded-Proto": scheme}
    response = await proxied.post("/api/v1/login", json={"token": TOKEN}, headers=headers)
    cookie = response.cookies["streamer_session"]
    assert cookie["path"] == "/pose"
    assert bool(cookie["secure"]) == secure


@pytest.mark.parametrize(
    "prefix", ['/"><script>', "//evil.example", "/a/../b", "pose", "https://evil.example", "/é"]
)
async def test_prefix_that_is_no_path_changes_nothing(proxied: Http, prefix: str) -> None:
    page = await (await proxied.get("/", headers=TOLD | {"X-Forwarded-Prefix": prefix})).text()
    assert '<base href="/">' in page


async def test_log_of_a_wrong_token_names_the_sender_behind_the_proxy(
    proxied: Http, caplog: pytest.LogCaptureFixture
) -> None:
    headers = TOLD | {"X-Forwarded-For": "1.2.3.4, 203.0.113.9, 127.0.0.2"}
    with caplog.at_level(logging.WARNING, logger="streamer"):
        await proxied.post("/api/v1/login", json={"token": "x"}, headers=headers)
    assert "came from 203.0.113.9" in caplog.text


async def test_headers_of_anybody_else_change_nothing(tmp_path: Path) -> None:
    config = ServerConfig(trusted_proxies=["192.0.2.1"], token=TOKEN)
    async with serving(Service(tmp_path, server=config)) as http:
        own, told = f"http://127.0.0.1:{http.port}", "https://pose.example"
        for origin, status in ((own, 204), (told, 403)):
            headers = TOLD | {"Origin": origin}
            response = await http.post("/api/v1/login", json={"token": TOKEN}, headers=headers)
            assert response.status == status
            for cookie in response.cookies.values():
                assert (cookie["path"], cookie["secure"]) == ("/", "")
        page = await (await http.get("/login", headers=TOLD)).text()
        assert '<base href="/">' in page
        evil = await http.get("/login", headers={"Host": "evil.example", **TOLD})
        assert evil.status == 421


async def test_everything_answers_with_and_without_the_base_path(based: Http) -> None:
    for prefix in ("/a/pose", ""):
        page = await based.get(f"{prefix}/streams/door", allow_redirects=False)
        assert '<base href="/a/pose/">' in await page.text()
        assert (await based.get(f"{prefix}/static/base.js")).status == 200
        assert (await based.get(f"{prefix}/nowhere")).status == 404
        wrong_method = await based.put(f"{prefix}/api/v1/streams")
        assert wrong_method.status == 405
        assert set(wrong_method.headers["Allow"].split(",")) >= {"GET", "POST"}
    assert (await based.get("/a/posex")).status == 404


async def test_base_path_without_its_slash_leads_to_the_wall(based: Http) -> None:
    response = await based.get("/a/pose", allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (308, "/a/pose/")


async def test_webcams_location_has_the_base_path_and_ends_the_peer(based: Http) -> None:
    peer = WebcamPeer()
    try:
        await peer.join(based, "/a/pose/webcam")
        assert peer.location.startswith("/a/pose/api/v1/peers/")
        assert (await based.delete(peer.location)).status == 200
    finally:
        await peer.close()


async def test_with_a_token_nothing_but_the_public_is_open_under_the_base_path(
    tmp_path: Path,
) -> None:
    config = ServerConfig(base_path="/pose", token=TOKEN)
    async with serving(Service(tmp_path, server=config)) as http:
        for path in ("/pose/login", "/pose/healthz", "/pose/static/base.js", "/login"):
            assert (await http.get(path)).status == 200
        for path in ("/pose", "/pose/", "/pose/api/v1/streams", "/pose/pose/login"):
            assert (await http.get(path)).status == 401
        sent = await http.get("/pose?a=b", headers=HTML, allow_redirects=False)
        assert sent.headers["Location"] == "/pose/login?next=%2Fpose%2F%3Fa%3Db"


async def test_server_behind_a_proxy_needs_a_token_as_one_in_a_network_does() -> None:
    with pytest.raises(ConfigError, match="a proxy other machines can reach.*--insecure-lan"):
        await serve(Config(server=ServerConfig(port=0, trusted_proxies=["127.0.0.1"])), Config)


@pytest.mark.parametrize("path", ["/streams", "/api/pose", "/static"])
async def test_base_path_of_the_servers_own_is_refused(tmp_path: Path, path: str) -> None:
    service = Service(tmp_path)
    try:
        with pytest.raises(ConfigError, match="taken"):
            make_application(ServerConfig(base_path=path), service.services)
    finally:
        await service.close()


async def test_each_route_is_there_under_the_base_path(tmp_path: Path) -> None:
    service = Service(tmp_path)
    try:
        plain, based = (
            {(route.method, path_of(route)) for route in app.router.routes()}
            for app in (
                make_application(ServerConfig(), service.services),
                make_application(ServerConfig(base_path="/pose"), service.services),
            )
        )
        assert {(method, f"/pose{path}") for method, path in plain} <= based
    finally:
        await service.close()


def path_of(route: web.AbstractRoute) -> str:
    assert route.resource is not None
    info = route.resource.get_info()
    path = info.get("path") or info["formatter"]
    assert "pattern" not in info or info["pattern"].pattern.count("[^{}/]+") == path.count("{"), (
        "a route with a pattern of its own would lose it under the base path"
    )
    return path
