"""When a peer is given up, by a clock that goes as fast as there is nothing to do."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from streamer.webrtc.liveness import CHECK_RETRANSMISSIONS, SILENCE_S, until_gone

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_S = 6.75
"""Of the 8 s after which a place has to be free, the rest is left for what else there is to do."""


class HastyLoop(asyncio.SelectorEventLoop):
    """Never waits: the time is at once that of the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0

    def time(self) -> float:
        return self._now_s

    def _run_once(self) -> None:
        timers = self._scheduled  # type: ignore[attr-defined]
        if not self._ready and timers:  # type: ignore[attr-defined]
            self._now_s = max(self._now_s, timers[0].when())
        super()._run_once()  # type: ignore[misc]


class Peer:
    """A transport as until_gone sees one. ``last_s``: when its last packet comes; one comes every 20 ms
    until then. ``answers``: consent checks, for ever."""

    def __init__(self, last_s: float, *, answers: bool) -> None:
        self._last_s = last_s
        self._answers = answers
        self.asked = 0
        pair = SimpleNamespace(protocol=self, remote_addr=("192.0.2.1", 9))
        connection = SimpleNamespace(
            _nominated={1: pair}, build_request=lambda *_, **__: None, remote_password=""
        )
        self.transport = SimpleNamespace(_connection=connection)

    def _get_stats(self) -> dict[str, Any]:
        now_s = min(asyncio.get_running_loop().time(), self._last_s)
        return {"": SimpleNamespace(type="transport", packetsReceived=int(now_s / 0.02))}

    async def request(self, *_: Any, retransmissions: int, **__: Any) -> None:
        """As aioice waits for answers: 0.5 s, then twice as long."""
        self.asked += 1
        if not self._answers:
            await asyncio.sleep(0.5 * (2 ** (retransmissions + 1) - 1))
            raise ConnectionError


def run(scene: Callable[[], Any]) -> Any:
    loop = HastyLoop()
    try:
        return loop.run_until_complete(scene())
    finally:
        loop.close()


@pytest.mark.parametrize("last_s", [0.0, 3.01, 3.11, 3.19, 3.33, 3.49])
def test_silent_peer_is_given_up_in_time_whenever_it_fell_silent(last_s: float) -> None:
    peer: Any = Peer(last_s, answers=False)

    async def scene() -> float:
        await until_gone(peer)
        return asyncio.get_running_loop().time() - last_s

    assert SILENCE_S + 2.0 - 0.021 <= run(scene) <= LIMIT_S
    assert peer.asked == len(CHECK_RETRANSMISSIONS)


def test_quiet_peer_that_answers_checks_stays() -> None:
    peer: Any = Peer(1.0, answers=True)

    async def scene() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(until_gone(peer), 60.0)

    run(scene)
    assert peer.asked >= 60.0 / (SILENCE_S + 1.0) - 1
