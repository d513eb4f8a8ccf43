"""Every request that was refused or that changed something is in the log, under its id, without secrets."""

import json
import logging
from typing import Any

import pytest
from aiohttp import FormData

from streamer.telemetry import configure_logging
from tests.in_process import Http

SECRET = "hunter2"


@pytest.fixture
def journal(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "streamer.requests")
    return caplog


def lines(journal: pytest.LogCaptureFixture) -> list[Any]:
    return [each for each in journal.records if each.name == "streamer.requests"]


REFUSED = [
    ("GET", "/nowhere", "not-found"),
    ("GET", "/api/v1/streams/x", "not-found"),
    ("POST", "/api/v1/streams", "unsupported-media-type"),
    ("PUT", "/api/v1/streams", "method-not-allowed"),
    ("POST", "/whep/x", "unsupported-media-type"),
]


async def test_id_of_each_problem_is_in_the_log(
    http: Http, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger().handlers.clear()
    configure_logging("info", "json")
    for method, path, kind in REFUSED:
        await is_in_the_log(http, capsys, method, path, kind)


async def is_in_the_log(
    http: Http, capsys: pytest.CaptureFixture[str], method: str, path: str, kind: str
) -> None:
    answer = await http.request(method, f"{path}?token={SECRET}&ticket={SECRET}")
    problem = await answer.json()
    (line,) = [json.loads(each) for each in capsys.readouterr().err.splitlines()]
    assert line["request_id"] == problem["request_id"] == answer.headers["X-Request-Id"]
    assert (line["method"], line["path"], line["status"]) == (method, path, answer.status)
    assert line["problem"] == kind == problem["type"].rpartition(":")[2]
    assert line["client"] == "127.0.0.1"
    assert SECRET not in json.dumps(line)


async def test_unknown_host_is_in_the_log_too(
    http: Http, journal: pytest.LogCaptureFixture
) -> None:
    assert (await http.get("/api/v1/streams", headers={"Host": "evil.example"})).status == 421
    (line,) = lines(journal)
    assert line.problem == "unknown-host"


async def test_who_only_reads_is_no_line_and_who_changes_is_one(
    http: Http, journal: pytest.LogCaptureFixture
) -> None:
    for path in ("/", "/healthz", "/readyz", "/api/v1/streams", "/metrics"):
        assert (await http.get(path)).status == 200
    assert lines(journal) == []
    camera = {"id": "door", "source": {"url": f"rtsp://u:{SECRET}@10.0.0.1/a"}}
    assert (await http.post("/api/v1/streams", json=camera)).status == 201
    (line,) = lines(journal)
    assert line.getMessage() == "POST /api/v1/streams: 201, from 127.0.0.1"
    assert SECRET not in journal.text


async def test_id_of_a_peer_which_is_a_secret_is_not_told(
    http: Http, journal: pytest.LogCaptureFixture
) -> None:
    await http.delete("/api/v1/peers/abcdefghijklmnopqrstuvwxyz")
    (line,) = lines(journal)
    assert line.path == "/api/v1/peers/abcdefgh…"


async def test_requests_are_counted_by_what_became_of_them(http: Http) -> None:
    for _ in range(3):
        await http.get("/nowhere")
    form = FormData({"image": "no picture"})
    assert (await http.post("/api/v1/images", data=form)).status >= 400
    text = await (await http.get("/metrics")).text()
    assert 'streamer_http_refused_total{reason="not-found"} 3.0' in text
    assert 'streamer_http_responses_total{status="4xx"} 4.0' in text
    assert 'streamer_http_responses_total{status="1xx"} 0.0' in text  # WebSockets, once they end
