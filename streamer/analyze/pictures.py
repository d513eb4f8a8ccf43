"""One picture: its people, drawn, and their landmarks."""

from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import pi_heif
from PIL import Image, ImageOps, UnidentifiedImageError

from streamer.analyze.joining import write_landmarks
from streamer.analyze.options import PICTURE, Input
from streamer.analyze.outputs import Outputs, Summary
from streamer.analyze.reading import MIN_SIDE_PX, Decoded, Faults
from streamer.analyze.segment import Report, estimated, message_line
from streamer.errors import SourceUnusable
from streamer.model import Frame
from streamer.overlay import SkeletonPainter
from streamer.pixels import to_av, to_frame

_QUALITY = 92


@dataclass(frozen=True, slots=True)
class PictureTask:
    input: Input
    outputs: Outputs

    def run(self, report: Report) -> Summary:
        """Raises SourceUnusable and OSError."""
        frame = read_picture(self.input.path)
        options, faults = self.outputs.options, Faults()
        alone = options.pose.model_copy(update={"static_image_mode": True})
        ((_, people),) = estimated([Decoded(frame, 0, is_warm_up=False)], alone, faults)
        folder = self.outputs.begin(self.input)
        files = {s: folder / f"out{s}.new" for s in self.input.suffixes(options)}
        write_landmarks(files, iter([message_line(self.input.name, 0, frame, people)]))
        if PICTURE in files:
            drawn = to_av(SkeletonPainter().annotate(frame, people)).to_ndarray(format="rgb24")
            Image.fromarray(drawn).save(files[PICTURE], "JPEG", quality=_QUALITY)
        summary = Summary(1, int(bool(people)), "; ".join(faults.told))
        self.outputs.publish(self.input, files, summary)
        report(1)
        return summary


def read_picture(path: Path) -> Frame:
    """Upright (EXIF); the first of several. Raises SourceUnusable."""
    pi_heif.register_heif_opener()
    try:
        with Image.open(path) as image:
            rgb = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except Image.DecompressionBombError as error:
        raise SourceUnusable("the picture has too many pixels") from error
    except UnidentifiedImageError as error:
        empty = path.stat().st_size == 0
        raise SourceUnusable(
            "the file is empty" if empty else "it is no picture that can be read"
        ) from error
    except (OSError, ValueError, SyntaxError) as error:  # Pillow's words for damage
        raise SourceUnusable(f"the picture is damaged: {error}") from error
    if min(rgb.shape[:2]) < MIN_SIDE_PX:
        raise SourceUnusable(f"the picture is smaller than {MIN_SIDE_PX} pixels")
    picture = av.VideoFrame.from_ndarray(rgb, "rgb24")
    return replace(to_frame(picture, 0, received_mono=0.0, received_at=0.0), decode_ms=0.0)
