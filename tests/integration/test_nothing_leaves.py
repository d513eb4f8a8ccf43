"""No picture, landmark or metric leaves the machine: the kernel is asked, not the libraries.

``strace`` (tests/setup.sh installs it) writes down every network call of the server's process and all
its threads, from its start to its end, MediaPipe's and FFmpeg's native code included.
"""

import asyncio
import ipaddress
import re
import sys
import time
from pathlib import Path

import aiohttp
import pytest
from aioice.ice import get_host_addresses

from tests.decoded import decode
from tests.fakes import PATIENCE_S
from tests.in_process import Camera, WebcamPeer
from tests.rigs.pictures import file_of, person_picture
from tests.rigs.server import StreamerServer

SENDING = re.compile(r"\b(?:connect|sendto|sendmsg|sendmmsg)\(")
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')


def strace(log: Path) -> list[str]:
    """The command before a command; ``-D`` leaves that the direct child of whoever starts it."""
    return ["strace", "-D", "-f", "-q", "-e", "trace=network", "-o", str(log)]


def destinations(trace: str) -> set[str]:
    """The internet addresses to which something was sent or connected."""
    return {
        v4 or v6
        for line in trace.splitlines()
        if SENDING.search(line)
        for v4, v6 in ADDRESS.findall(line)
    }


def elsewhere(trace: str) -> set[str]:
    """Those that are not this machine: neither loopback nor an address of its own."""
    own = set(get_host_addresses(use_ipv4=True, use_ipv6=True))
    return {
        address
        for address in destinations(trace)
        if not ipaddress.ip_address(address).is_loopback and address not in own
    }


def read_when_complete(log: Path, pid: int) -> str:
    """strace, which may be a moment behind the process that it watches, writes down its end."""
    end = re.compile(rf"^{pid} +\+\+\+ ", re.MULTILINE)
    deadline = time.monotonic() + PATIENCE_S
    while not end.search(trace := log.read_text(errors="replace") if log.exists() else ""):
        assert time.monotonic() < deadline, f"the end of process {pid} is not in the trace"
        time.sleep(0.05)
    return trace


class TracedServer(StreamerServer):
    """A server whose network calls are written down."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.trace = folder / "strace.log"
        self._command = [*strace(self.trace), *self._command]


async def test_server_that_estimates_a_live_stream_talks_to_this_machine_only(
    tmp_path: Path, person_clip: Path
) -> None:
    server = TracedServer(tmp_path)
    await asyncio.to_thread(server.start)
    try:
        async with aiohttp.ClientSession(server.url) as http:
            peer = WebcamPeer(Camera(await asyncio.to_thread(decode, person_clip, 60)))
            await peer.join(http)
            await peer.plays(frames=30, poses=30)
            assert any(message["poses"] for message in peer.poses)
            source = {"type": "rtsp", "url": "rtsp://localhost:9/nothing-there"}
            async with http.post("/api/v1/probe", json={"source": source}) as response:
                assert response.status == 502
            picture = await asyncio.to_thread(person_picture, person_clip)
            jpeg, headers = file_of(picture, "JPEG"), {"Content-Type": "image/jpeg"}
            async with http.post("/upload", data=jpeg, headers=headers) as response:
                assert response.status == 200
            await http.delete(peer.location)
            await peer.close()
    finally:
        pid = server.pid
        await asyncio.to_thread(server.stop)
    trace = await asyncio.to_thread(read_when_complete, server.trace, pid)
    assert "127.0.0.1" in destinations(trace), "strace saw nothing"
    assert elsewhere(trace) == set()


LEAK = """
import socket, threading
def leak():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect(("198.51.100.1", 9))  # which sends nothing
thread = threading.Thread(target=leak)
thread.start()
thread.join()
"""


async def test_connection_to_elsewhere_would_be_noticed(tmp_path: Path) -> None:
    log = tmp_path / "strace.log"
    command = [*strace(log), sys.executable, "-c", LEAK]
    leaking = await asyncio.create_subprocess_exec(*command)
    await leaking.wait()
    trace = await asyncio.to_thread(read_when_complete, log, leaking.pid)
    assert elsewhere(trace) == {"198.51.100.1"}


def call(name: str, address: str) -> str:
    """As strace writes it."""
    return f"7 {name}(3, {{{address}}}, 16) = 0"


def ipv4(address: str) -> str:
    return f'sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("{address}")'


def ipv6(address: str) -> str:
    return f'sa_family=AF_INET6, sin6_port=htons(53), inet_pton(AF_INET6, "{address}", &sin6_addr)'


@pytest.mark.parametrize("name", ["connect", "sendto", "sendmsg", "sendmmsg"])
def test_every_form_of_sending_is_understood(name: str) -> None:
    for address in ("8.8.8.8", "2001:db8::1"):
        form = ipv6 if ":" in address else ipv4
        assert elsewhere(call(name, form(address))) == {address}
    for address in ("127.0.0.53", "::1"):
        form = ipv6 if ":" in address else ipv4
        assert elsewhere(call(name, form(address))) == set()
    assert elsewhere(call(name, 'sa_family=AF_UNIX, sun_path="/run/x"')) == set()


def test_listening_is_no_sending() -> None:
    assert elsewhere(call("bind", ipv4("0.0.0.0"))) == set()
