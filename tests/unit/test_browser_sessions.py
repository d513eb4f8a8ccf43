"""Sessions over a restart: what is written, what comes back of it, and what a bad disk does. Without HTTP."""

import asyncio
import errno
import json
import logging
import os
import stat
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streamer.access import CONFIG_TOKEN, Caller, session_file
from streamer.access.book import TokenBook
from streamer.access.keeper import Keeper
from streamer.access.session_file import (
    AGAIN_S,
    MAX_BYTES,
    SessionFile,
    SessionWriter,
    sessions_path,
)
from streamer.access.sessions import MAX_OF_A_TOKEN, MAX_SESSIONS, Kept, Sessions
from streamer.access.store import TokenFile
from streamer.access.tokens import digest
from tests.fakes import PATIENCE_S

STATIC = "a-token-of-16-chars"
VIEWER = Caller("0000000a", "tablet", ("view",))


class Clock:
    """Both of them, monotonic and the wall's, standing still until a test turns them. A new start knows the
    wall's alone."""

    def __init__(self) -> None:
        self.mono = 1000.0
        self.wall = datetime(2026, 1, 1, tzinfo=UTC)

    def turn(self, seconds: float) -> None:
        self.mono += seconds
        self.wall += timedelta(seconds=seconds)

    def sessions(self, lasts_s: float = 60) -> Sessions:
        return Sessions(lasts_s, lambda token: token * 8, lambda: self.mono, lambda: self.wall)


@dataclass
class Start:
    """One start of the service on the folder, as far as sessions go."""

    keeper: Keeper
    writer: SessionWriter
    file: SessionFile

    def sign_in(self, secret: str) -> str:
        caller = self.keeper.by_secret(secret, "10.0.0.1")
        assert caller is not None
        return self.keeper.sessions.begin(caller)[0]

    def sign_out(self, cookie: str) -> None:
        session = self.keeper.sessions.find(cookie)
        assert session is not None
        self.keeper.sessions.end(session.session)


async def start(folder: Path, config_token: str = "") -> Start:
    book = TokenBook(TokenFile(folder / "tokens.json"), config_token)
    book.look()
    keeper, file = Keeper(book, 3600), SessionFile(sessions_path(folder / "streams.json"))
    writer = SessionWriter(keeper.sessions, file)
    await writer.load(book.current)
    return Start(keeper, writer, file)


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "tokens.json")


# -- what comes back --------------------------------------------------------------------------------


async def test_session_outlives_a_restart_and_the_file_has_no_secret(
    tokens: TokenFile, tmp_path: Path
) -> None:
    token, secret = tokens.create("tablet of anna", ("view:door",), timedelta(days=30))
    before = await start(tmp_path, STATIC)
    cookies = [before.sign_in(secret), before.sign_in(STATIC)]
    await before.writer.write()
    after = await start(tmp_path, STATIC)
    for cookie, expected in zip(cookies, (token.id, CONFIG_TOKEN), strict=True):
        caller = after.keeper.by_session(cookie)
        assert caller is not None and caller.token == expected
        assert caller == before.keeper.by_session(cookie)
    path = before.file.path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = path.read_text()
    for never in (*cookies, secret, STATIC, digest(STATIC), token.sha256, token.name, "door"):
        assert never not in written
    assert digest(cookies[0]) in written


@pytest.mark.parametrize("how", ["revoked", "expired", "gone", "other scopes", "other secret"])
async def test_session_ends_with_its_token_though_nobody_was_there_to_see(
    tokens: TokenFile, tmp_path: Path, how: str
) -> None:
    token, secret = tokens.create("tablet", ("view",), timedelta(days=30))
    tokens.create("other", ("view",), None)
    before = await start(tmp_path)
    cookie = before.sign_in(secret)
    await before.writer.write()
    content = json.loads(tokens.path.read_text())
    entry = content["tokens"][0]
    match how:
        case "revoked":
            entry["revoked"] = entry["created"]
        case "expired":
            entry["expires"] = entry["created"]
        case "gone":
            content["tokens"].pop(0)
        case "other scopes":
            entry["scopes"] = ["admin"]
        case _:
            entry["sha256"] = digest("another")
    tokens.path.write_text(json.dumps(content))
    after = await start(tmp_path)
    assert after.keeper.by_session(cookie) is None
    await after.writer.write()
    assert not after.file.path.exists()  # it was the only one


async def test_session_ends_when_the_configured_token_is_another_one(tmp_path: Path) -> None:
    before = await start(tmp_path, STATIC)
    cookie = before.sign_in(STATIC)
    await before.writer.write()
    changed = await start(tmp_path, STATIC + "x")
    assert changed.keeper.by_session(cookie) is None
    await changed.writer.write()
    assert (await start(tmp_path, STATIC)).keeper.by_session(cookie) is None  # for good
    gone = await start(tmp_path)
    assert gone.keeper.by_session(cookie) is None and len(gone.keeper.sessions) == 0


async def test_open_server_forgets_the_sessions_of_before(tmp_path: Path) -> None:
    before = await start(tmp_path, STATIC)
    before.sign_in(STATIC)
    await before.writer.write()
    opened = await start(tmp_path)
    assert not opened.keeper.book.is_guarded and opened.file.path.exists()
    await opened.writer.write()
    assert not opened.file.path.exists()


async def test_session_that_was_signed_out_does_not_come_back(tmp_path: Path) -> None:
    before = await start(tmp_path, STATIC)
    cookie, other = before.sign_in(STATIC), before.sign_in(STATIC)
    await before.writer.write()
    before.sign_out(cookie)
    await before.writer.write()
    after = await start(tmp_path, STATIC)
    assert after.keeper.by_session(cookie) is None
    assert after.keeper.by_session(other) is not None


@pytest.mark.parametrize("changed", ["id", "token", "expires"])
async def test_session_that_somebody_has_written_in_lets_nobody_in(
    tmp_path: Path, changed: str
) -> None:
    before = await start(tmp_path, STATIC)
    cookie = made_up = before.sign_in(STATIC)
    await before.writer.write()
    other, _ = TokenFile(tmp_path / "tokens.json").create("other", ("view",), None)
    content = json.loads(before.file.path.read_text())
    entry = content["sessions"][0]
    match changed:
        case "id":
            made_up = "a-cookie-of-my-own"
            entry["id"] = digest(made_up)
        case "token":
            entry["token"] = other.id
        case _:
            entry["expires"] = "2999-01-01T00:00:00Z"
    before.file.path.write_text(json.dumps(content))
    after = await start(tmp_path, STATIC)
    assert len(after.keeper.sessions) == 1
    assert after.keeper.by_session(made_up) is None
    if made_up == cookie:
        assert len(after.keeper.sessions) == 0


def test_session_ends_by_the_wall_clock_over_a_restart() -> None:
    clock = Clock()
    before = clock.sessions()
    cookie, caller = before.begin(VIEWER)
    written = before.kept()
    clock.turn(30)
    clock.mono = 0.0  # the machine was started anew
    after = clock.sessions()
    after.restore(written, lambda token: VIEWER)
    assert after.find(cookie) == caller
    clock.turn(30)
    assert after.find(cookie) is None and after.kept() == ()
    again = clock.sessions()
    again.restore(written, lambda token: VIEWER)
    assert again.find(cookie) is None and len(again) == 0


def test_clock_that_is_put_back_and_shorter_sessions_make_none_longer() -> None:
    clock = Clock()
    before = clock.sessions(lasts_s=3600)
    cookie, _ = before.begin(VIEWER)
    clock.wall -= timedelta(days=365)
    after = clock.sessions(lasts_s=60)
    after.restore(before.kept(), lambda token: VIEWER)
    assert after.find(cookie) is not None
    clock.mono += 60
    assert after.find(cookie) is None


def test_clock_that_was_behind_at_the_start_makes_none_longer_once_it_is_right() -> None:
    clock = Clock()
    before = clock.sessions(lasts_s=3600)
    cookie, _ = before.begin(VIEWER)
    clock.wall -= timedelta(days=365)
    after = clock.sessions(lasts_s=3600)
    after.restore(before.kept(), lambda token: VIEWER)
    clock.wall += timedelta(days=365, seconds=3599)
    assert after.find(cookie) is not None
    clock.wall += timedelta(seconds=1)
    assert after.find(cookie) is None


# -- how many ---------------------------------------------------------------------------------------


def test_many_sessions_take_their_places_from_those_who_have_most(tmp_path: Path) -> None:
    sessions = Clock().sessions()
    single, _ = sessions.begin(Caller("ffffffff", "single", ("view",)))
    for n in range(MAX_SESSIONS):
        sessions.begin(Caller(f"{n // (MAX_OF_A_TOKEN // 2):08x}", "x" * 64, ("view",)))
    assert len(sessions) == MAX_SESSIONS
    assert sessions.find(single) is not None
    file = SessionFile(tmp_path / "sessions.json")
    assert file.save(sessions.kept())
    assert file.path.stat().st_size < MAX_BYTES
    assert file.load() == sessions.kept()


def test_file_with_more_sessions_of_a_token_than_may_be_loses_the_oldest() -> None:
    clock = Clock()
    many, written = clock.sessions(), []
    for _ in range(MAX_OF_A_TOKEN + 1):
        many.begin(VIEWER)
        written.append(many.kept()[-1])
    after = clock.sessions()
    after.restore(written, lambda token: VIEWER)
    assert after.kept() == tuple(written[1:])


def test_session_that_is_in_the_file_twice_counts_once() -> None:
    clock = Clock()
    before = clock.sessions()
    before.begin(VIEWER)
    after = clock.sessions()
    after.restore(before.kept() * 2, lambda token: VIEWER)
    for _ in range(MAX_OF_A_TOKEN + 1):
        after.begin(VIEWER)
    assert len(after) == MAX_OF_A_TOKEN


# -- a file that can't be used ----------------------------------------------------------------------


def spoil_with(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def make_large(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" " * MAX_BYTES)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_link(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_with(b""),
        spoil_with(b"{"),
        spoil_with(b"\xff\xfe"),
        spoil_with(b"[" * 100_000),
        spoil_with(b'{"version": 2, "sessions": []}'),
        spoil_with(b'{"version": 1, "sessions": [{"id": "x"}]}'),
        make_large,
        lambda path: path.chmod(0o666),
        make_folder,
        make_pipe,
        make_link,
    ],
    ids="empty cut bytes deep later entry large writable folder pipe link".split(),
)
async def test_file_that_can_not_be_used_is_told_once_and_signs_browsers_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], object]
) -> None:
    before = await start(tmp_path, STATIC)
    cookie = before.sign_in(STATIC)
    await before.writer.write()
    spoil(before.file.path)
    after = await start(tmp_path, STATIC)
    assert after.keeper.by_session(cookie) is None
    (line,) = caplog.messages
    assert str(before.file.path) in line and "sign in again" in line
    assert cookie not in line


async def test_file_of_another_user_is_not_believed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await start(tmp_path, STATIC)
    cookie = before.sign_in(STATIC)
    await before.writer.write()
    someone = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: someone)
    assert (await start(tmp_path, STATIC)).keeper.by_session(cookie) is None
    assert "another user's" in caplog.text


# -- a disk that takes nothing ----------------------------------------------------------------------


def full(path: Path, data: bytes, min_free_bytes: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_full_disk_is_told_once_and_sessions_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await start(tmp_path, STATIC)
    first = one.sign_in(STATIC)
    await one.writer.write()
    with monkeypatch.context() as patch:
        patch.setattr(session_file, "write_whole", full)
        second = one.sign_in(STATIC)
        await one.writer.write()
        await one.writer.write()
        (line,) = caplog.messages
        assert "No space left" in line and "a restart may sign browsers out" in line
        assert one.file.path.exists()  # nothing has ended: the first one is as it was
    assert one.keeper.by_session(first) and one.keeper.by_session(second)
    await one.writer.write()
    assert (await start(tmp_path, STATIC)).keeper.by_session(second)
    assert "kept again" in caplog.messages[-1]


async def test_sign_out_holds_over_a_restart_though_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await start(tmp_path, STATIC)
    cookie, _ = one.sign_in(STATIC), one.sign_in(STATIC)
    await one.writer.write()
    monkeypatch.setattr(session_file, "write_whole", full)
    one.sign_out(cookie)
    await one.writer.write()
    assert (await start(tmp_path, STATIC)).keeper.by_session(cookie) is None


async def test_sign_out_that_can_be_neither_written_nor_removed_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    one = await start(tmp_path, STATIC)
    cookie, _ = one.sign_in(STATIC), one.sign_in(STATIC)
    await one.writer.write()
    monkeypatch.setattr(session_file, "write_whole", read_only)
    monkeypatch.setattr(os, "unlink", read_only)
    monkeypatch.setattr(session_file, "_open_plain", read_only)
    one.sign_out(cookie)
    await one.writer.write()
    one.sign_in(STATIC)
    await one.writer.write()
    (line,) = caplog.messages
    assert "would hold again after a restart: remove the file" in line


async def test_link_in_the_place_of_the_file_empties_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stays(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    one = await start(tmp_path, STATIC)
    cookie, _ = one.sign_in(STATIC), one.sign_in(STATIC)
    await one.writer.write()
    other = tmp_path / "other"
    other.write_text("of the same user", "utf-8")
    one.file.path.unlink()
    one.file.path.symlink_to(other)
    monkeypatch.setattr(session_file, "write_whole", full)
    monkeypatch.setattr(os, "unlink", stays)
    one.sign_out(cookie)
    await one.writer.write()
    assert other.read_text("utf-8") == "of the same user"


# -- when it is written -----------------------------------------------------------------------------


class SlowFile(SessionFile):
    """A disk that takes what it is given only once a test lets it; ``fails``: and then it doesn't."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.written: list[int] = []
        self.fails = False

    def save(self, sessions: Sequence[Kept]) -> bool:
        self.begun.release()
        assert self.go.acquire(timeout=PATIENCE_S)
        self.written.append(len(sessions))
        return not self.fails


async def begun(file: SlowFile) -> None:
    assert await asyncio.to_thread(file.begun.acquire, timeout=PATIENCE_S)


async def test_writes_are_one_at_a_time_and_of_all_that_has_changed(tmp_path: Path) -> None:
    sessions, file = Clock().sessions(), SlowFile(tmp_path / "s.json")
    writer = SessionWriter(sessions, file)
    sessions.begin(VIEWER)
    writer.write_soon()
    await begun(file)
    for _ in range(10):
        sessions.begin(VIEWER)
        writer.write_soon()
    waiting = asyncio.create_task(writer.write())
    file.go.release(2)
    await waiting
    writer.write_soon()
    await writer.write()
    assert file.written == [1, 11]


async def test_disk_that_hangs_holds_up_nobody_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_file, "WAIT_S", 0.01)
    sessions, file = Clock().sessions(), SlowFile(tmp_path / "s.json")
    writer = SessionWriter(sessions, file)
    for _ in range(3):
        sessions.begin(VIEWER)
        await writer.write()
    assert file.written == []
    monkeypatch.setattr(session_file, "WAIT_S", PATIENCE_S)
    file.go.release(2)
    await writer.write()
    assert file.written[-1] == 3 and len(file.written) <= 2


async def test_failed_write_is_tried_again_later_or_by_a_sign_out_at_once(tmp_path: Path) -> None:
    clock = Clock()
    sessions, file = clock.sessions(), SlowFile(tmp_path / "s.json")
    writer = SessionWriter(sessions, file, lambda: clock.mono)
    file.fails = True
    file.go.release(3)
    _, caller = sessions.begin(VIEWER)
    await writer.write()
    writer.write_soon()
    await asyncio.sleep(0)
    assert file.written == [1]
    sessions.end(caller.session)
    await writer.write()
    assert file.written == [1, 0]
    clock.turn(AGAIN_S)
    file.fails = False
    writer.write_soon()
    await writer.write()
    assert file.written == [1, 0, 0]


async def test_sign_out_during_a_write_that_fails_is_tried_too(tmp_path: Path) -> None:
    sessions, file = Clock().sessions(), SlowFile(tmp_path / "s.json")
    writer = SessionWriter(sessions, file)
    file.fails = True
    _, caller = sessions.begin(VIEWER)
    writer.write_soon()
    await begun(file)
    sessions.end(caller.session)
    waiting = asyncio.create_task(writer.write())
    file.go.release(2)
    await waiting
    assert file.written == [1, 0]


async def test_nothing_is_written_where_nobody_signs_in_or_nothing_is_kept(tmp_path: Path) -> None:
    one = await start(tmp_path)
    one.writer.write_soon()
    await one.writer.write()
    assert os.listdir(tmp_path) == []
    sessions = Clock().sessions()
    nowhere = SessionWriter(sessions, None)
    await nowhere.load(lambda token: None)
    sessions.begin(VIEWER)
    await nowhere.write()


def test_file_is_never_the_state_file() -> None:
    assert sessions_path(Path("/a/streams.json")) == Path("/a/streams.sessions.json")
    for name in ("x", "x.sessions.json", ".sessions.json"):
        assert sessions_path(Path("/a") / name) != Path("/a") / name


@pytest.fixture(autouse=True)
def only_warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
