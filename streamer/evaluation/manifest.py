"""``manifest.toml``: the clips of a folder, where they come from, and what is known of them."""

import hashlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from streamer.config import explain
from streamer.config.section import Section, Share
from streamer.errors import ConfigError

MANIFEST = "manifest.toml"

Span = Annotated[tuple[float, float], Field(strict=False)]
"""From and to, in seconds from the file's first frame on; without the end."""

Name = Annotated[str, Field(pattern=r"^[\w.-]+$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Variant(Section):
    """A harder case of a clip, made while it is read. All that is random has the ``seed``.

    ``every``: only each n-th frame; ``drop``: this share of the frames is lost, at random, so that the
    rate varies. ``turn``: degrees clockwise. ``width``: scaled down to so many pixels. ``blur``: sigma of a
    Gaussian, in pixels. ``gain``: of the light; ``noise``: sigma of a sensor's noise after it, in levels of
    255. ``quick``: as of ``Clip``.
    """

    name: Name
    every: int = Field(default=1, ge=1)
    drop: Share = 0.0
    turn: float = 0.0
    width: int = Field(default=0, ge=0)
    blur: float = Field(default=0.0, ge=0.0)
    gain: float = Field(default=1.0, gt=0.0)
    noise: float = Field(default=0.0, ge=0.0)
    seed: int = 0
    quick: bool = False


class Clip(Section):
    """A file and its labels.

    ``people``: how many there are at most at once, and how many poses are asked for. ``use``: the part of
    the file that is used. ``occupied``, ``empty``: where somebody is plainly there, where nobody is; what
    is in neither (somebody comes, or is half hidden) doesn't count. ``rest``: where everybody holds
    still; ``moving``: where everybody moves all the time. ``truth``: a file of ``Truth``. ``plain``:
    whether the clip as it is counts as well as its variants. ``quick``: among those of ``--quick``.
    """

    file: str
    sha256: Sha256
    source: str
    licence: str
    name: Name = ""
    about: str = ""
    people: int = Field(default=1, ge=1, le=8)
    use: Span | None = None
    occupied: list[Span] = []
    empty: list[Span] = []
    rest: list[Span] = []
    moving: list[Span] = []
    truth: str = ""
    truth_sha256: Sha256 | None = None
    plain: bool = True
    quick: bool = False
    variant: list[Variant] = []

    @model_validator(mode="after")
    def _holds_together(self) -> "Clip":
        for begin, end in (*self.occupied, *self.empty, *self.rest, *self.moving):
            if not 0 <= begin < end:
                raise ValueError(f"the span [{begin}, {end}] must run forward, from 0 s or later")
        for begin, end in self.occupied:
            if any(begin < other_end and other < end for other, other_end in self.empty):
                raise ValueError(f"[{begin}, {end}] of occupied overlaps a span of empty")
        if bool(self.truth) != (self.truth_sha256 is not None):
            raise ValueError("truth and truth_sha256 belong together")
        return self

    @property
    def title(self) -> str:
        return self.name or Path(self.file).stem


class _Manifest(Section):
    clip: list[Clip] = Field(min_length=1)


def load_manifest(folder: Path) -> list[Clip]:
    """The folder's clips. Raises ConfigError, which says what to do."""
    path = folder / MANIFEST
    try:
        manifest = _Manifest.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise ConfigError(
            f"{path} can't be read: {error.strerror}. `make eval` prepares a folder of clips; "
            "docs/evaluation.md tells how to make your own."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error)}") from error
    titles = [clip.title for clip in manifest.clip]
    if twice := {title for title in titles if titles.count(title) > 1}:
        raise ConfigError(f"{path}: two clips are called {twice.pop()}; give one another name")
    return manifest.clip


def check_files(folder: Path, clips: Sequence[Clip]) -> None:
    """Raises ConfigError for files that are missing, or are not those that were labelled."""
    wanted = [(clip.file, clip.sha256) for clip in clips]
    wanted += [(clip.truth, clip.truth_sha256) for clip in clips if clip.truth_sha256]
    for name, digest in wanted:
        path = folder / name
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ConfigError(
                f"{path} can't be read: {error.strerror}. Put the file there, or take it out of {MANIFEST}."
            ) from error
        if found != digest:
            raise ConfigError(
                f"{path} is not the file that was labelled: its SHA-256 is {found}, not {digest}. "
                f"Get the right file, or label this one and change {MANIFEST}."
            )
