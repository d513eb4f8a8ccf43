"""The registry of all streams: which there are, and which of them are remembered as what."""

import asyncio
import logging
import secrets
from collections.abc import Iterator

from streamer.config import (
    LimitsConfig,
    OutputConfig,
    OverlayConfig,
    PoseConfig,
    PrivacyConfig,
    StreamConfig,
    VideoConfig,
)
from streamer.errors import Conflict, LimitReached, NotFound, ShuttingDown, StreamerError
from streamer.model import Status, StreamState
from streamer.ports import Source
from streamer.sinks import StateWatcher
from streamer.state import Memory, StateFile
from streamer.stream import Stream, StreamOptions, Workshop

logger = logging.getLogger(__name__)

RETURN_S = 3.0
"""When viewers of a server that shuts down may look for it again; most are only restarted."""


class Streams:
    """Owns every stream. Belongs to the event loop's thread. ``defaults``: of streams that have no options
    of their own."""

    def __init__(
        self,
        workshop: Workshop,
        defaults: StreamOptions,
        max_streams: int,
        state: StateFile,
        limits: LimitsConfig | None = None,
    ) -> None:
        self._workshop = workshop
        self._defaults = defaults
        self.max_streams = max_streams
        self._limits = limits or LimitsConfig()
        self._memory = Memory(state, self._to_remember)
        self._streams: dict[str, Stream] = {}
        self._removals: set[asyncio.Task[None]] = set()
        self._not_started: list[StreamConfig] = []  # remembered, for a start that may go better
        self._closed = False

    @property
    def storage_ok(self) -> bool:
        """Whether what should be remembered is."""
        return self._memory.is_current

    async def saved(self) -> None:
        """Waits until all changes before are remembered. Raises StorageFull."""
        await self._memory.saved()

    def __iter__(self) -> Iterator[Stream]:
        return iter(tuple(self._streams.values()))

    def has(self, stream_id: str) -> bool:
        return stream_id in self._streams

    def get(self, stream_id: str) -> Stream:
        try:
            return self._streams[stream_id]
        except KeyError:
            raise NotFound("There is no stream with this id; it may have ended.") from None

    def add_camera(self, config: StreamConfig, *, keep: bool) -> Stream:
        """Starts a camera's stream; ``keep``: also after a restart of the service."""
        stream = self._start_camera(config, keep=keep)
        if keep:
            self._memory.save()
        return stream

    def add_peer(self, stream_id: str, kind: str, source: Source, *, listed: bool) -> Stream:
        """Starts the stream of a browser or a WHIP publisher."""
        return self._add(stream_id, source, {"type": kind}, self._defaults, listed=listed)

    async def remove(self, stream: Stream) -> None:
        if self._streams.get(stream.id) is stream:
            del self._streams[stream.id]
            if stream.kept:
                self._memory.save()
        await stream.close()

    def say_goodbye(self) -> None:
        """The server shuts down: listeners are told what they wait for, and that it will be back."""
        words = "The server is shutting down; this goes on when it is back."
        goodbye = Status(StreamState.RECONNECTING, words, ShuttingDown.kind, RETURN_S)
        for stream in self:
            stream.feed.say_goodbye(goodbye)

    async def close(self) -> None:
        """What is to be remembered is written, whatever else hangs."""
        self._memory.stop()
        streams = tuple(self)
        self._streams.clear()
        self._closed = True
        written = self._memory.written()
        await asyncio.gather(written, *(stream.close() for stream in streams), *self._removals)

    async def load_kept(self) -> None:
        """Starts the streams that the state file remembers and that are not there already. The file
        stays as it is: a save between two of them would lose the second if the service died then."""
        for config in await self._memory.load():
            if config.id in self._streams:
                continue
            try:
                self._start_camera(config, keep=True)
            except StreamerError as error:  # no model here, or too many: no reason to stop
                logger.error("the camera %s can't be started: %s", config.id, error)
                self._not_started.append(config)

    def check(self, pose: PoseConfig, privacy: PrivacyConfig) -> None:
        """Whether a stream could run so. Raises ModelError when a model is missing."""
        self._workshop.sought(pose, privacy)

    def set_pose(self, stream: Stream, pose: PoseConfig) -> None:
        """Raises ModelError, and then all stays as it was."""
        stream.set_pose(pose)
        self._remember(stream, pose=pose)

    def set_video(self, stream: Stream, video: VideoConfig) -> None:
        stream.set_video(video)
        self._remember(stream, video=video)

    def set_overlay(self, stream: Stream, overlay: OverlayConfig) -> None:
        stream.set_overlay(overlay)
        self._remember(stream, overlay=overlay)

    def set_privacy(self, stream: Stream, privacy: PrivacyConfig) -> None:
        """When this returns nothing goes out any more that was made under the setting before. Raises
        ModelError, and then all stays as it was."""
        if privacy != stream.privacy:
            stream.set_privacy(privacy)
            self._remember(stream, privacy=privacy)

    async def set_output(self, stream: Stream, config: OutputConfig | None) -> None:
        """Publishes the stream's video there, or nowhere any more. Raises InvalidRequest."""
        output = None if config is None else stream.make_output(config)
        before, stream.output = stream.output, output
        self._remember(stream, output=config)
        if before is not None:
            await before.close()
        is_current = stream.output is output and self._streams.get(stream.id) is stream
        if output is not None and is_current:
            output.start()

    def set_listed(self, stream: Stream, listed: bool) -> None:
        stream.listed = listed
        self._remember(stream, listed=listed)

    def _remember(self, stream: Stream, **changed: object) -> None:
        if stream.camera is not None:
            stream.camera = stream.camera.model_copy(update=changed)
            if stream.kept:
                self._memory.save()

    def _start_camera(self, config: StreamConfig, *, keep: bool) -> Stream:
        source, defaults = self._workshop.camera_source(config.source), self._defaults
        options = StreamOptions(
            config.pose or defaults.pose,
            config.video or defaults.video,
            config.overlay or defaults.overlay,
            self._privacy_of(config, is_remembered=keep),
        )
        listed, output = config.listed, config.output
        stream = self._add(config.id, source, source.shown, options, listed=listed, output=output)
        stream.camera, stream.kept = config, keep
        return stream

    def _privacy_of(self, config: StreamConfig, *, is_remembered: bool) -> PrivacyConfig:
        """What was remembered before the server's own was locked does not count; and a lock that was
        remembered was the server's: it ends with that."""
        own, locked = config.privacy, self._defaults.privacy.locked
        if own is None or (is_remembered and locked):
            return self._defaults.privacy
        return own.model_copy(update={"locked": locked or (own.locked and not is_remembered)})

    def _add(
        self,
        stream_id: str,
        source: Source,
        shown: dict[str, str],
        options: StreamOptions,
        *,
        listed: bool,
        output: OutputConfig | None = None,
    ) -> Stream:
        if self._closed:
            raise ShuttingDown("The server is shutting down; try again when it is back.")
        if stream_id in self._streams:
            raise Conflict(f"There is a stream {stream_id!r} already; choose another id.")
        if len(self._streams) >= self.max_streams:
            raise LimitReached(
                f"This server runs at most {self.max_streams} streams ([server] max_streams); "
                "remove one, or try again later."
            )
        stream = Stream(
            stream_id,
            source,
            shown,
            options,
            self._workshop,
            self._limits,
            listed=listed,
            output=output,
        )
        self._streams[stream_id] = stream
        watcher = StateWatcher(StreamState.ENDED, lambda: self.remove_soon(stream))
        stream.session.subscribe(watcher)
        stream.start()
        return stream

    def remove_soon(self, stream: Stream) -> None:
        """The stream ended by itself: nobody else will remove it."""
        if self._streams.get(stream.id) is stream:
            removal = asyncio.get_running_loop().create_task(self.remove(stream))
            self._removals.add(removal)
            removal.add_done_callback(self._removals.discard)

    def _to_remember(self) -> list[StreamConfig]:
        cameras = [s.camera for s in self if s.kept and s.camera is not None]
        return cameras + self._not_started


def new_stream_id() -> str:
    """128 bits that nobody guesses: whoever knows the id of an unlisted stream may watch it."""
    return secrets.token_hex(16)
