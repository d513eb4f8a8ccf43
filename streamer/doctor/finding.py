"""What an examination finds: one line each, for a person or as JSON."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from streamer.telemetry import redact

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``subject``: what was looked at, in a word; ``fix``: what to do, where something is wrong."""

    level: Level
    subject: str
    text: str
    fix: str = ""


def ok(subject: str, text: str) -> Finding:
    return Finding("ok", subject, text)


def warning(subject: str, text: str, fix: str) -> Finding:
    return Finding("warning", subject, text, fix)


def problem(subject: str, text: str, fix: str) -> Finding:
    return Finding("problem", subject, text, fix)


def lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Without secrets, as all that leaves us."""
    for each in findings:
        fix = f" → {each.fix}" if each.fix else ""
        yield redact(f"{each.level:8} {each.subject:13} {each.text}{fix}")


def as_json(findings: Iterable[Finding]) -> str:
    return json.dumps(
        [{key: redact(value) for key, value in asdict(each).items()} for each in findings],
        ensure_ascii=False,
        indent=1,
    )
