"""The process that forks the children: it has imported what they need, which takes a fresh interpreter a
third of a second and 35 MB, and does nothing else, so that it has no thread that a fork would break.

It is asked through the socket that is its stdin: a line of JSON, with the descriptors of a child's socket
and shared memory for ``start``; each line is answered with one.
"""

import contextlib
import errno
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from collections import OrderedDict
from typing import Any, Final

from streamer.isolation.confinement import confine, set_title
from streamer.isolation.landlock import Rights
from streamer.isolation.roles import ROLES

TITLE: Final = "streamer-nursery"
MAX_LINE_BYTES: Final = 16 << 10
"""Of a request with two paths of the longest kind; Linux hands on as much in one piece."""
_REMEMBERED: Final = 256  # children that have ended

_LATE: Final = ("av.subtitles.stream", "encodings.cp437", "numpy.ma")
"""What libraries import only when they are at work: PyAV with the first file, zipfile and NumPy with the
first model. A test tells what else there is."""


class ForkServer:
    """``serve`` returns in the first process only, when its parent is gone."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._living: dict[int, int] = {}  # pid by id
        self._ended: OrderedDict[int, int] = OrderedDict()  # exit code by id; negative: a signal
        self._died, died = socket.socketpair()
        self._died.setblocking(False)
        died.setblocking(False)
        self._signals = died
        signal.set_wakeup_fd(died.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)  # it wakes the selector

    def serve(self) -> None:
        self._answer({"pid": os.getpid()})
        with selectors.PollSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._died, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._died:
                        self._died.recv(MAX_LINE_BYTES)
                        self._reap()
                    elif not self._serve_one():
                        return

    def _serve_one(self) -> bool:
        line, descriptors, _, _ = socket.recv_fds(self._control, MAX_LINE_BYTES, 2)
        if not line:
            return False
        request = json.loads(line)
        number = request["id"]
        match request["do"]:
            case "start":
                self._start(number, request, descriptors)
            case "kill":
                if number in self._living:  # not reaped yet: the pid is still its own
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(self._living[number], signal.SIGKILL)
                self._answer({})
            case "ask":
                self._reap()
                self._answer({"code": self._ended.get(number)})
        return True

    def _start(self, number: int, request: dict[str, Any], descriptors: list[int]) -> None:
        """The answer has a descriptor of the process, where there is such a thing: by that it can be
        killed without asking here, and never another that got its pid. A system that has no room for one
        more process must not cost those that there are: the answer says why there is none."""
        process = []
        try:
            if len(descriptors) < 2:  # the system leaves out what there is no room for
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            pid = self._fork(number, request, descriptors)
            if hasattr(os, "pidfd_open"):
                process = [os.pidfd_open(pid)]  # it can't be reaped before we do
            answer: dict[str, Any] = {"pid": pid}
        except OSError as error:
            answer = {"error": error.strerror}  # if it was born, it ends with its channel
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        socket.send_fds(self._control, [json.dumps(answer).encode() + b"\n"], process)
        for descriptor in process:
            os.close(descriptor)

    def _fork(self, number: int, request: dict[str, Any], descriptors: list[int]) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                self._leave()
                code = _live(request, descriptors, parent)
            finally:
                os._exit(code)
        self._living[number] = pid
        return pid

    def _leave(self) -> None:
        """In the child: nothing of its parent's stays with it."""
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (self._control, self._died, self._signals):
            each.close()
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nothing, standard)
        os.close(nothing)

    def _reap(self) -> None:
        numbers = {pid: number for number, pid in self._living.items()}
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                number = numbers[found[0]]
                del self._living[number]
                self._ended[number] = os.waitstatus_to_exitcode(found[1])
                if len(self._ended) > _REMEMBERED:
                    self._ended.popitem(last=False)

    def _answer(self, answer: dict[str, Any]) -> None:
        self._control.sendall(json.dumps(answer).encode() + b"\n")


def _live(request: dict[str, Any], descriptors: list[int], parent: int) -> int:
    from streamer.isolation.worker import live  # it has been imported

    set_title(request["title"])
    importlib.import_module(
        request["module"]
    )  # in tests it is another, and now it can still be read
    rights = Rights(**{kind: tuple(those) for kind, those in request["rights"].items()})
    confine(request["max_memory_bytes"], parent, rights)
    connection, memory = descriptors
    return live(request["module"], socket.socket(fileno=connection), memory)


def import_all() -> None:
    """All code that a child will run: it must not read any from a disk on which there is a newer version by
    then, and has not the time to."""
    for module in ("streamer.isolation.worker", *ROLES.values(), *_LATE):
        importlib.import_module(module)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it ends with the service, which may drain first
    set_title(TITLE)
    import_all()
    gc.freeze()  # a collection in a child would copy all that it looks at
    # stdin is the socket; the descriptor moves, so that a child's stdin can be closed like any other.
    ForkServer(socket.socket(fileno=os.dup(sys.stdin.fileno()))).serve()


if __name__ == "__main__":
    main()
