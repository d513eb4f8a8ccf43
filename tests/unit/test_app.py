"""How the service starts, and what it does not do twice."""

import asyncio
import socket
from pathlib import Path

import pytest

from streamer.access.book import TokenBook
from streamer.access.store import TokenFile
from streamer.app import _announce, _check_exposure, _listener, _probe, make_services, serve
from streamer.cli import main
from streamer.config import Config, LimitsConfig, RtspConfig, RtspSource, ServerConfig
from streamer.errors import ConfigError, LimitReached
from streamer.sources.rtsp import RtspCamera


def test_second_server_on_a_port_touches_nothing_of_the_first(tmp_path: Path) -> None:
    state = tmp_path / "streams.json"
    state.write_text("the other one is just writing this")
    with socket.create_server(("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        server = ServerConfig(port=port, state_file=str(state))
        with pytest.raises(ConfigError, match="another Streamer running"):
            asyncio.run(serve(Config(server=server), Config))
    assert [each.name for each in tmp_path.iterdir()] == ["streams.json"]


def test_server_says_once_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with _listener(ServerConfig(host="localhost"), 0) as listener:
        _announce(listener, secure=False)
        port = listener.getsockname()[1]
    assert capsys.readouterr().out == f"Streamer is at http://127.0.0.1:{port}\n"


def test_nobody_else_is_served_if_nothing_is_said() -> None:
    with _listener(ServerConfig(), 0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_token_of_the_file_is_enough_for_others_to_be_served(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens.json")
    exposed, book = ServerConfig(host="0.0.0.0"), TokenBook(file)
    book.look()
    with pytest.raises(ConfigError, match="streamer token create"):
        _check_exposure(exposed, book)
    file.create("tablet", ("view",), None)
    book.look()
    _check_exposure(exposed, book)


async def test_only_so_many_cameras_are_looked_at_at_a_time() -> None:
    probes = asyncio.Semaphore(1)
    async with probes:
        with pytest.raises(LimitReached):
            await _probe(RtspCamera(RtspSource(url="rtsp://127.0.0.1:9/"), RtspConfig()), probes)


def test_address_that_is_too_long_is_told_without_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "rtsp://u:hunter2@127.0.0.1/" + "x" * 2048]) == 1
    told = capsys.readouterr().err
    assert "2048 characters" in told and "hunter2" not in told and "xxx" not in told


def test_state_is_not_written_to_a_disk_with_too_little_left(tmp_path: Path) -> None:
    state = tmp_path / "streams.json"
    config = Config(
        server=ServerConfig(state_file=str(state)), limits=LimitsConfig(min_free_bytes=1 << 62)
    )
    services = make_services(config)
    services.streams._memory._file.save([])
    assert not services.streams._memory._file.is_current
    assert not state.exists()
