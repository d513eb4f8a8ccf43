"""JSON bodies of the API: cameras, changes, outputs, searches."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from streamer.config import explain
from streamer.errors import InvalidRequest
from streamer.server.cameras import StreamsRequest
from streamer.server.streams import ProbeRequest, StreamPatch, StreamRequest
from streamer.sources.address import parse_rtsp_url
from tests.fuzz.pieces import text

_BODIES = (StreamRequest, StreamPatch, ProbeRequest, StreamsRequest)


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _keys(each)


def fuzz(data: bytes) -> None:
    try:
        body = json.loads(text(data))
    except (ValueError, RecursionError):
        return
    if "s3cret-canary" in "".join(_keys(body)):
        return  # names of keys are told
    for model in _BODIES:
        try:
            read = model.model_validate(body)
        except ValidationError as error:
            assert "s3cret-canary" not in explain(error)
            continue
        source = getattr(read, "source", None)
        if source is not None and source.type == "rtsp":
            try:
                assert "s3cret-canary" not in parse_rtsp_url(source).shown
            except InvalidRequest as error:
                assert "s3cret-canary" not in str(error)
