"""Damaged cameras come and go beside one that is well: a short form of ``make corrupted``."""

import random
from pathlib import Path

import pytest

from tests.chaos import corrupted as scenario
from tests.chaos.stage import make_clip, staged
from tests.rigs.corrupted_video import RTP, VIDEO, WIRE, corrupted, film_of

NUMBERS = range(20)


async def test_no_damaged_camera_costs_another_stream_a_frame(tmp_path: Path) -> None:
    films = scenario.films(tmp_path)
    healthy = make_clip(tmp_path / "healthy.mp4", fps=scenario.HEALTHY_FPS)
    async with staged([healthy], module=scenario.SERVER) as stage:
        result = await scenario.beside(stage, films, NUMBERS)
        stage.server.stop()
    assert result.passed, "\n".join([result.figure, *result.notes])


@pytest.mark.parametrize("codec", ["h264", "h265", "mjpeg"])
def test_every_kind_of_damage_changes_what_is_sent_and_is_the_same_each_time(
    tmp_path: Path, codec: str
) -> None:
    suffix = "avi" if codec == "mjpeg" else "mp4"
    film = film_of(make_clip(tmp_path / f"clip.{suffix}", codec=codec, seconds=1), codec, 4)
    assert len(film.pictures) == 4 and all(film.pictures)
    for name, damage in VIDEO.items():
        is_same = damage(random.Random(1), film.pictures) == film.pictures
        assert is_same == (name == "none" or (name, codec) == ("no parameter sets", "mjpeg")), name
    packets = [bytes([number]) * 40 for number in range(40)]
    for name, damage_packets in RTP.items():
        assert (damage_packets(random.Random(1), packets) == packets) == (name == "none"), name
    whole = list(WIRE["none"](random.Random(1), packets))
    for name, damage_wire in WIRE.items():
        assert (list(damage_wire(random.Random(1), packets)) == whole) == (name == "none"), name
    for number in range(9):
        (words, script), (again, same) = corrupted(number, [film]), corrupted(number, [film])
        assert (words, list(script.media())) == (again, list(same.media()))
