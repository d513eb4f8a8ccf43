"""A street of painted people, and two networks that see it as MediaPipe's do: with their weaknesses."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamer.config import PoseConfig
from streamer.pose.networks import Detection, Sighting
from streamer.pose.people import People
from streamer.pose.regions import Region

WIDTH, HEIGHT = 640, 480
SIZE = 240.0
RED, BLUE, GREEN = (220, 30, 30), (30, 30, 220), (30, 200, 30)

Rgb = NDArray[np.uint8]


@dataclass(eq=False)
class Walker:
    """``path``: the time -> x of the mid-hip in pixels, None: not there. Those later in a world's list
    are in front. ``size``: of the region."""

    path: Callable[[float], float | None]
    colour: tuple[int, int, int] = RED
    size: float = SIZE
    flag: Callable[[float], float] = lambda t: 0.9999
    limbs: int = 0

    def landmarks(self, x: float) -> NDArray[np.float32]:
        """Shoulders, hips and knees where the paint is; the other points by ``limbs``: each may hold
        them in another way."""
        limbs = np.random.default_rng(self.limbs).uniform(-0.2, 0.2, (33, 2))
        body = {11: (-0.06, -0.2), 12: (0.06, -0.2), 23: (-0.04, 0), 24: (0.04, 0)}
        for number, place in {**body, 25: (-0.04, 0.15), 26: (0.04, 0.15)}.items():
            limbs[number] = place
        points = np.ones((33, 5), np.float32)
        points[:, :2] = limbs * self.size + (x, HEIGHT / 2)
        return points


@dataclass(eq=False)
class World:
    walkers: list[Walker]
    t_s: float = 0.0
    detections: int = 0
    looks: list[Region] = field(default_factory=list)

    def there(self) -> list[tuple[Walker, float]]:
        places = [(walker, walker.path(self.t_s)) for walker in self.walkers]
        return [(walker, x) for walker, x in places if x is not None]

    def paint(self) -> Rgb:
        picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
        for walker, x in self.there():
            half = walker.size * 0.12
            top, bottom = HEIGHT / 2 - walker.size * 0.3, HEIGHT / 2 + walker.size * 0.3
            left, right = max(int(x - half), 0), max(int(x + half), 0)
            picture[int(top) : int(bottom), left:right] = walker.colour
        return picture

    def detect(self, rgb: Rgb, min_score: float) -> list[Detection]:
        """Of two people close to each other it sees only the one in front; in a square of the picture
        nobody, so that these tests need not know where it lies."""
        self.detections += 1
        if rgb.shape[1] != WIDTH:
            return []
        there = self.there()
        return [
            Detection(0.9, np.zeros(4, np.float32), Region(x, HEIGHT / 2, walker.size, 0.0))
            for number, (walker, x) in enumerate(there)
            if not any(abs(x - other) < 0.45 * walker.size for _, other in there[number + 1 :])
        ]

    def look(self, rgb: Rgb, region: Region) -> Sighting:
        """Whoever is nearest to the region's middle; but of somebody half covered it sees who is in
        front, whoever was meant."""
        self.looks.append(region)
        there = self.there()
        near = [pair for pair in there if abs(pair[1] - region.x) < 0.4 * region.size]
        if not near:
            return _sighting(Walker(lambda t: None), region.x, region, flag=0.01)
        walker, x = min(near, key=lambda pair: abs(pair[1] - region.x))
        for front, place in there[[pair[0] for pair in there].index(walker) + 1 :]:
            if abs(place - x) < 0.12 * walker.size:
                walker, x = front, place
        sighting = _sighting(walker, x, region, flag=walker.flag(self.t_s))
        sighting.landmarks[:, 2] = self.walkers.index(walker)
        return sighting

    def followed(
        self, options: PoseConfig, seconds: float, fps: float = 30.0
    ) -> list[dict[int, Walker]]:
        """By frame: id -> whom it is on."""
        people = People(self.detect, self.look, options)
        return self.go_on(people, 0.0, seconds, fps)

    def go_on(
        self, people: People, start_s: float, end_s: float, fps: float = 30.0
    ) -> list[dict[int, Walker]]:
        frames = []
        for number in range(round(start_s * fps), round(end_s * fps)):
            self.t_s = number / fps
            found = people.follow(self.paint(), self.t_s)
            frames.append({person.id: self._at(person.sighting) for person in found})
            assert len(frames[-1]) == len(found)
        return frames

    def _at(self, sighting: Sighting) -> Walker:
        """Each walker's landmarks have a depth of their own."""
        return self.walkers[int(sighting.landmarks[0, 2])]


def _sighting(walker: Walker, x: float, region: Region, flag: float) -> Sighting:
    return Sighting(
        landmarks=walker.landmarks(x),
        world=np.zeros((33, 3), np.float32),
        flag=flag,
        peaks=np.full(33, 0.9, np.float32),
        region=region,
        next_region=Region(x, HEIGHT / 2, walker.size, 0.0),
        mask=None,
    )


def walk(start: float, end: float, seconds: float) -> Callable[[float], float]:
    return lambda t: start + (end - start) * t / seconds


def stay(x: float) -> Callable[[float], float]:
    return lambda t: x


def within(
    path: Callable[[float], float], *spans: tuple[float, float]
) -> Callable[[float], float | None]:
    """There only at these times."""
    return lambda t: path(t) if any(start <= t < end for start, end in spans) else None
