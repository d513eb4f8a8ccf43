"""The pages' own logic, which needs no browser: its tests are Node's."""

import shutil
import subprocess
from pathlib import Path

NODE_FOLDER = Path(__file__).parents[1] / "node"


def test_pages_logic_passes_its_own_tests() -> None:
    node = shutil.which("node")
    assert node is not None, "There is no Node: tests/setup.sh --node installs it."
    files = sorted(map(str, NODE_FOLDER.glob("*.test.mjs")))  # Node 22 takes no folder
    assert len(files) >= 4
    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
