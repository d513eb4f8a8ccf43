"""Which camera is meant, and whether the configuration allows its place in the network."""

import asyncio
import contextlib
import ipaddress
import re
import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import quote, unquote, urlsplit

from streamer.aio import in_daemon_thread
from streamer.config import RtspSource
from streamer.errors import InvalidRequest, SourceForbidden, SourceUnreachable
from streamer.telemetry import redact

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322}
"""As registered with IANA."""

METADATA = frozenset(
    ipaddress.ip_address(address)
    for address in ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16")
)
"""Where AWS, Google Cloud, Alibaba Cloud and Azure tell a machine its secrets, besides link-local."""

_EXAMPLE = "an RTSP address looks like rtsp://user:password@192.168.1.20:554/stream1"
_PRINTABLE_ASCII = re.compile(r"[!-~]+")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f\ud800-\udfff]"
)  # and halves of a character, which JSON can hold

_own_ports: Counter[int] = Counter()
"""TCP ports that this process listens on; what is there are we, and no camera."""

_look_ups: dict[str, "Future[list[IpAddress]]"] = {}
"""Under way, by host: with a dead name server each takes long, and retries must not pile up."""


@dataclass(frozen=True, slots=True)
class CameraUrl:
    """A parsed address. ``path`` starts with "/" or is empty, and includes the query."""

    scheme: str
    host: str
    port: int
    path: str
    username: str = ""
    password: str = field(default="", repr=False)

    @property
    def place(self) -> str:
        """Host and port for messages: never with credentials."""
        return _join(self.host, self.port)

    @property
    def shown(self) -> str:
        """For people: without credentials, and of a query only its keys, since many cameras take
        their password there."""
        path, mark, query = self.path.partition("?")
        pairs = (part.partition("=") for part in query.split("&"))
        keys = "&".join(f"{key}=…" if equals else "…" for key, equals, _ in pairs)
        return redact(f"{self.scheme}://{self.place}{path}") + (f"?{keys}" if mark else "")

    def via(self, host: str, port: int) -> str:
        """The URL, with credentials, for reaching this camera through another door."""
        login = f"{quote(self.username, safe='')}:{quote(self.password, safe='')}@"
        return f"rtsp://{login if self.username else ''}{_join(host, port)}{self.path}"


def parse_rtsp_url(source: RtspSource) -> CameraUrl:
    """Raises InvalidRequest with a sentence that says what is wrong; it never repeats the URL."""
    if not _PRINTABLE_ASCII.fullmatch(source.url):
        _refuse("it must not hold spaces, control or non-ASCII characters (write them as %XX)")
    try:
        parts = urlsplit(source.url)
        port = parts.port
    except ValueError:
        _refuse("its host or port can't be read; in a password write / as %2F and # as %23")
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS:
        _refuse("it must begin with rtsp:// or rtsps://")
    if "#" in source.url:
        _refuse("it must not hold a #; in a password write it as %23")
    if "@" in parts.path + parts.query:  # a / or ? before it cut the password off
        _refuse("it has an @ after its host: write @ as %40, and in a password / as %2F, ? as %3F")
    host = parts.hostname or ""
    if not _HOST.fullmatch(host):
        _refuse("it has no host that can be read")
    if port == 0:
        _refuse("port 0 does not exist")
    username = source.username or unquote(parts.username or "")
    password = source.password or unquote(parts.password or "")
    if _CONTROL.search(username + password):
        _refuse("its user name or password holds control characters")
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return CameraUrl(
        scheme,
        host,
        port or DEFAULT_PORTS[scheme],
        path if path.startswith("/") or not path else f"/{path}",
        username,
        password,
    )


async def resolve(
    url: CameraUrl, allowed_networks: Iterable[str], timeout_s: float
) -> list[IpAddress]:
    """The addresses to connect to, in place of the name, which may mean others a moment later.

    Raises SourceForbidden if any address of the host is not allowed, or the place is our own;
    SourceUnreachable if it has none.
    """
    try:
        async with asyncio.timeout(timeout_s):
            addresses = await asyncio.wrap_future(look_up(url.host))
    except (OSError, UnicodeError) as error:  # TimeoutError is an OSError
        raise SourceUnreachable(f"no address was found for the host {url.host}") from error
    check_allowed(addresses, allowed_networks)
    check_not_ours(addresses, url.port)
    return addresses


def check_allowed(addresses: Iterable[IpAddress], allowed_networks: Iterable[str]) -> None:
    """Raises SourceForbidden if a camera may not be at one of them."""
    networks = [ipaddress.ip_network(network) for network in allowed_networks]
    for address in addresses:
        _check(address, networks)


@contextlib.contextmanager
def listening_on(*ports: int) -> Iterator[None]:
    """While these TCP ports are ours: nothing else may be sent there to find itself."""
    _own_ports.update(ports)
    try:
        yield
    finally:
        _own_ports.subtract(ports)
        for port in ports:
            if not _own_ports[port]:
                del _own_ports[port]  # each connection to a camera has another one


def check_not_ours(addresses: Iterable[IpAddress], port: int) -> None:
    """Raises SourceForbidden if this process itself listens at one of these places: it would trust a
    request of its own, and a camera that is ourselves never ends."""
    if _own_ports[port] > 0 and any(map(_is_this_machine, addresses)):
        raise SourceForbidden(
            f"port {port} of this machine is this server's own: no camera is there"
        )


def _is_this_machine(address: IpAddress) -> bool:
    import ifaddr  # here: it is asked for only when the port is one of ours

    own = {
        str(each.ip[0] if isinstance(each.ip, tuple) else each.ip)
        for adapter in ifaddr.get_adapters()
        for each in adapter.ips
    }
    return address.is_loopback or str(address) in own


def look_up(host: str) -> Future[list[IpAddress]]:
    """Joins the look-up of this host that is under way, or starts one."""

    def ask() -> list[IpAddress]:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(plain_address(str(sockaddr[0])) for *_, sockaddr in found))

    under_way = _look_ups.get(host)
    if under_way is None:
        under_way = _look_ups[host] = in_daemon_thread(f"look-up-{host}", ask)
        under_way.add_done_callback(lambda _: _look_ups.pop(host))
    return under_way


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _refuse(reason: str) -> NoReturn:
    raise InvalidRequest(f"this address can't be used: {reason}; {_EXAMPLE}")


def plain_address(text: str) -> IpAddress:
    """Without scope, and an IPv4 address in IPv6's clothes as what it is. Raises ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _check(
    address: IpAddress, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]
) -> None:
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        raise SourceForbidden(
            f"{address} is a link-local, multicast or unspecified address, where no camera may be"
        )
    if address in METADATA:
        raise SourceForbidden(f"{address} belongs to a cloud's metadata, where no camera may be")
    if not any(address in network for network in networks):
        raise SourceForbidden(
            f"{address} is in none of the networks where cameras may be; if it is yours, add it to"
            " allowed_networks in the [rtsp] section of the configuration"
        )
