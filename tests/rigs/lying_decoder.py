"""A publisher's decoder that was taken over: it answers each packet with what is no answer."""

from streamer.isolation.worker import Worker


def main(worker: Worker) -> None:
    while True:
        worker.receive()
        worker.send({"answer": "picture", "left": 33, "width": "\n" * 1000})
