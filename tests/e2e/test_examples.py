"""The examples as their readers run them: on a real camera's stream."""

from __future__ import annotations

import csv
import functools
import http.server
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from streamer.landmarks import NAMES
from tests.fakes import PATIENCE_S
from tests.rigs.browser import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import OpenPage
    from tests.rigs.clips import Clips
    from tests.rigs.rtsp import RtspServer
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def sites() -> Iterator[str]:
    """The folder of the examples on a server of its own: another origin than ours."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(EXAMPLES))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{other.server_port}"
        other.shutdown()
        thread.join()


@pytest.fixture
def running(
    server: Callable[..., StreamerServer],
    rtsp_server: Callable[..., RtspServer],
    clips: Clips,
    sites: str,
) -> StreamerServer:
    """A server whose stream `door` is a real person."""
    camera = rtsp_server({"/cam": clips.person})
    return server(
        f'[server]\nallowed_origins = ["{sites}"]\n'
        f'[[streams]]\nid = "door"\nsource = {{ url = "{camera.url("/cam")}" }}\n'
    )


def run(running: StreamerServer, name: str, *arguments: str) -> str:
    command = [sys.executable, str(EXAMPLES / name), "door", "--url", running.url, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_knee_angle_of_a_person_who_stands_is_nearly_straight(running: StreamerServer) -> None:
    lines = run(running, "knee_angle.py", "--frames", "60").splitlines()
    assert len(lines) == 60
    angles = [int(angle) for line in lines for angle in re.findall(r"(\d+)°", line)]
    assert len(angles) > 60
    assert 0 <= sorted(angles)[len(angles) // 2] < 60


def test_csv_has_a_line_for_each_landmark(running: StreamerServer) -> None:
    rows = list(csv.DictReader(run(running, "csv_logger.py", "--frames", "20").splitlines()))
    assert {row["landmark"] for row in rows} == set(NAMES)
    assert len(rows) % len(NAMES) == 0 and len(rows) >= 15 * len(NAMES)
    noses = [row for row in rows if row["landmark"] == "nose"]
    assert all(0 < float(row["x"]) < 1 and float(row["visibility"]) > 0.5 for row in noses)
    assert len({row["seq"] for row in noses}) == len(noses)


def test_raised_hand_runs_the_command(running: StreamerServer, tmp_path: Path) -> None:
    lamp = tmp_path / "lamp-on"
    said = run(running, "hand_up.py", "--times", "1", "--run", f"touch {lamp}")
    assert "door is live" in said and "hand up" in said
    assert lamp.exists()


async def test_page_of_another_site_draws_the_skeleton(
    running: StreamerServer, sites: str, open_page: OpenPage
) -> None:
    page, watch = await open_page("about:blank")
    watch.friends += [sites, running.url]
    await page.goto(f"{sites}/canvas.html?stream=door&server={running.url}")
    await expect(page.locator("#state")).to_contain_text("live")
    await until(
        page,
        """(() => {
          const { width, height } = canvas;
          const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
          return width === 640 && pixels.filter((value, i) => i % 4 === 3 && value > 0).length > 500;
        })()""",
    )
    watch.assert_clean()
