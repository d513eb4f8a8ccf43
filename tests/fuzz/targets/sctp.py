"""SCTP and data channels behind the decryption, up to our landmark channel. Each record is one chunk."""

from typing import Any

from aiortc import RTCSctpTransport
from google_crc32c import value as crc32c

from streamer.webrtc import patches
from streamer.webrtc.outlets import LandmarkChannel
from tests.fuzz.pieces import records, run

TAG = 0x01020304
_PORT = 5000


class _Dtls:
    state = "connected"
    _role = "server"

    async def _send_data(self, data: bytes) -> None: ...

    def _register_data_receiver(self, receiver: object) -> None: ...

    def _unregister_data_receiver(self, receiver: object) -> None: ...


patches.apply()


def packet_of(chunk: bytes) -> bytes:
    """With a checksum that is right: what a peer sends has one."""
    tag = 0 if chunk[:1] == b"\x01" else TAG  # of INIT, RFC 9260, section 8.5.1
    head = _PORT.to_bytes(2, "big") * 2 + tag.to_bytes(4, "big")
    checksum: int = crc32c(head + bytes(4) + chunk)
    return head + checksum.to_bytes(4, "little") + chunk


async def _feed(data: bytes) -> None:
    sctp: Any = RTCSctpTransport(_Dtls(), _PORT)  # type: ignore[arg-type] # a fake
    channels: list[LandmarkChannel] = []

    def on_channel(channel: Any) -> None:
        outlet = LandmarkChannel(channel)
        channels.append(outlet)
        outlet.pose(b"pose")
        outlet.news("news")

    sctp.on("datachannel", on_channel)
    sctp._local_verification_tag, sctp._local_tsn = TAG, 1
    sctp._last_received_tsn, sctp._remote_port = 0, _PORT
    sctp._data_channel_id = 1
    sctp._inbound_streams_count = 65535
    sctp._ssthresh = 65536
    sctp._set_state(sctp.State.ESTABLISHED)
    try:
        for chunk in records(data):
            await sctp._handle_data(packet_of(chunk))
            for outlet in channels:
                outlet.pose(b"pose")
    finally:
        sctp._set_state(sctp.State.CLOSED)
        for timer in ("_t1_cancel", "_t2_cancel", "_t3_cancel", "_reconfig_timer_cancel"):
            getattr(sctp, timer)()
    assert len(channels) <= 65535


def fuzz(data: bytes) -> None:
    run(_feed(data))
