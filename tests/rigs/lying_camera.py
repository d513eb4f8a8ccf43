"""A camera's child that was taken over: the file's path says which lie it tells."""

from typing import Any

from streamer.isolation.worker import Worker

OPENED = {"event": "opened", "width": 64, "height": 48, "codec": "h264", "fps": None}
PICTURE = {"event": "picture", "width": 64, "height": 48, "pts": 0, "received_mono": 1.0}
FLOOD = 100_000  # messages
BODY_BYTES = 64 * 48 * 3 // 2
LIES: dict[str, tuple[dict[str, Any], int]] = {
    "small body": (PICTURE, BODY_BYTES - 64),
    "huge picture": (PICTURE | {"width": 16384, "height": 16384}, BODY_BYTES),
    "odd width": (PICTURE | {"width": 63}, BODY_BYTES),
    "no event": ({"event": "obey"}, 0),
    "another size": (PICTURE | {"width": 32, "height": 96}, BODY_BYTES),
    "flood": (OPENED, 0),
    "of tomorrow": (PICTURE | {"received_mono": 1e12}, BODY_BYTES),
    "of the ice age": (PICTURE | {"received_mono": -1e308}, BODY_BYTES),
    "late words": ({"event": "ended", "error": "internal", "text": "look:\n\x1b[31m\0<b>"}, 0),
}


def main(worker: Worker) -> None:
    order, _ = worker.receive()
    worker.send(OPENED)
    lie = order["path"].removeprefix("/")
    header, body_bytes = LIES[lie]
    for _ in range(FLOOD if lie == "flood" else 1):
        worker.send(header, bytes(body_bytes))
