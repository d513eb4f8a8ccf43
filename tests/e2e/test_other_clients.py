"""Programs that are not our pages: another WHIP/WHEP implementation, and a plain aiortc client."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.rigs.clips import Clips
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e

NODE_FOLDER = Path(__file__).parents[1] / "node"


async def run_json(*command: str) -> Any:
    """What the program printed last, as JSON."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    return json.loads(output.decode().strip().splitlines()[-1])


@pytest.mark.parametrize("token", ["", "a-token-for-the-test"])
async def test_whip_whep_on_libwebrtc_publishes_and_plays_with_landmarks(
    token: str, server: Callable[..., StreamerServer], clips: Clips
) -> None:
    running = server(f'[server]\ntoken = "{token}"\n')
    authorization = ["--token", token] if token else []
    result = await run_json(
        "node",
        str(NODE_FOLDER / "whip_whep.mjs"),
        running.url,
        "gym",
        "4",
        "--clip",
        str(clips.person_raw),
        *authorization,
    )
    assert (result["published"], result["played"]) == ("connected", "connected")
    assert result["size"] == "320x240"
    assert result["frames"] > 60
    assert result["messages"] > 60
    assert result["poses"] > 0.8 * result["messages"]


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_a_plain_aiortc_program_gets_its_picture_and_messages_back(
    codec: str, server: Callable[..., StreamerServer]
) -> None:
    (stream,) = await run_json(
        sys.executable,
        *("-m", "tests.rigs.webrtc_probe", "--url", f"{server().url}/webcam", "--codec", codec),
        *("--seconds", "4", "--json"),
    )
    assert stream["size_back"] == "640x480"
    assert stream["frames_back"] > 60
    assert stream["frames_unread"] == 0
    assert stream["messages_with_pose"] > 60
