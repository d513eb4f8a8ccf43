"""No secret in a log line, and figures that add up."""

import logging
import time
from collections.abc import Callable, Iterator

import pytest

from streamer.telemetry import SessionMeter, configure_logging, redact
from tests.fakes import FakeClock

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("rtsp://user:hunter2@10.0.0.1:554/a", "rtsp://10.0.0.1:554/a"),
        ("rtsps://user:hunter2@[::1]:322/a?b=c", "rtsps://[::1]:322/a?b=c"),
        ("RTSP://USER:hunter2@HOST/", "RTSP://HOST/"),
        ("rtsp://hunter2@host/", "rtsp://host/"),
        ("rtsp://:hunter2@host", "rtsp://host"),
        ("rtsp://u:hunter2@x@host/", "rtsp://host/"),
        ("rtsp://u:hunt%40er2hunter2@host/", "rtsp://host/"),
        ("rtsp://u:hunter2:more@host/", "rtsp://host/"),
        (
            "open 'rtsp://u:hunter2@a/1' and http://u:hunter2@b/2: no",
            "open 'rtsp://a/1' and http://b/2: no",
        ),
        ("(rtsp://u:hunter2@host)", "(rtsp://host)"),
        ("rtsp://h/cam?user=admin&password=hunter2&x=1", "rtsp://h/cam?user=…&password=…&x=1"),
        ("rtsp://h/user=admin_password=hunter2_channel=1.sdp", "rtsp://h/user=…"),
        ("rtsp://u:12/hunter2@h/live", "rtsp://h/live"),
        ("rtsp://u:p@ss/hunter2@h/live", "rtsp://h/live"),
        ("rtsp://h/?usr=u&psw=hunter2&n=1", "rtsp://h/?usr=…&psw=…&n=1"),
        ("rtsp://h/?loginuse=u&loginpas=hunter2", "rtsp://h/?loginuse=…&loginpas=…"),
        ("rtsp://h/?auth=hunter2&token=hunter2", "rtsp://h/?auth=…&token=…"),
        ("rtsp://h/?Key=hunter2&pass=hunter2", "rtsp://h/?Key=…&pass=…"),
        ("rtsp://h/?pwd=hunter2", "rtsp://h/?pwd=…"),
    ],
)
def test_credentials_of_urls_are_left_out(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    ["", "rtsp://host/path?x=1", "mail a@b.c", "user@host", "http://host/ is @ home"],
)
def test_what_is_no_credential_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "piece", ["a", "a://", "://", "user=", "st-00000000-", "@", "x" * 40 + " "]
)
def test_long_text_of_strangers_is_redacted_at_once(piece: str) -> None:
    """It comes in names of keys that are none, also of who has not signed in; time that grows with the
    square of the length would stop the event loop for a minute."""
    text = piece * (16_384 // len(piece))
    begun_s = time.thread_time()
    redact(text)
    assert time.thread_time() - begun_s < 0.1


Log = Callable[[], str]


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Iterator[Log]:
    """What has been logged to stderr; the root logger is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()  # pytest's own, which must not be closed
    yield lambda: capsys.readouterr().err
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("streamer").setLevel(logging.NOTSET)


def test_log_lines_of_ours_and_of_libraries_show_no_credentials(log: Log) -> None:
    configure_logging("debug")
    logging.getLogger("streamer.test").debug("opening %s", f"rtsp://u:{SECRET}@host/")
    logging.getLogger("somebody").warning("failed: %r", f"rtsp://u:{SECRET}@host/")
    text = log()
    assert "opening rtsp://host/" in text and "somebody: failed: 'rtsp://host/'" in text
    assert SECRET not in text


def test_tracebacks_show_no_credentials(log: Log) -> None:
    configure_logging("info")
    try:
        raise ValueError(f"rtsp://u:{SECRET}@host/")
    except ValueError:
        logging.getLogger("streamer.test").exception("it failed")
    text = log()
    assert "ValueError: rtsp://host/" in text
    assert SECRET not in text


def test_level_is_that_of_our_own_lines_only(log: Log) -> None:
    configure_logging("info")
    logging.getLogger("streamer.test").debug("too fine")
    logging.getLogger("streamer.test").info("just right")
    logging.getLogger("somebody").info("not ours")
    assert [line.split(": ")[1] for line in log().splitlines()] == ["just right"]


def run(meter: SessionMeter, clock: FakeClock, frames: int, fps: float) -> None:
    for _ in range(frames):
        clock.now_s += 1 / fps
        meter.processed({"pose": 10.0, "total": 12.0}, received_mono=clock.now_s - 0.012)


def test_meter_of_a_new_session_has_no_figures() -> None:
    stats = SessionMeter(FakeClock()).snapshot(0, 0)
    assert (stats.pose_fps, stats.frame_age_ms, stats.latency_ms) == (0.0, None, {})


def test_meter_tells_the_rate_of_the_last_seconds() -> None:
    clock = FakeClock(100.0)
    meter = SessionMeter(clock)
    run(meter, clock, 100, fps=10)
    run(meter, clock, 100, fps=25)
    assert meter.snapshot(0, 0).pose_fps == pytest.approx(25.0)


def test_meter_tells_the_age_of_the_newest_frame() -> None:
    clock = FakeClock(100.0)
    meter = SessionMeter(clock)
    run(meter, clock, 3, fps=30)
    clock.now_s += 1.0
    assert meter.snapshot(0, 0).frame_age_ms == pytest.approx(1012.0)


def test_rate_of_a_stream_that_stands_still_is_zero() -> None:
    clock = FakeClock(100.0)
    meter = SessionMeter(clock)
    run(meter, clock, 30, fps=30)
    clock.now_s += 1.5
    assert meter.snapshot(0, 0).pose_fps == 0.0


def test_meter_tells_percentiles_by_stage() -> None:
    clock = FakeClock()
    meter = SessionMeter(clock)
    for ms in range(1, 101):
        meter.processed({"pose": float(ms)} | ({"draw": 1.0} if ms > 50 else {}), clock())
    assert meter.snapshot(0, 0).latency_ms == {
        "draw": {"p50": 1.0, "p95": 1.0},
        "pose": {"p50": 51.0, "p95": 96.0},
    }


def test_meter_forgets_what_is_long_ago() -> None:
    clock = FakeClock()
    meter = SessionMeter(clock)
    meter.processed({"pose": 5000.0}, clock())
    run(meter, clock, 300, fps=30)
    stats = meter.snapshot(frames_in=310, frames_dropped=9)
    assert stats.latency_ms["pose"] == {"p50": 10.0, "p95": 10.0}
    assert (stats.frames_in, stats.frames_processed, stats.frames_dropped) == (310, 301, 9)
