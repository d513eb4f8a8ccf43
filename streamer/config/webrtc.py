"""[webrtc]: how video gets from here to peers."""

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from streamer.config.section import Networks, Section

ICE_URL = re.compile(
    r"(?P<scheme>stuns?|turns?):(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?"
    r"(\?transport=(?P<transport>udp|tcp))?"
)
"""RFC 7064, section 3.1 (STUN, which has no transport), and RFC 7065, section 3.1."""


_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_PORT_RANGE = re.compile(r"(\d{4,5})-(\d{4,5})")


_Words = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]  # they travel in HTTP headers


class IceServer(Section):
    """As W3C's RTCIceServer. With ``secret``, shared with the TURN server, each peer gets credentials of
    its own that expire ``lifetime_s`` later; ``username`` is then a mere name in them."""

    urls: list[str] = Field(min_length=1)
    username: _Words = ""
    credential: _Words = ""
    secret: str = ""
    lifetime_s: int = Field(default=86_400, ge=60)

    @field_validator("urls")
    @classmethod
    def _are_stun_or_turn(cls, urls: list[str]) -> list[str]:
        for url in urls:
            found = ICE_URL.fullmatch(url)
            if not found or (found["transport"] and found["scheme"].startswith("stun")):
                raise ValueError(
                    "give an address as stun:host:3478 or turn:host:3478?transport=udp"
                )
        return urls

    @model_validator(mode="after")
    def _turn_has_credentials(self) -> "IceServer":
        if self.secret and self.credential:
            raise ValueError(
                "secret and credential exclude each other: give the one of your server"
            )
        has_login = bool(self.secret or (self.username and self.credential))
        if self.has_turn and not has_login:  # no browser takes it
            raise ValueError("a turn: address needs a secret, or a username and a credential")
        return self

    @property
    def has_turn(self) -> bool:
        return any(url.startswith("turn") for url in self.urls)


class WebRtcConfig(Section):
    """``udp_ports``: first and last, "" is any. ``advertise``: addresses and names that stand in answers in
    the place of the machine's own. ``addresses``: networks of the machine's own to use, [] is all."""

    ice_servers: list[IceServer] = []
    ice_transport_policy: Literal["all", "relay"] = "all"
    udp_ports: str = ""
    advertise: list[str] = []
    addresses: Networks = []
    max_peers: int = Field(default=128, ge=1)
    connect_timeout_s: float = Field(default=15.0, gt=0)
    resume_timeout_s: float = Field(default=10.0, ge=0)

    @field_validator("udp_ports")
    @classmethod
    def _is_a_range(cls, text: str) -> str:
        found = _PORT_RANGE.fullmatch(text)
        if text and not (found and 1024 <= int(found[1]) <= int(found[2]) <= 65535):
            raise ValueError("give the first and the last port, of 1024 to 65535, as 20000-20100")
        return text

    @field_validator("advertise")
    @classmethod
    def _are_reachable(cls, places: list[str]) -> list[str]:
        for place in places:
            if not _is_place(place):
                raise ValueError(
                    "give addresses or names of this machine, as 203.0.113.7 or pose.lan"
                )
        return places

    @model_validator(mode="after")
    def _relay_has_a_server(self) -> "WebRtcConfig":
        if self.ice_transport_policy == "relay" and not any(s.has_turn for s in self.ice_servers):
            raise ValueError('ice_transport_policy "relay" needs a turn: address in ice_servers')
        return self

    @property
    def port_range(self) -> range | None:
        found = _PORT_RANGE.fullmatch(self.udp_ports)
        return range(int(found[1]), int(found[2]) + 1) if found else None


def _is_place(text: str) -> bool:
    """An address that packets can be sent to, or a name."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        is_number = text.replace(".", "").isdigit()  # an address with a mistake in it
        return _HOST_NAME.fullmatch(text) is not None and not is_number
    return not (address.is_unspecified or address.is_multicast or address.is_link_local)
