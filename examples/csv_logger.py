"""All landmarks of everybody, as CSV: one line for each landmark, person and frame.

python examples/csv_logger.py door > door.csv
"""

import argparse
import csv
import itertools
import sys

from streamer.client import landmarks
from streamer.landmarks import NAMES

FIELDS = ["time_s", "epoch", "seq", "person", "landmark", "x", "y", "z", "visibility", "presence"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stream")
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--token", default="")
    parser.add_argument("--frames", type=int, help="stop after so many")
    options = parser.parse_args()
    out = csv.writer(sys.stdout)
    out.writerow(FIELDS)
    frames = landmarks(options.url, options.stream, token=options.token)
    for frame in itertools.islice(frames, options.frames):
        for pose in frame.poses:
            for name, row in zip(NAMES, pose.landmarks.tolist(), strict=True):
                numbers = [f"{value:.5f}" for value in row]
                out.writerow(
                    [f"{frame.time_s:.4f}", frame.epoch, frame.seq, pose.id, name, *numbers]
                )


if __name__ == "__main__":
    main()
