"""What viewers see while no frame comes: the last picture, dimmed, with the reason."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from streamer.model import Frame, Picture, Rule, Status, StreamState
from streamer.ports import Painter
from streamer.screens import Screens

logger = logging.getLogger(__name__)

NOTICE_INTERVAL_S = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """Of a session. ``last``: the last frame that was shown, if any; ``rule``: what it was made under."""

    status: Status
    last: Frame | None
    rule: Rule
    painter: Painter


class Notices:
    """Of the session ``name``. ``situation`` tells how it stands, ``due`` that this has changed, and
    ``now`` the stream's time."""

    def __init__(
        self,
        name: str,
        screens: Screens,
        due: asyncio.Event,
        situation: Callable[[], Situation],
        now: Callable[[], int],
    ) -> None:
        self._name = name
        self._screens = screens
        self._due = due
        self._situation = situation
        self._now = now

    async def run(self) -> None:
        shown: tuple[str, Frame | None, Rule] | None = None
        notice: Frame | None = None
        while True:
            self._due.clear()
            situation = self._situation()
            if situation.status.state is StreamState.LIVE or not self._screens:
                await self._due.wait()
                continue
            wanted = (_text(situation), situation.last, situation.rule)
            if notice is None or wanted != shown:
                try:
                    draw = situation.painter.notice
                    notice = await asyncio.to_thread(draw, situation.last, wanted[0])
                except Exception:  # a notice that can't be drawn is no reason to draw no other
                    logger.exception("stream %s: a notice could not be drawn", self._name)
                    await self._due.wait()
                    continue
                shown = wanted
            if self._situation().status is situation.status:
                shot = Picture(notice, self._now(), is_notice=True, rule=situation.rule)
                self._screens.show_plain(shot)
                self._screens.show_annotated(shot)
                # Not wait_for: until Python 3.12 it may swallow a cancellation that comes with the news.
                with contextlib.suppress(TimeoutError):  # no news: show it again
                    async with asyncio.timeout(NOTICE_INTERVAL_S):
                        await self._due.wait()


def _text(situation: Situation) -> str:
    """What viewers read in the picture."""
    status = situation.status
    if status.state is StreamState.RECONNECTING:
        gone = "not there" if situation.last is None else "lost"
        return f"camera {gone}, retrying\n{status.detail}"
    return status.detail
