"""Sinks that every way out shares."""

from collections.abc import Callable
from typing import Literal, Protocol

from streamer.aio import tell_all
from streamer.messages import model_message, pose_message, state_message
from streamer.model import ModelStatus, PoseResult, Status, StreamState
from streamer.wire import PROTOCOL, encode_pose

Form = Literal["json", "binary"]
Maker = Callable[[PoseResult], str | bytes]


def form_of(protocol: str) -> Form:
    """What a data channel or WebSocket that was opened with this protocol gets."""
    return "binary" if protocol == PROTOCOL else "json"


class Listener(Protocol):
    """Who gets a stream's messages, on the event loop; it must not block.

    ``form``: of its pose messages. All others are JSON text.
    """

    @property
    def form(self) -> Form: ...

    def pose(self, message: str | bytes) -> None:
        """May be left out by a listener that does not keep up."""

    def news(self, message: str) -> None: ...


class StateWatcher:
    """A sink that wants to know of one state only."""

    def __init__(self, state: StreamState, on_state: Callable[[], None]) -> None:
        self._state = state
        self._on_state = on_state

    def on_result(self, result: PoseResult) -> None: ...

    def on_status(self, status: Status) -> None:
        if status.state is self._state:
            self._on_state()

    def on_model(self, status: ModelStatus) -> None: ...


class MessageFeed:
    """Turns results into the messages of the contract: once per frame and form, however many listen, and
    not at all while nobody does."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._listeners: list[Listener] = []
        self._state: str | None = None
        self._model: ModelStatus | None = None
        self._makers: dict[Form, Maker] = {
            "json": lambda result: pose_message(stream, result),
            "binary": encode_pose,
        }

    def listen(self, listener: Listener) -> None:
        """The listener gets the state as it is now, and the model if it is not the wanted one; then
        everything that happens."""
        self._listeners.append(listener)
        if self._state is not None:
            listener.news(self._state)
        if self._model is not None and self._model.reason is not None:
            listener.news(model_message(self._stream, self._model))

    def leave(self, listener: Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)

    def say_goodbye(self, status: Status) -> None:
        """The last that listeners hear: what comes of the stream's own end would be a lie to those who will
        come back to it."""
        self.on_status(status)
        self._listeners.clear()

    def on_result(self, result: PoseResult) -> None:
        made: dict[Form, str | bytes] = {}

        def make(form: Form) -> None:
            made[form] = self._makers[form](result)

        def give(listener: Listener) -> None:
            if listener.form in made:
                listener.pose(made[listener.form])

        tell_all({listener.form for listener in self._listeners}, make)
        tell_all(self._listeners, give)

    def on_status(self, status: Status) -> None:
        self._state = state_message(self._stream, status)
        self._spread(self._state)

    def on_model(self, status: ModelStatus) -> None:
        known, self._model = self._model, status
        if known is None and status.reason is None:
            return  # as everybody expects
        self._spread(model_message(self._stream, status))

    def _spread(self, news: str) -> None:
        tell_all(self._listeners, lambda listener: listener.news(news))
