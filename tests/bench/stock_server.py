"""The yardstick: pose over WebRTC as it is usually put together from aiortc and MediaPipe.

A POST of an offer to ``/offer``, and a track whose ``recv`` turns each frame into an array, finds the
pose, draws on the picture and turns it back. The model is the one that MediaPipe publishes, aiortc is
as it comes. Nothing is made slower than its authors would write it; landmarks go out as ours do.

    python -m tests.bench.stock_server --port 9000 --model pose_landmarker_full_segmentation.task
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

import cv2
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

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_VISIBILITY = 0.5
LINE_COLOUR, DOT_COLOUR = (255, 255, 255), (0, 190, 255)
CONNECTIONS = vision.PoseLandmarksConnections.POSE_LANDMARKS


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
        poses = [
            {
                "landmarks": [[p.x, p.y, p.z, p.visibility, p.presence] for p in landmarks],
                "world": [[p.x, p.y, p.z] for p in world],
            }
            for landmarks, world in zip(
                found.pose_landmarks, found.pose_world_landmarks, strict=True
            )
        ]
        message = json.dumps({"type": "pose", "seq": self._seq, "poses": poses})
        self._seq += 1
        for channel in self._channels:
            channel.send(message)


def draw(picture: NDArray[Any], landmarks: Any) -> None:
    """Lines and dots on an RGB picture of shape (height, width, 3)."""
    height, width = picture.shape[:2]
    points = [(round(p.x * width), round(p.y * height)) for p in landmarks]
    seen = [p.visibility >= MIN_VISIBILITY for p in landmarks]
    for connection in CONNECTIONS:
        if seen[connection.start] and seen[connection.end]:
            cv2.line(picture, points[connection.start], points[connection.end], LINE_COLOUR, 2)
    for point, is_seen in zip(points, seen, strict=True):
        if is_seen:
            cv2.circle(picture, point, 3, DOT_COLOUR, cv2.FILLED)


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
