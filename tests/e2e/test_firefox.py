"""The webcam page in a second engine: `make test-firefox`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_other_clients import NODE_FOLDER, run_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.rigs.clips import Clips
    from tests.rigs.server import StreamerServer

pytestmark = [pytest.mark.e2e, pytest.mark.firefox]


async def test_firefox_gets_its_annotated_picture_and_a_full_table(
    server: Callable[..., StreamerServer], clips: Clips
) -> None:
    page = await run_json(
        *("node", str(NODE_FOLDER / "firefox.mjs")),
        *(f"{server().url}/webcam", str(clips.person_webm), "5"),
    )
    assert page["state"] == "live"
    assert page["rows"] == 33
    assert page["frames"] > 50
    assert page["messages"] > 50
    assert page["errors"] == []
