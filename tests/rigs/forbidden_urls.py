"""Addresses of cameras that lead, or seem to lead, where no camera may be."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = {
    "inside.example": ["127.0.0.2"],
    "mixed.example": ["127.0.0.10", "127.0.0.2"],
    "mapped.example": ["::ffff:127.0.0.2"],
    "six.example": ["::1"],
    "metadata.example": ["169.254.169.254"],
    "metadata6.example": ["fd00:ec2::254"],
    "any.example": ["0.0.0.0"],
}
"""What a name server of the attacker's says; ``rebind.example`` says something else each time."""

FORBIDDEN = ("127.0.0.2", "127.0.0.3")

_ELSEWHERE = (
    "169.254.169.254",
    "169.254.1.1",
    "100.100.100.200",
    "168.63.129.16",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "8.8.8.8",
    "10.0.0.1",
    "192.168.1.1",
)
_SIX = (
    "[::1]",
    "[::]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[::7f00:2]",
)
_SCHEMES = (
    *("rtmp", "http", "https", "ftp", "file", "tcp", "udp", "rtp", "tls", "srt", "gopher", "rtspu"),
    *("rtsph", "rtspt", "satip", "sctp", "unix", "hls+http", "mmsh", "crypto+http", "ws", "smb"),
    *("httpproxy", "rtsp+tcp", "dict", "ldap", "jar", "icecast", "unixgram", "rist"),
)
_WRAPPED = (
    "file:/etc/passwd",
    "file:///etc/passwd",
    "/etc/passwd",
    "../../etc/passwd",
    "concat:rtsp://{host}:{port}/a|rtsp://{host}:{port}/b",
    "concat:http://{host}:{port}/a",
    "subfile,,start,0,end,64,,:http://{host}:{port}/",
    "subfile,,start,0,end,64,,:/etc/passwd",
    "data:application/vnd.apple.mpegurl;base64,I0VYVE0zVQpodHRwOi8vMTI3LjAuMC4yCg==",
    "data:video/mp4;base64,AAAA",
    "crypto:http://{host}:{port}/",
    "cache:http://{host}:{port}/",
    "async:http://{host}:{port}/",
    "hls+http://{host}:{port}/x.m3u8",
    "http://{host}:{port}/x.m3u8",
    "tee:http://{host}:{port}/",
    "pipe:0",
    "fd:0",
    "async:rtsp://{host}:{port}/",
    "ffrtmphttp://{host}:{port}/",
    "//{host}:{port}/x",
    "{host}:{port}",
    "rtsp:{host}:{port}/x",
    "rtsp:/{host}:{port}/x",
    "rtsp:///{host}:{port}/x",
    "rtsp://///{host}:{port}/x",
    "rtsp:\\\\{host}:{port}/x",
    "rtsp:%2f%2f{host}:{port}/x",
    " rtsp://{host}:{port}/x",
    "\trtsp://{host}:{port}/x",
    "rtsp://{host}:{port}/x\n",
    "rtsp://{host}:{port}/x\r\nHost: y",
    "rtsp://{host}\t:{port}/x",
    "rtsp://{host}\0:{port}/x",
    "rtsp://{host}%00:{port}/x",
    "rtsp://{host}%0a:{port}/x",
    "rtsp://{host}:{port}%20/x",
    "rtsp://{host}:{port}#/x",
    "rtsp://{host}:{port}?/x",
    "rtsp://{host}:+{port}/x",
    "rtsp://{host}:0{port}/x",
    "rtsp://{host}:{port}:{port}/x",
    "rtsp://{host}: {port}/x",
    "rtsp://{host}:-{port}/x",
    "rtsp://{host}.:{port}/x",
    "rtsp://.{host}:{port}/x",
    "rtsp://[{host}]:{port}/x",
    "rtsp://u:p@{host}:{port}/x",
    "rtsp://127.0.0.10@{host}:{port}/x",
    "rtsp://127.0.0.10:{port}@{host}:{port}/x",
    "rtsp://127.0.0.10:{port}%40{host}:{port}/x",
    "rtsp://127.0.0.10%23@{host}:{port}/x",
    "rtsp://127.0.0.10#@{host}:{port}/x",
    "rtsp://127.0.0.10?@{host}:{port}/x",
    "rtsp://127.0.0.10/@{host}:{port}/x",
    "rtsp://127.0.0.10\\@{host}:{port}/x",
    "rtsp://127.0.0.10%5c@{host}:{port}/x",
    "rtsp://127.0.0.10%09@{host}:{port}/x",
    "rtsp://127.0.0.10,{host}:{port}/x",
    "rtsp://127.0.0.10;{host}:{port}/x",
    "rtsp://127.0.0.10|{host}:{port}/x",
    "rtsp://127.0.0.10 {host}:{port}/x",
    "rtsp://127.0.0.10&@{host}:{port}/x",
    "rtsp://@@{host}:{port}/x",
    "rtsp://:@{host}:{port}/x",
    "rtsp://u:p@127.0.0.10@{host}:{port}/x",
    "rtsp://u:p%0d%0aX@{host}:{port}/x",
)


def urls(port: int) -> Iterator[str]:
    """Each leads to a forbidden place, or to nothing."""
    for address in FORBIDDEN:
        for host in spellings(address):
            yield f"rtsp://{host}:{port}/x"
    for host in (*NAMES, "rebind.example", "localhost", "LOCALHOST.", "unknown.example"):
        yield f"rtsp://{host}:{port}/x"
        yield f"rtsps://u:p@{host}:{port}/x"
    for address in _ELSEWHERE:
        for host in list(spellings(address))[:6]:
            yield f"rtsp://{host}:{port}/x"
    for host in _SIX:
        yield f"rtsp://{host}:{port}/x"
        yield f"rtsps://{host}/x"
    for scheme in _SCHEMES:
        yield f"{scheme}://{FORBIDDEN[0]}:{port}/x"
        yield f"{scheme}://127.0.0.10:{port}/x"
    for wrapped in _WRAPPED:
        yield wrapped.format(host=FORBIDDEN[0], port=port)


def spellings(address: str) -> Iterator[str]:
    """Of one IPv4 address, as lenient readers take it."""
    number = int(ipaddress.IPv4Address(address))
    a, b, c, d = address.split(".")
    yield address
    yield str(number)
    yield hex(number)
    yield f"0{number:o}"
    yield f"[::ffff:{address}]"
    yield f"[::ffff:{number >> 16:x}:{number & 0xFFFF:x}]"
    yield f"{a}.{number & 0xFFFFFF}"
    yield f"{a}.{b}.{number & 0xFFFF}"
    yield ".".join(hex(int(part)) for part in address.split("."))
    yield ".".join(f"0{int(part):o}" for part in address.split("."))
    yield f"0{a}.{b}.0{c}.{d}"
    yield f"[0:0:0:0:0:ffff:{address}]"
    yield f"[::ffff:{address}%25lo]"
    yield f"[64:ff9b::{address}]"
    yield f"[::{address}]"
    yield address.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
    yield address.replace(".", "\u3002")
    yield "".join(f"%{ord(sign):02x}" for sign in address)
    yield f"{address}."
    yield f"{address}.nip.example"
