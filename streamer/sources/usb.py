"""A camera that is plugged into the server, through Video4Linux."""

import errno
import logging
import os
import re
from pathlib import Path

import av
import av.error
from av.container import InputContainer

from streamer.config import UsbSource, WorkersConfig
from streamer.errors import (
    SourceError,
    SourceLost,
    SourceStalled,
    SourceUnreachable,
    SourceUnusable,
)
from streamer.isolation.landlock import Rights
from streamer.ports import FrameReceiver
from streamer.sources.reader import Progress
from streamer.sources.remote import RemoteReader

logger = logging.getLogger(__name__)

SYSFS = Path("/sys/class/video4linux")

OPEN_TIMEOUT_S = 10.0
"""Some cameras need seconds until their first picture: they wake, focus, measure the light."""

READ_TIMEOUT_S = 5.0

GOODBYE_S = 0.5
"""Time for the reader to notice ``quit``, which it does with the next picture."""

_DEVICE_NODE = re.compile(r"video[0-9]{1,3}")


class UsbCamera:
    """A ``ports.Source``. It is read and decoded in a child of its own.

    ``progress``: of the current run, or of the last.
    """

    transport = None

    def __init__(self, source: UsbSource, workers: WorkersConfig | None = None) -> None:
        self.progress = Progress()
        self._source = source
        self._workers = workers or WorkersConfig()

    @property
    def shown(self) -> dict[str, str]:
        return {"type": "usb", "device": self._source.device}

    async def check(self) -> None:
        """Every device that the form of a UsbSource allows may be opened; it may be plugged in later."""

    async def run(self, receiver: FrameReceiver) -> None:
        """As ``ports.Source`` says."""
        order = {"what": "usb", "source": self._source.model_dump()}
        rights = Rights(devices=(self._source.device,))
        reader = RemoteReader(self._source.device, order, rights, receiver, self._workers)
        reader.stay_at_edge()
        self.progress = reader.progress
        reader.start()
        try:
            await reader.watch(OPEN_TIMEOUT_S, READ_TIMEOUT_S)
            raise SourceStalled(f"no picture comes from {self._source.device}: plug it in anew")
        finally:
            reader.quit()
            await reader.wait(GOODBYE_S)
            await reader.kill()


def open_device(source: UsbSource) -> InputContainer:
    """In the child. Raises SourceUnreachable, SourceUnusable or SourceLost: what is wrong, in words for a
    person."""
    options = {
        "video_size": source.size,
        "framerate": None if source.fps is None else f"{source.fps:g}",
        "input_format": source.format,
    }
    try:
        return av.open(
            source.device,
            format="v4l2",
            options={name: value for name, value in options.items() if value is not None},
        )
    except (av.error.FFmpegError, OSError) as error:
        raise explain(error.errno, source) from error


def explain(number: int | None, source: UsbSource) -> SourceError:
    """What the error of this number means for a camera (V4L2's open(2) and ioctl VIDIOC_S_FMT)."""
    device = source.device
    match number:
        case errno.ENOENT | errno.ENXIO:
            return SourceUnreachable(f"there is no {device}: is the camera plugged in?")
        case errno.ENODEV | errno.EIO:
            return SourceLost(f"{device} does not answer: plug the camera in anew")
        case errno.EACCES | errno.EPERM:
            return SourceUnusable(
                f"the server may not open {device}: add its user to the group video"
            )
        case errno.EBUSY:
            return SourceUnusable(f"{device} is in use by another program: close that")
        case errno.ENOTTY:
            return SourceUnusable(f"{device} is no camera")
        case errno.EINVAL if source.size or source.fps or source.format:
            return SourceUnusable(
                f"{device} has no such size, fps or format: leave them out, or see"
                f" `v4l2-ctl --list-formats-ext -d {device}`"
            )
        case _:
            reason = os.strerror(number) if number else "no reason given"
            return SourceUnusable(f"{device} can't be opened: {reason}")


def list_devices(sysfs: Path = SYSFS) -> list[dict[str, str]]:
    """``[{"device": "/dev/video0", "name": "…"}]``: the cameras there are, from sysfs (the kernel's
    Documentation/ABI, class video4linux). A camera has several nodes; its first (index 0) gives the
    pictures, the others give metadata. Reads files: not for the event loop.
    """
    nodes = [
        node
        for node in (sysfs.iterdir() if sysfs.is_dir() else ())
        if _DEVICE_NODE.fullmatch(node.name) and _read(node / "index") in ("0", "")
    ]
    return [
        {"device": f"/dev/{node.name}", "name": _read(node / "name") or node.name}
        for node in sorted(nodes, key=lambda node: int(node.name.removeprefix("video")))
    ]


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace").strip()
    except OSError:  # unplugged while we look: as if it said nothing
        return ""
