"""Programs of the bench in processes of their own, which can neither hang it nor fail in silence."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LAST_WORDS = 30  # lines


class BenchError(Exception):
    """A measurement failed; the text says why, with the last words of the process that did."""


def run_json(arguments: Sequence[str], timeout_s: float) -> Any:
    """Run a module of the tests with arguments; what it prints is JSON."""
    command = [sys.executable, "-m", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"{' '.join(arguments)} took more than {timeout_s:g} s.") from None
    if done.returncode != 0:
        raise BenchError(f"{' '.join(arguments)} failed:\n{_tail(done.stderr)}")
    return json.loads(done.stdout)


class Child:
    """A program that prints READY, then answers each line of JSON with one; a context manager.

    A server answers nothing: it is only started and ended.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        start_timeout_s: float = 60.0,
    ) -> None:
        self._command = list(command)
        self._environment = environment
        self._start_timeout_s = start_timeout_s
        self._process: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory()
        self._log = Path(self._folder.name) / "stderr"

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self._environment,
            )
        try:
            if self._read_line(self._start_timeout_s) != "READY\n":
                raise BenchError(
                    f"{self._name} said something else than READY.\n{self.last_words()}"
                )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()
        self._folder.cleanup()

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def ask(self, job: Any, timeout_s: float) -> Any:
        """Its answer to a job, both JSON values. Raises BenchError when it dies or is too slow (it is
        ended then), or says ``{"error": …}``."""
        process = self._process
        assert process is not None and process.stdin is not None
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
        except OSError as error:
            raise BenchError(f"{self._name} is gone: {error}\n{self.last_words()}") from error
        answer = json.loads(self._read_line(timeout_s))
        if isinstance(answer, dict) and "error" in answer:
            raise BenchError(answer["error"])
        return answer

    def last_words(self) -> str:
        """The end of what it wrote to stderr."""
        return _tail(self._log.read_text(errors="replace")) if self._log.exists() else ""

    def _read_line(self, timeout_s: float) -> str:
        process = self._process
        assert process is not None and process.stdout is not None
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout_s, end)
        timer.start()
        line = process.stdout.readline()
        timer.cancel()
        if not line:
            process.kill()
            process.wait()  # its output may end before it does
            why = f"was silent for {timeout_s:g} s" if late.is_set() else "ended"
            raise BenchError(f"{self._name} {why}:\n{self.last_words()}")
        return line

    @property
    def _name(self) -> str:
        return " ".join(self._command[1:4])


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-LAST_WORDS:])
