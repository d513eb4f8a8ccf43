"""Finding cameras in the local network: WS-Discovery, as ONVIF uses it.

A question goes to a multicast group from each of this machine's addresses; cameras answer it directly.
Of the library only the messages are used: its own sockets would run on for ever, and follow whoever
claims to be a proxy.
"""

import asyncio
import contextlib
import ipaddress
import logging
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from streamer.aio import assert_off_loop, in_daemon_thread
from streamer.config import OnvifConfig
from streamer.errors import LimitReached

if TYPE_CHECKING:
    from concurrent.futures import Future

logger = logging.getLogger(__name__)

GROUP = ("239.255.255.250", 3702)
"""WS-Discovery 1.1, section 3.1.1."""

QUESTIONS = 2
"""Times that each question is asked: datagrams get lost."""

MAX_ANSWERS = 256
MAX_ANSWER_BYTES = 64 * 1024
MAX_SCOPES = 32

_TYPES = (
    ("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter"),
    ("http://www.onvif.org/ver10/device/wsdl", "Device"),
)
"""ONVIF Core Specification, section 7.3.2; some devices answer to the one only, some to the other."""

_NAME_SCOPES = ("onvif://www.onvif.org/name/", "onvif://www.onvif.org/hardware/")
"""ONVIF Core Specification, section 7.3.3."""

_UNREADABLE = (AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""What the library raises on answers that are not what they should be."""


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """``address``: the host of ``xaddr``, where the camera speaks ONVIF. ``scopes``: what it tells of
    itself, as URIs."""

    name: str
    address: str
    xaddr: str
    scopes: list[str]


class CameraFinder:
    """Searches in a thread of its own, one search at a time."""

    def __init__(self, config: OnvifConfig, allowed_networks: Sequence[str]) -> None:
        self._config = config
        self._networks = [ipaddress.ip_network(network) for network in allowed_networks]
        self._search: Future[list[FoundCamera]] | None = None

    async def find(self) -> list[FoundCamera]:
        """Takes ``search_s``. Raises LimitReached while another search is under way."""
        if self._search is not None and not self._search.done():
            raise LimitReached("A search for cameras is under way; try again in a moment.")
        self._search = in_daemon_thread("find-cameras", self._find)
        return await asyncio.wrap_future(self._search)  # it runs on, and counts, if nobody waits

    def _find(self) -> list[FoundCamera]:
        assert_off_loop()
        cameras: dict[str, FoundCamera] = {}
        with contextlib.ExitStack() as stack:
            sockets = [
                stack.enter_context(opened)
                for address in self._config.interfaces or own_addresses()
                if (opened := _open(address)) is not None
            ]
            questions = _ask(sockets)
            for answer in _answers(sockets, self._config.search_s):
                for match in _matches(answer, questions):
                    found = self._camera(match)
                    if found is not None:
                        cameras.setdefault(found.xaddr, found)
        return sorted(cameras.values(), key=lambda camera: (camera.name.lower(), camera.xaddr))

    def _camera(self, match: Any) -> FoundCamera | None:
        """Of a camera's addresses the first that is allowed, else the first: asking it will tell why not."""
        scopes = [str(scope.getValue())[:200] for scope in match.getScopes()][:MAX_SCOPES]
        places = [
            (host, xaddr)
            for xaddr in map(str, match.getXAddrs())
            if len(xaddr) <= 512 and (host := _host(xaddr))
        ]
        if not places:
            return None
        host, xaddr = next((place for place in places if self._allows(place[0])), places[0])
        return FoundCamera(_name(scopes) or host, host, xaddr, scopes)

    def _allows(self, host: str) -> bool:
        with contextlib.suppress(ValueError):
            return any(ipaddress.ip_address(host) in network for network in self._networks)
        return False


def own_addresses() -> list[str]:
    """This machine's IPv4 addresses, but for those that only mean "no network"."""
    import ifaddr

    addresses = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    return [
        address
        for address in addresses
        if isinstance(address, str) and not ipaddress.ip_address(address).is_link_local
    ]


def _open(address: str) -> socket.socket | None:
    """A socket that asks from this address, if there is multicast."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        opened.bind((address, 0))
    except OSError as error:
        opened.close()
        logger.info("no camera is searched from %s: %s", address, error)
        return None
    return opened


def _ask(sockets: Sequence[socket.socket]) -> set[str]:
    """Sends the questions; their ids."""
    from wsdiscovery.actions.probe import constructProbe
    from wsdiscovery.message import createSOAPMessage
    from wsdiscovery.qname import QName

    probes = [constructProbe([QName(*names)], None) for names in _TYPES]
    for each in [*probes] * QUESTIONS:
        for opened in sockets:
            with contextlib.suppress(OSError):  # this address has no network now; another may
                opened.sendto(createSOAPMessage(each).encode(), GROUP)
    return {str(each.getMessageId()) for each in probes}


def _answers(sockets: Sequence[socket.socket], search_s: float) -> Iterator[bytes]:
    deadline = time.monotonic() + search_s
    with selectors.DefaultSelector() as selector:
        for opened in sockets:
            selector.register(opened, selectors.EVENT_READ, opened)
        count = 0
        while sockets and count < MAX_ANSWERS and (left_s := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left_s):
                with contextlib.suppress(OSError):  # a host said that nobody listens there
                    count += 1
                    yield key.data.recv(MAX_ANSWER_BYTES)


def _matches(answer: bytes, questions: set[str]) -> list[Any]:
    """The cameras in an answer to one of the questions; none in what can't be read."""
    from wsdiscovery.message import parseSOAPMessage

    if b"<!DOCTYPE" in answer or b"\0" in answer:  # no DTD, whose entities grow without end
        return []
    try:
        envelope = parseSOAPMessage(answer, "")
        if envelope is None or envelope.getRelatesTo() not in questions:
            return []
        return list(envelope.getProbeResolveMatches())
    except _UNREADABLE as error:
        logger.debug("an answer to a search can't be read: %s", type(error).__name__)
        return []


def _host(xaddr: str) -> str | None:
    try:
        parts = urlsplit(xaddr)
        return parts.hostname if parts.scheme in ("http", "https") and "@" not in xaddr else None
    except ValueError:
        return None


def _name(scopes: Sequence[str]) -> str:
    """What a camera calls itself: name and model, each once."""
    words = [
        unquote(scope.removeprefix(prefix)).replace("_", " ").strip()
        for prefix in _NAME_SCOPES
        for scope in scopes
        if scope.startswith(prefix)
    ]
    return " ".join(dict.fromkeys(word for word in words if word))[:100]
