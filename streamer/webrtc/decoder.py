"""Not written yet."""

from streamer.isolation.worker import Worker


def main(worker: Worker) -> None:
    raise NotImplementedError
