"""One picture: its people, drawn, and their landmarks."""

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np

from streamer.analyze.joining import write_landmarks
from streamer.analyze.options import PICTURE, Input
from streamer.analyze.outputs import Outputs, Summary
from streamer.analyze.planning import MIN_SIDE_PX
from streamer.analyze.segment import Report, message_line
from streamer.config import PoseConfig, PrivacyConfig
from streamer.errors import InvalidPicture, PictureTooLarge, SourceUnusable
from streamer.images.decoding import decode, prepare_decoders
from streamer.model import Frame
from streamer.overlay import SkeletonPainter
from streamer.pixels import to_frame, to_jpeg
from streamer.pose.live import LiveEstimator
from streamer.pose.models import find_model
from streamer.privacy import Obscurer

MAX_PIXELS = 100_000_000
"""More than a camera makes, and what a process can hold several times over."""


@dataclass(frozen=True, slots=True)
class PictureTask:
    input: Input
    outputs: Outputs

    def run(self, report: Report) -> Summary:
        """Raises SourceUnusable, EstimatorError and OSError."""
        frame = read_picture(self.input.path)
        options = self.outputs.options
        alone = options.sought.model_copy(update={"static_image_mode": True})
        estimator = _estimator(alone.model_dump_json())
        found = estimator.estimate(frame, 0)
        people = options.told(found)
        folder = self.outputs.begin(self.input)
        files = {s: folder / f"out{s}.new" for s in self.input.suffixes(options)}
        write_landmarks(files, iter([message_line(self.input.name, 0, frame, people)]))
        if PICTURE in files:
            obscurer = Obscurer(PrivacyConfig(mode=options.privacy), settle_s=0.0)
            shown = obscurer.obscure(frame, found + estimator.bystanders, 0)
            drawn = SkeletonPainter().annotate(shown, people)
            files[PICTURE].write_bytes(to_jpeg(drawn))
        summary = Summary(1, int(bool(people)))
        self.outputs.publish(self.input, files, summary)
        report(1)
        return summary


@functools.lru_cache(maxsize=1)
def _estimator(options: str) -> LiveEstimator:
    """One for all pictures of a process: loading the model takes longer than a picture, and it remembers
    nothing from one to the next. ``options``: a PoseConfig as JSON."""
    return LiveEstimator(find_model, PoseConfig.model_validate_json(options))


def read_picture(path: Path) -> Frame:
    """Upright (EXIF); the first of several. Raises SourceUnusable and OSError."""
    prepare_decoders(MAX_PIXELS)
    data = path.read_bytes()
    if not data:
        raise SourceUnusable("the file is empty")
    try:
        rgb = np.asarray(decode(data, MAX_PIXELS).image)
    except (InvalidPicture, PictureTooLarge) as error:
        raise SourceUnusable(str(error)) from error
    if min(rgb.shape[:2]) < MIN_SIDE_PX:
        raise SourceUnusable(f"the picture is smaller than {MIN_SIDE_PX} pixels")
    picture = av.VideoFrame.from_ndarray(rgb, "rgb24")
    return replace(to_frame(picture, 0, received_mono=0.0, received_at=0.0), decode_ms=0.0)
