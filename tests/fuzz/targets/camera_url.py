"""Addresses of cameras and outputs, over RTSP and ONVIF."""

from pydantic import ValidationError

from streamer.config import RtspSource
from streamer.errors import InvalidRequest
from streamer.sources.address import parse_rtsp_url, plain_address
from streamer.sources.onvif import parse_address
from tests.fuzz.pieces import text


def fuzz(data: bytes) -> None:
    url = text(data)
    _camera(url)
    try:
        door = parse_address(url)
    except InvalidRequest:
        pass
    else:
        assert door.scheme in ("http", "https") and door.host and 0 < door.port < 65536
    try:
        plain_address(url)
    except ValueError:
        pass


def _camera(url: str) -> None:
    try:
        camera = parse_rtsp_url(RtspSource(url=url))
    except (InvalidRequest, ValidationError):
        return
    assert camera.scheme in ("rtsp", "rtsps") and 0 < camera.port < 65536
    assert camera.shown.startswith(camera.scheme)
    inside = parse_rtsp_url(RtspSource(url=camera.via("127.0.0.1", 8554)[:2048]))
    assert (inside.host, inside.port) == ("127.0.0.1", 8554)  # whatever a path or a login holds
