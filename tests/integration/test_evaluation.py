"""``streamer eval`` on the quick clips: real networks, real pictures, and what they have to reach."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from streamer.cli import main
from tests.rigs.labelled.making import prepare_quick

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def clips() -> Path:
    return prepare_quick()


@pytest.fixture(scope="module")
def figures(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of one run, as its JSON has them."""
    file = tmp_path_factory.mktemp("eval") / "figures.json"
    assert main(["eval", "--clips", str(clips), "--quick", "--json", str(file)]) == 0
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found
