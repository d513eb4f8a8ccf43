"""Fixtures that every test may use; the rigs behind them are in ``tests/rigs``."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from streamer.isolation import lives
from streamer.telemetry import redact
from tests.rigs import secrets
from tests.rigs.clips import Clips, prepare_clips
from tests.rigs.logs import logging_kept
from tests.rigs.rtsp import RtspServer
from tests.rigs.server import StreamerServer
from tests.rigs.shared_servers import SharedServers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from pathlib import Path

    from playwright.async_api import Page

    from tests.rigs.browser import PageWatch

SERVERS = pytest.StashKey[list[StreamerServer]]()
FAILED = pytest.StashKey[bool]()


class OpenPage(Protocol):
    """Opens ``url`` in a Chromium whose camera shows ``camera``, in a context of its own."""

    async def __call__(
        self, url: str, camera: Path | None = None, *extra_args: str
    ) -> tuple[Page, PageWatch]: ...


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of each server's log with a test that failed, and look for secrets in what was said."""
    report = yield
    if report.when == "call":  # logs without the formatter of a service, which redacts each line
        secrets.look(redact(report.caplog), "the log")
        secrets.look(report.capstdout + report.capstderr, "the output")
    if report.failed:
        item.stash[FAILED] = True
        for server in item.stash.get(SERVERS, []):
            report.sections.append((f"log of {server.url}", server.log_tail()))
    return report


@pytest.fixture(autouse=True)
def no_secret_comes_out() -> Iterator[None]:
    """Of anything that the rigs or the test have seen. First of all, so that it ends last."""
    yield
    found = secrets.take()
    assert not found, "secrets came out:\n" + "\n".join(found)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Of rigs that outlive a test: what they saw in the end."""
    found = secrets.take()
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        sys.stderr.write("secrets came out:\n" + "\n".join(found) + "\n")


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left() -> Iterator[None]:
    """The fork server that tests of this process have needed ends with the last."""
    yield
    lives.end()


@pytest.fixture(autouse=True)
def logging_stays_as_it_was() -> Iterator[None]:
    """A command of ours that a test runs in this process sets the logging up for itself. A fixture of a
    wider scope that runs one has to see to it, too."""
    with logging_kept():
        yield


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children live as threads, as where the system can't fork: a test can get at what they use."""
    monkeypatch.setattr(lives, "begin", lives.ThreadLife)


@pytest.fixture(scope="session")
def clips() -> Clips:
    """The clips of a real person; ``make test`` prepares them before, since it takes a while."""
    return prepare_clips()


@pytest.fixture(scope="session")
def person_clip(clips: Clips) -> Path:
    """640x480 H.264 at 30 fps, one person in every frame."""
    return clips.person


@pytest.fixture
def rtsp_server() -> Iterator[Callable[..., RtspServer]]:
    """Start RTSP servers with the arguments of ``RtspServer``; they end with the test."""
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(RtspServer(*args, **kwargs))


@pytest.fixture(scope="session")
def shared_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedServers]:
    """They end with the last test, which fails when one does not end well."""
    servers = SharedServers(lambda: tmp_path_factory.mktemp("server"))
    yield servers
    servers.close()


@pytest.fixture
def server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    shared_servers: SharedServers,
) -> Iterator[Callable[..., StreamerServer]]:
    """Start servers with the arguments of ``StreamerServer`` after its folder.

    They end with the test, which fails when one does not end well. One that has no streams of its own may
    have served other tests before and may serve others afterwards, unless it is to be ``alone``.
    """
    started = request.node.stash.setdefault(SERVERS, [])
    with ExitStack() as stack:

        def start(
            config: str = "",
            *,
            arguments: Sequence[str] = (),
            module: str = "streamer",
            alone: bool = False,
            **kwargs: Any,
        ) -> StreamerServer:
            if alone or kwargs or "[[" in config:
                folder = tmp_path_factory.mktemp("server")
                one = StreamerServer(folder, config, arguments=arguments, module=module, **kwargs)
                started.append(one)
                return stack.enter_context(one)
            wish = (config, tuple(arguments), module)
            one = shared_servers.take(wish)
            started.append(one)
            stack.push(
                lambda kind, *_: shared_servers.give_back(
                    wish, one, has_failed=kind is not None or request.node.stash.get(FAILED, False)
                )
            )
            return one

        yield start
