"""The canary for secrets sings."""

import base64
import subprocess
import sys

import pytest

from tests.rigs import secrets
from tests.rigs.secrets import MARKER, look, look_at_processes, secret, take


@pytest.mark.parametrize("before", ["", "u:", "me:", "some:"])
def test_secret_is_found_plain_and_in_a_login(before: str) -> None:
    plain = f"{before}{secret('camera')}"
    for text in (plain, base64.b64encode(plain.encode()).decode()):
        look(f"GET / HTTP/1.1\nAuthorization: Basic {text}\n", "the log")
        (found,) = take()
        assert found.startswith("the log: …")
        assert text[:4] in found


def test_what_is_redacted_is_none() -> None:
    look("rtsp://10.0.0.5/s?password=…", "the log")
    look(b"\xff" * 100, "a picture")
    assert take() == []


def test_secret_in_the_arguments_of_a_grandchild_is_found() -> None:
    grandchild = "print(flush=True); input()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}, sys.argv[1]])"
    command = [sys.executable, "-c", f"{code}  # {secrets.__name__}", secret("stream")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        # It speaks once it runs its own command: until then it has its parent's arguments.
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        look_at_processes(process.pid, "the service")
    finally:
        process.communicate(b"\n")
    found = take()
    assert len(found) == 2
    assert all(MARKER in each and "arguments of process" in each for each in found)
