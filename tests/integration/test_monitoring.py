"""The dashboard and the alerts that come with the program ask for metrics that there are."""

import importlib
import json
import re
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamer.config import RtspSource, StreamConfig
from streamer.streams import new_stream_id
from tests.fakes import FakeSource, RecordingSink, make_frame
from tests.in_process import Http, Service

CONFIG = Path(__file__).parents[2] / "config"
OF_PROMETHEUS = {"up"}
ADDED_BY_PROMETHEUS = {"instance", "job", "le", "quantile"}
_STRING = re.compile(r'"[^"]*"')
_METRIC = re.compile(r"\b((?:streamer|process|python)_\w+)\b(?:\{([^}]*)\})?")
_LABEL = re.compile(r"(\w+)\s*(=~|=|!=|!~)\s*\"([^\"]*)\"")
_CALL = re.compile(r"\b(\w+)\s*\(")
_KNOWN_CALLS = {
    *("rate", "increase", "deriv", "sum", "histogram_quantile", "time", "clamp_min"),
    *("by", "on", "ignoring", "and", "label_values"),
}


def alerts() -> list[Any]:
    yaml: Any = importlib.import_module("yaml")  # it carries no types
    (group,) = yaml.safe_load((CONFIG / "prometheus-alerts.yml").read_text("utf-8"))["groups"]
    rules: list[Any] = group["rules"]
    return rules


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((CONFIG / "grafana-dashboard.json").read_text("utf-8"))
    return loaded


def expressions() -> list[str]:
    board = dashboard()
    shown = [each["expr"] for panel in board["panels"] for each in panel.get("targets", [])]
    asked = [
        each["query"]["query"] for each in board["templating"]["list"] if each["type"] == "query"
    ]
    return [*(rule["expr"] for rule in alerts()), *shown, *asked]


@pytest.fixture
async def samples(http: Http, service: Service, tmp_path: Path) -> dict[str, list[dict[str, str]]]:
    """Name of each sample of a server at work -> the labels of its series."""
    service.services.state_folder = tmp_path
    service.services.certificate_until = time.time
    source = RtspSource(url="rtsp://127.0.0.1:9/a")
    service.streams.add_camera(StreamConfig(id="door", source=source), keep=False)
    service.streams.add_peer(new_stream_id(), "webcam", FakeSource(), listed=False)
    await service.cameras[0].connected()
    sink = RecordingSink()
    service.streams.get("door").session.subscribe(sink)
    service.cameras[0].put(make_frame())
    await sink.results_come(1)
    await http.get("/nowhere")
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(await (await http.get("/metrics")).text()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


async def test_every_metric_and_label_that_is_asked_for_is_there(
    samples: dict[str, list[dict[str, str]]],
) -> None:
    for expression in expressions():
        asked = _METRIC.findall(expression)
        assert asked or OF_PROMETHEUS & set(re.findall(r"\w+", expression)), expression
        for name, selection in asked:
            assert name in samples, f"{name} of: {expression}"
            for label, relation, value in _LABEL.findall(selection):
                known = {labels[label] for labels in samples[name] if label in labels}
                assert known or label in ADDED_BY_PROMETHEUS, f"{label} of: {expression}"
                if relation == "=" and label in ("state", "stage", "outcome"):
                    assert value in known, f"{label}={value} of: {expression}"


async def test_only_series_of_the_same_labels_are_compared(
    samples: dict[str, list[dict[str, str]]],
) -> None:
    """Others match nothing, and the alert never comes, unless it says which labels count."""
    for expression in expressions():
        if "by (" in expression:
            continue  # which leaves those that it names
        asked = [(each, set(samples[each[1]][0])) for each in _METRIC.finditer(expression)]
        for (one, labels), (other, others) in pairwise(asked):
            between = expression[one.end() : other.start()]
            said = re.search(r"\b(on|ignoring) \(", between)
            assert said or labels == others, expression


def test_expressions_are_whole_and_call_what_there_is() -> None:
    for expression in expressions():
        assert expression.count("(") == expression.count(")"), expression
        assert expression.count("{") == expression.count("}"), expression
        called = set(_CALL.findall(_STRING.sub('""', expression)))
        assert called <= _KNOWN_CALLS, f"{called - _KNOWN_CALLS} of: {expression}"


def test_every_alert_is_explained() -> None:
    text = (CONFIG.parent / "docs" / "operations.md").read_text("utf-8")
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names)
    for rule in alerts():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert f"| `{rule['alert']}` |" in text


def test_panels_have_places_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({each["id"] for each in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        own = {
            (place["x"] + column, place["y"] + row)
            for column in range(place["w"])
            for row in range(place["h"])
        }
        assert not own & taken, panel["title"]
        taken |= own


async def test_every_metric_of_ours_is_in_the_protocol(
    samples: dict[str, list[dict[str, str]]],
) -> None:
    text = (CONFIG.parent / "docs" / "protocol.md").read_text("utf-8")
    for name in samples:
        if name.startswith("streamer_"):
            base = re.sub(r"_(bucket|count|sum)$", "", name)
            assert f"`{base}`" in text, base
