"""Acts when somebody raises a hand, as a robot or a lamp would: with two thresholds and a hold time, so
that it does not flutter.

python examples/hand_up.py door --run "echo lamp on"
"""

import argparse
import asyncio
import shlex

from streamer.client import Client, State
from streamer.landmarks import NAMES

UP, DOWN = 0.1, 0.0  # how far the wrist is above the shoulder, in torso lengths
HOLD_S = 0.3
SHOULDER, WRIST, HIP = (
    [NAMES.index(f"{side}_{part}") for side in ("left", "right")]
    for part in ("shoulder", "wrist", "hip")
)


def height(pose):
    """Of the higher wrist above its shoulder, in torso lengths; y grows downwards."""
    y = pose.landmarks[:, 1]
    torso = abs(y[HIP].mean() - y[SHOULDER].mean())
    return float((y[SHOULDER] - y[WRIST]).max() / torso) if torso > 0.01 else 0.0


class Trigger:
    """On when the value was above `up` for `hold_s`, off when it was below `down` for as long."""

    def __init__(self, up=UP, down=DOWN, hold_s=HOLD_S):
        self.is_on = False
        self._up, self._down, self._hold_s = up, down, hold_s
        self._since_s = None

    def update(self, value, time_s):
        """True when it has just changed."""
        crossed = value < self._down if self.is_on else value > self._up
        if not crossed:
            self._since_s = None
        elif self._since_s is None:
            self._since_s = time_s
        elif time_s - self._since_s >= self._hold_s:
            self.is_on, self._since_s = not self.is_on, None
            return True
        return False


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stream")
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--token", default="")
    parser.add_argument("--run", help="a command to run each time a hand goes up")
    parser.add_argument("--times", type=int, default=0, help="stop after so many raised hands")
    options = parser.parse_args()
    trigger, raised = Trigger(), 0
    async with Client(options.url, options.token) as client:
        async for message in client.messages(options.stream):
            if isinstance(message, State):
                print(f"{message.stream} is {message.state}. {message.detail}", flush=True)
                continue
            value = height(message.poses[0]) if message.poses else 0.0
            if not trigger.update(value, message.time_s):
                continue
            print("hand up" if trigger.is_on else "hand down", flush=True)
            if trigger.is_on:
                raised += 1
                if options.run:
                    await asyncio.create_subprocess_exec(*shlex.split(options.run))
                if raised == options.times:
                    return


if __name__ == "__main__":
    asyncio.run(main())
