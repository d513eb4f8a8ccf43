"""Where a peer finds this server: the candidates of an answer, gathered in the place of aioice.

aioice binds a random port on each of the machine's addresses and tells just these. Here the ports come
from a range that a firewall or a container can publish, the addresses may be others than the machine's
own, and what keeps a TURN server from working is told.
"""

import asyncio
import errno
import ipaddress
import itertools
import logging
import socket
import time
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

from aioice import Candidate, stun, turn
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import (
    StunProtocol,
    get_host_addresses,
    relayed_candidate,
    server_reflexive_candidate,
)
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.rtcconfiguration import RTCIceTransportPolicy

from streamer.aio import cancel_and_wait
from streamer.config import WebRtcConfig
from streamer.errors import LimitReached, MediaUnreachable
from streamer.sources.address import look_up
from streamer.webrtc.ice_servers import StunServer, TurnServer, for_ourselves
from streamer.webrtc.relaying import RelayedProtocol

logger = logging.getLogger(__name__)

SERVERS_S = 5.0
SERVERS_BESIDE_HOSTS_S = 2.0
"""For STUN and TURN servers to answer: as long as aioice waits where only they give a way, less where
there are others, since it adds to the time of a peer's answer. One that is alive takes two round trips,
or four over TCP and TLS."""

LOOK_UP_S = 2.0

_COMPONENT = 1  # RTP and RTCP share one
_HIDDEN = ("0.0.0.0", 9)  # RFC 8839, section 5.1: a related address that is not told
_LOOPBACK = ("127.0.0.1", "::1")
_BEST_PREFERENCE = 65535

_Found = tuple[Candidate, StunProtocol | None]


class UdpPorts:
    """The ports that media may use. The kernel keeps the books: a socket that is closed is a port free."""

    def __init__(self, ports: range | None) -> None:
        self._ports = ports
        self._next = 0

    def bind(self, address: str) -> socket.socket:
        """A socket on the next free port; the last to be freed is the last to be taken again.

        Raises OSError for an address that can't be used, LimitReached when no port is left."""
        sock = socket.socket(
            socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM
        )
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, turn.UDP_SOCKET_BUFFER_SIZE)
            if self._ports is None:
                sock.bind((address, 0))
            else:
                self._bind_in_range(sock, address, self._ports)
        except BaseException:
            sock.close()
            raise
        return sock

    def _bind_in_range(self, sock: socket.socket, address: str, ports: range) -> None:
        for _ in ports:
            port = ports[self._next % len(ports)]
            self._next += 1
            try:
                sock.bind((address, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return
        raise LimitReached(
            f"All UDP ports from {ports[0]} to {ports[-1]} ([webrtc] udp_ports) are in use: try again"
            " when a peer has left, or widen the range."
        )


class Advertised:
    """The addresses that answers hold. A name that can't be resolved keeps those it had last."""

    def __init__(self, places: Sequence[str]) -> None:
        self._places = places
        self._known: dict[str, list[str]] = {}

    async def addresses(self) -> list[str]:
        found = await asyncio.gather(*map(self._of, self._places))
        return list(dict.fromkeys(itertools.chain.from_iterable(found)))

    async def _of(self, place: str) -> list[str]:
        try:
            return [str(ipaddress.ip_address(place))]
        except ValueError:
            pass  # a name
        try:
            async with asyncio.timeout(LOOK_UP_S):
                found = await asyncio.wrap_future(look_up(place))
            self._known[place] = [str(each) for each in found if not each.is_link_local]
        except (OSError, UnicodeError):  # TimeoutError is an OSError
            logger.warning("[webrtc] advertise: no address was found for the name %s", place)
        return self._known.get(place, [])


class Gathering:
    """What all peers share of it."""

    def __init__(self, config: WebRtcConfig) -> None:
        self._config = config
        self._is_relay_only = config.ice_transport_policy == "relay"
        self._ports = UdpPorts(config.port_range)
        self._networks = [ipaddress.ip_network(network) for network in config.addresses]
        self._advertised = Advertised(config.advertise)

    def configuration(self) -> RTCConfiguration:
        """For aiortc, which asks no STUN or TURN server itself: with None it would ask Google's."""
        policy = RTCIceTransportPolicy(self._config.ice_transport_policy)
        return RTCConfiguration(iceServers=[], iceTransportPolicy=policy)

    def take_over(self, peer: RTCPeerConnection) -> None:
        """When it knows the offer, and before it answers. From then on its ``setLocalDescription`` raises
        LimitReached when no port is left, MediaUnreachable when there is no candidate at all."""
        transports = {each.receiver.transport for each in peer.getTransceivers()}
        if peer.sctp is not None:
            transports.add(peer.sctp.transport)
        for transport in transports:
            connection: Any = transport.transport._connection
            connection.gather_candidates = partial(self._gather, connection)

    async def _gather(self, connection: Any) -> None:
        connection._local_candidates_start = True
        troubles: list[str] = []
        hosts = [] if self._is_relay_only else await self._open_hosts(connection, troubles)
        await self._ask_servers(connection, hosts, troubles)
        if not connection._local_candidates:
            why = "; ".join(troubles) or "this machine has no address"
            raise MediaUnreachable(
                f"There is no way for video: {why}. docs/network.md has the ways."
            )
        connection._local_candidates_end = True

    # -- this machine's own sockets -------------------------------------------------------------------

    async def _open_hosts(self, connection: Any, troubles: list[str]) -> list[StunProtocol]:
        loop = asyncio.get_running_loop()
        opened: list[StunProtocol] = []
        for own, shown in (await self._plan(troubles)).items():
            try:
                sock = self._ports.bind(own)
            except OSError as error:
                logger.debug("no candidate on %s: %s", own, error)
                troubles.append(f"the address {own} can't be used")
                continue
            _, protocol = await loop.create_datagram_endpoint(
                lambda: StunProtocol(connection), sock=sock
            )
            port = sock.getsockname()[1]
            protocol.local_candidate = _host_candidate(own, own, port, len(opened))
            for address in shown:
                place = len(connection._local_candidates)
                connection._local_candidates.append(_host_candidate(own, address, port, place))
            await _keep(connection, protocol)
            opened.append(protocol)
        return opened

    async def _plan(self, troubles: list[str]) -> dict[str, list[str]]:
        """Own address -> what answers hold in its place: itself, or all of the advertised ones of its
        kind (of any kind, where the machine has no address of that kind)."""
        own = self._own_addresses()
        if not own:
            troubles.append("no address of this machine is in [webrtc] addresses")
        if not self._config.advertise:
            return {address: [address] for address in own}
        plan: dict[str, list[str]] = {}
        for shown in await self._advertised.addresses():
            for address in [each for each in own if (":" in each) == (":" in shown)] or own:
                plan.setdefault(address, []).append(shown)
        if not plan:
            troubles.append("no name in [webrtc] advertise has an address")
        return plan

    def _own_addresses(self) -> list[str]:
        """Loopback only if it is asked for, or if there is nothing else."""
        found = get_host_addresses(use_ipv4=True, use_ipv6=True)
        if not self._networks:
            return found or [_LOOPBACK[0]]
        return [
            address
            for address in (*found, *_LOOPBACK)
            if any(ipaddress.ip_address(address) in network for network in self._networks)
        ]

    # -- STUN and TURN ----------------------------------------------------------------------------------

    async def _ask_servers(
        self, connection: Any, hosts: Sequence[StunProtocol], troubles: list[str]
    ) -> None:
        """All at once, and whatever has come when the time is over."""
        stun_server, turn_server = for_ourselves(self._config, time.time())
        tasks: dict[asyncio.Task[_Found], str] = {}

        def ask(name: str, asking: Coroutine[Any, Any, _Found]) -> None:
            tasks[asyncio.create_task(asking, name=f"gather-{name}")] = name

        if stun_server is not None:
            # As aioice, whose look-up of the server knows IPv4 only.
            for protocol in (each for each in hosts if ":" not in each.local_candidate.host):
                ask(f"stun:{stun_server.host}", self._reflexive(protocol, stun_server))
        if turn_server is not None:
            ask(turn_server.url, self._relayed(connection, turn_server))
        if not tasks:
            return
        try:
            timeout_s = SERVERS_BESIDE_HOSTS_S if hosts else SERVERS_S
            await asyncio.wait(tasks, timeout=timeout_s)
        finally:
            await cancel_and_wait(*tasks)
            for task, name in tasks.items():
                trouble = await _adopt(connection, task)
                if trouble is not None:
                    troubles.append(f"{name} {trouble}")
                    logger.warning("[webrtc] ice_servers: %s %s", name, trouble)

    async def _reflexive(self, protocol: StunProtocol, server: StunServer) -> _Found:
        found = await asyncio.wrap_future(look_up(server.host))
        address = next((str(each) for each in found if each.version == 4), str(found[0]))
        candidate, _ = await server_reflexive_candidate(protocol, (address, server.port))
        if self._config.advertise:
            candidate.related_address, candidate.related_port = _HIDDEN
        return candidate, None

    async def _relayed(self, connection: Any, server: TurnServer) -> _Found:
        """Looks the name up before aioice would, in a thread that all share. Over TCP aioice gets the
        name all the same: for its certificate, and to try each of its addresses."""
        found = await asyncio.wrap_future(look_up(server.host))
        host = server.host if server.transport == "tcp" else str(found[0])
        return await relayed_candidate(
            component=_COMPONENT,
            hide_related_address=self._is_relay_only or bool(self._config.advertise),
            protocol_factory=lambda: RelayedProtocol(connection),
            turn_server=(host, server.port),
            turn_username=server.username,
            turn_password=server.credential,
            turn_ssl=server.tls,
            turn_transport=server.transport,
        )


def _host_candidate(base: str, shown: str, port: int, place: int) -> Candidate:
    return Candidate(
        foundation=candidate_foundation("host", "udp", base),
        component=_COMPONENT,
        transport="udp",
        priority=candidate_priority(_COMPONENT, "host", _BEST_PREFERENCE - place),
        host=shown,
        port=port,
        type="host",
    )


async def _adopt(connection: Any, task: asyncio.Task[_Found]) -> str | None:
    """The candidate that was found becomes the connection's; or why there is none, for people."""
    if task.cancelled():
        return "does not answer"
    error = task.exception()
    if error is None:
        candidate, protocol = task.result()
        connection._local_candidates.append(candidate)
        if protocol is not None:
            await _keep(connection, protocol)
        return None
    if isinstance(error, stun.TransactionFailed):
        code = error.response.error_code
        if code == 401:
            return (
                "refuses this server's credentials: see the secret, and the clocks of both machines"
            )
        return f"refuses to relay (STUN error {code})"
    if isinstance(error, stun.TransactionTimeout):
        return "does not answer"
    if isinstance(error, OSError):
        return f"can't be reached: {error.strerror or type(error).__name__}"
    logger.info("an answer of a STUN or TURN server", exc_info=error)  # aioice meets it unprepared
    return "gives no answer that makes sense"


async def _keep(connection: Any, protocol: StunProtocol) -> None:
    """The connection's own from here on: it closes it, unless it has been closed meanwhile."""
    if connection._closing:
        await protocol.close()
    else:
        connection._protocols.append(protocol)
