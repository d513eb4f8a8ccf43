"""A video file as a source: at its own pace, round after round; and all that can be wrong with a file."""

import asyncio
import os
import shutil
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from streamer.aio import cancel_and_wait
from streamer.config import FilesConfig, FileSource
from streamer.errors import (
    SourceEnded,
    SourceForbidden,
    SourceLost,
    SourceNotFound,
    SourceUnreachable,
    SourceUnusable,
    StreamerError,
)
from streamer.model import VIDEO_CLOCK_HZ, Frame, VideoInfo
from streamer.pixels import to_frame
from streamer.sources import file, folders
from streamer.sources.file import FileCamera
from streamer.sources.probe import probe
from tests.fakes import PATIENCE_S
from tests.rigs.clips import Clips
from tests.rigs.recorder import Recorder

FPS = 25
STEP = VIDEO_CLOCK_HZ // FPS


def write_clip(path: Path, frames: int, *, codec: str = "libx264", **options: str) -> Path:
    """Noise whose brightness rises from one picture to the next."""
    noise = np.random.default_rng(1)
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=FPS, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            luma = np.full((72, 64), 128, np.uint8)
            luma[:48] = 40 + number + noise.integers(0, 30, (48, 64), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(luma, format="yuv420p")))
        container.mux(stream.encode(None))
    return path


class Playing:
    """A file that plays in a task."""

    def __init__(self, path: str, folder: Path | None, loop: bool) -> None:
        config = FilesConfig(folders=[str(folder)] if folder else [])
        self.camera = FileCamera(FileSource(path=path, loop=loop), config)
        self.recorder = Recorder()
        self.task = asyncio.create_task(self.camera.run(self.recorder))

    async def frames_come(self, count: int) -> None:
        waiting = asyncio.create_task(self.recorder.frames_come(count))
        await asyncio.wait({waiting, self.task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self.task.done():
            self.task.result()

    async def error(self) -> StreamerError:
        with pytest.raises(StreamerError) as caught:
            await self.task
        return caught.value

    @property
    def steps(self) -> list[int]:
        pts = [frame.pts for frame in self.recorder.frames]
        return [later - earlier for earlier, later in zip(pts, pts[1:], strict=False)]


Play = Callable[..., Playing]


async def readers_end() -> None:
    while any(each.name == "file-reader" for each in threading.enumerate()):  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def patience(in_this_process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader is a thread here. A machine that is busy with other tests is late now and then: no reason
    to move the clock."""
    monkeypatch.setattr(file, "MAX_LATE_S", 30.0)


@pytest.fixture
async def play(tmp_path: Path) -> AsyncIterator[Play]:
    """Play files of the test's folder; they end with the test."""
    playing: list[Playing] = []

    def start(path: str, folder: Path | None = tmp_path, *, loop: bool = True) -> Playing:
        playing.append(Playing(path, folder, loop))
        return playing[-1]

    yield start
    await cancel_and_wait(*(one.task for one in playing))
    await readers_end()


# -- playing ----------------------------------------------------------------------------------------


async def test_file_plays_at_its_own_pace(play: Play, tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", 25)
    started_mono = time.monotonic()
    playing = play("clip.mp4", loop=False)
    assert isinstance(await playing.error(), SourceEnded)
    assert set(playing.steps) == {STEP}
    frames = playing.recorder.frames
    assert len(frames) == 25
    early_s = [started_mono + each.pts / VIDEO_CLOCK_HZ - each.received_mono for each in frames]
    assert max(early_s) <= 0, "none before its time"
    assert playing.recorder.videos == [VideoInfo(64, 48, "h264", 25.0)]


async def test_file_that_decodes_too_slowly_plays_slower_with_a_true_clock(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "MAX_LATE_S", 0.1)

    def slow(*arguments: Any) -> Frame:
        time.sleep(0.08)  # two frames' time, as a decoder that is too slow takes
        return to_frame(*arguments)

    monkeypatch.setattr(file, "to_frame", slow)
    write_clip(tmp_path / "clip.mp4", 25)
    playing = play("clip.mp4", loop=False)
    assert isinstance(await playing.error(), SourceEnded)
    frames = playing.recorder.frames
    assert len(frames) == 25, "slower, but whole"
    assert frames[-1].pts / VIDEO_CLOCK_HZ > 1.5 * 24 / FPS
    assert all(step >= STEP for step in playing.steps)


async def test_clock_goes_on_when_a_file_begins_anew(play: Play, tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mkv", 5)
    playing = play("clip.mkv")
    await playing.frames_come(14)
    assert set(playing.steps) == {STEP}
    lumas = [int(frame.i420[:48].mean()) for frame in playing.recorder.frames]
    assert lumas[5:10] == lumas[:5], "the same pictures again"
    assert lumas[4] > lumas[0]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.avi", "mjpeg"),
        ("a.webm", "libvpx"),
        ("a.ts", "libx264"),
        ("a.mov", "libx265"),
        ("a.h264", "libx264"),
    ],
)
async def test_many_formats_play(play: Play, tmp_path: Path, name: str, codec: str) -> None:
    path = tmp_path / name
    if codec == "mjpeg":
        with av.open(path, "w") as container:
            stream = container.add_stream(codec, rate=FPS)
            assert isinstance(stream, VideoStream)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
            for _ in range(6):
                container.mux(stream.encode(av.VideoFrame(64, 48, "yuvj420p")))
            container.mux(stream.encode(None))
    else:
        options = {"x265-params": "log-level=error"} if codec == "libx265" else {}
        write_clip(path, 6, codec=codec, **options)
    playing = play(name)
    await playing.frames_come(8)
    assert all(step > 0 for step in playing.steps)


async def test_clip_of_a_phone_held_upright_is_turned(play: Play, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 5)
    quarter_turn = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    straight = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    before, tkhd, after = path.read_bytes().partition(b"tkhd")
    assert straight in after
    path.write_bytes(before + tkhd + after.replace(straight, quarter_turn, 1))
    playing = play("clip.mp4")
    await playing.frames_come(1)
    assert playing.recorder.videos == [VideoInfo(48, 64, "h264", 25.0)]
    assert playing.recorder.frames[0].width == 48


async def test_probe_tells_what_is_in_a_file(clips: Clips) -> None:
    config = FilesConfig(folders=[str(clips.person.parent)])
    report = await probe(FileCamera(FileSource(path=clips.person.name), config))
    assert (report.width, report.height, report.codec, report.transport) == (640, 480, "h264", None)
    assert report.fps == pytest.approx(30.0, abs=0.5)


async def test_probe_of_a_file_that_ends_before_it_is_done_tells_what_there_was(
    tmp_path: Path,
) -> None:
    write_clip(tmp_path / "clip.mp4", 10)
    config = FilesConfig(folders=[str(tmp_path)])
    report = await probe(FileCamera(FileSource(path="clip.mp4", loop=False), config))
    assert (report.width, report.height) == (64, 48)
    assert report.fps == pytest.approx(FPS)


async def test_cancelling_ends_a_file_at_once(play: Play, tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", 50)
    playing = play("clip.mp4")
    await playing.frames_come(2)
    async with asyncio.timeout(PATIENCE_S):
        await cancel_and_wait(playing.task)
    count = len(playing.recorder.frames)
    await readers_end()
    assert len(playing.recorder.frames) == count


async def test_file_that_is_broken_in_the_middle_plays_what_is_whole(
    play: Play, tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "clip.ts", 60, g="10")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1500] = os.urandom(1500)
    path.write_bytes(data)
    playing = play("clip.ts", loop=False)
    assert isinstance(await playing.error(), SourceEnded)
    assert len(playing.recorder.frames) > 30
    assert all(step > 0 for step in playing.steps)


async def test_file_that_breaks_off_begins_anew(play: Play, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", 30, g="5", bf="0")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    playing = play("clip.mkv")
    await playing.frames_come(30)
    assert all(step > 0 for step in playing.steps)


async def test_disk_that_does_not_answer_is_told_and_has_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answers = threading.Semaphore(0), threading.Event()

    def hanging(*_: object) -> Path:
        asked.release()
        answers.wait(PATIENCE_S)
        raise SourceNotFound("by now it answers")

    monkeypatch.setattr(folders, "find", hanging)
    monkeypatch.setattr(file, "FIND_S", 0.01)
    monkeypatch.setattr(folders, "MAX_LOOK_UPS", 1)
    config = FilesConfig(folders=[str(tmp_path)])
    for _ in range(3):  # added again and again
        camera = FileCamera(FileSource(type="file", path="a.mp4"), config)
        await camera.check()  # it may answer later
    await FileCamera(FileSource(type="file", path="b.mp4"), config).check()
    for _ in range(3):
        with pytest.raises(SourceUnreachable, match="does not answer"):
            await camera.run(Recorder())
    assert asked.acquire(timeout=PATIENCE_S) and not asked.acquire(blocking=False)
    monkeypatch.setattr(file, "FIND_S", PATIENCE_S)
    answers.set()
    with pytest.raises(SourceNotFound, match="by now"):
        await camera.run(Recorder())


async def test_file_that_vanishes_while_it_plays_is_not_found_at_the_next_round(
    play: Play, tmp_path: Path
) -> None:
    write_clip(tmp_path / "clip.mp4", 5)
    playing = play("clip.mp4")
    await playing.frames_come(2)
    (tmp_path / "clip.mp4").unlink()
    assert isinstance(await playing.error(), SourceNotFound)


async def test_file_that_is_replaced_while_it_plays_is_for_the_next_child(
    play: Play, tmp_path: Path
) -> None:
    write_clip(tmp_path / "clip.mp4", 5)
    playing = play("clip.mp4")
    await playing.frames_come(2)
    write_clip(tmp_path / "new.mp4", 5).replace(tmp_path / "clip.mp4")
    error = await playing.error()
    assert isinstance(error, SourceLost) and "replaced" in str(error)
    await play("clip.mp4").frames_come(1)


# -- what is refused --------------------------------------------------------------------------------


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A clip beside the allowed folder."""
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed-not").mkdir()
    write_clip(tmp_path / "allowed-not" / "secret.mp4", 3)
    return write_clip(tmp_path / "secret.mp4", 3)


async def test_without_allowed_folders_no_file_plays(play: Play, secret: Path) -> None:
    error = await play(str(secret), None).error()
    assert isinstance(error, SourceForbidden)
    assert "[files]" in str(error) and "folders" in str(error)


@pytest.mark.parametrize(
    "path",
    [
        "../secret.mp4",
        "x/../../secret.mp4",
        "link.mp4",
        "link/secret.mp4",
        "../allowed-not/secret.mp4",
        "../not-there.mp4",
        "/etc/passwd",
        "{secret}",
    ],
)
async def test_file_outside_the_allowed_folders_is_refused_be_it_there_or_not(
    play: Play, secret: Path, tmp_path: Path, path: str
) -> None:
    allowed = tmp_path / "allowed"
    (allowed / "link.mp4").symlink_to(secret)
    (allowed / "link").symlink_to(tmp_path)
    error = await play(path.replace("{secret}", str(secret)), allowed).error()
    assert isinstance(error, SourceForbidden)
    assert str(tmp_path) not in str(error)
    with pytest.raises(SourceForbidden):
        await FileCamera(
            FileSource(path=path.replace("{secret}", str(secret))),
            FilesConfig(folders=[str(allowed)]),
        ).check()


async def test_file_may_be_named_by_its_whole_path_or_through_a_link_inside(
    play: Play, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 5)
    (tmp_path / "other.mp4").symlink_to(clip)
    for path in (str(clip), "other.mp4", "./clip.mp4"):
        await play(path).frames_come(1)


@pytest.mark.parametrize(
    ("path", "shown"),
    [("a/b.mp4", "a/b.mp4"), ("{folder}/a/b.mp4", "a/b.mp4"), ("/other/place/b.mp4", "b.mp4")],
)
def test_of_a_files_place_only_what_is_inside_its_folder_is_shown(
    tmp_path: Path, path: str, shown: str
) -> None:
    source = FileSource(path=path.replace("{folder}", str(tmp_path)))
    camera = FileCamera(source, FilesConfig(folders=[str(tmp_path)]))
    assert camera.shown == {"type": "file", "path": shown}


async def test_video_larger_than_4k_is_refused(play: Play, tmp_path: Path) -> None:
    with av.open(tmp_path / "huge.avi", "w") as container:
        stream = container.add_stream("mjpeg", rate=FPS)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 4096, 2304, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame(4096, 2304, "yuvj420p")))
        container.mux(stream.encode(None))
    error = await play("huge.avi").error()
    assert isinstance(error, SourceUnusable)
    assert "4096x2304" in str(error)


async def test_file_that_can_not_be_played_is_told_with_what_to_do(
    play: Play, tmp_path: Path
) -> None:
    (tmp_path / "words.mp4").write_text("this is no video\n" * 50)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    with av.open(tmp_path / "sound.mka", "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        silence.rate = 8000
        container.mux(stream.encode(silence))
        container.mux(stream.encode(None))
    for name, words in [
        ("words.mp4", "no video"),
        ("empty.mp4", "no video"),
        ("folder.mp4", "folder or a device"),
        ("pipe.mp4", "folder or a device"),
        ("sound.mka", "no video in this file"),
    ]:
        error = await play(name).error()
        assert isinstance(error, SourceUnusable), name
        assert words in str(error)
        assert str(tmp_path) not in str(error)
    assert isinstance(await play("nowhere.mp4").error(), SourceNotFound)


async def test_file_that_the_server_may_not_read_is_told(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests may run as root, whom no file refuses."""
    write_clip(tmp_path / "clip.mp4", 3)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr(os, "open", refuse)
    error = await play("clip.mp4").error()
    monkeypatch.undo()
    assert isinstance(error, SourceUnusable)
    assert "chmod" in str(error) and str(tmp_path) not in str(error)


# -- files that name other places ---------------------------------------------------------------------


class Canary:
    """Listens on TCP and UDP of one port, and notes who comes."""

    def __init__(self) -> None:
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        for each in (self.tcp, self.udp):
            each.setblocking(False)

    def heard(self) -> list[str]:
        heard = []
        try:
            self.tcp.accept()[0].close()
            heard.append("tcp")
        except BlockingIOError:
            pass
        try:
            self.udp.recv(1)
            heard.append("udp")
        except BlockingIOError:
            pass
        return heard

    def close(self) -> None:
        self.tcp.close()
        self.udp.close()


@pytest.fixture
def canary() -> Iterator[Canary]:
    canary = Canary()
    yield canary
    canary.close()


HOSTILE = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n",
    "list.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n",
    "file.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
    "script.ffconcat": "ffconcat version 1.0\nfile '{url}'\n",
    "script.mp4": "ffconcat version 1.0\nfile '{secret}'\n",
    "beside.ffconcat": "ffconcat version 1.0\nfile beside.mp4\n",
    "beside.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nbeside.mp4\n#EXT-X-ENDLIST\n",
    "manifest.mpd": (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
        ' mediaPresentationDuration="PT1S"><Period><AdaptationSet contentType="video">'
        '<Representation id="1" bandwidth="1"><BaseURL>{url}</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>"
    ),
    "session.sdp": (
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    ),
    "list.asx": '<asx version="3.0"><entry><ref href="{url}"/></entry></asx>',
    "list.ism": '<SmoothStreamingMedia MajorVersion="2" Duration="1"><c u="{url}"/></SmoothStreamingMedia>',
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_file_that_names_other_places_opens_none(
    play: Play, tmp_path: Path, canary: Canary, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "allowed"
    folder.mkdir()
    monkeypatch.chdir(folder)
    secret = write_clip(tmp_path / "secret.mp4", 3)
    shutil.copy(secret, folder / "beside.mp4")
    text = HOSTILE[name]
    for url in (f"http://127.0.0.1:{canary.port}/x.ts", f"udp://127.0.0.1:{canary.port}"):
        filled = text.replace("{url}", url).replace("{secret}", str(secret))
        (folder / name).write_text(filled.replace("{port}", str(canary.port)))
        playing = play(name, folder)
        assert isinstance(await playing.error(), SourceUnusable)
        assert playing.recorder.frames == []
        assert canary.heard() == []


async def test_canary_hears_what_an_unguarded_player_opens(tmp_path: Path, canary: Canary) -> None:
    """Else the tests above would hold by chance."""
    text = HOSTILE["list.m3u8"].replace("{url}", f"http://127.0.0.1:{canary.port}/x.ts")
    (tmp_path / "list.m3u8").write_text(text)

    def play_unguarded() -> None:
        with (
            (tmp_path / "list.m3u8").open("rb") as listed,
            pytest.raises((av.error.FFmpegError, OSError)),
        ):
            av.open(listed, timeout=1.0)

    await asyncio.to_thread(play_unguarded)
    assert canary.heard() == ["tcp"]
