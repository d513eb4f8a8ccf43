"""How far both knees of the first person are bent, live in the terminal: 0 is a straight leg.

python examples/knee_angle.py door
"""

import argparse
import itertools

from streamer.angles import ANGLES, joint_angles
from streamer.client import landmarks


def knee(frame, pose, side):
    """As streamer/angles.py defines it; "?" where the picture does not show it well enough."""
    angles = pose.angles
    if angles is None:  # a server that sends none
        angles = joint_angles(pose.landmarks, pose.world, frame.width, frame.height)
    degrees, can_be_trusted = angles[ANGLES.index(f"{side}_knee")]
    return f"{side} knee {degrees:4.0f}°" if can_be_trusted else f"{side} knee    ?"


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
            knees = (knee(frame, frame.poses[0], side) for side in ("left", "right"))
            print(f"{frame.time_s:9.2f} s", *knees, sep="   ")
        else:
            print(f"{frame.time_s:9.2f} s   nobody")


if __name__ == "__main__":
    main()
