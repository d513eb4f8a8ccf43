"""Every error of ours, in one tree.

    StreamerError
    ├── ConfigError             the configuration can't be used; the text names where and which key
    ├── ModelError              a model bundle can't be had or read
    ├── EstimatorError          finding people failed: of a frame, or its process died or hung
    │   ├── EstimatorReplaced   it did, and another one is being started
    │   └── EstimatorSilent     no answer comes for now: it is starting, busy or stuck
    ├── SourceError             a source stopped giving frames; trying again makes sense
    │   ├── SourceUnreachable   nothing answers there
    │   ├── SourceNotFound      the server answers, the path is unknown
    │   ├── SourceUnusable      something answers, but not with video that we can decode
    │   ├── SourceStalled       connected, but no frame came for too long
    │   └── SourceLost          it was live and ended
    │       └── DecoderDied     the process that decoded it crashed or hung: a fresh one is there at once
    │           └── DecoderGivenUp  one after the other did: it is left alone for a while
    ├── WorkerDied              a child process ended, or can't be started
    ├── WorkerHung              a child process took too long and was ended
    ├── SourceRejected          a camera refused the credentials: trying again soon would lock the account
    ├── SourceForbidden         the address is not one that the configuration allows
    ├── SourceEnded             the end, on purpose: not a failure
    ├── InvalidRequest          what the client sent can't be used (also: InvalidOffer, an SDP offer)
    │   ├── InvalidPicture      no picture that can be read
    │   └── PictureTooLarge     too many bytes, pixels or too much memory
    ├── Unsupported             well said, but not something this service does
    ├── NotFound                no such stream or peer
    ├── Locked                  the configuration does not let this be changed
    ├── NotAllowed              the token's scopes do not reach so far
    ├── TooManyAttempts         too many wrong tokens came; try later
    ├── Conflict                the id is taken, or the stream is not of a kind that can do that
    ├── NoPicture               a stream has no picture to give now; try later
    ├── LimitReached            the server is full; try later
    ├── TooManyRequests         one client asks for too much; slower, or less at a time
    ├── StorageFull             what should be remembered can't be written to the disk
    ├── Starting, ShuttingDown  the server as a whole takes no work now; try later
    └── MediaUnreachable        there is no way for a peer's video: no address, no TURN server that works

Errors of other libraries become one of these where they enter, with ``from err``.
Each class carries ``kind``, the stable last part of the problem type a client sees.
"""

import math
from typing import ClassVar


def reason_of(error: OSError) -> str:
    """In words, without the address that ``socket`` appends to them."""
    return (error.strerror or str(error)).partition(" (while attempting")[0]


class StreamerError(Exception):
    """The root. ``str(error)`` is a sentence for a person that says what to do."""

    kind: ClassVar[str] = "internal"


class ConfigError(StreamerError):
    kind = "invalid-config"


class ModelError(StreamerError):
    kind = "model-unavailable"


class EstimatorError(StreamerError):
    kind = "estimator-failed"


class EstimatorReplaced(EstimatorError):
    kind = "estimator-replaced"


class EstimatorSilent(EstimatorError):
    kind = "estimator-silent"


class SourceError(StreamerError):
    kind = "source-failed"


class SourceUnreachable(SourceError):
    kind = "source-unreachable"


class SourceNotFound(SourceError):
    kind = "source-not-found"


class SourceUnusable(SourceError):
    kind = "source-unusable"


class SourceStalled(SourceError):
    kind = "source-stalled"


class SourceLost(SourceError):
    kind = "source-lost"


class DecoderDied(SourceLost):
    kind = "worker-died"


class DecoderGivenUp(DecoderDied):
    """``wait_s``: for so long no other is started."""

    def __init__(self, text: str, wait_s: float) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class WorkerDied(StreamerError):
    kind = "worker-died"


class WorkerStuck(WorkerDied):
    """None is started beside one that can't be ended."""


class WorkerHung(StreamerError):
    kind = "worker-hung"


class SourceRejected(StreamerError):
    kind = "wrong-credentials"


class SourceForbidden(StreamerError):
    kind = "address-not-allowed"


class SourceEnded(StreamerError):
    kind = "source-ended"


class InvalidRequest(StreamerError):
    kind = "invalid-request"


class InvalidOffer(InvalidRequest):
    kind = "invalid-offer"


class Unsupported(StreamerError):
    kind = "not-supported"


class InvalidPicture(InvalidRequest):
    kind = "invalid-picture"


class PictureTooLarge(InvalidRequest):
    kind = "picture-too-large"


class NotFound(StreamerError):
    kind = "not-found"


class Locked(StreamerError):
    kind = "locked"


class NotAllowed(StreamerError):
    kind = "not-allowed"


class TooManyAttempts(StreamerError):
    """``retry_after_s``: when the next one is taken."""

    kind = "too-many-attempts"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("Too many wrong tokens came from there; try again in a moment.")
        self.retry_after_s = max(1, math.ceil(retry_after_s))


class Conflict(StreamerError):
    kind = "conflict"


class NoPicture(StreamerError):
    kind = "no-picture"


class LimitReached(StreamerError):
    kind = "limit-reached"


class TooManyRequests(StreamerError):
    """``retry_after_s``: when it may be worth trying again."""

    kind = "too-many-requests"

    def __init__(self, text: str, retry_after_s: int = 5) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class StorageFull(StreamerError):
    kind = "storage-full"


class Starting(StreamerError):
    kind = "starting"


class ShuttingDown(StreamerError):
    kind = "shutting-down"


class MediaUnreachable(StreamerError):
    kind = "media-unreachable"
