"""A service whose files are replaced beneath it: its children go on with the code that it has."""

import subprocess
import sys
from pathlib import Path

from streamer.pose.models import Complexity, ensure_models

WORK = """
import sys
from streamer.isolation.forks import import_all
import_all()
known = set(sys.modules)

from streamer.config import PoseConfig, FileSource
from streamer.isolation.channel import ChannelClosed
from streamer.pose.models import find_model

class Worker:
    def __init__(self, *orders):
        self.orders, self.said = list(orders), []
    def receive(self):
        if not self.orders:
            raise ChannelClosed
        return self.orders.pop(0)
    def send(self, header, *buffers):
        self.said.append((header, b"".join(bytes(each) for each in buffers)))
        if len(self.said) > 12:
            raise ChannelClosed
    def when_finished(self, act):
        pass
    def working(self, limit_s):
        import contextlib
        return contextlib.nullcontext()

def work(module, *orders):
    worker = Worker(*orders)
    try:
        sys.modules[module].main(worker)
    except ChannelClosed:
        pass
    return worker.said

folder, name = sys.argv[1:]
said = work("streamer.sources.worker", ({"what": "file", "path": f"{folder}/{name}", "loop": True,
    "decode_limit_s": 10.0}, b""))
width, picture = next((header["width"], body) for header, body in said
    if header["event"] == "picture")
requests = []
for masks in (False, True):
    options = PoseConfig(enable_segmentation=masks, low_light="auto").model_dump_json()
    bundle = str(find_model(1, masks))
    requests.append(({"do": "configure", "bundle": bundle, "options": options}, b""))
    for pts in range(4):
        requests.append(({"do": "estimate", "width": width, "pts": pts, "limit_s": 60.0}, picture))
told = work("streamer.pose.worker", *requests)
assert any(header.get("count") for header, _ in told), told
told = work("streamer.webrtc.decoder", ({"codec": "h264", "pts": 0}, b"\\0" * 99),
    ({"codec": "vp8", "pts": 0}, b"\\0" * 99))
assert len(told) == 2
print("late:", *sorted(set(sys.modules) - known))
"""


def test_children_import_nothing_once_the_fork_server_runs(person_clip: Path) -> None:
    for masks in (False, True):
        ensure_models([Complexity.FULL], segmentation=masks)
    command = [sys.executable, "-c", WORK, str(person_clip.parent), person_clip.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["late:"], done.stdout + done.stderr
