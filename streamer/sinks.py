"""Sinks that every way out shares."""

from collections.abc import Callable

from streamer.messages import pose_message, state_message
from streamer.model import PoseResult, Status

Listener = Callable[[str], None]


class MessageFeed:
    """Turns results into the messages of the contract: once per frame, however many listen, and not at
    all while nobody does. Listeners are called on the event loop and must not block."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._listeners: list[Listener] = []
        self._state: str | None = None

    def listen(self, listener: Listener) -> None:
        """The listener gets the state as it is now, then everything that happens."""
        self._listeners.append(listener)
        if self._state is not None:
            listener(self._state)

    def leave(self, listener: Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)

    def on_result(self, result: PoseResult) -> None:
        if self._listeners:
            self._tell(pose_message(self._stream, result))

    def on_status(self, status: Status) -> None:
        self._state = state_message(self._stream, status)
        self._tell(self._state)

    def _tell(self, message: str) -> None:
        for listener in tuple(self._listeners):
            listener(message)
