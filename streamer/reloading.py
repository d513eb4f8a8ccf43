"""SIGHUP: the configuration is read again, and what can change in a running service does."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final

from aiohttp import web

from streamer.config import Config, StreamConfig
from streamer.errors import ConfigError, StreamerError
from streamer.log_writer import stderr
from streamer.server.guard import GUARD
from streamer.server.keys import SERVICES
from streamer.server.landmarks import READERS
from streamer.streams import Streams
from streamer.telemetry import configure_logging

logger = logging.getLogger(__name__)

LIVE: Final[Mapping[str, frozenset[str]]] = {
    "server": frozenset(
        {
            *("log_level", "log_format", "allowed_hosts", "allowed_origins"),
            *("max_streams", "max_readers", "max_picture_readers"),
        }
    ),
    "webrtc": frozenset({"max_peers"}),
}
"""What changes at once, by section; and the list of streams. All else waits for a restart."""


class Reload:
    """``read``: puts the configuration together as at the start; raises ConfigError."""

    def __init__(self, config: Config, read: Callable[[], Config], app: web.Application) -> None:
        self._read = read
        self._begun_with = config
        self._now = config
        self._app = app

    async def __call__(self) -> None:
        """A configuration that can't be used changes nothing."""
        try:
            config = await asyncio.to_thread(self._read)
        except ConfigError as error:
            logger.error("the configuration stays as it was; the new one can't be used: %s", error)
            return
        before, self._now = self._now, config
        self._set_limits(config)
        await self._app[SERVICES].look_for_models()
        await _change_streams(self._app[SERVICES].streams, before.streams, config.streams)
        logger.info("the configuration was read again")
        if waiting := later(self._begun_with, config):
            logger.warning("these need a restart to take effect: %s", ", ".join(waiting))

    def _set_limits(self, config: Config) -> None:
        services, server = self._app[SERVICES], config.server
        configure_logging(server.log_level, server.log_format, stderr)
        self._app[GUARD].go_by(server)
        self._app[READERS].limit = server.max_readers
        services.max_picture_readers = server.max_picture_readers
        services.streams.max_streams = server.max_streams
        services.peers.max_peers = config.webrtc.max_peers


def later(before: Config, after: Config) -> list[str]:
    """What differs and can't change in a running service, as a person writes it."""
    return [
        f"[{section}] {key}"
        for section in Config.model_fields
        if section != "streams"
        for key in type(getattr(after, section)).model_fields
        if key not in LIVE.get(section, ())
        and getattr(getattr(before, section), key) != getattr(getattr(after, section), key)
    ]


async def _change_streams(
    streams: Streams, before: list[StreamConfig], after: list[StreamConfig]
) -> None:
    """Those that are as they were go on untouched; what was added through the API stays."""
    wanted = {each.id: each for each in after}
    for old in before:
        if wanted.get(old.id) == old:
            del wanted[old.id]
        elif streams.has(old.id) and not streams.get(old.id).kept:
            await streams.remove(streams.get(old.id))
    for new in wanted.values():
        try:
            streams.add_camera(new, keep=False)
        except StreamerError as error:
            logger.error("the camera %s can't be started: %s", new.id, error)


class Hangup:
    """SIGHUP, which by itself ends a process: here it never does, also while the service starts or ends. In
    a terminal that signal says that the terminal is gone: it ends the service, as it always does."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()

    def listen(self) -> None:
        """From here on; called on the event loop."""
        number = getattr(signal, "SIGHUP", None)
        if number is not None and not (sys.stdin is not None and sys.stdin.isatty()):
            asyncio.get_running_loop().add_signal_handler(number, self._asked.set)

    @contextlib.contextmanager
    def answered_by(self, reload: Callable[[], Awaitable[None]]) -> Iterator[None]:
        """Reloads with each, one after the other, and with one that came before."""
        task = asyncio.get_running_loop().create_task(self._answer(reload), name="reload")
        try:
            yield
        finally:
            task.cancel()

    async def _answer(self, reload: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await reload()
            except Exception:  # a fault of ours, which must not end what watches people's cameras
                logger.exception("the configuration could not be read again")
