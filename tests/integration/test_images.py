"""Pictures over HTTP: a real server, the real model, files as people send them."""

import asyncio
import base64
import io
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import ClientResponse, FormData
from PIL import ExifTags, Image

from streamer.angles import ANGLES
from streamer.pose.models import Complexity, ensure_models
from tests.rigs.pictures import (
    difference,
    file_of,
    nobody,
    open_picture,
    person_picture,
    phone_picture,
    two_people,
)
from tests.rigs.server import StreamerServer
from tests.rigs.skeleton import share_drawn

TOKEN = "0123456789-s3cret-token"
MAX_BYTES = 2 * 1024 * 1024
CONFIG = f"""
[server]
token = "{TOKEN}"

[images]
max_bytes = {MAX_BYTES}
"""
JPEG = {"Content-Type": "image/jpeg"}
ROUTES = ["/api/v1/images", "/upload"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamerServer]:
    """One server for all tests here: its process for pictures starts once."""
    ensure_models([Complexity.LITE, Complexity.FULL])
    with StreamerServer(tmp_path_factory.mktemp("server"), CONFIG) as server:
        yield server


@pytest.fixture
async def http(running: StreamerServer) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(running.url, headers=headers) as session:
        yield session


@pytest.fixture(scope="module")
def person(person_clip: Path) -> Image.Image:
    return person_picture(person_clip)


@pytest.fixture(scope="module")
def jpeg(person: Image.Image) -> bytes:
    return file_of(person, "JPEG", quality=95)


def form(data: bytes, field: str = "image", name: str = "photo.jpg") -> FormData:
    made = FormData()
    made.add_field(field, io.BytesIO(data), filename=name, content_type="application/octet-stream")
    return made


async def analysed(response: ClientResponse) -> dict[str, Any]:
    assert response.status == 200, await response.text()
    assert response.content_type == "application/json"
    answer: dict[str, Any] = await response.json()
    assert answer["status"] == "success"
    assert answer["landmarks_count"] == (33 if answer["poses"] else 0)
    for number, pose in enumerate(answer["poses"], start=1):
        assert set(pose) == {"id", "score", "landmarks", "world", "predicted", "angles"}
        assert pose["id"] == number
        assert np.shape(pose["landmarks"]) == (33, 5) and np.shape(pose["world"]) == (33, 3)
        assert list(pose["angles"]) == list(ANGLES) and set(pose["predicted"]) <= set(range(33))
    return answer


async def problem(response: ClientResponse, status: int, kind: str) -> str:
    body = await response.json(content_type="application/problem+json")
    assert (response.status, body["type"]) == (status, f"urn:streamer:problem:{kind}"), body
    assert ".py" not in body["detail"] and "/" + "root" not in body["detail"]
    return str(body["detail"])


async def post(
    http: aiohttp.ClientSession, data: Any, path: str = "/upload?image=none", **headers: str
) -> ClientResponse:
    """As the body, with the type of a JPEG; a form says its own."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await http.post(
        path, data=data, headers=named if isinstance(data, FormData) else JPEG | named
    )


def places(answer: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """x, y of the one person's landmarks that are seen."""
    (pose,) = answer["poses"]
    return np.array(pose["landmarks"])[:, :2]


# -- answers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ROUTES)
async def test_form_with_a_picture_is_answered_with_landmarks_and_the_annotated_picture(
    http: aiohttp.ClientSession, jpeg: bytes, person: Image.Image, path: str
) -> None:
    answer = await analysed(await http.post(path, data=form(jpeg)))
    assert (answer["width"], answer["height"]) == person.size
    assert len(answer["poses"]) == 1 and answer["poses"][0]["score"] > 0.9
    head, _, data = answer["image"].partition(",")
    assert head == "data:image/jpeg;base64"
    picture = open_picture(base64.b64decode(data))
    assert (picture.format, picture.size) == ("JPEG", person.size)
    assert share_drawn(np.asarray(picture), answer) > 0.9


async def test_body_alone_will_do(http: aiohttp.ClientSession, jpeg: bytes) -> None:
    answer = await analysed(await post(http, jpeg))
    assert "image" not in answer and len(answer["poses"]) == 1


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("image/jpeg", "JPEG"),
        ("image/png", "PNG"),
        ("image/*", "JPEG"),
        ("application/json;q=0.5, image/png", "PNG"),
    ],
)
async def test_accept_asks_for_the_annotated_picture(
    http: aiohttp.ClientSession, jpeg: bytes, person: Image.Image, accept: str, kind: str
) -> None:
    poses = await analysed(await post(http, jpeg))
    response = await post(http, jpeg, "/upload", Accept=accept)
    assert response.content_type == f"image/{kind.lower()}"
    assert response.headers["X-Poses"] == "1"
    picture = open_picture(await response.read())
    assert (picture.format, picture.mode, picture.size) == (kind, "RGB", person.size)
    assert share_drawn(np.asarray(picture), poses) > 0.9
    assert difference(picture, person) < 15


@pytest.mark.parametrize("accept", ["*/*", "", "application/json", "text/html, */*;q=0.1", "a/b"])
async def test_whoever_asks_for_nothing_special_gets_json(
    http: aiohttp.ClientSession, jpeg: bytes, accept: str
) -> None:
    await analysed(await post(http, jpeg, Accept=accept))


async def test_nobody_in_the_picture_is_a_success_with_nobody(http: aiohttp.ClientSession) -> None:
    answer = await analysed(await post(http, file_of(nobody(), "PNG"), "/api/v1/images"))
    assert answer["poses"] == [] and answer["landmarks_count"] == 0
    assert open_picture(base64.b64decode(answer["image"].partition(",")[2])).size == (640, 480)


async def test_two_people_are_two_poses_and_both_are_drawn(
    http: aiohttp.ClientSession, person_clip: Path
) -> None:
    data = file_of(two_people(person_clip), "PNG")
    answer = await analysed(await post(http, data))
    noses = sorted(pose["landmarks"][0][0] for pose in answer["poses"])
    assert len(noses) == 2 and noses[0] < 0.5 < noses[1]
    picture = open_picture(await (await post(http, data, "/upload", Accept="image/png")).read())
    for pose in answer["poses"]:
        assert share_drawn(np.asarray(picture), {"poses": [pose]}) > 0.9
    alone = await analysed(await post(http, data, "/upload?image=none&num_poses=1"))
    assert len(alone["poses"]) == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIC", "BMP", "TIFF", "GIF"])
async def test_every_kind_of_file_is_analysed(
    http: aiohttp.ClientSession, person: Image.Image, jpeg: bytes, kind: str
) -> None:
    expected = places(await analysed(await post(http, jpeg)))
    found = places(await analysed(await post(http, file_of(person, kind))))
    assert np.abs(found - expected).mean() < 0.02


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_landmarks_agree_with_the_upright_picture_whatever_exif_says(
    http: aiohttp.ClientSession, person: Image.Image, jpeg: bytes, orientation: int
) -> None:
    upright = places(await analysed(await post(http, jpeg)))
    file = file_of(person, "JPEG", orientation=orientation, quality=95)
    answer = await analysed(await post(http, file))
    assert (answer["width"], answer["height"]) == person.size
    assert np.abs(places(answer) - upright).mean() < 0.01
    picture = open_picture(await (await post(http, file, "/upload", Accept="image/png")).read())
    assert picture.size == person.size and difference(picture, person) < 15


async def test_picture_of_a_phone_keeps_its_size_and_has_the_same_landmarks(
    http: aiohttp.ClientSession, person_clip: Path, jpeg: bytes
) -> None:
    file = phone_picture(person_clip)
    fast = await analysed(await post(http, file))
    full = await analysed(await post(http, file, "/upload"))
    assert (fast["width"], fast["height"]) == (full["width"], full["height"]) == (4000, 3000)
    assert np.abs(places(fast) - places(full)).mean() < 0.005
    small = places(await analysed(await post(http, jpeg)))
    assert np.abs(places(full) - small).mean() < 0.02


async def test_annotated_picture_tells_nothing_of_where_and_when_it_was_taken(
    http: aiohttp.ClientSession, person: Image.Image
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "secret-camera"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    secrets: dict[str, Any] = {"exif": exif, "comment": b"secret-comment", "xmp": b"<x>secret</x>"}
    file = file_of(person, "JPEG", **secrets)
    assert b"secret" in file
    for accept in ("image/jpeg", "image/png"):
        answer = await (await post(http, file, "/upload", Accept=accept)).read()
        picture = open_picture(answer)
        assert not picture.getexif() and set(picture.info) <= {
            "jfif",
            "jfif_version",
            "jfif_unit",
            "jfif_density",
        }
        assert b"secret" not in answer


async def test_enhancing_finds_somebody_in_the_dark(
    http: aiohttp.ClientSession, person: Image.Image
) -> None:
    dark = Image.fromarray((np.asarray(person) * 0.1).astype(np.uint8))
    file = file_of(dark, "PNG")
    assert (await analysed(await post(http, file)))["poses"] == []
    enhanced = "/upload?enhance=clahe"
    assert len((await analysed(await post(http, file, f"{enhanced}&image=none")))["poses"]) == 1
    response = await post(http, file, enhanced, Accept="image/png")
    brighter = open_picture(await response.read())
    assert np.asarray(brighter).mean() > 1.5 * np.asarray(dark).mean()


async def test_options_have_mediapipes_names_and_count(
    http: aiohttp.ClientSession, jpeg: bytes
) -> None:
    full = places(await analysed(await post(http, jpeg)))
    lite = places(await analysed(await post(http, jpeg, "/upload?image=none&model_complexity=0")))
    assert 0 < np.abs(lite - full).mean() < 0.05
    sure = await post(http, jpeg, "/upload?image=none&min_detection_confidence=1")
    assert (await analysed(sure))["poses"] == []


# -- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("num_poses=0", "num_poses"),
        ("num_poses=9", "num_poses"),
        ("num_poses=two", "num_poses"),
        ("num_poses=", "num_poses"),
        ("num_poses=1&num_poses=2", "once"),
        ("model_complexity=3", "model_complexity"),
        ("min_detection_confidence=1.1", "min_detection_confidence"),
        ("min_detection_confidence=nan", "min_detection_confidence"),
        ("enhance=hdr", "clahe"),
        ("image=gif", "none"),
        ("poses=1", "poses"),
    ],
)
async def test_wrong_option_is_named(
    http: aiohttp.ClientSession, jpeg: bytes, query: str, word: str
) -> None:
    assert word in await problem(await post(http, jpeg, f"/upload?{query}"), 400, "invalid-request")


@pytest.mark.parametrize(
    ("data", "word"), [(b"", "empty"), (b"I am no picture", "JPEG"), (bytes(500), "JPEG")]
)
async def test_file_that_is_no_picture_is_refused_in_words(
    http: aiohttp.ClientSession, data: bytes, word: str
) -> None:
    for sent in (data, form(data)):
        assert word in await problem(await post(http, sent), 400, "invalid-picture")


async def test_truncated_picture_is_refused_and_the_next_is_answered(
    http: aiohttp.ClientSession, jpeg: bytes
) -> None:
    detail = await problem(await post(http, jpeg[: len(jpeg) // 2]), 400, "invalid-picture")
    assert "not complete" in detail
    await analysed(await post(http, jpeg))


async def test_form_without_the_field_is_told_its_name(
    http: aiohttp.ClientSession, jpeg: bytes
) -> None:
    for made in (form(jpeg, "file"), form(b"x", "picture"), form(b"x", "image2")):
        response = await http.post("/upload", data=made)
        assert "`image`" in await problem(response, 400, "invalid-request")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form",
        b"--x\r\n\r\n",
        b"--x\r\nContent-Disposition: form-data\r\n\r\nx",
        b'--x\r\nContent-Disposition: form-data; name="\x0c"\r\n\r\nx\r\n--x--\r\n',
    ],
)
async def test_form_that_is_none_is_refused(http: aiohttp.ClientSession, body: bytes) -> None:
    for boundary in ("; boundary=x", "", "; boundary=" + "y" * 200):
        headers = {"Content-Type": f"multipart/form-data{boundary}"}
        response = await http.post("/upload", data=body, headers=headers)
        assert response.status == 400, await response.text()


@pytest.mark.parametrize(
    "kind",
    ["application/x-www-form-urlencoded", "application/json", "text/plain", "application/sdp"],
)
async def test_other_bodies_are_refused_with_the_way_to_send_one(
    http: aiohttp.ClientSession, jpeg: bytes, kind: str
) -> None:
    response = await http.post("/upload", data=jpeg, headers={"Content-Type": kind})
    assert "`image`" in await problem(response, 415, "unsupported-media-type")


async def test_form_is_no_body_for_any_other_route(
    http: aiohttp.ClientSession, jpeg: bytes
) -> None:
    for path in ("/api/v1/streams", "/webcam", "/whip", "/api/v1/login"):
        await problem(await http.post(path, data=form(jpeg)), 415, "unsupported-media-type")


async def test_file_that_is_too_large_is_refused_before_it_is_sent(running: StreamerServer) -> None:
    """By what its headers say: not one byte of the body has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    length = MAX_BYTES + 1
    writer.write(
        f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n".encode()
    )
    answer = await reader.readuntil(b"}")
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 413") and b"picture-too-large" in answer


async def test_file_of_untold_size_is_refused_as_soon_as_it_is_too_large(
    http: aiohttp.ClientSession,
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(2 * MAX_BYTES // 65536):
            yield bytes(65536)

    response = await http.post("/upload", data=endless(), headers=JPEG)
    assert "2 MiB" in await problem(response, 413, "picture-too-large")


async def test_form_that_is_large_beside_its_picture_is_refused(
    http: aiohttp.ClientSession, jpeg: bytes
) -> None:
    made = form(bytes(MAX_BYTES + 50_000), "padding")
    made.add_field("image", jpeg, filename="a.jpg", content_type="image/jpeg")
    await problem(await http.post("/upload", data=made), 413, "picture-too-large")


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF"])
async def test_bomb_is_refused_and_the_server_grows_by_nothing(
    http: aiohttp.ClientSession, running: StreamerServer, jpeg: bytes, kind: str
) -> None:
    options: dict[str, Any] = {"compression": "tiff_adobe_deflate"} if kind == "TIFF" else {}
    bomb = file_of(Image.new("L", (6000, 6000)), kind, **options)
    assert len(bomb) < MAX_BYTES
    assert "25 million pixels" in await problem(await post(http, bomb), 413, "picture-too-large")
    await analysed(await post(http, jpeg))


# -- who may ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ROUTES)
async def test_token_and_origin_rules_hold(
    http: aiohttp.ClientSession, running: StreamerServer, jpeg: bytes, path: str
) -> None:
    async with aiohttp.ClientSession(running.url) as stranger:
        # Few bytes: what the server leaves unread would hold up the connection's end.
        await problem(await stranger.post(path, data=form(jpeg[:100])), 401, "token-needed")
    foreign = {"Origin": "http://evil.example"}
    await problem(await http.post(path, data=form(jpeg), headers=foreign), 403, "foreign-origin")
    host = {"Host": "evil.example"}
    await problem(await http.post(path, data=form(jpeg), headers=host), 421, "unknown-host")
    await problem(await http.get(path), 405, "method-not-allowed")
    own = {"Origin": running.url}
    await analysed(await http.post(path, data=form(jpeg), headers=own))


def test_forms_that_are_none_write_nothing_to_the_servers_output() -> None:
    """aiohttp warns of each malformed part, in the sender's own words, past the log and its limits."""
    code = (
        "import warnings, aiohttp, streamer.server.images\n"
        "warnings.warn(aiohttp.BadContentDispositionHeader('a'))\n"
        "warnings.warn(aiohttp.BadContentDispositionParam('b'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
