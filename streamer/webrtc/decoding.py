"""The thread that has one publisher's video decoded, in a child, as long as its source runs."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from pydantic import ValidationError

from streamer.aio import assert_off_loop
from streamer.breaker import Breaker
from streamer.config import WorkersConfig
from streamer.errors import DecoderGivenUp, SourceUnusable, WorkerDied, WorkerHung
from streamer.isolation.child import Child
from streamer.isolation.landlock import NOTHING
from streamer.isolation.memory import SLOT_BYTES
from streamer.isolation.pictures import frame_of
from streamer.model import VIDEO_CLOCK_HZ, Frame, Packet, VideoInfo
from streamer.ports import FrameReceiver
from streamer.retry import RetryPolicy
from streamer.webrtc.decoder import ANSWERS, Nothing

logger = logging.getLogger(__name__)

MAX_WAITING = 15
"""Packets, half a second at 30 fps: a decoder further behind than this shows the past."""

CATCH_UP = 0.5
MAX_DISTANCE_S = 0.02
MAX_BURST = 4
"""Behind a packet that had to be sent again, two or three pictures come at once. Handed on so, all but
the last would be dropped by whoever takes the newest only: at 5 % loss and 50 ms round trip that was a
sixth of all. So two pictures keep half of their own distance, 20 ms at most, until they have caught up;
with four more waiting one is handed on at once, since the present is worth more."""

MAX_PICTURES = 32
"""Of one packet; most often it is one."""

COMPLAINT_INTERVAL_S = 5.0


class VideoDecoder:
    """``put`` and ``close`` never block and come from the event loop; ``run`` is the thread's.

    It begins with a key frame. ``ask_for_keyframe`` is called from both, when only one helps. A child that
    dies or hangs is replaced, and the next begins with a key frame, too; ``breaker`` says when, since a
    publisher whose every packet is a child's end must not keep the machine busy. While it is open there is
    no use in another: ``run`` raises DecoderGivenUp.
    """

    def __init__(
        self,
        receiver: FrameReceiver,
        ask_for_keyframe: Callable[[], None],
        name: str = "publisher",
        config: WorkersConfig | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        self.last_picture_mono = time.monotonic()  # or when it began
        self._receiver = receiver
        self._ask_for_keyframe = ask_for_keyframe
        self._waiting: deque[Packet] = deque()
        self._changed = threading.Condition()
        self._has_begun = False
        self._is_in_order = True  # no picture refers to a later one: viewers could not decode that
        self._last_pts = -(1 << 62)
        self._must_begin_anew = True
        self._closed = False
        self._name = name
        self._config = config or WorkersConfig()
        self._child: Child | None = None
        self._breaker = breaker or Breaker(RetryPolicy())
        self._video: VideoInfo | None = None
        self._complained_mono = float("-inf")
        self._shown: tuple[int, float] | None = None  # the last picture's pts, and when

    def put(self, packet: Packet) -> None:
        """Hands it on to the receiver, and to the thread; the decoder that has fallen behind goes on
        with the next key frame."""
        self._has_begun |= packet.is_keyframe
        self._is_in_order &= packet.pts > self._last_pts
        self._last_pts = packet.pts
        if self._has_begun and self._is_in_order:
            self._receiver.forward(packet)
        with self._changed:
            if self._must_begin_anew and not packet.is_keyframe:
                return
            self._must_begin_anew = False
            self._waiting.append(packet)
            if len(self._waiting) > MAX_WAITING:
                self._drop_the_past()
            self._changed.notify()

    def close(self) -> None:
        """``run`` returns after the picture that it is showing."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify()
            child = self._child
        if child is not None:
            child.kill()

    def run(self) -> None:
        assert_off_loop()
        try:
            while (packet := self._next()) is not None:
                for frame in self._decode(packet):
                    self._show(frame, packet)
        finally:
            if self._child is not None:
                self._child.close()

    def _drop_the_past(self) -> None:
        keys = [place for place, packet in enumerate(self._waiting) if packet.is_keyframe]
        if keys and keys[-1] > 0:
            for _ in range(keys[-1]):
                self._waiting.popleft()
            return
        self._waiting.clear()
        self._must_begin_anew = True
        self._ask_for_keyframe()

    def _next(self) -> Packet | None:
        """Waits; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting)
            return None if self._closed else self._waiting.popleft()

    def _decode(self, packet: Packet) -> list[Frame]:
        if len(packet.data) > SLOT_BYTES:
            return self._complain("it is too large")
        try:
            child = self._running()
            child.send({"codec": packet.codec, "pts": packet.pts}, packet.data)
            frames: list[Frame] = []
            while True:
                header, body = child.receive(self._config.hang_timeout_s)
                try:
                    answer = ANSWERS.validate_python(header)
                except ValidationError as error:
                    raise child.refuse(
                        f"what is no answer ({error.error_count()} faults)"
                    ) from None
                if isinstance(answer, Nothing) and answer.too_large:
                    raise SourceUnusable(
                        f"the video has {answer.too_large}, more than 3840x2160: send a smaller one"
                    )
                if isinstance(answer, Nothing):
                    return self._complain("its decoder refused it") if answer.failed else []
                pts = packet.pts if answer.pts is None else answer.pts
                place = answer.width, answer.height, pts, packet.received_mono
                frames.append(frame_of(child, body, *place))
                if answer.left == 0:
                    return frames
                if len(frames) == MAX_PICTURES:
                    raise child.refuse("more pictures than a packet can have")
        except (WorkerDied, WorkerHung) as error:
            self._begin_anew(error)
            return []

    def _complain(self, reason: str) -> list[Frame]:
        now = time.monotonic()
        if now - self._complained_mono > COMPLAINT_INTERVAL_S:
            self._complained_mono = now
            logger.debug("a picture could not be decoded: %s", reason)
        self._ask_for_keyframe()
        return []

    def _running(self) -> Child:
        """Raises WorkerDied."""
        if self._child is None:
            child = Child("decoder", self._name, NOTHING, self._config)
            with self._changed:
                self._child = child
                if self._closed:
                    child.kill()
            child.start()
        return self._child

    def _begin_anew(self, error: Exception) -> None:
        """After the end of a child: what waits refers to pictures that only it knew. Raises
        DecoderGivenUp."""
        child, self._child = self._child, None
        if child is not None:
            child.close()
        with self._changed:
            if self._closed:
                return
            pause = self._breaker.note_death(time.monotonic())
            if pause.is_open:
                why = str(error).rstrip(".")
                raise DecoderGivenUp(
                    f"what reads this video keeps dying: {why}. It is tried again later; another browser or "
                    "program, or another codec, may help",
                    pause.wait_s,
                )
            logger.warning("a publisher's decoder is replaced: %s", error)
            self._changed.wait_for(lambda: self._closed, pause.wait_s)
            self._waiting.clear()
            self._must_begin_anew = True
        self._ask_for_keyframe()

    def _show(self, frame: Frame, packet: Packet) -> None:
        size = (frame.width, frame.height)
        if self._video is None or (self._video.width, self._video.height) != size:
            self._video = VideoInfo(*size, packet.codec)
            self._receiver.opened(self._video)
        self._keep_distance(frame.pts)
        self.last_picture_mono = time.monotonic()
        self._receiver.put(frame)

    def _keep_distance(self, pts: int) -> None:
        """Waits while the picture before is too near, unless so many are behind that it is late."""
        if self._shown is not None:
            before_pts, before_mono = self._shown
            distance_s = min(CATCH_UP * (pts - before_pts) / VIDEO_CLOCK_HZ, MAX_DISTANCE_S)
            left_s = before_mono + distance_s - time.monotonic()
            if left_s > 0:
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._closed or len(self._waiting) >= MAX_BURST, left_s
                    )
        self._shown = (pts, time.monotonic())
