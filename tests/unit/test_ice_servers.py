"""What others are told of STUN and TURN servers, and which of them this server uses itself."""

import json
from typing import Any

import pytest

from streamer.config import IceServer, WebRtcConfig
from streamer.webrtc.ice_servers import as_links, for_browsers, for_ourselves

NOW_S = 1_760_000_000.7
TURN = "turn:turn.example:3478?transport=udp"


def config(*servers: dict[str, Any], **others: Any) -> WebRtcConfig:
    return WebRtcConfig(ice_servers=[IceServer(**server) for server in servers], **others)


def test_without_servers_nobody_is_told_of_any() -> None:
    assert for_browsers(config(), NOW_S) == {"iceServers": [], "iceTransportPolicy": "all"}
    assert as_links(config(), NOW_S) == []
    assert for_ourselves(config(), NOW_S) == (None, None)


def test_secret_becomes_a_login_that_ends() -> None:
    """The credential: printf %s 1760086400 | openssl dgst -sha1 -hmac north -binary | base64"""
    shared = config({"urls": [TURN], "secret": "north"})
    (server,) = for_browsers(shared, NOW_S)["iceServers"]
    assert server == {
        "urls": [TURN],
        "username": "1760086400",
        "credential": "mO7NBG/+iOku0TG8TRMaXBV+3Ic=",
    }
    later = for_browsers(shared, NOW_S + 1)["iceServers"][0]
    assert later["username"] == "1760086401" and later["credential"] != server["credential"]


def test_name_and_lifetime_are_in_the_login() -> None:
    shared = config({"urls": [TURN], "secret": "north", "username": "door", "lifetime_s": 60})
    (server,) = for_browsers(shared, NOW_S)["iceServers"]
    assert server["username"] == "1760000060:door"


def test_secret_is_told_to_nobody() -> None:
    shared = config({"urls": [TURN, "stun:turn.example"], "secret": "hush-hush"})
    told = [for_browsers(shared, NOW_S), as_links(shared, NOW_S)]
    assert "hush-hush" not in json.dumps(told) + repr(for_ourselves(shared, NOW_S))


def test_fixed_login_is_passed_on_and_stun_has_none() -> None:
    fixed = config(
        {"urls": ["stun:s.example"]}, {"urls": [TURN], "username": "u", "credential": "c"}
    )
    assert for_browsers(fixed, NOW_S)["iceServers"] == [
        {"urls": ["stun:s.example"]},
        {"urls": [TURN], "username": "u", "credential": "c"},
    ]
    assert as_links(fixed, NOW_S) == [
        '<stun:s.example>; rel="ice-server"',
        f'<{TURN}>; rel="ice-server"; username="u"; credential="c"; credential-type="password"',
    ]


def test_quotes_in_a_login_do_not_end_its_link() -> None:
    (link,) = as_links(config({"urls": [TURN], "username": 'a"b', "credential": "c\\d"}), NOW_S)
    assert r'username="a\"b"; credential="c\\d"' in link


def test_policy_has_the_name_that_browsers_know() -> None:
    relay = config({"urls": [TURN], "secret": "s"}, ice_transport_policy="relay")
    assert for_browsers(relay, NOW_S)["iceTransportPolicy"] == "relay"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("turn:h", ("h", 3478, "udp", False)),
        ("turn:10.0.0.1:99?transport=tcp", ("10.0.0.1", 99, "tcp", False)),
        ("turns:h.example", ("h.example", 5349, "tcp", True)),
        ("turn:[fd00::1]:3479", ("fd00::1", 3479, "udp", False)),
        ("turn:[fd00::1]", ("fd00::1", 3478, "udp", False)),
    ],
)
def test_place_of_a_turn_server_is_read_from_its_address(
    url: str, place: tuple[str, int, str, bool]
) -> None:
    _, turn = for_ourselves(config({"urls": [url], "username": "u", "credential": "c"}), NOW_S)
    assert turn is not None
    assert (turn.host, turn.port, turn.transport, turn.tls) == place
    assert (turn.url, turn.username, turn.credential) == (url, "u", "c")


def test_first_servers_that_can_be_spoken_to_are_our_own() -> None:
    urls = ["stuns:a", "stun:b", "stun:c", "turns:d?transport=udp", "turns:e", "turn:f"]
    stun, turn = for_ourselves(config({"urls": urls, "secret": "s"}), NOW_S)
    assert stun is not None and (stun.host, stun.port) == ("b", 3478)
    assert turn is not None and turn.host == "e"
