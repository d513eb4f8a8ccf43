"""Noticing that a peer is gone: a killed browser says nothing, and aiortc alone finds out after 30 s."""

import asyncio
import contextlib
from typing import Any

from aioice import stun
from aiortc import RTCDtlsTransport

POLL_S = 0.5
SILENCE_S = 3.0
"""A peer that sends or receives media is heard of at least every 1.5 s (RTCP, RFC 3550, section 6.2)."""


async def until_gone(transport: RTCDtlsTransport) -> None:
    """Returns when the peer has been silent for 3 s and then fails to answer an ICE consent check
    (RFC 7675): within 5 s in all. A peer that is merely quiet answers the check and stays."""
    loop = asyncio.get_running_loop()
    received, heard_at = await _packets_received(transport), loop.time()
    while True:
        await asyncio.sleep(POLL_S)
        now_received = await _packets_received(transport)
        if now_received != received:
            received, heard_at = now_received, loop.time()
        elif loop.time() - heard_at >= SILENCE_S:
            if not await _consents(transport):
                return
            heard_at = loop.time()


async def _packets_received(transport: RTCDtlsTransport) -> int:
    inner: Any = transport
    return sum(
        stats.packetsReceived for stats in inner._get_stats().values() if stats.type == "transport"
    )


async def _consents(transport: RTCDtlsTransport) -> bool:
    """One STUN binding request on the pair in use, sent twice within 1.5 s."""
    connection: Any = transport.transport._connection
    for pair in tuple(connection._nominated.values()):
        request = connection.build_request(pair, nominate=False)
        with contextlib.suppress(stun.TransactionError, ConnectionError):  # no answer: try the next
            await pair.protocol.request(
                request,
                pair.remote_addr,
                integrity_key=connection.remote_password.encode("utf8"),
                retransmissions=1,
            )
            return True
    return False
