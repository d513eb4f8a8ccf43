"""The angle of both knees of the first person, live in the terminal.

python examples/knee_angle.py door
"""

import argparse
import itertools

import numpy as np

from streamer.client import landmarks
from streamer.landmarks import NAMES

MIN_VISIBILITY = 0.5


def angle_deg(pose, first, corner, last):
    """Interior angle at `corner` in degrees, from world landmarks; None when one of the three is unseen."""
    a, b, c = (NAMES.index(name) for name in (first, corner, last))
    if pose.landmarks[[a, b, c], 3].min() < MIN_VISIBILITY:
        return None
    u, v = pose.world[a] - pose.world[b], pose.world[c] - pose.world[b]
    cosine = np.dot(u, v) / (np.linalg.norm(u) * np.linalg.norm(v))
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def knee(pose, side):
    angle = angle_deg(pose, f"{side}_hip", f"{side}_knee", f"{side}_ankle")
    return f"{side} knee    ?" if angle is None else f"{side} knee {angle:4.0f}°"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stream")
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--token", default="")
    parser.add_argument("--frames", type=int, help="stop after so many")
    options = parser.parse_args()
    frames = landmarks(options.url, options.stream, token=options.token)
    for frame in itertools.islice(frames, options.frames):
        if frame.poses:
            print(
                f"{frame.time_s:9.2f} s   {knee(frame.poses[0], 'left')}   {knee(frame.poses[0], 'right')}"
            )
        else:
            print(f"{frame.time_s:9.2f} s   nobody")


if __name__ == "__main__":
    main()
