"""Messages between a child and its parent: a header of JSON through a socket, a body through shared memory.

A message in bytes: the lengths of header and body (``_LENGTHS``), then the header. The body lies in the
next slot of its direction; both sides count, so that nobody has to be believed which.
"""

import contextlib
import json
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from streamer.isolation.memory import SLOT_BYTES, SLOTS, TO_CHILD, TO_PARENT, SharedMemory

MAX_HEADER_BYTES: Final = 256 << 10
FETCH_BYTES: Final = 64 << 10
SLOT_WAIT_S: Final = 0.0005
"""Between two looks whether a slot is free; most often there is one."""

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_LENGTHS: Final = struct.Struct("=II")


class ChannelClosed(Exception):
    """The other side is gone."""


class ChannelBroken(Exception):
    """The other side said what can't be true."""


class Channel:
    """One side. One thread receives, any may send. Raises ChannelClosed, ChannelBroken, TimeoutError."""

    def __init__(self, connection: socket.socket, memory: SharedMemory, *, is_child: bool) -> None:
        self.memory = memory
        self._reading = connection
        self._writing = connection.dup()  # each has a timeout of its own
        self._sending = threading.Lock()
        self._out, self._in = (TO_PARENT, TO_CHILD) if is_child else (TO_CHILD, TO_PARENT)
        self._sent = 0  # bodies
        self._received = 0
        self._waiting = bytearray()  # what has come and is not a whole message yet
        # The last one: while it is held, its memory can't be given back.
        self._body = memoryview(b"")

    def send(self, header: dict[str, Any], *buffers: "ReadableBuffer", timeout_s: float) -> None:
        """``buffers``: C-contiguous; together the body. Raises ValueError for more than fits."""
        deadline = time.monotonic() + timeout_s
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        size = sum(view.nbytes for view in views)
        if size > SLOT_BYTES:
            raise ValueError(f"{size} bytes do not fit into a slot of {SLOT_BYTES}")
        text = json.dumps(header).encode()
        with self._sending:
            if size:
                self._wait_for_slot(deadline)
                self._fill_slot(views, size)
            self._write(_LENGTHS.pack(len(text), size) + text, deadline)

    def receive(self, timeout_s: float) -> tuple[dict[str, Any], memoryview]:
        """The next message. Its body can be looked at until the next ``receive``, and may change even
        then: copy before you judge it."""
        deadline = time.monotonic() + timeout_s
        self._let_go_of_body()
        self.memory.set_taken(self._in, self._received)
        lengths = self._read(_LENGTHS.size, deadline)
        header_bytes, body_bytes = _LENGTHS.unpack(lengths)
        if header_bytes > MAX_HEADER_BYTES or body_bytes > SLOT_BYTES:
            raise ChannelBroken(f"a message of {header_bytes} and {body_bytes} bytes")
        try:
            header = json.loads(self._read(header_bytes, deadline))
        except (ValueError, RecursionError) as error:
            raise ChannelBroken("a header that is no JSON") from error
        if not isinstance(header, dict):
            raise ChannelBroken("a header that is no object")
        self._body = self.memory.slot(self._in, self._received, body_bytes)
        self._received += body_bytes > 0
        return header, self._body

    def wait(self, timeout_s: float) -> bool:
        """Whether something has come, or the end, within this time."""
        try:
            return bool(self._waiting) or self._fetch(time.monotonic() + timeout_s)
        except TimeoutError:
            return False
        except ChannelClosed:
            return True  # the end, which ``receive`` tells

    def finish(self) -> None:
        """Nothing more will be sent: the other side sees an end when it reads on."""
        with contextlib.suppress(OSError):
            self._writing.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """From any thread: whoever waits here sees the end."""
        with contextlib.suppress(OSError):
            self._reading.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._reading.close()
        self._writing.close()
        self._let_go_of_body()

    def _let_go_of_body(self) -> None:
        with contextlib.suppress(BufferError):  # somebody looks at it even now
            self._body.release()

    def _fill_slot(self, views: list[memoryview], size: int) -> None:
        at, slot = 0, self.memory.slot(self._out, self._sent, size)
        for view in views:
            slot[at : at + view.nbytes] = view
            at += view.nbytes
        self._sent += 1

    def _wait_for_slot(self, deadline: float) -> None:
        while True:
            under_way = self._sent - self.memory.taken(self._out)
            if not 0 <= under_way <= SLOTS:
                raise ChannelBroken("it took more than there was")
            if under_way < SLOTS:
                return
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(SLOT_WAIT_S)

    def _write(self, data: bytes, deadline: float) -> None:
        try:
            self._writing.settimeout(max(0.001, deadline - time.monotonic()))
            self._writing.sendall(data)
        except TimeoutError:
            raise
        except OSError as error:
            raise ChannelClosed from error

    def _read(self, size: int, deadline: float) -> bytes:
        while len(self._waiting) < size:
            self._fetch(deadline)
        data = bytes(self._waiting[:size])
        del self._waiting[:size]
        return data

    def _fetch(self, deadline: float) -> bool:
        """What has come, once something has."""
        try:
            self._reading.settimeout(max(0.001, deadline - time.monotonic()))
            part = self._reading.recv(FETCH_BYTES)
        except TimeoutError:
            raise
        except OSError as error:
            raise ChannelClosed from error
        if not part:
            raise ChannelClosed
        self._waiting += part
        return True
