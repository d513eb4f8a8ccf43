"""Video sent to an RTSP server: ANNOUNCE, SETUP and RECORD (RFC 2326), and then RTP in the same connection.

FFmpeg has this too, but PyAV holds the interpreter's lock while FFmpeg waits for the server's answers: a
server that is slow would stop every stream of ours.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from streamer.aio import cancel_and_wait
from streamer.errors import (
    SourceForbidden,
    SourceLost,
    SourceNotFound,
    SourceRejected,
    SourceStalled,
    SourceUnusable,
    StreamerError,
)
from streamer.outputs.login import Login
from streamer.outputs.rtp import RTCP_CHANNEL, RTP_CHANNEL, TRACK
from streamer.sources.address import CameraUrl, IpAddress
from streamer.sources.relay import Conversation, connect_to_any

PING_S = 10.0
"""Between two signs of life, of which a server that has answered one must answer the next."""

GOODBYE_S = 0.5

SEND_BUFFER_BYTES = 1 << 18
"""The kernel's: a server that stands still is to be noticed before megabytes wait for it."""

_MAX_BODY_BYTES = 1 << 16
_MAX_DIGITS = 10  # Python refuses to read thousands
_USER_AGENT = "Streamer"
_STATUS_LINE = re.compile(r"RTSP/\d\.\d (\d{3})(?: (.*))?")


@dataclass(frozen=True, slots=True)
class Reply:
    """``headers``: name in small letters, value; in the order in which they came."""

    status: int
    reason: str
    headers: Sequence[tuple[str, str]] = field(default=())

    def all(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each == name]

    def first(self, name: str) -> str:
        return next(iter(self.all(name)), "")


class Publication:
    """One session at a server: ``open`` it, then ``send`` while ``listen`` runs beside."""

    def __init__(self, url: CameraUrl, conversation: Conversation, timeout_s: float) -> None:
        self._url = url
        self._uri = f"{url.scheme}://{url.place}{url.path}"
        self._reader, self._writer = conversation
        self._timeout_s = timeout_s
        self._login = Login(url.username, url.password)
        self._number = 0
        self._session = ""
        self._heard = False  # since the last sign of life

    async def open(self, sdp: str) -> None:
        """Raises SourceRejected, SourceForbidden or a SourceError."""
        await self._ask("ANNOUNCE", self._uri, {"Content-Type": "application/sdp"}, sdp)
        way = f"RTP/AVP/TCP;unicast;interleaved={RTP_CHANNEL}-{RTCP_CHANNEL};mode=record"
        reply = await self._ask("SETUP", f"{self._uri}/{TRACK}", {"Transport": way})
        self._session = reply.first("session").partition(";")[0].strip()
        await self._ask("RECORD", self._uri, {"Range": "npt=0.000-"})

    async def send(self, frames: bytes) -> None:
        """Waits while the server does not keep up. Raises SourceStalled when that takes too long,
        SourceLost when it has gone."""
        try:
            async with asyncio.timeout(self._timeout_s):
                self._writer.write(frames)
                await self._writer.drain()
        except TimeoutError:
            raise SourceStalled(f"{self._url.place} has stopped taking video") from None
        except OSError:
            raise self._lost() from None

    async def listen(self) -> None:
        """Reads what the server says and shows it that we live, until it leaves: never returns."""
        # One reader from the first byte to the last: a message may come in pieces, with a ping between.
        reading = asyncio.create_task(self._read_all(), name=f"output-{self._url.place}")
        has_answered = False
        try:
            while True:
                self._heard = False
                self._write("OPTIONS", self._uri, {})
                await asyncio.wait([reading], timeout=PING_S)
                if reading.done():
                    reading.result()  # raises why
                if has_answered and not self._heard:
                    raise SourceStalled(f"{self._url.place} answers no more")
                has_answered |= self._heard
        finally:
            await cancel_and_wait(reading)

    async def close(self) -> None:
        """Says goodbye if that can be said at once."""
        if self._session and not self._writer.is_closing():
            self._write("TEARDOWN", self._uri, {})
        self._writer.close()
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._writer.wait_closed()
        except OSError:  # TimeoutError is one: it takes nothing, or has gone
            self._writer.transport.abort()

    # -- requests -----------------------------------------------------------------------------------

    async def _ask(
        self, method: str, uri: str, headers: Mapping[str, str], body: str = ""
    ) -> Reply:
        """The reply, if it is a good one."""
        reply = await self._exchange(method, uri, headers, body)
        is_new = not self._login.is_asked_for or "stale=true" in str(reply.headers).lower()
        if reply.status == 401 and is_new and self._url.username:
            if not self._login.take(reply.all("www-authenticate")):
                raise SourceUnusable(f"{self._url.place} wants a login of a kind we don't know")
            reply = await self._exchange(method, uri, headers, body)
        if reply.status != 200:
            raise self._explain(reply)
        return reply

    async def _exchange(
        self, method: str, uri: str, headers: Mapping[str, str], body: str
    ) -> Reply:
        try:
            async with asyncio.timeout(self._timeout_s):
                self._write(method, uri, headers, body)
                await self._writer.drain()
                while True:
                    reply = await self._read()
                    if reply is not None and reply.first("cseq") == str(self._number):
                        return reply
        except TimeoutError:
            place = self._url.place
            raise SourceStalled(f"{place} accepts connections, but does not answer") from None
        except OSError:
            raise self._lost() from None

    def _write(self, method: str, uri: str, headers: Mapping[str, str], body: str = "") -> None:
        self._number += 1
        fields = {"CSeq": str(self._number), "User-Agent": _USER_AGENT, **headers}
        if self._session:
            fields["Session"] = self._session
        if self._login.is_asked_for:
            fields["Authorization"] = self._login.answer(method, uri)
        if body:
            fields["Content-Length"] = str(len(body))
        lines = [f"{method} {uri} RTSP/1.0", *(f"{name}: {fields[name]}" for name in fields)]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    async def _read_all(self) -> None:
        while True:
            self._heard |= isinstance(await self._read(), Reply)

    async def _read(self) -> Reply | None:
        """What comes next; None of what is no reply: RTCP, and requests of the server's own."""
        try:
            first = await self._reader.readexactly(1)
            if first == b"$":
                head = await self._reader.readexactly(3)
                await self._reader.readexactly(int.from_bytes(head[1:], "big"))
                return None
            text = (first + await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            start, *lines = text.strip().split("\r\n")
            pairs = (line.partition(":") for line in lines)
            headers = tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
            status = _STATUS_LINE.fullmatch(start)
            if start.startswith("HTTP/"):
                raise self._no_rtsp()
            reply = Reply(int(status[1]), status[2] or "", headers) if status else None
            length = next((value for name, value in headers if name == "content-length"), "0")
            is_number = length.isdecimal() and len(length) < _MAX_DIGITS
            if not is_number or int(length) > _MAX_BODY_BYTES:
                raise self._no_rtsp()
            await self._reader.readexactly(int(length))
        except asyncio.LimitOverrunError:
            raise self._no_rtsp() from None
        except (asyncio.IncompleteReadError, OSError):
            raise self._lost() from None
        return reply

    # -- words --------------------------------------------------------------------------------------

    def _explain(self, reply: Reply) -> StreamerError:
        place, status = self._url.place, reply.status
        if status == 401:
            return SourceRejected("wrong or missing user name or password")
        if status == 403:
            return SourceRejected(f"{place} does not let this user publish there")
        if status == 404:
            return SourceNotFound(f"{place} answers, but takes no video at this path")
        if 300 <= status < 400:
            return SourceForbidden(
                f"{place} redirects to another address: enter that address itself"
            )
        reason = re.sub(r"[^ -~]", "", reply.reason)[:80]
        return SourceUnusable(f"{place} takes no video: {status} {reason}".strip())

    def _lost(self) -> SourceLost:
        return SourceLost(f"{self._url.place} ended the connection")

    def _no_rtsp(self) -> SourceUnusable:
        return SourceUnusable(f"what answers at {self._url.place} does not speak RTSP")


@contextlib.asynccontextmanager
async def connect(
    url: CameraUrl, addresses: Sequence[IpAddress], timeout_s: float
) -> AsyncIterator[Publication]:
    """A session at the first of these addresses that answers, not opened yet."""
    conversation = await connect_to_any(url, addresses, timeout_s)
    sock = conversation[1].get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    publication = Publication(url, conversation, timeout_s)
    try:
        yield publication
    finally:
        await publication.close()
