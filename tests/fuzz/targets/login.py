"""The challenges of an RTSP server."""

from streamer.outputs.login import Login
from tests.fuzz.pieces import records


def fuzz(data: bytes) -> None:
    login = Login("user", "s3cret-canary")
    challenges = [each.decode("latin-1") for each in records(data)]
    if login.take(challenges):
        for _ in range(2):
            answer = login.answer("ANNOUNCE", "rtsp://10.0.0.5/live")
            assert answer.startswith(("Basic ", "Digest "))
            assert "s3cret-canary" not in answer
            assert "\r\n" not in answer or any("\r\n" in each for each in challenges)
