"""What compose.yaml publishes is what it tells the service, and peers."""

import re
from pathlib import Path

from streamer.draining import DEADLINE_S
from streamer.settings import load_config

COMPOSE = Path(__file__).parents[2] / "compose.yaml"


def test_video_is_published_where_peers_are_told_that_it_is() -> None:
    text = COMPOSE.read_text("utf-8")
    settings = re.findall(r"^ +(STREAMER_WEBRTC__\w+): '?(.+?)'?$", text, re.MULTILINE)
    webrtc = load_config(None, dict(settings)).webrtc
    ((address, outside, inside),) = re.findall(r'^ +- "(\S+):(\S+):(\S+)/udp"$', text, re.MULTILINE)
    assert webrtc.advertise == [address]
    assert webrtc.udp_ports == outside == inside
    assert max(webrtc.port_range or ()) < 32768, "beyond that the kernel gives ports out itself"


def test_service_has_the_time_that_its_end_may_take() -> None:
    (grace_s,) = re.findall(
        r"^ +stop_grace_period: (\d+)s", COMPOSE.read_text("utf-8"), re.MULTILINE
    )
    assert int(grace_s) > DEADLINE_S
