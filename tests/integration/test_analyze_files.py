"""``streamer analyze`` on real files: every frame gives a line, and what was in a file is still in it."""

import itertools
import resource
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from streamer.analyze.files import Faults, open_video
from streamer.analyze.joining import JoinTask
from streamer.analyze.options import Input, Options
from streamer.analyze.outputs import Outputs, Summary
from streamer.analyze.pictures import PictureTask
from streamer.analyze.planning import VideoPlan, plan_video
from streamer.analyze.reading import Decoded, read_frames
from streamer.analyze.run import SEGMENT_FRAMES, WARM_UP_FRAMES, analyze
from streamer.analyze.segment import SegmentTask, estimated
from streamer.config import PoseConfig
from streamer.errors import SourceUnusable
from streamer.pose.models import Complexity, ensure_models
from streamer.schema import PoseMessage
from tests.decoded import decode
from tests.rigs.clips import Clips
from tests.rigs.films import Film, luma_of, make_film, shown, sound_packets
from tests.rigs.hiding import body_of, detail_left, noise_frame, standing

LITE = PoseConfig(model_complexity=0)
RUN_TIMEOUT_S = 150


@pytest.fixture(scope="module", autouse=True)
def models() -> None:
    ensure_models([Complexity.LITE, Complexity.FULL])
    ensure_models([Complexity.LITE], segmentation=True)  # where people are hidden


def do_nothing(frames: int) -> None:
    """A report that goes nowhere."""


def work_through(
    path: Path,
    out: Path,
    options: Options,
    segment_frames: int = SEGMENT_FRAMES,
    warm_up_frames: int = WARM_UP_FRAMES,
) -> tuple[VideoPlan, Summary]:
    """What the processes do with one video, in this one."""
    each = Input(path, path.name, is_picture=False, stem=path.stem)
    outputs = Outputs(out, options)
    plan = plan_video(path, segment_frames, warm_up_frames)
    folder = outputs.begin(each)
    tasks = tuple(SegmentTask(each, options, plan, one, folder) for one in plan.segments)
    parts = tuple(task.run(do_nothing) for task in tasks)
    return plan, JoinTask(each, outputs, plan, tasks, parts).run(do_nothing)


def messages(out: Path, stem: str) -> list[dict[str, Any]]:
    """Each of which is a message of the contract."""
    lines = (out / f"{stem}.landmarks.jsonl").read_text("utf-8").splitlines()
    return [PoseMessage.model_validate_json(line).model_dump(mode="json") for line in lines]


def run_analyze(*arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streamer", "analyze", *map(str, arguments)],
        **{"capture_output": True, "text": True, "timeout": RUN_TIMEOUT_S, "check": False, **more},
    )


def test_people_are_hidden_in_the_video_and_told_of_in_the_landmarks(
    clips: Clips, tmp_path: Path
) -> None:
    path = make_film(clips.person, tmp_path / "film.mp4", Film(frames=5))
    left = {}
    for privacy in ("off", "blur"):
        out = tmp_path / privacy
        work_through(path, out, Options(LITE, privacy=privacy))
        (person,) = messages(out, "film")[0]["poses"]
        pose = replace(standing(noise_frame()), landmarks=np.array(person["landmarks"]))
        (original,), (drawn,) = decode(path, 1), decode(out / "film.mp4", 1)
        body = body_of(pose, original.width, original.height)
        left[privacy] = detail_left(drawn.planes()[0], original.planes()[0], body)
    assert left["off"] > 0.3 > 0.15 > left["blur"], "the skeleton is drawn over it"


# -- every frame, at its time -----------------------------------------------------------------------

ANY_TIMES = [0, 17, 40, 41, 300, 310, 1000, 1033, 1066, 2500]

FILMS = {
    "b-frames.mp4": Film(b_frames=3, gop=12, options={"bf": "3"}),
    "open-gop.mkv": Film(b_frames=2, gop=10, options={"x264-params": "open-gop=1"}),
    "odd.mkv": Film(size=(321, 239), pix_fmt="yuv444p"),
    "any-time.mkv": Film(times=ANY_TIMES, time_base=Fraction(1, 1000), fps=25),
    "late.mp4": Film(times=range(45, 65), fps=30),
    "ntsc.mp4": Film(times=range(0, 20 * 1001, 1001), time_base=Fraction(1, 30000)),
    "vp8.webm": Film(codec="libvpx"),
    "h265.mp4": Film(codec="libx265", options={"x265-params": "log-level=none"}),
    "mpeg4-b.avi": Film(codec="mpeg4", b_frames=2),
    "no-times.h264": Film(b_frames=2),
    "transport.ts": Film(b_frames=2),
    "full-range.avi": Film(codec="mjpeg", pix_fmt="yuvj420p"),
    "ten-bit.mp4": Film(codec="libx265", pix_fmt="yuv420p10le", options={"x265-params": "log-level=none"}),
    "small.mp4": Film(size=(160, 120)),
}  # fmt: skip


@pytest.mark.parametrize("name", FILMS)
def test_every_frame_of_a_file_gives_a_line_and_a_picture_at_its_own_time(
    name: str, clips: Clips, tmp_path: Path
) -> None:
    film = FILMS[name]
    path = make_film(clips.numbered, tmp_path / name, film)
    plan, summary = work_through(path, tmp_path / "out", Options(LITE))
    came, went = shown(path), shown(tmp_path / "out" / f"{path.stem}.mp4")
    lines = messages(tmp_path / "out", path.stem)
    assert len(came) == len(film.times or range(film.frames))
    assert len(lines) == len(went) == len(came) == summary.frames
    assert summary.problem == ""
    assert [one.number for one in went] == [one.number for one in came] == list(range(len(came)))
    assert {one.size for one in went} == {(plan.width, plan.height)}
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert {(line["stream"], line["width"], line["height"]) for line in lines} == {
        (name, plan.width, plan.height)
    }
    assert lines[0]["pts"] == 0
    assert all(a["pts"] < b["pts"] for a, b in itertools.pairwise(lines))
    if all(one.time is not None for one in came):
        assert [one.time for one in went] == [one.time for one in came]
        first = came[0].time or 0
        assert [line["pts"] for line in lines] == [
            round(((one.time or 0) - first) * 90_000) for one in came
        ]


@pytest.mark.parametrize(
    ("name", "film"),
    [
        ("aac.mp4", Film(audio="aac", b_frames=2)),
        ("late.mp4", Film(audio="aac", times=range(20, 50))),
        ("opus.webm", Film(audio="libopus", codec="libvpx")),
        ("mp3.avi", Film(audio="libmp3lame", codec="mpeg4")),
    ],
)
def test_sound_is_kept_bit_for_bit_and_at_its_time(
    name: str, film: Film, clips: Clips, tmp_path: Path
) -> None:
    path = make_film(clips.numbered, tmp_path / name, film)
    _, summary = work_through(path, tmp_path / "out", Options(LITE))
    came, went = sound_packets(path), sound_packets(tmp_path / "out" / f"{path.stem}.mp4")
    assert len(came) > 10 and summary.problem == ""
    assert [data for data, _ in went] == [data for data, _ in came]
    assert max(abs(a - b) for (_, a), (_, b) in zip(came, went, strict=True)) < 0.001


def test_sound_that_mp4_can_not_hold_is_told_and_the_rest_is_there(
    clips: Clips, tmp_path: Path
) -> None:
    film = Film(audio="wmav2", codec="mpeg4", frames=10)
    path = make_film(clips.numbered, tmp_path / "old.avi", film)
    _, summary = work_through(path, tmp_path / "out", Options(LITE))
    assert summary.problem == "its sound (wmav2) can't be kept in an MP4 file"
    assert len(shown(tmp_path / "out" / "old.mp4")) == 10


@pytest.mark.parametrize("degrees", [90, -90, 180])
def test_a_video_on_its_side_is_analyzed_and_shown_upright(
    degrees: int, clips: Clips, tmp_path: Path
) -> None:
    upright = make_film(clips.numbered, tmp_path / "upright.mp4", Film(frames=8))
    lying = tmp_path / "lying.mp4"
    with av.open(str(lying), "w") as container:
        stream: Any = container.add_stream("libx264", rate=30)
        turned = [np.rot90(luma_of(upright, n), -degrees // 90) for n in range(8)]
        stream.height, stream.width = turned[0].shape
        stream.set_display_rotation(degrees)
        for luma in turned:
            grey = np.ascontiguousarray(np.stack([luma] * 3, axis=-1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, "rgb24")))
        container.mux(stream.encode(None))
    assert shown(lying)[0].rotation in (degrees, -degrees if degrees == 180 else degrees)
    work_through(lying, tmp_path / "out", Options(LITE))
    went = shown(tmp_path / "out" / "lying.mp4")
    assert [one.number for one in went] == list(range(8))
    assert {(one.size, one.rotation) for one in went} == {((640, 480), 0)}
    last = messages(tmp_path / "out", "lying")[-1]
    assert (last["width"], last["height"]) == (640, 480)
    landmarks = np.array(last["poses"][0]["landmarks"])
    assert landmarks[0, 1] < landmarks[23, 1] < landmarks[27, 1]  # nose, hip, ankle: he stands


def test_two_recordings_in_one_file_go_on_one_after_the_other(clips: Clips, tmp_path: Path) -> None:
    film = Film(frames=40, audio="aac")
    one = make_film(clips.numbered, tmp_path / "one.ts", film)
    two = make_film(clips.numbered, tmp_path / "two.ts", replace(film, size=(320, 240)))
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    plan, summary = work_through(both, tmp_path / "out", Options(LITE), 20, 5)
    assert (len(plan.segments), summary.frames, summary.problem) == (1, 80, "")
    went = shown(tmp_path / "out" / "both.mp4")
    assert [each.number for each in went] == [*range(40), *range(40)]
    assert {each.size for each in went} == {(640, 480)}
    times = [line["pts"] for line in messages(tmp_path / "out", "both")]
    assert {b - a for a, b in itertools.pairwise(times)} == {3000}
    came, kept = sound_packets(both), sound_packets(tmp_path / "out" / "both.mp4")
    adts_header_bytes = 7  # of AAC in a transport stream; in MP4 it has none
    assert [data for data, _ in kept] == [data[adts_header_bytes:] for data, _ in came]


# -- cut in segments --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "film"),
    [
        ("long-gop.mp4", Film(frames=240, b_frames=3, gop=240, audio="aac")),
        ("open-gop.mp4", Film(frames=240, b_frames=2, gop=25, options={"x264-params": "open-gop=1"})),
        ("old.avi", Film(frames=240, codec="mpeg4", b_frames=2, gop=50)),
        ("late.mkv", Film(times=range(1000, 8200, 30), time_base=Fraction(1, 1000), gop=20)),
    ],
)  # fmt: skip
def test_a_video_in_segments_has_every_frame_once_and_in_order(
    name: str, film: Film, clips: Clips, tmp_path: Path
) -> None:
    path = make_film(clips.numbered, tmp_path / name, film)
    plan, summary = work_through(path, tmp_path / "out", Options(LITE), 60, 5)
    assert len(plan.segments) == 4
    came, went = shown(path), shown(tmp_path / "out" / f"{path.stem}.mp4")
    lines = messages(tmp_path / "out", path.stem)
    assert len(lines) == summary.frames == 240 and summary.problem == ""
    assert [one.number for one in went] == list(range(240))
    assert [one.time for one in went] == [one.time for one in came]
    assert [line["seq"] for line in lines] == list(range(240))
    assert [line["pts"] for line in lines] == [
        round(((one.time or 0) - (came[0].time or 0)) * 90_000) for one in came
    ]


def test_a_video_whose_frames_have_no_times_is_not_cut(clips: Clips, tmp_path: Path) -> None:
    path = make_film(clips.numbered, tmp_path / "film.h264", Film(frames=60, b_frames=2))
    plan, summary = work_through(path, tmp_path / "out", Options(LITE), 20, 5)
    assert len(plan.segments) == 1
    assert len(messages(tmp_path / "out", path.stem)) == summary.frames == 60


def test_a_video_with_one_time_that_is_far_ahead_is_not_cut_and_loses_no_frame(
    clips: Clips, tmp_path: Path
) -> None:
    sound = make_film(clips.numbered, tmp_path / "sound.mp4", Film(frames=120, gop=30))
    path = tmp_path / "odd.mp4"
    with av.open(str(sound)) as came, av.open(str(path), "w") as went:
        video = went.add_stream_from_template(came.streams.video[0])
        for number, packet in enumerate(came.demux(video=0)):
            if packet.pts is None or packet.time_base is None:
                continue  # the end
            if number == 50:
                packet.pts += int(2 / packet.time_base) + 1  # between two others
            packet.stream = video
            went.mux(packet)
    plan = plan_video(path, 30, 5)
    assert len(plan.segments) == 1
    assert len(list(read_frames(path, plan, plan.segments[0], Faults()))) == 120


def places(poses: Any) -> NDArray[np.float64]:
    """x, y of the one person, in pixels of 640x480."""
    (pose,) = poses
    landmarks = pose.landmarks if hasattr(pose, "landmarks") else np.array(pose["landmarks"])
    return np.asarray(landmarks[:, :2] * (640, 480), np.float64)


def brighter(frames: list[Decoded]) -> list[Decoded]:
    """Every tenth by one level: nothing that one could see."""
    changed = list(frames)
    for index in range(0, len(frames), 10):
        frame = frames[index].frame
        i420 = frame.i420.copy()
        luma = i420[: frame.height]
        luma[luma < 235] += 1
        changed[index] = replace(frames[index], frame=replace(frame, i420=i420))
    return changed


def test_at_the_seams_landmarks_move_no_more_than_elsewhere_and_differ_no_more_than_by_chance(
    clips: Clips, tmp_path: Path
) -> None:
    """MediaPipe's tracking is chaotic: one level of light in every tenth picture moves its landmarks too.
    That is the least by which two sound runs differ."""
    path = make_film(clips.numbered, tmp_path / "film.mp4", Film(frames=360, gop=30))
    options = Options(PoseConfig(), annotated=False)
    plan, _ = work_through(path, tmp_path / "out", options, 90, WARM_UP_FRAMES)
    assert len(plan.segments) == 4
    cut = np.array([places(line["poses"]) for line in messages(tmp_path / "out", "film")])
    (whole,) = plan_video(path, SEGMENT_FRAMES, WARM_UP_FRAMES).segments
    frames = list(read_frames(path, plan, whole, Faults()))
    alone, shaken = (
        np.array([places(poses) for _, poses, _ in estimated(each, PoseConfig(), Faults())])
        for each in (frames, brighter(frames))
    )
    assert len(cut) == len(alone) == 360
    moved = np.linalg.norm(np.diff(cut, axis=0), axis=2).mean(axis=1)
    apart = np.linalg.norm(cut - alone, axis=2).mean(axis=1)
    chance = np.linalg.norm(shaken - alone, axis=2).mean(axis=1)
    assert apart[:90].max() < 0.02  # the messages' rounding: nothing came before the first segment
    seams = (
        90,
        180,
        270,
    )  # without a warm-up one's jump is above, and the distances are three times that
    for seam in seams:
        around = [*moved[seam - 9 : seam - 1], *moved[seam : seam + 8]]
        assert moved[seam - 1] <= max(around)
    # All three together: a single one is as large by chance.
    assert np.mean([apart[seam : seam + 5] for seam in seams]) <= np.median(chance)
    assert apart[90:].mean() <= 2 * chance.mean()


# -- pictures ---------------------------------------------------------------------------------------


def two_people(clips: Clips) -> Image.Image:
    """The same man twice, in 800x480."""
    with av.open(str(clips.person)) as container:
        one = next(container.decode(video=0)).to_ndarray(format="rgb24")[:, 120:520]
    return Image.fromarray(np.hstack([one, one[:, ::-1]]))


@pytest.mark.parametrize(
    ("name", "orientation"),
    [
        ("plain.jpg", 1),
        ("turned.jpg", 6),
        ("alpha.png", 1),
        ("photo.webp", 1),
        ("scan.tiff", 1),
        ("deep.png", 1),
    ],
)
def test_a_picture_is_analyzed_upright_with_all_its_people(
    name: str, orientation: int, clips: Clips, tmp_path: Path
) -> None:
    picture, path = two_people(clips), tmp_path / name
    exif = Image.Exif()
    exif[0x0112] = orientation
    if orientation == 6:  # a viewer turns it by a quarter, clockwise
        picture = picture.transpose(Image.Transpose.ROTATE_90)
    if name == "alpha.png":
        picture.putalpha(255)
    if name == "deep.png":  # 16 bits of grey
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    picture.save(path, exif=exif)
    each = Input(path, name, is_picture=True, stem=path.stem)
    pose = PoseConfig(num_poses=3)
    summary = PictureTask(each, Outputs(tmp_path / "out", Options(pose))).run(do_nothing)
    (message,) = messages(tmp_path / "out", path.stem)
    assert summary == Summary(1, 1)
    assert (message["width"], message["height"]) == (800, 480)
    assert (message["stream"], message["seq"], message["pts"]) == (name, 0, 0)
    noses = sorted(person["landmarks"][0][0] for person in message["poses"])
    if name == "deep.png":  # without colours MediaPipe finds one of them
        assert len(noses) == 1
    else:
        assert len(noses) == 2 and noses[0] < 0.5 < noses[1]
    with Image.open(tmp_path / "out" / f"{path.stem}.jpg") as drawn:
        assert drawn.size == (800, 480)
        orange = np.asarray(drawn).astype(int) - (255, 138, 0)
    assert (np.abs(orange).max(axis=2) < 60).sum() > 50


# -- the command ------------------------------------------------------------------------------------


def test_what_is_broken_is_reported_and_the_rest_goes_on(clips: Clips, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    make_film(clips.numbered, folder / "good.mp4", Film(frames=10))
    webm = make_film(clips.numbered, folder / "cut.webm", Film(frames=90, codec="libvpx"))
    webm.write_bytes(webm.read_bytes()[: webm.stat().st_size // 2])
    two_people(clips).save(folder / "people.png")
    (folder / "empty.mp4").touch()
    (folder / "empty.jpg").touch()
    (folder / "words.mkv").write_text("no video at all\n" * 40)
    (folder / "cut.mp4").write_bytes((folder / "good.mp4").read_bytes()[:-2000])
    make_film(clips.numbered, folder / "tiny.mkv", Film(frames=3, size=(8, 8)))
    given: list[str | Path] = [
        folder,
        tmp_path / "gone.mp4",
        "--model",
        "lite",
        "--csv",
        "--parquet",
        "-o",
        out,
    ]
    done = run_analyze(*given)
    assert done.returncode == 1, done.stdout + done.stderr
    told, _, end = done.stdout.partition("3 done, 0 done before, 7 with problems\n")
    assert "good.mp4: 10 frames" in told and "people.png: somebody in it" in told
    reasons = dict(line.strip().split(": ", 1) for line in end.splitlines())
    assert reasons.keys() == {
        *("cut.webm", "empty.mp4", "empty.jpg", "words.mkv", "cut.mp4", "tiny.mkv"),
        str(tmp_path / "gone.mp4"),
    }
    assert reasons["cut.webm"].startswith("it is cut off at second")
    assert reasons["empty.mp4"] == reasons["empty.jpg"] == "the file is empty"
    assert reasons["words.mkv"].startswith("it is no video that can be read")
    assert reasons["cut.mp4"].startswith("it is no video that can be read")
    assert reasons["tiny.mkv"] == "its pictures are smaller than 16 pixels"
    assert {path.name for path in out.iterdir()} == {
        ".streamer",
        *(f"good{suffix}" for suffix in (".mp4", *LANDMARK_FILES)),
        *(f"cut_webm{suffix}" for suffix in (".mp4", *LANDMARK_FILES)),
        *(f"people{suffix}" for suffix in (".jpg", *LANDMARK_FILES)),
    }
    assert len(messages(out, "cut_webm")) == len(shown(out / "cut_webm.mp4"))
    assert 0 < len(messages(out, "cut_webm")) < 90
    again = run_analyze(*given)
    assert again.returncode == 1
    assert "0 done, 3 done before, 7 with problems" in again.stdout
    (folder / "words.mkv").unlink()
    alone = run_analyze(folder / "good.mp4", "--model", "lite", "-o", tmp_path / "other")
    assert (alone.returncode, alone.stdout.splitlines()[-1]) == (
        0,
        "1 done, 0 done before, 0 with problems",
    )


LANDMARK_FILES = (".landmarks.jsonl", ".landmarks.csv", ".landmarks.parquet")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_run_goes_on_where_it_was(
    number: signal.Signals, clips: Clips, tmp_path: Path
) -> None:
    short = make_film(clips.numbered, tmp_path / "short.mp4", Film(frames=10))
    long = make_film(clips.numbered, tmp_path / "slow.mp4", Film(frames=240, gop=30))
    out = tmp_path / "out"
    given: list[str | Path] = [short, long, "--model", "lite", "--jobs", "1", "-o", out]
    command = [sys.executable, "-m", "streamer", "analyze", *map(str, given)]
    # What runs in the background of a shell ignores SIGINT, and so do its children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    with running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith("short.mp4: 10 frames")
        running.send_signal(number)
        status = running.wait(RUN_TIMEOUT_S)
    assert status == (130 if number == signal.SIGINT else -signal.SIGKILL)
    finished = {path: path.stat().st_mtime_ns for path in out.glob("short*")}
    assert {path.name for path in finished} == {"short.mp4", "short.landmarks.jsonl"}
    assert not list(out.glob("slow*"))
    done = run_analyze(*given)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        0,
        "1 done, 1 done before, 0 with problems",
    )
    assert {path: path.stat().st_mtime_ns for path in out.glob("short*")} == finished
    assert len(messages(out, "slow")) == len(shown(out / "slow.mp4")) == 240
    assert {path.name for path in (out / ".streamer").iterdir()} == {"short.json", "slow.json"}


def test_segments_that_were_done_before_an_interruption_are_not_done_again(
    clips: Clips, tmp_path: Path
) -> None:
    path = make_film(clips.numbered, tmp_path / "film.mp4", Film(frames=120, gop=30))
    options, out = Options(LITE), tmp_path / "out"
    each = Input(path.resolve(), "film.mp4", is_picture=False, stem="film")
    plan = plan_video(each.path, 30, WARM_UP_FRAMES)
    folder = Outputs(out, options).begin(each)
    before = SegmentTask(each, options, plan, plan.segments[2], folder)
    before.run(do_nothing)
    lines = before.path.with_suffix(".jsonl")
    lines.write_text(lines.read_text().replace('"dropped":0', '"dropped":5'))  # to be known again
    assert analyze([str(path)], out, options, segment_frames=30) == 0
    dropped = [message["dropped"] for message in messages(out, "film")]
    assert dropped == [0] * 60 + [5] * 30 + [0] * 30
    assert [one.number for one in shown(out / "film.mp4")] == list(range(120))


def test_a_full_disk_leaves_nothing_half_finished(clips: Clips, tmp_path: Path) -> None:
    path = make_film(clips.numbered, tmp_path / "film.mp4", Film(frames=60))
    out = tmp_path / "out"
    limit = 50_000

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = run_analyze(path, "--model", "lite", "-o", out, preexec_fn=small_files)
    assert done.returncode == 1
    assert "film.mp4: File too large" in done.stdout
    assert not [path for path in out.rglob("*") if path.is_file()]


def test_a_playlist_in_a_videos_clothes_connects_nowhere(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for name, text in (
            ("hls.mp4", f"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n"),
            ("concat.mkv", f"ffconcat version 1.0\nfile 'http://127.0.0.1:{port}/a.ts'\n"),
        ):
            (tmp_path / name).write_text(text)
        done = run_analyze(tmp_path / "hls.mp4", tmp_path / "concat.mkv", "-o", tmp_path / "out")
        assert done.returncode == 1
        assert "2 with problems" in done.stdout
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_script_in_a_videos_clothes_reads_no_neighbour(clips: Clips, tmp_path: Path) -> None:
    make_film(clips.numbered, tmp_path / "other.mp4", Film(frames=5))
    script = tmp_path / "clip.mp4"
    script.write_text("ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(SourceUnusable):
        open_video(script)


def test_inputs_are_never_overwritten(clips: Clips, tmp_path: Path) -> None:
    path = make_film(clips.numbered, tmp_path / "film.mp4", Film(frames=5))
    before = path.read_bytes()
    shutil.copy(path, tmp_path / "film_mp4.avi")
    given: list[str | Path] = [tmp_path / "*.*", "--overwrite", "--model", "lite", "-o", tmp_path]
    assert run_analyze(*given).returncode == 0
    assert path.read_bytes() == before
    again = run_analyze(*given[:1], *given[2:])
    assert "0 done, 2 done before" in again.stdout
