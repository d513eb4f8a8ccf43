"""STUN and TURN servers: what browsers, programs and this server itself are told of them.

With a shared secret everybody gets a username that holds the time of its end, and that name's HMAC as
the credential: "A REST API For Access To TURN Services", draft-uberti-behave-turn-rest-00, section 2.2,
which coturn calls ``use-auth-secret``. The secret itself goes nowhere.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any

from streamer.config import ICE_URL, IceServer, WebRtcConfig

DEFAULT_PORTS = {"stun": 3478, "turn": 3478, "turns": 5349}
"""RFC 7064, section 3.2, and RFC 7065, section 3.2."""


@dataclass(frozen=True, slots=True)
class StunServer:
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class TurnServer:
    """``url`` names it to people."""

    url: str
    host: str
    port: int
    transport: str
    tls: bool
    username: str
    credential: str = field(repr=False)


def for_browsers(config: WebRtcConfig, now_s: float) -> dict[str, Any]:
    """W3C's RTCConfiguration, with credentials that are good from ``now_s`` (Unix time) on."""
    return {
        "iceServers": [_described(server, now_s) for server in config.ice_servers],
        "iceTransportPolicy": config.ice_transport_policy,
    }


def as_links(config: WebRtcConfig, now_s: float) -> list[str]:
    """The same as values of ``Link`` headers (RFC 9725, section 4.6)."""
    links = []
    for server in config.ice_servers:
        username, credential = _login(server, now_s)
        login = f'; username="{_quoted(username)}"; credential="{_quoted(credential)}"'
        for url in server.urls:
            is_turn = url.startswith("turn")
            after = f'{login}; credential-type="password"' if is_turn else ""
            links.append(f'<{url}>; rel="ice-server"{after}')
    return links


def for_ourselves(
    config: WebRtcConfig, now_s: float
) -> tuple[StunServer | None, TurnServer | None]:
    """The first of each kind that aioice can speak to."""
    stun, turn = None, None
    for server in config.ice_servers:
        for url in server.urls:
            found = ICE_URL.fullmatch(url)
            assert found is not None  # the configuration has seen to that
            scheme, host = found["scheme"], found["host"].strip("[]")
            port = int(found["port"] or DEFAULT_PORTS.get(scheme, 0))
            transport = found["transport"] or ("tcp" if scheme == "turns" else "udp")
            if scheme == "stun" and stun is None:
                stun = StunServer(host, port)
            elif scheme in ("turn", "turns") and turn is None:
                if scheme == "turns" and transport == "udp":
                    continue  # DTLS
                login = _login(server, now_s)
                turn = TurnServer(url, host, port, transport, scheme == "turns", *login)
    return stun, turn


def _described(server: IceServer, now_s: float) -> dict[str, Any]:
    username, credential = _login(server, now_s)
    described: dict[str, Any] = {"urls": server.urls}
    if credential:
        described |= {"username": username, "credential": credential}
    return described


def _login(server: IceServer, now_s: float) -> tuple[str, str]:
    """Username and credential."""
    if not server.secret:
        return server.username, server.credential
    expires = str(int(now_s) + server.lifetime_s)
    username = f"{expires}:{server.username}" if server.username else expires
    digest = hmac.digest(server.secret.encode(), username.encode(), hashlib.sha1)
    return username, base64.b64encode(digest).decode()


def _quoted(text: str) -> str:
    """Inside a quoted-string (RFC 9110, section 5.6.4)."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
