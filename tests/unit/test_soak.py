"""What a soak says of its samples: leaks are seen through the noise of those who come and go."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.rigs.processes import Usage, usage_of_tree
from tests.soak import samples
from tests.soak.clients import SeqCounter, Tally
from tests.soak.report import Report, bin_s, judge, make_report, warm_up_s, write_files
from tests.soak.trend import Trend, lowest_in_bins, trend

if TYPE_CHECKING:
    from pathlib import Path

EVERY_S, CYCLE_S, HOUR_S = 5.0, 60.0, 3600.0


def run(
    *,
    leak_mb_per_h: float = 0.0,
    fds_per_h: float = 0.0,
    fps: float = 30.0,
    broken: int = 0,
    tasks_per_h: float = 0.0,
    duration_s: float = HOUR_S,
) -> list[samples.Sample]:
    """A soak in which somebody who costs 40 MB, 6 files and a process comes and goes each minute."""
    dice = random.Random(1)
    made = []
    for step in range(int(duration_s / EVERY_S)):
        at_s = EVERY_S * step
        hours, is_there = at_s / HOUR_S, at_s % CYCLE_S < 25
        memory = 300e6 + 1e6 * leak_mb_per_h * hours + dice.gauss(0, 2e5) + 40e6 * is_there
        fds = 25 + int(fds_per_h * hours) + 6 * is_there
        service = Usage(1, "service", int(memory), int(memory), fds, 20, at_s)
        guest = Usage(100 + step // 12, "decoder", 50 << 20, 20 << 20, 9, 4, 0.1)
        stream: dict[str, float | None] = {
            "frames_in": fps * at_s,
            "frames_processed": fps * at_s,
            "frames_dropped": 0.0,
            "reconnects": 0.0,
            "frame_age_ms": 12.0,
            "read_at_s": at_s,
        }
        tally = Tally(int(10 * at_s), 0, broken if hours > 0.5 else 0)
        gauges = {"streamer_tasks": 40 + int(tasks_per_h * hours), "streamer_ready": 1.0}
        there = [service, guest] if is_there else [service]
        made.append(samples.Sample(at_s, there, {"cam": stream}, {"mjpeg": tally}, gauges))
    return made


def report_of(made: list[samples.Sample]) -> Report:
    return make_report(made, warm_up_s(made[-1].at_s), CYCLE_S)


def failed(report: Report) -> set[str]:
    growths = {each.what for each in report.growths if each.verdict == "FAIL"}
    streams = {each.stream for each in report.streams if not each.passed}
    return growths | streams | {each.kind for each in report.clients if not each.passed}


def test_a_service_that_only_has_guests_passes() -> None:
    report = report_of(run())
    assert report.passed and failed(report) == set()


def test_a_leak_of_two_megabytes_an_hour_fails() -> None:
    report = report_of(run(leak_mb_per_h=2.0))
    assert not report.passed
    memory = {"memory of all processes in MB", "RSS of the service in MB"}
    assert failed(report) == memory
    slope = report.growths[0].trend
    assert slope.slope == pytest.approx(2.0, abs=0.5)
    assert slope.low < 2.0 < slope.high


def test_files_that_stay_open_and_tasks_that_do_not_end_fail() -> None:
    assert failed(report_of(run(fds_per_h=12.0))) == {"files open in all processes"}
    assert failed(report_of(run(tasks_per_h=12.0))) == {"tasks"}


def test_frames_that_are_missing_and_clients_that_are_cut_off_fail() -> None:
    assert failed(report_of(run(fps=29.8))) == {"cam"}
    assert failed(report_of(run(broken=1))) == {"mjpeg"}


def test_a_short_run_does_not_judge_slopes() -> None:
    report = report_of(run(leak_mb_per_h=50.0, duration_s=600))
    assert report.passed
    assert {each.verdict for each in report.growths} == {"too short"}


def test_a_run_is_kept_line_by_line_and_a_line_cut_short_is_left_out(tmp_path: Path) -> None:
    made = run(duration_s=300)
    path = tmp_path / "samples.jsonl"
    with path.open("w", encoding="utf-8") as lines:
        for sample in made:
            samples.write(sample, lines)
        lines.write('{"at_s": 30')
    assert samples.read(path) == made
    write_files(report_of(made), made, tmp_path)
    rows = (tmp_path / "samples.csv").read_text().splitlines()
    assert len(rows) == 1 + len(made) and rows[0].startswith("at_s,memory of all processes in MB")


def width(went: Trend) -> float:
    return went.high - went.low


def rough_memory(leak_mb_per_h: float, seed: int) -> tuple[list[float], list[float]]:
    """50 min of a tree of processes, in MB: guests of 95 MB who stay for the whole cycle now and then, and an
    allocator that keeps some 6 MB for minutes before it gives them back."""
    dice = random.Random(seed)
    hours, values, stays, kept = [], [], False, 0.0
    for step in range(600):
        at_s = EVERY_S * step
        if step % 12 == 0:
            stays = dice.random() < 0.08
            if dice.random() < 0.25:
                kept = dice.expovariate(1 / 6) if dice.random() < 0.6 else 0.0
        guests = 95.0 if stays or at_s % CYCLE_S < 25 else 0.0
        hours.append(at_s / HOUR_S)
        values.append(356 + leak_mb_per_h * hours[-1] + kept + guests + dice.gauss(0, 0.1))
    return hours, values


@pytest.mark.parametrize(
    ("leak_mb_per_h", "failed_of_100"), [(0.0, (0, 20)), (1.5, (90, 100)), (3.0, (95, 100))]
)
def test_a_leak_is_told_from_memory_that_is_only_kept_for_a_while(
    leak_mb_per_h: float, failed_of_100: tuple[int, int]
) -> None:
    verdicts, is_in_range = [], 0
    for seed in range(100):
        hours, values = rough_memory(leak_mb_per_h, seed)
        bin_h = bin_s(HOUR_S * (hours[-1] - hours[0]), CYCLE_S) / HOUR_S
        went = trend(*lowest_in_bins(hours, values, bin_h))
        verdicts.append(judge(went, is_memory=True))
        is_in_range += went.low <= leak_mb_per_h <= went.high
    fewest, most = failed_of_100
    assert fewest <= verdicts.count("FAIL") <= most
    assert is_in_range >= 85, "of the 90 that a range of 90 % has"
    if leak_mb_per_h:
        assert verdicts.count("pass") <= 2


def test_the_range_of_a_slope_allows_for_values_that_hang_together() -> None:
    dice = random.Random(2)
    hours = [step / 600 for step in range(600)]
    loose = [dice.gauss(0, 1) for _ in hours]
    walk = 0.0
    bound = [walk := 0.9 * walk + dice.gauss(0, 0.436) for _ in hours]  # of the same variance
    assert width(trend(hours, bound)) > 3 * width(trend(hours, loose))
    line = trend(hours, [5 + 3 * hour for hour in hours])
    assert (line.slope, line.low, line.high) == pytest.approx((3.0, 3.0, 3.0))
    with pytest.raises(ValueError, match="no trend"):
        trend([0, 1], [0, 1])


def test_the_lowest_of_each_cycle_is_what_is_left_without_guests() -> None:
    hours = [0.0, 0.4, 0.9, 1.1, 1.6, 2.0]
    assert lowest_in_bins(hours, [5, 3, 9, 8, 4, 6], 1.0) == ([0.4, 1.6], [3, 4])
    assert lowest_in_bins([*hours, 2.6], [5, 3, 9, 8, 4, 6, 90], 1.0) == ([0.4, 1.6], [3, 4])
    assert lowest_in_bins([0.5, 0.7], [1, 2], 1.0) == ([0.5], [1])


def test_gaps_between_messages_are_counted_within_an_epoch() -> None:
    tally = Tally()
    counter = SeqCounter(tally)
    for epoch, seq in ((1, 7), (1, 8), (1, 11), (2, 0), (2, 1)):
        counter.note(f'{{"type":"pose","v":1,"stream":"cam","epoch":{epoch},"seq":{seq},"pts":0}}')
    counter.note('{"type":"clock","v":1}')
    assert tally == Tally(done=5, gaps=2, broken=0)


def test_usage_is_of_a_process_and_of_all_that_descend_from_it() -> None:
    program = "import sys; print(flush=True); sys.stdin.read()"
    shell = ["sh", "-c", '"$@"; true', "sh"]  # which stays, and has the program as a child
    command = [*shell, sys.executable, "-c", program, "streamer-worker decoder cam1"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as child:
        assert child.stdin is not None and child.stdout is not None
        child.stdout.readline()
        found = usage_of_tree(child.pid)
        child.stdin.close()
    assert found[0].pid == child.pid and found[0].role == "service"
    assert [usage.role for usage in found[1:]] == ["decoder"]
    for usage in found:
        assert usage.rss_bytes >= usage.own_bytes > 1 << 16
        assert usage.fds >= 3 and usage.threads >= 1
