"""What the benchmarks compute: numbers in pictures, what is compared of them, lateness, summaries."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from aiortc.rtp import RtpPacket

from streamer.cli import main
from tests.bench.child import BenchError, Child, run_json
from tests.bench.lateness import lateness_s, nearest_pts, origin_beside
from tests.bench.loss_worker import recovery_s
from tests.bench.psnr import psnr_db, squared_errors, untouched
from tests.bench.sizes import summary
from tests.bench.table import print_table
from tests.rigs.marker import read_number
from tests.rigs.probe_media import encode_numbered, loop_length, luma_of, position_of
from tests.rigs.probe_messages import read_message
from tests.rigs.probe_receiver import BrowserBuffer, is_key_frame
from tests.rigs.probe_record import slope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiortc.jitterbuffer import JitterFrame
    from numpy.typing import NDArray

WIDTH, HEIGHT = 320, 240
RTP_ORIGIN = (1 << 32) - 5000  # timestamps wrap within the first frames
FRAME_TICKS = 3000


def pictures(count: int) -> list[NDArray[np.uint8]]:
    """Grey pictures that get lighter."""
    return [
        np.full((HEIGHT * 3 // 2, WIDTH), 60 + 10 * number, np.uint8) for number in range(count)
    ]


@pytest.mark.parametrize(("codec", "decoder"), [("VP8", "libvpx"), ("H264", "h264")])
def test_every_packet_of_a_numbered_clip_shows_its_number(codec: str, decoder: str) -> None:
    clip = encode_numbered(pictures(5), codec, fps=5, bitrate=300_000)
    assert len(clip.packets) == loop_length(5, 5) == 50
    assert [is_key_frame(data) for data in clip.packets[:11]] == [True, *[False] * 9, True]
    context = av.CodecContext.create(decoder, "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = 1
    shown = [
        read_number(luma_of(frame))
        for data in clip.packets
        for frame in context.decode(av.Packet(data))
    ]
    assert shown == list(range(50))
    assert sorted(clip.luma) == [0, 16, 32, 48]
    assert read_number(clip.luma[16]) == 16


def test_a_clip_runs_forward_and_backward_without_a_jump() -> None:
    places = [position_of(number, 3) for number in range(8)]
    assert places == [0, 1, 2, 2, 1, 0, 0, 1]


def test_numbers_are_unique_for_ten_seconds() -> None:
    assert loop_length(120, 30) == 480


def test_what_is_drawn_on_the_skeleton_does_not_count_and_what_is_elsewhere_does() -> None:
    points = [(0.5, 0.3 + 0.01 * number) for number in range(33)]
    mask = untouched(points, WIDTH, HEIGHT)
    sent = np.full((HEIGHT, WIDTH), 100, np.uint8)
    drawn, spoiled = sent.copy(), sent.copy()
    drawn[int(0.3 * HEIGHT) : int(0.62 * HEIGHT), WIDTH // 2 - 4 : WIDTH // 2 + 4] = 255
    drawn[: HEIGHT // 10, : WIDTH // 20] = 255  # the number's corner
    spoiled[200:208, 200:208] = 110
    assert squared_errors(sent, drawn, mask).max() == 0
    assert squared_errors(sent, spoiled, mask).max() == 100
    assert 0.6 < mask.mean() < 0.98


def test_psnr_is_that_of_a_known_error_at_any_returned_size() -> None:
    mask = untouched(None, WIDTH, HEIGHT)
    sent = {0: np.full((HEIGHT, WIDTH), 100, np.uint8)}
    same_size = np.full((HEIGHT, WIDTH), 101, np.uint8)
    half_size = np.full((HEIGHT // 2, WIDTH // 2), 101, np.uint8)
    for returned in (same_size, half_size):
        assert psnr_db([(0, returned)], sent, {0: mask}) == pytest.approx(48.13, abs=0.01)
    assert psnr_db([], sent, {0: mask}) is None


def arrivals(origin: int, numbers: Sequence[int], late_s: float) -> list[tuple[int, float]]:
    """Frames with these numbers, as a viewer with this origin sees them."""
    return [
        ((origin + number * FRAME_TICKS) % (1 << 32), 100 + number / 30 + late_s)
        for number in numbers
    ]


def test_lateness_follows_a_wrapping_rtp_clock_and_leaves_out_what_no_message_told() -> None:
    received_at = {number * FRAME_TICKS: 100 + number / 30 for number in range(10)}
    late = lateness_s(arrivals(RTP_ORIGIN, range(5, 15), 0.02), RTP_ORIGIN, received_at)
    assert late == pytest.approx([0.02] * 5)


def test_recovery_ends_with_the_first_frame_that_was_sent_after_the_gap() -> None:
    old, new, newer = (10.2, 0.5), (10.4, 0.1), (10.3, 0.05)
    assert recovery_s([old, new, newer], 10.0) == pytest.approx(0.3)
    assert recovery_s([old], 10.0) is None


def test_a_timestamp_is_matched_within_90_ticks() -> None:
    assert nearest_pts(RTP_ORIGIN + 3090, RTP_ORIGIN, [0, 3000]) == 3000
    assert nearest_pts(RTP_ORIGIN + 3091, RTP_ORIGIN, [0, 3000]) is None
    assert nearest_pts(0, 0, []) is None


def test_a_viewer_without_messages_learns_its_origin_from_one_beside_it() -> None:
    told = arrivals(RTP_ORIGIN, range(30), 0.010)
    untold = arrivals(777, range(5, 28), 0.018)
    assert origin_beside(untold, told, RTP_ORIGIN) == 777
    assert origin_beside(untold, [], RTP_ORIGIN) is None


def test_a_ratio_is_the_median_of_the_pairs_and_a_failed_round_spoils_nothing() -> None:
    found = summary({"ours": [1.0, None, 3.0], "stock": [4.0, 4.0, 4.0], "FastRTC": []})
    assert found["ratio"] == 0.5
    assert found["median"] == {"ours": 2.0, "stock": 4.0, "FastRTC": None}


def test_slope_is_a_rise_per_second() -> None:
    assert slope([(10.0, 5.0), (11.0, 7.0), (12.0, 9.0)]) == pytest.approx(2.0)
    assert slope([(10.0, 5.0)]) is None


def test_a_binary_pose_message_reads_as_its_json_does() -> None:
    header = struct.pack("<BBBBIIIHHIqd", 1, 1, 1, 5, 2, 812, 3, 640, 480, 0, 2436000, 1.5)
    stages = struct.pack("<5f", 0.5, 1.0, 12.0, 0.5, 14.0)
    content = header + stages + bytes(466)
    assert len(content) == 526
    message = read_message(content)
    assert message is not None
    assert (message["seq"], message["pts"], message["received_at"]) == (812, 2436000, 1.5)
    assert message["latency_ms"]["total"] == 14.0
    assert message["poses"] == [None]
    assert read_message(b"\x02" + content[1:]) is None
    with pytest.raises(ValueError, match="has 525 bytes"):
        read_message(content[:-1])


def packet(number: int, timestamp: int, *, marker: bool, data: bytes) -> RtpPacket:
    made = RtpPacket(sequence_number=number, timestamp=timestamp, marker=int(marker), payload=data)
    made._data = data  # type: ignore[attr-defined] # as aiortc's depayloader does
    return made


KEY, DELTA = b"\x10\0\0\x9d\x01\x2a\0", b"\x11\0\0\0\0\0\0"


def test_a_frame_leaves_with_its_last_packet_and_a_backlog_at_once() -> None:
    buffer = BrowserBuffer()
    assert buffer.add(packet(1, 0, marker=False, data=KEY)) == (False, None)
    _, frame = buffer.add(packet(2, 0, marker=True, data=b"more"))
    assert frame is not None and frame.data == KEY + b"more"
    for number in (4, 5):
        assert buffer.add(packet(number, number, marker=True, data=DELTA))[1] is None
    assert buffer.is_blocked()
    _, late = buffer.add(packet(3, 3, marker=True, data=DELTA))
    rest = [late, buffer.next_frame(), buffer.next_frame(), buffer.next_frame()]
    assert [each and each.timestamp for each in rest] == [3, 4, 5, None]


def test_after_a_loss_that_was_given_up_only_a_key_frame_is_shown() -> None:
    buffer = BrowserBuffer()
    buffer.add(packet(1, 1, marker=True, data=KEY))
    for number in (3, 4):
        buffer.add(packet(number, number, marker=True, data=DELTA))
    buffer.give_up()
    assert buffer.next_frame() is None
    assert buffer.waits_for_key_frame
    shown: list[JitterFrame | None] = [
        buffer.add(packet(5, 5, marker=True, data=DELTA))[1],
        buffer.add(packet(6, 6, marker=True, data=KEY))[1],
        buffer.add(packet(7, 7, marker=True, data=DELTA))[1],
    ]
    assert [each and each.timestamp for each in shown] == [None, 6, 7]


def test_a_table_is_as_wide_as_its_cells(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Title", ["", "ours"], [["round trip", "1.5"], ["x", "100.25"]])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == [
        "Title",
        "",
        "              ours",
        "----------  ------",
        "round trip     1.5",
        "x           100.25",
    ]


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_child_that_dies_tells_its_last_words() -> None:
    code = "import sys; print('READY', flush=True); sys.stdin.readline(); sys.exit('out of cheese')"
    with Child(python(code)) as child, pytest.raises(BenchError, match="out of cheese"):
        child.ask({}, timeout_s=10)


def test_a_child_that_is_silent_is_ended() -> None:
    code = "import time; print('READY', flush=True); time.sleep(60)"
    with Child(python(code)) as child:
        with pytest.raises(BenchError, match=r"was silent for 0\.2 s"):
            child.ask({}, timeout_s=0.2)
        assert not child.is_alive


def test_a_module_that_fails_tells_why() -> None:
    with pytest.raises(BenchError, match="No module named"):
        run_json(["tests.bench.no_such_thing"], timeout_s=10)


def test_every_argument_of_the_command_goes_to_the_benchmarks(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", "--no-such-section", "--help"]) == 0
    assert "--viewers" in capfd.readouterr().out
    assert main(["bench", "--no-such-section"]) == 2
    assert "unrecognized arguments: --no-such-section" in capfd.readouterr().err
