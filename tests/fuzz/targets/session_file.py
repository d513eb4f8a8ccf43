"""The sessions that are remembered over a restart, after somebody has had their way with the file: nobody
comes in by it who has not signed in."""

from datetime import UTC, datetime
from pathlib import Path

from streamer.access.callers import Caller
from streamer.access.session_file import SessionFile
from streamer.access.sessions import MAX_OF_A_TOKEN, MAX_SESSIONS, Sessions

COOKIE = "the-cookie-of-the-corpus"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
DIGESTS = {"config": "c0", "0000000a": "0a"}
CALLERS = {
    "config": Caller("config", "[server] token", ("admin",)),
    "0000000a": Caller("0000000a", "tablet", ("view:door",), datetime(2026, 2, 1, tzinfo=UTC)),
}
LASTS_S = 365 * 86400.0


class _File(SessionFile):
    """A file without a disk, which would be slow."""

    content = b""

    def _read(self) -> bytes:
        return self.content


def fuzz(data: bytes) -> None:
    file = _File(Path("sessions.json"))
    file.content = data
    kept = file.load()
    sessions = Sessions(LASTS_S, lambda token: DIGESTS.get(token, ""), lambda: 0.0, lambda: NOW)
    sessions.restore(kept, CALLERS.get)
    assert len(sessions) <= MAX_SESSIONS
    of_tokens = [each.token for each in sessions.kept()]
    assert all(of_tokens.count(each) <= MAX_OF_A_TOKEN for each in CALLERS)
    assert set(of_tokens) <= set(CALLERS)
    caller = sessions.find(COOKIE)
    if caller is not None:  # as it signed in, and never longer or as another
        assert (caller.token, caller.expires) == ("0000000a", datetime(2026, 1, 9, tzinfo=UTC))
    assert sessions.find("x") is None
