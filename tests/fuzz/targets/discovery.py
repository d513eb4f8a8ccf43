"""Answers to a search for cameras: anybody in the network may send one."""

from streamer.config import OnvifConfig
from streamer.sources.discovery import CameraFinder, _matches

_finder = CameraFinder(OnvifConfig(), ["127.0.0.0/8", "10.0.0.0/8"])


def fuzz(data: bytes) -> None:
    for match in _matches(data, {"urn:uuid:q"}):
        found = _finder._camera(match)
        if found is not None:
            assert found.xaddr.lower().startswith(("http://", "https://")) and found.address
            assert len(found.name) <= 512
