"""Tokens, their file, sessions, tickets and the count of wrong attempts: the rules without HTTP."""

import json
import logging
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streamer.access import CONFIG_TOKEN, EVERYBODY, Caller, Role, store
from streamer.access.book import TokenBook
from streamer.access.keeper import Keeper
from streamer.access.scopes import role_of, streams_of
from streamer.access.sessions import MAX_OF_A_TOKEN, Sessions
from streamer.access.store import TokenFile, tokens_path
from streamer.access.throttle import MAX_ADDRESSES, Throttle
from streamer.access.tickets import LASTS_S, Tickets
from streamer.access.tickets import MAX_OF_A_TOKEN as MAX_TICKETS_OF_A_TOKEN
from streamer.access.tokens import parse_duration
from streamer.cli import main
from streamer.config import ServerConfig
from streamer.errors import ConfigError, InvalidRequest, LimitReached, NotFound, TooManyAttempts
from streamer.telemetry import redact

STATIC = "a-token-of-16-chars"
VIEWER = Caller("0000000a", "tablet", ("view",))


class Clock:
    """Stands still until a test turns it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "state" / "tokens.json")


def looked(file: TokenFile, config_token: str = "") -> TokenBook:
    book = TokenBook(file, config_token)
    book.look()
    return book


# -- scopes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scopes", "role", "streams"),
    [
        (("view",), Role.VIEW, None),
        (("view:door",), Role.VIEW, {"door"}),
        (("view:door", "view:hall"), Role.VIEW, {"door", "hall"}),
        (("view:door", "view"), Role.VIEW, None),
        (("view:door", "operate"), Role.OPERATE, None),
        (("operate", "admin"), Role.ADMIN, None),
    ],
)
def test_scopes_come_to_a_role_and_to_the_streams_that_may_be_seen(
    scopes: tuple[str, ...], role: Role, streams: set[str] | None
) -> None:
    assert (role_of(scopes), streams_of(scopes)) == (role, streams)


# -- the file ---------------------------------------------------------------------------------------


def test_file_has_a_hash_and_nobody_else_may_read_it(file: TokenFile) -> None:
    token, secret = file.create("tablet", ("view:door",), timedelta(days=30))
    text = file.path.read_text()
    assert secret not in text and secret.rpartition("-")[2] not in text
    assert token.sha256 in text
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.read() == (token,)
    assert secret.startswith(f"st-{token.id}-") and len(secret) == len("st-") + 8 + 1 + 43


def test_two_commands_at_a_time_undo_nothing(file: TokenFile) -> None:
    makers = [
        threading.Thread(target=file.create, args=(f"n{n}", ("view",), None)) for n in range(8)
    ]
    for each in makers:
        each.start()
    for each in makers:
        each.join()
    assert {token.name for token in file.read()} == {f"n{n}" for n in range(8)}


def test_token_that_is_over_for_long_makes_room(file: TokenFile) -> None:
    file.create("old", ("view",), timedelta(days=-31))
    file.create("late", ("view",), timedelta(days=-1))
    file.create("new", ("view",), None)
    assert [token.name for token in file.read()] == ["late", "new"]


def test_so_many_tokens_are_enough(file: TokenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_TOKENS", 2)
    for name in ("one", "two"):
        file.create(name, ("view",), None)
    with pytest.raises(ConfigError, match="There are 2 tokens"):
        file.create("three", ("view",), None)
    assert [token.name for token in file.read()] == ["one", "two"]


def test_file_that_is_too_large_is_not_taken_however_sound_it_is(file: TokenFile) -> None:
    file.create("tablet", ("view",), None)
    with file.path.open("ab") as whole:
        whole.write(b" " * store.MAX_BYTES)
    with pytest.raises(ConfigError, match="larger than"):
        file.read()


def test_token_of_the_last_day_that_there_is_keeps_nobody_from_making_another(
    file: TokenFile,
) -> None:
    file.create("tablet", ("view",), None)
    content = json.loads(file.path.read_text())
    content["tokens"][0]["expires"] = "9999-12-31T23:59:59Z"  # by hand
    file.path.write_text(json.dumps(content))
    file.create("door", ("view",), None)
    assert [token.name for token in file.read()] == ["tablet", "door"]


def test_two_tokens_of_one_id_are_none(file: TokenFile) -> None:
    """One of them may be revoked, as an editor leaves it: the other would let in."""
    token, secret = file.create("tablet", ("view",), None)
    before = json.loads(file.path.read_text())["tokens"]
    file.revoke(token.id)
    content = json.loads(file.path.read_text())
    content["tokens"] += before
    file.path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="the same id"):
        file.read()
    assert looked(file).find(secret) is None and looked(file).is_guarded


def test_unknown_id_is_not_revoked_in_silence(file: TokenFile) -> None:
    with pytest.raises(NotFound, match="no token 'nope'"):
        file.revoke("nope")


def test_file_is_beside_the_state_file_if_nothing_else_is_said() -> None:
    assert tokens_path(ServerConfig(state_file="/a/b.json")) == Path("/a/tokens.json")
    assert tokens_path(ServerConfig(state_file="/a/b.json", tokens_file="/c")) == Path("/c")


# -- what a running service knows -------------------------------------------------------------------


def test_without_any_token_everybody_may_do_everything(file: TokenFile) -> None:
    assert not looked(file).is_guarded
    assert EVERYBODY.role is Role.ADMIN


def test_new_token_and_its_end_are_seen_at_the_next_look(file: TokenFile) -> None:
    book = looked(file)
    token, secret = file.create("tablet", ("view",), None)
    assert book.find(secret) is None
    book.look()
    assert book.find(secret) == book.current(token.id) == token.caller
    assert book.is_guarded
    file.revoke(token.id)
    book.look()
    assert book.find(secret) is book.current(token.id) is None


@pytest.mark.timeout(5)
def test_pipe_in_place_of_the_file_is_refused_and_not_waited_for(file: TokenFile) -> None:
    """The thread that looks for revocations would never come back."""
    file.path.parent.mkdir()
    os.mkfifo(file.path)
    with pytest.raises(ConfigError, match="no plain file"):
        file.read()


def test_token_ends_by_the_clock_without_a_look(file: TokenFile) -> None:
    _, secret = file.create("tablet", ("view",), timedelta(hours=1))
    now = datetime.now(UTC)
    book = TokenBook(file, clock=lambda: now)
    book.look()
    assert book.find(secret) is not None
    now += timedelta(hours=1)
    assert book.find(secret) is None


@pytest.mark.parametrize(
    "secret",
    ["", "st-", "st-00000000-" + "x" * 43, STATIC, "\udcff", "x" * 100_000],
)
def test_made_up_secret_is_nobodys(file: TokenFile, secret: str) -> None:
    file.create("tablet", ("admin",), None)
    assert looked(file, STATIC).find(secret) is None


def test_secret_of_one_token_under_the_id_of_another_is_nobodys(file: TokenFile) -> None:
    one, secret = file.create("one", ("view",), None)
    other, _ = file.create("other", ("admin",), None)
    assert looked(file).find(secret.replace(one.id, other.id)) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"version": 2, "tokens": []}',
        b'{"tokens": [{"id": "x"}]}',
        b" " * ((1 << 20) + 1),
    ],
)
def test_broken_file_lets_nobody_in_and_says_so_once(
    file: TokenFile, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    _, secret = file.create("tablet", ("admin",), None)
    book = looked(file, STATIC)
    good = file.path.read_bytes()
    file.path.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        book.look()
        book.look()
    assert book.find(secret) is None and book.is_guarded
    assert book.current(CONFIG_TOKEN) is not None  # that one is not in the file
    (line,) = caplog.messages
    assert str(file.path) in line and "Nobody gets in" in line
    file.path.write_bytes(good)
    book.look()
    assert book.find(secret) is not None


def test_broken_file_at_the_start_does_not_open_the_service(file: TokenFile) -> None:
    file.path.parent.mkdir()
    file.path.write_text("oops")
    assert looked(file).is_guarded


def test_file_that_is_a_folder_does_not_open_the_service(file: TokenFile) -> None:
    file.path.mkdir(parents=True)
    assert looked(file).is_guarded


def test_file_that_vanishes_does_not_open_the_service(file: TokenFile) -> None:
    file.create("tablet", ("admin",), None)
    book = looked(file)
    file.path.unlink()
    book.look()
    assert book.is_guarded and not Keeper(book, 60).may_stay(EVERYBODY)


def test_last_token_revoked_does_not_open_the_service(file: TokenFile) -> None:
    token, _ = file.create("tablet", ("admin",), None)
    file.revoke(token.id)
    assert looked(file).is_guarded


# -- sessions ---------------------------------------------------------------------------------------


def digest_of(token_id: str) -> str:
    """Tokens that stay what they are."""
    return token_id * 8


def test_session_ends_after_its_time_or_with_the_token() -> None:
    clock = Clock()
    sessions = Sessions(60, digest_of, clock)
    cookie, caller = sessions.begin(VIEWER)
    assert sessions.find(cookie) == caller and caller.name == "tablet"
    clock.now += 60
    assert sessions.find(cookie) is None
    expires = datetime.now(UTC) + timedelta(seconds=5)
    short = Caller("0000000b", "guest", ("view",), expires)
    assert Sessions(60, digest_of).begin(short)[1].expires == expires


def test_nobody_guesses_a_secret_a_cookie_or_a_ticket(file: TokenFile) -> None:
    """256 random bits, as base64."""
    made = {
        file.create("tablet", ("view",), None)[1].partition("-")[2].partition("-")[2],
        Sessions(60, digest_of).begin(VIEWER)[0],
        Tickets().issue(VIEWER, "/"),
    }
    assert [len(each) for each in made] == [43, 43, 43]


def test_one_token_pushes_out_only_its_own_sessions() -> None:
    sessions = Sessions(60, digest_of)
    other, _ = sessions.begin(Caller("0000000b", "b", ("view",)))
    first, _ = sessions.begin(VIEWER)
    for _ in range(MAX_OF_A_TOKEN):
        last, _ = sessions.begin(VIEWER)
    assert sessions.find(first) is None
    assert sessions.find(last) and sessions.find(other)
    assert len(sessions) == MAX_OF_A_TOKEN + 1


def test_session_stays_only_while_its_token_is_what_it_was(file: TokenFile) -> None:
    token, secret = file.create("tablet", ("view",), None)
    book = looked(file)
    keeper = Keeper(book, 60)
    signed_in = keeper.by_secret(secret, "10.0.0.1")
    assert signed_in is not None
    cookie, session = keeper.sessions.begin(signed_in)
    assert keeper.may_stay(session)
    content = json.loads(file.path.read_text())
    content["tokens"][0]["scopes"] = ["admin"]  # by hand
    file.path.write_text(json.dumps(content))
    book.look()
    assert not keeper.may_stay(session) and keeper.by_session(cookie) is None
    keeper.forget_ended()
    assert len(keeper.sessions) == 0
    assert token.id == signed_in.token


# -- tickets ----------------------------------------------------------------------------------------


def test_ticket_opens_its_address_once_and_no_other() -> None:
    tickets = Tickets()
    ticket = tickets.issue(VIEWER, "/a")
    assert tickets.take(ticket, "/a") == VIEWER
    assert tickets.take(ticket, "/a") is None
    ticket = tickets.issue(VIEWER, "/a")
    assert tickets.take(ticket, "/b") is None
    assert tickets.take(ticket, "/a") is None  # whoever tried it elsewhere has used it up


def test_ticket_ends_after_its_time() -> None:
    clock = Clock()
    tickets = Tickets(clock)
    ticket = tickets.issue(VIEWER, "/a")
    clock.now += LASTS_S
    assert tickets.take(ticket, "/a") is None


def test_unused_tickets_of_a_token_are_counted_until_they_end() -> None:
    clock = Clock()
    tickets = Tickets(clock)
    for _ in range(MAX_TICKETS_OF_A_TOKEN):
        tickets.issue(VIEWER, "/a")
    with pytest.raises(LimitReached):
        tickets.issue(VIEWER, "/a")
    tickets.issue(Caller("0000000b", "b", ("view",)), "/a")
    clock.now += LASTS_S
    tickets.issue(VIEWER, "/a")


# -- wrong attempts ---------------------------------------------------------------------------------


def test_address_is_held_up_after_too_many_wrong_tokens_and_no_other() -> None:
    clock = Clock()
    throttle = Throttle(burst=3, clock=clock)
    for _ in range(3):
        assert throttle.wait_s("10.0.0.1") == 0
        throttle.was_wrong("10.0.0.1")
    assert throttle.wait_s("10.0.0.1") == pytest.approx(1)
    assert throttle.wait_s("10.0.0.2") == 0
    clock.now += 1
    assert throttle.wait_s("10.0.0.1") == 0


def test_addresses_of_one_ipv6_site_count_as_one() -> None:
    throttle = Throttle(burst=1, clock=Clock())
    throttle.was_wrong("2001:db8::1")
    assert throttle.wait_s("2001:db8::ffff") > 0
    assert throttle.wait_s("2001:db8:0:1::1") == 0


def test_many_addresses_together_are_held_up_but_a_new_one_has_its_attempt() -> None:
    throttle = Throttle(burst=3, clock=Clock())
    for n in range(31):
        throttle.was_wrong(f"10.0.0.{n}")
    assert throttle.wait_s("10.0.0.30") > 0
    assert throttle.wait_s("10.0.1.1") == 0


def test_only_so_many_addresses_are_remembered() -> None:
    throttle = Throttle(burst=1, clock=Clock())
    for n in range(MAX_ADDRESSES + 1):
        throttle.was_wrong(f"site-{n}")
    assert len(throttle._addresses) == MAX_ADDRESSES


def test_tokens_of_the_file_come_in_however_many_wrong_ones_came(file: TokenFile) -> None:
    _, secret = file.create("tablet", ("view",), None)
    keeper = Keeper(looked(file, STATIC), 60)
    with pytest.raises(TooManyAttempts) as caught:
        for _ in range(100):
            keeper.by_secret("wrong", "10.0.0.1")
    assert caught.value.retry_after_s == 1
    assert keeper.by_secret(secret, "10.0.0.1") is not None
    assert keeper.by_secret(STATIC, "10.0.0.2") is not None


def test_program_with_a_revoked_token_does_not_hold_up_the_configured_one(file: TokenFile) -> None:
    token, secret = file.create("recorder", ("view",), None)
    file.revoke(token.id)
    keeper = Keeper(looked(file, STATIC), 60)
    with pytest.raises(TooManyAttempts):
        for _ in range(100):
            keeper.by_secret(secret, "10.0.0.1")
    assert keeper.by_secret(STATIC, "10.0.0.1") is not None


def test_guesses_at_the_configured_token_are_not_looked_at_while_too_many_come() -> None:
    clock = Clock()
    keeper = Keeper(TokenBook(config_token=STATIC), 60)
    keeper.throttle = Throttle(burst=1, clock=clock)
    keeper.by_secret("wrong", "10.0.0.1")
    with pytest.raises(TooManyAttempts):
        keeper.by_secret(STATIC, "10.0.0.1")
    clock.now += 1  # refused attempts do not put it off
    assert keeper.by_secret(STATIC, "10.0.0.1") is not None


# -- the command ------------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, *arguments: str) -> tuple[int, str]:
    config = tmp_path / "my.toml"
    config.write_text(f'[server]\ntokens_file = "{tmp_path}/tokens.json"\n')
    status = main(["token", *arguments, "--config", str(config)])
    out, err = capsys.readouterr()
    return status, out if status == 0 else err


def test_command_makes_lists_and_revokes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ("create", "--name", "tablet", "--scope", "view:door", "--expires", "30d")
    status, secret = run(capsys, tmp_path, *arguments)
    assert status == 0
    book = looked(TokenFile(tmp_path / "tokens.json"))
    caller = book.find(secret.strip())
    assert caller is not None and caller.scopes == ("view:door",) and caller.expires is not None
    _, listed = run(capsys, tmp_path, "list", "--json")
    (shown,) = json.loads(listed)
    assert (shown["name"], shown["state"], shown["scopes"]) == ("tablet", "valid", ["view:door"])
    assert "sha256" not in shown and secret.strip() not in listed
    assert run(capsys, tmp_path, "revoke", shown["id"])[0] == 0
    _, table = run(capsys, tmp_path, "list")
    assert "revoked" in table and "tablet" in table


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("create", "--name", "x", "--scope", "view:No"), "'view:No' is no scope"),
        (("create", "--name", "x", "--scope", "all"), "is no scope"),
        (("create", "--name", "x\x1b[2J", "--scope", "view"), "name"),
        (("create", "--name", "x", "--scope", "view", "--expires", "soon"), "30d"),
        (("revoke", "nope"), "no token"),
    ],
)
def test_command_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], word: str
) -> None:
    status, err = run(capsys, tmp_path, *arguments)
    assert status == 1 and word in err and "Traceback" not in err


def test_command_does_not_write_over_a_file_that_it_can_not_read(file: TokenFile) -> None:
    file.path.parent.mkdir()
    file.path.write_text("precious")
    with pytest.raises(ConfigError, match="broken"):
        file.create("tablet", ("view",), None)
    assert file.path.read_text() == "precious"


@pytest.mark.parametrize(("text", "hours"), [("90m", 1.5), ("12h", 12), ("30d", 720), ("2w", 336)])
def test_duration_is_a_number_and_a_unit(text: str, hours: float) -> None:
    assert parse_duration(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "0d", "-1d", "1", "d", "1.5h", "999999d", "1y"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_duration(text)


def test_log_shows_of_a_token_its_id_alone(file: TokenFile) -> None:
    token, secret = file.create("tablet", ("view",), None)
    assert redact(f"got {secret} here") == f"got st-{token.id}-… here"
    assert redact("GET /mjpeg?width=1&ticket=abc&x=1") == "GET /mjpeg?width=1&ticket=…&x=1"
