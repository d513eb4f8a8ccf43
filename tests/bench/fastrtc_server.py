"""A yardstick: FastRTC with a handler that calls MediaPipe, as its documentation shows handlers.

Runs in an environment of its own (``make bench-yardsticks``), so it imports nothing of ours but the
stock pattern's drawing. The model is the one that MediaPipe publishes; landmarks go out as the stock
pattern's do, on the peer's data channel.

    .venv-yardsticks/bin/python -m tests.bench.fastrtc_server --port 9000 --model pose_….task
"""

# FastRTC lies in an environment of its own:
# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import cv2
import mediapipe as mp
import uvicorn
from fastapi import FastAPI, Request
from fastrtc import Stream
from fastrtc.utils import current_channel
from mediapipe.tasks.python import BaseOptions, vision

from tests.bench.stock_drawing import draw, pose_message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_PEERS = 8  # it refuses the second peer by default, which says nothing of its speed


class PoseHandler:
    """Called with each BGR picture of shape (height, width, 3); gives it back drawn on."""

    def __init__(self, model: str) -> None:
        self._seq = 0
        self._last_ms = -1
        self._landmarker: Any = vision.PoseLandmarker.create_from_options(
            vision.PoseLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=model),
                running_mode=vision.RunningMode.VIDEO,
            )
        )

    def __call__(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        self._last_ms = max(int(time.monotonic() * 1000), self._last_ms + 1)
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=rgb)
        found = self._landmarker.detect_for_video(image, self._last_ms)
        for landmarks in found.pose_landmarks:
            draw(picture, landmarks)
        channel = current_channel.get()
        if channel is not None:
            channel.send(pose_message(self._seq, found))
        self._seq += 1
        return picture


def make_application(model: str) -> FastAPI:
    """FastRTC's own route behind one that starts the handler at once, without its page's button."""
    handlers: dict[str, PoseHandler] = {}

    def handle(picture: NDArray[np.uint8], webrtc_id: str) -> NDArray[np.uint8]:
        if webrtc_id not in handlers:
            handlers[webrtc_id] = PoseHandler(model)
        return handlers[webrtc_id](picture)

    stream = Stream(
        handler=handle,
        modality="video",
        mode="send-receive",
        concurrency_limit=MAX_PEERS,
        server_rtc_configuration={"iceServers": []},
        verbose=False,
    )
    application = FastAPI()

    async def offer(request: Request) -> Any:
        wanted = await request.json()
        given = await stream.handle_offer(wanted, lambda outputs: None)
        # The first argument is the picture's place; until it is set, pictures come back as they are.
        stream.set_input(wanted["webrtc_id"], None, wanted["webrtc_id"])
        return given

    application.post("/offer")(offer)
    return application


class Server(uvicorn.Server):  # type: ignore[misc] # it is not installed where types are checked
    """Says when it accepts connections."""

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        print("READY", flush=True)


def main() -> None:
    """Serve on 127.0.0.1; print READY when connections are accepted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True, help="a .task bundle")
    given = parser.parse_args()
    application = make_application(given.model)
    Server(
        uvicorn.Config(application, host="127.0.0.1", port=given.port, log_level="warning")
    ).run()


if __name__ == "__main__":
    main()
