"""A client for programs: a stream's landmarks as they come, in three lines.

    from streamer.client import landmarks
    for frame in landmarks("http://127.0.0.1:8080", "door"):
        print(frame.seq, frame.poses[0].landmarks[0] if frame.poses else "nobody")

and in asyncio:

    async with Client("http://127.0.0.1:8080") as client:
        async for frame in client.landmarks("door"): ...

It needs aiohttp and NumPy and nothing else of Streamer's libraries. It comes back by itself when the
connection is lost, and never waits for a slow program: the server drops the oldest messages, visible as a
gap in ``seq``.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from dataclasses import dataclass, fields
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp
import numpy as np
from numpy.typing import NDArray

from streamer.angles import ANGLES
from streamer.errors import InvalidRequest, StreamerError
from streamer.model import LANDMARK_COUNT, VIDEO_CLOCK_HZ, Pose
from streamer.wire import PROTOCOL, read_pose

CONNECT_TIMEOUT_S: Final = 10.0
_SILENCE: Final = aiohttp.ClientWSTimeout(ws_receive=45.0, ws_close=2.0)
"""Seconds. The server pings every 30 s: after a longer silence it is gone."""

FIRST_RETRY_S: Final = 0.25
MAX_RETRY_S: Final = 5.0
_UNREADABLE: Final = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What reading a message raises that does not have the form of ours."""

_FATAL: Final = range(HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR)


class ClientError(StreamerError):
    """The server refused, and trying again would not help: a wrong token, an unknown stream. ``status``:
    of its answer; ``kind``: the stable part of the problem's type."""

    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind  # type: ignore[misc]


@dataclass(frozen=True, slots=True, eq=False)
class PoseFrame:
    """The ``pose`` message of one frame (docs/protocol.md). ``poses``: one for each person; of a pose
    ``landmarks`` is (33, 5) float32: x, y, z, visibility, presence, and ``world`` (33, 3) in metres.
    ``predicted``, ``angles`` (of ``streamer.angles.ANGLES``) and ``raw`` are None where the server has
    sent none."""

    stream: str
    epoch: int
    seq: int
    pts: int
    received_at: float
    width: int
    height: int
    poses: tuple[Pose, ...]
    latency_ms: dict[str, float]
    dropped: int

    @property
    def time_s(self) -> float:
        """Of the stream's video clock."""
        return self.pts / VIDEO_CLOCK_HZ

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Self:
        """From the JSON form, which files of landmarks have too."""
        return cls._from_fields(message | {"poses": tuple(map(_pose, message["poses"]))})

    @classmethod
    def from_binary(cls, message: bytes, stream: str) -> Self:
        """From the binary form. Raises InvalidRequest for what is none."""
        return cls._from_fields(read_pose(message, stream))

    @classmethod
    def _from_fields(cls, values: dict[str, Any]) -> Self:
        return cls(**{each.name: values[each.name] for each in fields(cls)})


def _pose(pose: dict[str, Any]) -> Pose:
    return Pose(
        id=pose["id"],
        score=pose["score"],
        landmarks=_rows(pose["landmarks"], 5),
        world=_rows(pose["world"], 3),
        raw=_rows(pose["raw"], 5) if "raw" in pose else None,
        predicted=_predicted(pose["predicted"]) if "predicted" in pose else None,
        angles=_angles(pose["angles"]) if "angles" in pose else None,
        turned=pose.get("turned"),
    )


def _rows(rows: list[list[float]], columns: int) -> NDArray[np.float32]:
    """One for each landmark. Raises ValueError for any other number."""
    return np.array(rows, np.float32).reshape(LANDMARK_COUNT, columns)


def _predicted(indices: list[int]) -> NDArray[np.bool_]:
    predicted = np.zeros(LANDMARK_COUNT, np.bool_)
    predicted[indices] = True
    return predicted


def _angles(angles: dict[str, list[float]]) -> NDArray[np.float32]:
    """One that is not there is 0, and not to be trusted."""
    return np.array([angles.get(name, (0.0, 0.0)) for name in ANGLES], np.float32)


@dataclass(frozen=True, slots=True)
class State:
    """The ``state`` message: the stream is in another state, or this client is without the server
    (``connecting``, with the reason)."""

    stream: str
    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """The ``model`` message: another model finds the poses from here on, or another one is wanted. By their
    ``model_complexity``; ``reason``: why they differ ("overload", "loading", "failed"), or ""."""

    stream: str
    model_complexity: int
    wanted: int
    reason: str = ""


class Client:
    """``url``: the server's address, with a path if it is behind a proxy under one. ``token``: its access
    token, where it asks for one."""

    def __init__(self, url: str, token: str = "") -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(headers=self._headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.close()

    async def streams(self) -> list[dict[str, Any]]:
        """The listed streams, as GET /api/v1/streams has them. Raises ClientError and aiohttp's own
        ClientError."""
        async with self._session.get(f"{self._url}/api/v1/streams") as response:
            if response.status != HTTPStatus.OK:
                raise _refusal(response.status, await response.read())
            streams: list[dict[str, Any]] = await response.json()
            return streams

    async def landmarks(
        self, stream: str, *, reconnect: bool = True
    ) -> AsyncGenerator[PoseFrame, None]:
        """The frames of a stream until it ends. As ``messages``."""
        async with aclosing(self.messages(stream, reconnect=reconnect)) as messages:
            async for message in messages:
                if isinstance(message, PoseFrame):
                    yield message

    async def messages(
        self, stream: str, *, reconnect: bool = True
    ) -> AsyncGenerator[PoseFrame | State, None]:
        """The frames of a stream and what becomes of it, until it ends. As ``all_messages``."""
        async with aclosing(self.all_messages(stream, reconnect=reconnect)) as messages:
            async for message in messages:
                if not isinstance(message, Model):
                    yield message

    async def all_messages(
        self, stream: str, *, reconnect: bool = True
    ) -> AsyncGenerator[PoseFrame | State | Model, None]:
        """The frames of a stream, what becomes of it and which model runs, until it ends. Later versions
        may add messages of other types.

        Without ``reconnect`` it ends with the connection. Raises ClientError when the server refuses, and
        aiohttp's ClientError when it is not there and ``reconnect`` is off.
        """
        wait_s = FIRST_RETRY_S
        while True:
            try:
                async with aclosing(self._connection(stream)) as connection:
                    async for message in connection:
                        wait_s = FIRST_RETRY_S
                        yield message
                        if isinstance(message, State) and message.state == "ended":
                            return
                reason = "the connection ended"
            except (aiohttp.ClientError, TimeoutError) as error:
                if not reconnect:
                    raise
                reason = str(error) or "no answer"
            if not reconnect:
                return
            yield State(stream, "connecting", reason)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, MAX_RETRY_S)

    async def _connection(self, stream: str) -> AsyncGenerator[PoseFrame | State | Model, None]:
        address = f"{self._url}/api/v1/streams/{quote(stream, safe='')}/landmarks"
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                websocket = await self._session.ws_connect(
                    address, protocols=(PROTOCOL,), timeout=_SILENCE
                )
        except aiohttp.WSServerHandshakeError as error:
            if error.status in _FATAL:
                raise await self._why_refused(address, error.status) from error
            raise
        async with websocket:
            async for received in websocket:
                message = _read(received, stream)
                if message is not None:
                    yield message

    async def _why_refused(self, address: str, status: int) -> ClientError:
        """aiohttp does not show the answer to a handshake that failed: the same request without one has
        the same answer."""
        async with self._session.get(address, headers={"Accept": "text/event-stream"}) as response:
            if response.status == status:
                return _refusal(status, await response.read())
        return ClientError(status, "http-error", f"The server answered {status}.")

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise RuntimeError("use it as `async with Client(…) as client`")
        return self._http


def _read(received: aiohttp.WSMessage, stream: str) -> PoseFrame | State | Model | None:
    """None for what a later version may add, and for what is no message of ours."""
    try:
        if received.type is aiohttp.WSMsgType.BINARY:
            return PoseFrame.from_binary(received.data, stream)
        if received.type is aiohttp.WSMsgType.TEXT:
            return _read_text(json.loads(received.data), stream)
    except (InvalidRequest, *_UNREADABLE):
        return None
    return None


def _read_text(message: dict[str, Any], stream: str) -> PoseFrame | State | Model | None:
    if message.get("type") == "pose":
        return PoseFrame.from_message(message)
    if message.get("type") == "state":
        return State(stream, message["state"], message["detail"])
    if message.get("type") == "model":
        ran, wanted = message["model_complexity"], message["wanted"]
        return Model(stream, ran, wanted, message.get("reason", ""))
    return None


def _refusal(status: int, body: bytes) -> ClientError:
    try:
        problem = json.loads(body)
        kind, detail = problem["type"].rpartition(":")[2], problem["detail"]
    except _UNREADABLE:
        kind, detail = "http-error", f"The server answered {status}."
    return ClientError(status, kind, detail)


def landmarks(
    url: str, stream: str, *, token: str = "", reconnect: bool = True
) -> Generator[PoseFrame, None, None]:
    """``Client.landmarks`` for programs without asyncio: an event loop of its own runs while the program
    waits for the next frame."""
    with asyncio.Runner() as runner:
        client = Client(url, token)
        runner.run(client.__aenter__())
        frames = client.landmarks(stream, reconnect=reconnect)

        async def next_frame() -> PoseFrame | None:
            return await anext(frames, None)

        async def close() -> None:
            await frames.aclose()
            await client.__aexit__()

        try:
            while (frame := runner.run(next_frame())) is not None:
                yield frame
        finally:
            runner.run(close())
