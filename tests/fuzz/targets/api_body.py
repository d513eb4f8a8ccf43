"""JSON bodies of the API: cameras, changes, outputs, searches."""

import json
import re

from pydantic import ValidationError

from streamer.config import explain
from streamer.errors import InvalidRequest
from streamer.server.cameras import StreamsRequest
from streamer.server.streams import ProbeRequest, StreamPatch, StreamRequest
from streamer.sources.address import parse_rtsp_url
from tests.fuzz.pieces import keys, text

_BODIES = (StreamRequest, StreamPatch, ProbeRequest, StreamsRequest)


def _has_secret(url: str) -> bool:
    """The canary is in the login's password, and nowhere else: a host and a path are shown."""
    authority = re.split(r"[/?#]", url.partition("//")[2], maxsplit=1)[0]
    password = authority.rpartition("@")[0].partition(":")[2]
    return "s3cret-canary" in password and url.count("s3cret-canary") == 1


def fuzz(data: bytes) -> None:
    try:
        body = json.loads(text(data))
    except (ValueError, RecursionError):
        return
    if "s3cret-canary" in "".join(keys(body)):
        return  # names of keys are told
    for model in _BODIES:
        try:
            read = model.model_validate(body)
        except ValidationError as error:
            assert "s3cret-canary" not in explain(error)
            continue
        source = getattr(read, "source", None)
        if source is not None and source.type == "rtsp" and _has_secret(source.url):
            try:
                assert "s3cret-canary" not in parse_rtsp_url(source).shown
            except InvalidRequest as error:
                assert "s3cret-canary" not in str(error)
