"""The yardstick: pose over WebRTC as it is usually put together from aiortc and MediaPipe.

A POST of an offer to ``/offer``, and a track whose ``recv`` turns each frame into an array, finds the
pose, draws on the picture and turns it back. The model is the one that MediaPipe publishes, aiortc is
as it comes. Nothing is made slower than its authors would write it; landmarks go out as ours do.

    python -m tests.bench.stock_server --port 9000 --model pose_landmarker_full_segmentation.task
"""

from __future__ import annotations

import argparse
from typing import Any

import mediapipe as mp
from aiohttp import web
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from av import VideoFrame
from mediapipe.tasks.python import BaseOptions, vision

from tests.bench.stock_drawing import draw, pose_message


class PoseTrack(MediaStreamTrack):
    """The camera's picture with the skeleton on it; ``channels`` get the landmarks."""

    kind = "video"

    def __init__(
        self, camera: MediaStreamTrack, model: str, channels: list[RTCDataChannel]
    ) -> None:
        super().__init__()
        self._camera = camera
        self._channels = channels
        self._seq = 0
        self._last_ms = -1
        self._landmarker: Any = vision.PoseLandmarker.create_from_options(
            vision.PoseLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=model),
                running_mode=vision.RunningMode.VIDEO,
            )
        )

    async def recv(self) -> VideoFrame:
        frame = await self._camera.recv()
        assert isinstance(frame, VideoFrame) and frame.time is not None
        picture = frame.to_ndarray(format="rgb24")
        self._last_ms = max(int(frame.time * 1000), self._last_ms + 1)
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=picture)
        found = self._landmarker.detect_for_video(image, self._last_ms)
        for landmarks in found.pose_landmarks:
            draw(picture, landmarks)
        self._send(found)
        annotated = VideoFrame.from_ndarray(picture, format="rgb24")
        annotated.pts, annotated.time_base = frame.pts, frame.time_base
        return annotated

    def stop(self) -> None:
        super().stop()
        self._landmarker.close()

    def _send(self, found: Any) -> None:
        message = pose_message(self._seq, found)
        self._seq += 1
        for channel in self._channels:
            channel.send(message)


def make_application(model: str) -> web.Application:
    """One route, and the peers that it made."""
    peers: set[RTCPeerConnection] = set()

    async def offer(request: web.Request) -> web.Response:
        wanted = await request.json()
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))  # no STUN server of others
        channels: list[RTCDataChannel] = []
        peers.add(peer)
        peer.on("datachannel", channels.append)
        peer.on("track", lambda track: peer.addTrack(PoseTrack(track, model, channels)))

        @peer.on("connectionstatechange")
        async def on_state() -> None:
            if peer.connectionState in ("failed", "closed"):
                peers.discard(peer)
                await peer.close()

        await peer.setRemoteDescription(RTCSessionDescription(wanted["sdp"], wanted["type"]))
        await peer.setLocalDescription(await peer.createAnswer())
        answer = peer.localDescription
        return web.json_response({"sdp": answer.sdp, "type": answer.type})

    async def close_all(_: web.Application) -> None:
        for peer in tuple(peers):
            await peer.close()

    application = web.Application()
    application.router.add_post("/offer", offer)
    application.on_shutdown.append(close_all)
    return application


def main() -> None:
    """Serve on 127.0.0.1; print READY when connections are accepted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True, help="a .task bundle")
    given = parser.parse_args()
    web.run_app(
        make_application(given.model),
        host="127.0.0.1",
        port=given.port,
        print=lambda _: print("READY", flush=True),
    )


if __name__ == "__main__":
    main()
