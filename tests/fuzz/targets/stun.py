"""Datagrams that anybody may send to a peer's UDP ports, and a TURN server's answers."""

from typing import Any

from aioice.ice import Connection, StunProtocol
from aioice.turn import TurnClientUdpProtocol

from streamer.webrtc import patches
from tests.fuzz.pieces import records, run

patches.apply()


class _Wire:
    """The UDP socket."""

    def sendto(self, data: bytes, addr: object = None) -> None: ...

    def get_extra_info(self, name: str) -> object:
        return ("127.0.0.1", 1) if name == "sockname" else None

    def is_closing(self) -> bool:
        return False


class _Above:
    """Whom relayed data is for."""

    def datagram_received(self, data: bytes, addr: object) -> None: ...


async def _made() -> Any:
    connection: Any = Connection(ice_controlling=False)
    connection._local_username, connection._local_password = "ufrag", "password"
    return connection


_CONNECTION = run(_made())


async def _feed(data: bytes) -> None:
    _CONNECTION._early_checks.clear()
    host: Any = StunProtocol(_CONNECTION)
    host.transport = _Wire()
    host.local_candidate = type("Local", (), {"component": 1})()
    relay: Any = TurnClientUdpProtocol(("127.0.0.1", 3478), "user", "password", 600, 500)
    relay.transport = _Wire()
    relay.receiver = _Above()
    relay.channel_to_peer[0x4000] = ("10.0.0.5", 1)
    relay.peer_to_channel[("10.0.0.5", 1)] = 0x4000
    for datagram in records(data):
        if datagram[:1] == b"\xff":
            relay.datagram_received(datagram[1:], ("127.0.0.1", 3478))
        elif datagram:
            host.datagram_received(datagram, ("10.0.0.5", 9))


def fuzz(data: bytes) -> None:
    run(_feed(data))
