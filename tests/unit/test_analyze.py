"""The logic of ``streamer analyze``: which files, where they are cut, what is finished, what is told."""

import csv
import dataclasses
import json
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import pytest

from streamer.analyze.ahead import Ahead
from streamer.analyze.inputs import find_inputs
from streamer.analyze.joining import JoinTask
from streamer.analyze.options import CSV, LANDMARKS, PARQUET, Input, Options
from streamer.analyze.outputs import Outputs, Summary, TakenError
from streamer.analyze.planning import Segment, VideoPlan, cut
from streamer.analyze.pool import Done, Event, Failed, Pool, Progress, Task
from streamer.analyze.progress import Lines
from streamer.analyze.run import PlanTask, _Run
from streamer.analyze.segment import Part, Report, SegmentTask, message_line
from streamer.analyze.tables import COLUMNS, CsvTable, ParquetTable, Table, rows
from streamer.angles import ANGLES
from streamer.cli import main
from streamer.config import PoseConfig
from streamer.errors import SourceUnusable, StreamerError
from streamer.landmarks import NAMES
from streamer.pose.honesty import judged
from tests.fakes import make_frame, make_pose

# -- which files ------------------------------------------------------------------------------------


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def stems(arguments: list[Path], out: Path) -> dict[str, str]:
    inputs, missing = find_inputs([str(each) for each in arguments], out)
    assert not missing
    return {each.path.relative_to(out.parent).as_posix(): each.stem for each in inputs}


def test_a_folder_stands_for_its_media_and_outputs_keep_its_order(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    touch(folder / "b.mp4", folder / "a.JPG", folder / "sub" / "c.webm", folder / "notes.txt")
    touch(folder / ".hidden" / "d.mp4", folder / ".e.mp4")
    inputs, _ = find_inputs([str(folder)], tmp_path / "out")
    assert [(each.name, each.stem, each.is_picture) for each in inputs] == [
        ("a.JPG", "a", True),
        ("b.mp4", "b", False),
        ("sub/c.webm", "sub/c", False),
    ]


def test_a_glob_is_expanded_without_a_shell_and_a_name_with_brackets_is_no_glob(
    tmp_path: Path,
) -> None:
    touch(tmp_path / "x1.mp4", tmp_path / "x2.mp4", tmp_path / "x3.txt", tmp_path / "y[1].mp4")
    out = tmp_path / "out"
    assert list(stems([tmp_path / "x*"], out)) == ["x1.mp4", "x2.mp4"]
    assert list(stems([tmp_path / "y[1].mp4"], out)) == ["y[1].mp4"]


def test_a_file_given_by_name_is_tried_whatever_it_is_called_and_only_once(tmp_path: Path) -> None:
    touch(tmp_path / "film")
    assert stems([tmp_path / "film", tmp_path / "." / "film"], tmp_path / "out") == {"film": "film"}


def test_arguments_that_stand_for_nothing_are_told_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    names = ["gone.mp4", "*.mp4", "empty", "pipe", 300 * "x" + ".mp4"]
    inputs, missing = find_inputs([str(tmp_path / name) for name in names], tmp_path / "out")
    assert not inputs
    assert [reason for _, reason in missing] == [
        "there is no such file",
        "no video or picture matches this",
        "there are no videos or pictures in this folder",
        "this is no file",
        "File name too long",
    ]


def test_inputs_of_one_name_get_outputs_of_their_own(tmp_path: Path) -> None:
    names = ["a/clip.mp4", "a/clip.avi", "b/clip.mp4", "b/CLIP_mp4.mp4", "b/other.mp4"]
    touch(*(tmp_path / name for name in names))
    assert stems([tmp_path / name for name in names], tmp_path / "out") == {
        "a/clip.mp4": "clip_mp4",
        "a/clip.avi": "clip_avi",
        "b/clip.mp4": "clip_mp4-2",
        "b/CLIP_mp4.mp4": "CLIP_mp4_mp4",
        "b/other.mp4": "other",
    }


def test_no_output_takes_an_inputs_place(tmp_path: Path) -> None:
    touch(tmp_path / "clip.mp4")
    inputs, _ = find_inputs([str(tmp_path / "clip.mp4")], tmp_path)
    assert [each.stem for each in inputs] == ["clip_mp4"]


def test_outputs_of_a_run_before_are_no_inputs_of_the_next(tmp_path: Path) -> None:
    made = tmp_path / "clip_mp4.mp4"
    touch(tmp_path / "clip.mp4", made, tmp_path / "out" / "older.mp4")
    inputs, _ = find_inputs([str(tmp_path)], tmp_path, {made.resolve()})
    assert [each.name for each in inputs] == ["clip.mp4", "out/older.mp4"]
    inputs, _ = find_inputs([str(tmp_path)], tmp_path / "out")
    assert [each.name for each in inputs] == ["clip.mp4", "clip_mp4.mp4"]


# -- where a video is cut ---------------------------------------------------------------------------


def test_segments_hold_every_frame_once_and_begin_their_warm_up_before() -> None:
    times = [number * 7 for number in range(1000)]
    segments = cut(times, segment_frames=300, warm_up_frames=45)
    assert [segment.number for segment in segments] == [0, 1, 2]
    held = [
        at
        for segment in segments
        for at in times
        if (segment.begin is None or at >= segment.begin)
        and (segment.end is None or at < segment.end)
    ]
    assert held == times
    assert sum(segment.frames for segment in segments) == 1000
    assert segments[0].warm_up is None
    for segment in segments[1:]:
        assert segment.begin is not None and segment.warm_up == segment.begin - 45 * 7


def test_a_short_video_is_not_cut() -> None:
    assert cut(list(range(400)), segment_frames=300, warm_up_frames=45) == ()
    assert cut([], segment_frames=300, warm_up_frames=45) == ()


# -- one stage ahead of the next --------------------------------------------------------------------


def test_a_stage_runs_ahead_in_its_own_thread_but_no_further_than_its_queue() -> None:
    made_in: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(200):
            made_in.append(threading.get_ident())
            yield number

    with Ahead(numbers(), 2, "stage") as ahead:
        for taken, number in enumerate(ahead, start=1):
            assert number == taken - 1
            assert len(made_in) <= taken + 3  # two wait, and one is in the stage's hand
    assert len(made_in) == 200
    assert set(made_in) == {ahead.ident} != {threading.get_ident()}


def test_a_stages_error_comes_where_its_items_are_taken() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise SourceUnusable("over")

    with Ahead(numbers(), 2, "stage") as ahead, pytest.raises(SourceUnusable, match="over"):
        assert list(ahead)


def test_a_stage_that_nobody_takes_from_is_closed_in_its_own_thread() -> None:
    closed_in: list[str] = []

    def numbers() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed_in.append(threading.current_thread().name)

    with Ahead(numbers(), 2, "stage"):
        pass
    assert closed_in == ["stage"]


# -- what is finished -------------------------------------------------------------------------------


@pytest.fixture
def clip(tmp_path: Path) -> Input:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"frames")
    return Input(path.resolve(), "clip.mp4", is_picture=False, stem="clip")


def publish(outputs: Outputs, each: Input, problem: str = "") -> None:
    folder = outputs.begin(each)
    files = {suffix: folder / f"out{suffix}.new" for suffix in each.suffixes(outputs.options)}
    touch(*files.values())
    outputs.publish(each, files, Summary(3, 2, problem))


def test_finished_outputs_are_known_again_with_their_problem(tmp_path: Path, clip: Input) -> None:
    outputs = Outputs(tmp_path / "out", Options(PoseConfig()))
    assert outputs.finished(clip, overwrite=False) is None
    publish(outputs, clip, problem="it is cut off")
    assert outputs.finished(clip, overwrite=False) == Summary(3, 2, "it is cut off")
    names = {"clip.mp4", "clip.landmarks.jsonl"}
    assert outputs.written() == {(tmp_path / "out" / name).resolve() for name in names}
    assert {path.name for path in (tmp_path / "out").rglob("*")} == {
        *names,
        ".streamer",
        "clip.json",
    }


def test_an_output_that_was_removed_is_made_again(tmp_path: Path, clip: Input) -> None:
    outputs = Outputs(tmp_path / "out", Options(PoseConfig()))
    publish(outputs, clip)
    (tmp_path / "out" / "clip.mp4").unlink()
    assert outputs.finished(clip, overwrite=False) is None


def test_other_options_or_another_input_overwrite_only_when_told_to(
    tmp_path: Path, clip: Input
) -> None:
    publish(Outputs(tmp_path / "out", Options(PoseConfig(), csv=True)), clip)
    other = Outputs(tmp_path / "out", Options(PoseConfig(model_complexity=0)))
    with pytest.raises(TakenError, match=r"clip\.mp4 was made of another input or with other"):
        other.finished(clip, overwrite=False)
    assert other.finished(clip, overwrite=True) is None
    publish(other, clip)
    assert other.finished(clip, overwrite=False) == Summary(3, 2)
    assert not (tmp_path / "out" / "clip.landmarks.csv").exists()
    clip.path.write_bytes(b"other frames")
    with pytest.raises(TakenError):
        other.finished(clip, overwrite=False)


def test_files_that_are_not_ours_are_left_alone(tmp_path: Path, clip: Input) -> None:
    touch(tmp_path / "out" / "clip.landmarks.jsonl")
    outputs = Outputs(tmp_path / "out", Options(PoseConfig()))
    with pytest.raises(TakenError, match=r"clip\.landmarks\.jsonl is there already"):
        outputs.finished(clip, overwrite=False)


def test_a_file_of_another_that_lies_beside_our_outputs_is_not_overwritten(
    tmp_path: Path, clip: Input
) -> None:
    outputs = Outputs(tmp_path / "out", Options(PoseConfig(), csv=True))
    publish(outputs, clip)
    (tmp_path / "out" / "clip.mp4").unlink()
    marks = tmp_path / "out" / ".streamer" / "clip.json"
    marks.write_text(marks.read_text().replace('"clip.landmarks.csv"', '"other.csv"'))
    with pytest.raises(TakenError, match=r"clip\.landmarks\.csv is there already"):
        outputs.finished(clip, overwrite=False)


def test_parts_of_an_input_that_is_gone_can_be_discarded(tmp_path: Path, clip: Input) -> None:
    outputs = Outputs(tmp_path / "out", Options(PoseConfig()))
    folder = outputs.begin(clip)
    clip.path.unlink()
    outputs.discard(clip)
    assert not folder.exists()


def test_outputs_that_a_killed_run_had_begun_to_rename_are_ours(
    tmp_path: Path, clip: Input, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = Outputs(tmp_path / "out", Options(PoseConfig()))
    replace, calls = Path.replace, []

    def killed(self: Path, target: Path) -> Path:
        if self.name.startswith("out"):
            calls.append(self)
            if len(calls) == 2:
                raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        publish(outputs, clip)
    monkeypatch.undo()
    assert (tmp_path / "out" / "clip.mp4").exists()
    assert outputs.finished(clip, overwrite=False) is None
    publish(outputs, clip)
    assert outputs.finished(clip, overwrite=False) == Summary(3, 2)


def test_parts_of_other_options_are_removed_and_those_of_the_same_kept(
    tmp_path: Path, clip: Input
) -> None:
    old = Outputs(tmp_path / "out", Options(PoseConfig(num_poses=2)))
    touch(old.begin(clip) / "00000.json")
    now = Outputs(tmp_path / "out", Options(PoseConfig()))
    touch(now.begin(clip) / "00000.json", now.begin(clip) / "00001.mp4.new")
    assert [path.name for path in now.begin(clip).iterdir()] == ["00000.json"]
    assert not old.parts(clip).exists()


# -- parts of a video -------------------------------------------------------------------------------

LINES_ONLY = Options(PoseConfig(), annotated=False)


def plan_of(*frames: int) -> VideoPlan:
    segments = tuple(Segment(n, None, None, None, each) for n, each in enumerate(frames))
    return VideoPlan(64, 48, 0, Fraction(1, 30), 0, 1, Fraction(1), (2, 2, 2), segments)


def finish_part(task: SegmentTask, frames: int, monkeypatch: pytest.MonkeyPatch) -> Part:
    """Runs the task without decoding and estimating."""

    def write(self: SegmentTask, *_: object) -> Part:
        line = message_line(self.input.name, 0, make_frame(pts=0), ())
        self.path.with_suffix(".jsonl.new").write_text(line * frames)
        return Part(frames, 0, 0, [])

    monkeypatch.setattr(SegmentTask, "_write", write)
    return task.run(lambda _: None)


def tasks_of(outputs: Outputs, clip: Input, plan: VideoPlan) -> tuple[SegmentTask, ...]:
    folder = outputs.begin(clip)
    return tuple(SegmentTask(clip, outputs.options, plan, one, folder) for one in plan.segments)


def test_a_part_is_taken_as_done_only_while_its_files_are_whole(
    tmp_path: Path, clip: Input, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = Outputs(tmp_path / "out", LINES_ONLY)
    task, _ = tasks_of(outputs, clip, plan_of(3, 3))
    part = finish_part(task, 3, monkeypatch)
    assert task.done() == part
    with_video = dataclasses.replace(task, options=Options(PoseConfig()))
    assert with_video.done() is None
    touch(task.path.with_suffix(".mp4"))
    assert with_video.done() is None  # a power cut has emptied it
    lines = task.path.with_suffix(".jsonl")
    lines.write_text("")
    assert task.done() is None
    lines.unlink()
    assert task.done() is None


def test_a_part_whose_file_is_gone_when_it_ends_is_not_declared_done(
    tmp_path: Path, clip: Input, monkeypatch: pytest.MonkeyPatch
) -> None:
    (task,) = tasks_of(Outputs(tmp_path / "out", Options(PoseConfig())), clip, plan_of(3))
    with pytest.raises(FileNotFoundError):  # lines only, where a video is wanted too
        finish_part(task, 3, monkeypatch)
    assert not task.path.with_suffix(".json").exists()


def test_a_part_is_on_the_disk_before_it_is_declared_done(
    tmp_path: Path, clip: Input, monkeypatch: pytest.MonkeyPatch
) -> None:
    (task,) = tasks_of(Outputs(tmp_path / "out", LINES_ONLY), clip, plan_of(3))
    fsync, synced = os.fsync, []

    def noted(number: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{number}")).name)
        fsync(number)

    monkeypatch.setattr(os, "fsync", noted)
    finish_part(task, 3, monkeypatch)
    assert synced == ["00000.jsonl.new", "00000.json.new"]


def test_a_part_that_lost_lines_is_not_joined(
    tmp_path: Path, clip: Input, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs, plan = Outputs(tmp_path / "out", LINES_ONLY), plan_of(3, 3)
    tasks = tasks_of(outputs, clip, plan)
    parts = tuple(finish_part(task, 3, monkeypatch) for task in tasks)
    tasks[0].path.with_suffix(".jsonl").write_text("")
    with pytest.raises(StreamerError, match="lost lines"):
        JoinTask(clip, outputs, plan, tasks, parts).run(lambda _: None)
    assert not list((tmp_path / "out").glob("clip*"))
    assert [task.done() for task in tasks] == [None, parts[1]]


def test_frames_that_segments_lack_or_have_twice_are_told(
    tmp_path: Path, clip: Input, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs, plan = Outputs(tmp_path / "out", LINES_ONLY), plan_of(5, 3)
    tasks = tasks_of(outputs, clip, plan)
    parts = tuple(finish_part(task, 3, monkeypatch) for task in tasks)
    summary = JoinTask(clip, outputs, plan, tasks, parts).run(lambda _: None)
    assert summary == Summary(6, 0, "2 of its frames are missing, or there twice")


class ScriptedPool:
    """Room for all; of three segments the second fails while the third still works. Then all is well."""

    is_busy = False
    has_room = True

    def __init__(self, plan: VideoPlan, monkeypatch: pytest.MonkeyPatch) -> None:
        self._plan = plan
        self._monkeypatch = monkeypatch
        self._tasks: deque[Task] = deque()
        self.done: list[int] = []

    def start(self, task: Task) -> None:
        self._tasks.append(task)
        self.is_busy = True

    def events(self, timeout_s: float) -> Iterator[tuple[Task, Event]]:
        task = self._tasks.popleft()
        self.is_busy = bool(self._tasks)
        yield task, self._outcome(task)

    def _outcome(self, task: Task) -> Event:
        if isinstance(task, PlanTask):
            return Done(self._plan)
        if isinstance(task, JoinTask):
            return Done(task.run(lambda _: None))
        assert isinstance(task, SegmentTask)
        number = task.segment.number
        if number == 1 and 2 not in self.done:
            touch(task.path.with_suffix(".jsonl.new"), task.folder / "00002.jsonl.new")
            return Failed("killed")
        if number == 2:
            assert (task.folder / "00002.jsonl.new").exists()  # nobody took it away meanwhile
        self.done.append(number)
        return Done(finish_part(task, 3, self._monkeypatch))


def test_a_segment_that_fails_costs_no_other_and_the_next_run_does_it_alone(
    tmp_path: Path, clip: Input, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = Outputs(tmp_path / "out", LINES_ONLY)
    pool = ScriptedPool(plan_of(3, 3, 3), monkeypatch)
    statuses = []
    for _ in range(2):
        run = _Run(outputs, Lines(), overwrite=False, segment_frames=3)
        run.all_of([clip], cast("Pool", pool))
        statuses.append(run.status())
        if len(statuses) == 1:
            left = {path.name for path in outputs.parts(clip).iterdir()}
            assert left == {"00000.json", "00000.jsonl", "00002.json", "00002.jsonl"}
    assert statuses == [1, 0]
    assert pool.done == [0, 2, 1]
    assert len((tmp_path / "out" / "clip.landmarks.jsonl").read_text().splitlines()) == 9


# -- tables -----------------------------------------------------------------------------------------


def message(*people: int) -> dict[str, Any]:
    pose = make_pose(nose=(0.25, 0.5), right_foot_index=(0.5, 0.75))
    poses = tuple(dataclasses.replace(judged(pose, 64, 48), id=number) for number in people)
    parsed: dict[str, Any] = json.loads(message_line("clip.mp4", 7, make_frame(pts=45_000), poses))
    return parsed


def test_a_row_is_a_person_and_a_frame_with_nobody_has_one_too() -> None:
    assert len(COLUMNS) == 8 + len(NAMES) * 8 + 1 + len(NAMES) + len(ANGLES) * 2
    first, second = (dict(zip(COLUMNS, row, strict=True)) for row in rows(message(1, 2)))
    head = {key: first[key] for key in COLUMNS[:8]}
    assert head == {
        "stream": "clip.mp4",
        "frame": 7,
        "pts": 45_000,
        "time_s": 0.5,
        "width": 64,
        "height": 48,
        "person": 1,
        "score": 0.9,
    }
    assert (first["nose_x"], first["nose_y"], first["nose_visibility"]) == (0.25, 0.5, 1.0)
    assert (first["right_foot_index_y"], first["left_hip_world_z"]) == (0.75, 0.0)
    assert (first["nose_predicted"], first["left_hip_predicted"], first["turned"]) == (0, 1, None)
    assert (first["left_knee_deg"], first["left_knee_valid"]) == (0.0, 0)
    assert second["person"] == 2
    (nobody,) = (dict(zip(COLUMNS, row, strict=True)) for row in rows(message()))
    assert (nobody["frame"], nobody["person"]) == (7, 0)
    assert {nobody[name] for name in COLUMNS[7:]} == {None}


def test_what_is_not_known_of_a_person_leaves_its_columns_empty() -> None:
    line = message_line("clip.mp4", 0, make_frame(), (make_pose(nose=(0.5, 0.5)),))
    (row,) = (dict(zip(COLUMNS, each, strict=True)) for each in rows(json.loads(line)))
    assert (row["nose_predicted"], row["trunk_deg"], row["trunk_valid"]) == (None, None, None)


def test_csv_and_parquet_hold_the_same_rows(tmp_path: Path) -> None:
    from pyarrow import parquet

    tables: list[Table] = [CsvTable(tmp_path / "t.csv"), ParquetTable(tmp_path / "t.parquet")]
    for table in tables:
        for each in (message(1), message(), message(1, 2)):
            table.write(each)
        table.close()
    with (tmp_path / "t.csv").open(newline="") as file:
        text = list(csv.DictReader(file))
    typed = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert [row["person"] for row in typed] == [1, 0, 1, 2]
    assert [tuple(row) for row in text] == [COLUMNS] * 4
    for line, row in zip(text, typed, strict=True):
        assert [name for name in COLUMNS if not line[name]] == [
            name for name in COLUMNS if row[name] is None
        ]
        for name in COLUMNS[1:]:
            if row[name] is not None:
                assert float(line[name]) == pytest.approx(row[name], abs=1e-5)


def test_a_file_without_any_row_is_still_a_table(tmp_path: Path) -> None:
    from pyarrow import parquet

    ParquetTable(tmp_path / "t.parquet").close()
    assert parquet.read_table(tmp_path / "t.parquet").column_names == list(COLUMNS)


def test_parquet_without_its_library_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert main(["analyze", "x.mp4", "-o", str(tmp_path / "out"), "--parquet"]) == 2
    assert "pip install 'streamer[parquet]'" in capsys.readouterr().err


# -- processes --------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Crash:
    def run(self, report: Report) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)


@dataclasses.dataclass(frozen=True)
class Refuse:
    def run(self, report: Report) -> None:
        raise SourceUnusable("not this one")


@dataclasses.dataclass(frozen=True)
class Count:
    frames: int

    def run(self, report: Report) -> int:
        for _ in range(self.frames):
            report(1)
        return self.frames


def outcomes(pool: Pool, tasks: list[Task]) -> list[Event]:
    """One for each task, in their order; one after the other."""
    found = []
    for task in tasks:
        pool.start(task)
        ended: list[Event] = []
        frames = 0
        while not ended:
            for _, event in pool.events(timeout_s=1.0):
                if isinstance(event, Progress):
                    frames += event.frames
                else:
                    ended.append(event)
        if isinstance(ended[0], Done):
            assert frames == ended[0].result
        found += ended
    return found


def test_a_process_that_crashes_fails_its_task_only() -> None:
    with Pool(1) as pool:
        crash, refused, done = outcomes(pool, [Crash(), Refuse(), Count(5)])
        assert not pool.is_busy
    assert isinstance(crash, Failed) and "signal 11" in crash.reason
    assert refused == Failed("not this one")
    assert done == Done(5)


# -- what is told -----------------------------------------------------------------------------------


def test_without_a_terminal_progress_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("streamer.analyze.progress.time.monotonic", lambda: now[0])
    lines = Lines()
    lines.expect(1000)
    for _ in range(40):
        now[0] += 0.5
        lines.advance(10)
    assert capsys.readouterr().err.splitlines() == [
        "200 of 1000 frames, 20 a second, 40 s left",
        "400 of 1000 frames, 20 a second, 30 s left",
    ]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--jobs", "0"], "not a number from 1 on"),
        (["--model", "huge"], "not one of lite, full, heavy"),
        (["--min-detection-confidence", "2"], "pose.min_detection_confidence"),
        (["--num-poses", "9"], "pose.num_poses"),
        (["--config", "nowhere.toml"], "can't be read"),
    ],
)
def test_wrong_arguments_are_told_with_status_2(
    arguments: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["analyze", "x.mp4", "-o", str(tmp_path / "out"), *arguments])
    except SystemExit as exit_:
        status = exit_.code  # type: ignore[assignment] # argparse's own
    assert status == 2
    assert reason in capsys.readouterr().err


def test_an_output_folder_that_is_a_file_is_a_wrong_argument(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path / "out")
    assert main(["analyze", "x.mp4", "-o", str(tmp_path / "out")]) == 2
    assert "can't be a folder" in capsys.readouterr().err


def test_the_same_frame_gives_the_same_line() -> None:
    frame = make_frame(pts=3000)
    line = message_line('a "seq":5 film.mp4', 4, dataclasses.replace(frame, received_at=0.0), ())
    assert json.loads(line)["stream"] == 'a "seq":5 film.mp4'
    assert line.count('"seq":') == 1 and '"seq":4' in line
    assert json.loads(line)["received_at"] == 0


def test_options_tell_apart_what_changes_the_outputs() -> None:
    keys = [
        Options(PoseConfig()).key(),
        Options(PoseConfig(num_poses=2)).key(),
        Options(PoseConfig(), annotated=False).key(),
        Options(PoseConfig(), csv=True).key(),
        Options(PoseConfig(), parquet=True).key(),
    ]
    assert all(keys.count(key) == 1 for key in keys)
    each = Input(Path("x.png"), "x.png", is_picture=True, stem="x")
    options = Options(PoseConfig(), csv=True, parquet=True)
    assert each.suffixes(options) == (".jpg", LANDMARKS, CSV, PARQUET)


def test_where_people_are_hidden_those_who_do_not_count_are_found_and_not_told_of() -> None:
    left, right = (make_pose(left_shoulder=(x, 0.5), right_shoulder=(x, 0.5)) for x in (0.2, 0.8))
    pose = PoseConfig(region=[(0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)], num_poses=1)
    options = Options(pose, privacy="blur")
    assert options.sought.region == [] and options.sought.num_poses == 8
    assert options.told((left, right, right)) == (right,)
    assert Options(pose).sought is pose
