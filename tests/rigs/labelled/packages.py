"""The files that the clips are made of, out of packages, held to SHA-256 digests."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamer.pose.models import show_progress
from streamer.pose.registries import Package, Wheel, fetch

if TYPE_CHECKING:
    from pathlib import Path


class DebianPackage(Package):
    """A package of Debian's; its ``spec`` is the name, for each release has a version of its own."""

    def command(self) -> list[str]:
        return ["apt-get", "download", "-qq", self.spec]

    def read(self, folder: Path) -> dict[str, bytes]:
        (archive,) = folder.glob("*.deb")
        tar = subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", str(archive)], check=True, capture_output=True
        ).stdout
        with tarfile.open(fileobj=io.BytesIO(tar)) as tarball:
            files = {name: tarball.extractfile(path) for name, path in self.members.items()}
            return {name: file.read() for name, file in files.items() if file is not None}


@dataclass(frozen=True)
class Origin:
    """A package, and what its files may be used under."""

    package: Package
    licence: str
    sha256: dict[str, str]


_CAMERAS = [f"cam0{number}" for number in (1, 2, 3, 4)]

SPORTS2D = Origin(
    Wheel("sports2d==0.8.34", 9_050_415, {"park.mp4": "Sports2D/Demo/demo.mp4"}),
    "BSD-3-Clause",
    {"park.mp4": "d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039"},
)
POSE2SIM = Origin(
    Wheel(
        "pose2sim==0.10.49",
        51_189_031,
        {
            **{f"{c}.mp4": f"Pose2Sim/Demo_SinglePerson/videos/{c}.mp4" for c in _CAMERAS},
            **{f"{c}_two.mp4": f"Pose2Sim/Demo_MultiPerson/videos/{c}.mp4" for c in _CAMERAS},
        },
    ),
    "BSD-3-Clause",
    {
        "cam01.mp4": "cf4f2816c86bea4bfbea255333d8626ff32a3ecabdab8b0fb147cea9167fde3a",
        "cam02.mp4": "94ff87cf978b8406e8aa36ab3c5362e72848994e87652f0dc7a33c315e8e0442",
        "cam03.mp4": "b8b329f832f178f27ecb78d024d5026b96c6adb36c387bfe2c0af85eab8a11ca",
        "cam04.mp4": "b5c0e7863fd70d008e7178d3c556b045b0ea5f78fcd61ca548a0b2e807e641f7",
        "cam01_two.mp4": "543cee6a4c2c2b52dc9eac9137ee63d14f1f84e706a9a7264769edcb11e5ea53",
        "cam02_two.mp4": "8895092a7cf26359205a427b7ac2f4a935c2e0bd36d9b7a5140cb33faa468a6b",
        "cam03_two.mp4": "d3daf48cdf9f5603868ddb99166ddaf9b12279e7ce968922926560d5fd3f0c99",
        "cam04_two.mp4": "1490149dc40e7301fa5ceae23862b044ba5c398a8b2a40df21ed894702728c09",
    },
)
SCIKIT_IMAGE = Origin(
    Wheel(
        "scikit-image==0.26.0",
        13_711_217,
        {
            name: f"skimage/data/{name}"
            for name in ("motorcycle_left.png", "coffee.png", "chelsea.png", "rocket.jpg")
        },
    ),
    "BSD-3-Clause",
    {
        "motorcycle_left.png": "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
        "coffee.png": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        "chelsea.png": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        "rocket.jpg": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
    },
)
SCIKIT_LEARN = Origin(
    Wheel(
        "scikit-learn==1.9.1",
        9_315_422,
        {name: f"sklearn/datasets/images/{name}" for name in ("china.jpg", "flower.jpg")},
    ),
    "CC-BY-2.0",
    {
        "china.jpg": "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
        "flower.jpg": "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
    },
)
_EXAMPLES = "./usr/share/doc/opencv-doc/examples/data"
_PICTURES = ("home.jpg", "building.jpg", "leuvenA.jpg", "aloeL.jpg", "box_in_scene.png")
OPENCV = Origin(
    DebianPackage(
        "opencv-doc",
        95_715_012,
        {name: f"{_EXAMPLES}/{name}" for name in ("vtest.avi", *_PICTURES)},
    ),
    "Apache-2.0 AND BSD-3-Clause",
    {
        "vtest.avi": "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf",
        "home.jpg": "23b8cf46a1965d0ec33459b875aed43187802834db49e0daa9fa2cc842e9d8d2",
        "building.jpg": "742a1baad62ac82e91e718e77eedf7e85c2eddc4badfb8c87c6cbc86c45a8b07",
        "leuvenA.jpg": "b2977cdbd9fb3f94dadd6f76cf586d145676deb8a22b5f0f42149d21c058c09f",
        "aloeL.jpg": "cce5736808efe80d9f04b118dbb978c344d4345672b332718c3e039a3eeb8eee",
        "box_in_scene.png": "8b0225ff76244a42bd1400c0904f8b7afea7d97b7d8115495e42e98ad347bd51",
    },
)


def can_fetch(origin: Origin) -> bool:
    """Debian's packages only come where apt is."""
    return not isinstance(origin.package, DebianPackage) or shutil.which("apt-get") is not None


def obtain(folder: Path, name: str, origin: Origin) -> Path:
    """The file ``name``, from ``folder`` if it is there, else with all others of its package. Raises
    ModelError when the package can't be had, RuntimeError when its file is another one."""
    path = folder / name
    if not path.exists():
        contents = fetch(origin.package, show_progress)
        for each, content in contents.items():
            digest = hashlib.sha256(content).hexdigest()
            if digest != origin.sha256[each]:
                raise RuntimeError(f"{each} of {origin.package.spec} is not the file known here")
            part = folder / f".{each}.part"
            part.write_bytes(content)
            part.replace(folder / each)
    return path
