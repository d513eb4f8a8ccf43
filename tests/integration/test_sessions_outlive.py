"""Browsers stay signed in over a restart of the server, and those who were shown out stay out."""

import json
from collections.abc import Callable
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest

from streamer.access.book import TokenBook
from streamer.access.session_file import SessionFile, sessions_path
from streamer.access.store import TokenFile
from streamer.config import ServerConfig
from streamer.server import access
from tests.fakes import PATIENCE_S
from tests.in_process import Http, Service, serving
from tests.rigs.secrets import secret as marked
from tests.rigs.server import StreamerServer

STATIC = "a-token-of-16-chars"


def on(folder: Path, config_token: str = STATIC) -> Service:
    """One more start of the server on the folder."""
    book = TokenBook(TokenFile(folder / "tokens.json"), config_token)
    book.look()
    return Service(
        folder,
        server=ServerConfig(token=config_token),
        tokens=book,
        session_file=SessionFile(sessions_path(folder / "streams.json")),
    )


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "tokens.json")


async def sign_in(http: Http, token: str) -> dict[str, str]:
    """The header of the cookie."""
    answer = await http.post("/api/v1/login", json={"token": token})
    assert answer.status == 204
    return {"Cookie": f"streamer_session={answer.cookies['streamer_session'].value}"}


async def status(http: Http, cookie: dict[str, str]) -> int:
    return (await http.get("/api/v1/me", headers=cookie)).status


async def test_browsers_stay_signed_in_over_a_restart(tokens: TokenFile, tmp_path: Path) -> None:
    _, secret = tokens.create("tablet", ("view",), timedelta(days=30))
    async with serving(on(tmp_path)) as http:
        tablet, owner = await sign_in(http, secret), await sign_in(http, STATIC)
        before = await (await http.get("/api/v1/me", headers=tablet)).json()
    async with serving(on(tmp_path)) as http:
        assert await (await http.get("/api/v1/me", headers=tablet)).json() == before
        assert await status(http, owner) == 200


async def test_sign_out_is_on_the_disk_when_it_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(on(tmp_path)) as http:
        cookie, other = await sign_in(http, STATIC), await sign_in(http, STATIC)
    monkeypatch.setattr(
        access, "LOOK_INTERVAL_S", 3600.0
    )  # no other write than that of the sign-out
    async with serving(on(tmp_path)) as http:
        assert (await http.post("/api/v1/logout", headers=cookie)).status == 204
        async with serving(on(tmp_path)) as after_a_crash:
            assert await status(after_a_crash, cookie) == 401
            assert await status(after_a_crash, other) == 200


async def test_token_that_was_revoked_meanwhile_has_no_sessions(
    tokens: TokenFile, tmp_path: Path
) -> None:
    token, secret = tokens.create("tablet", ("view",), None)
    async with serving(on(tmp_path)) as http:
        tablet, owner = await sign_in(http, secret), await sign_in(http, STATIC)
    tokens.revoke(token.id)
    async with serving(on(tmp_path)) as http:
        assert await status(http, tablet) == 401
        assert await status(http, owner) == 200


async def test_configured_token_that_was_changed_meanwhile_has_no_sessions(tmp_path: Path) -> None:
    async with serving(on(tmp_path)) as http:
        cookie = await sign_in(http, STATIC)
    async with serving(on(tmp_path, STATIC + "-2")) as http:
        assert await status(http, cookie) == 401
    async with serving(on(tmp_path)) as http:
        assert await status(http, cookie) == 401


async def test_server_without_tokens_writes_nothing(tmp_path: Path) -> None:
    async with serving(on(tmp_path, config_token="")) as http:
        answer = await http.post("/api/v1/login", json={"token": "any"})
        assert answer.status == 204 and not answer.cookies
    assert not sessions_path(tmp_path / "streams.json").exists()


async def test_disk_that_takes_nothing_fails_no_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = on(tmp_path)
    (tmp_path / "no-folder").write_text("")
    service.services.session_file = SessionFile(tmp_path / "no-folder" / "sessions.json")
    async with serving(service) as http:
        for _ in range(3):
            cookie = await sign_in(http, STATIC)
            assert await status(http, cookie) == 200
            assert (await http.post("/api/v1/logout", headers=cookie)).status == 204
            assert await status(http, cookie) == 401
    assert len([line for line in caplog.messages if "can't be kept" in line]) <= 1


def sign_in_to(running: StreamerServer, token: str) -> dict[str, str]:
    connection = HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE_S)
    try:
        body = json.dumps({"token": token})
        connection.request("POST", "/api/v1/login", body, {"Content-Type": "application/json"})
        cookie = connection.getresponse().headers["Set-Cookie"]
    finally:
        connection.close()
    return {"Cookie": cookie.partition(";")[0]}


@pytest.mark.timeout(600)
def test_whole_server_keeps_who_is_signed_in_and_not_who_was_shown_out(
    server: Callable[..., StreamerServer],
) -> None:
    token = marked("wall")
    running = server(f'[server]\ntoken = "{token}"\n', alone=True)
    stays, leaves = (sign_in_to(running, token) for _ in range(2))
    running.stop()
    running.start()
    assert '"signed_in": true' in running.ask("GET", "/api/v1/me", stays)
    assert '"signed_in": true' in running.ask("GET", "/api/v1/me", leaves)
    running.ask("POST", "/api/v1/logout", leaves)
    running.kill()
    running.start()
    assert '"signed_in": true' in running.ask("GET", "/api/v1/me", stays)
    assert "token-needed" in running.ask("GET", "/api/v1/me", leaves)
