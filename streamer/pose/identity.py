"""Whose body is it? The assignment of all bodies to all people that suits best: by where and how people
were seen last and how they moved, by how they came into a crowd, and by their clothes."""

import math

import numpy as np
from numpy.typing import NDArray

from streamer.pose.appearance import describe, difference
from streamer.pose.matching import assign
from streamer.pose.person import Body, Person
from streamer.pose.presence import evidence

DOUBT = 4.0
"""Squared standard deviations, from which on the detector is asked whether somebody else is there."""

OTHERS = 12.0
"""Squared standard deviations, from which on a body is taken for somebody else's."""

LEAP = 6.0
"""The most that a leap counts of somebody who is not in a crowd and was seen just now: who else is there?"""

CHANGE = 4.0
"""By how much a body must suit somebody better who is hidden, or than those who were looked for where it
was found; half of it where clothes tell them apart."""

DISPUTE = 0.5
"""Where a body suits somebody hidden so much better than the one who has it, it is published as nobody's
until that is settled: it may be a mixture of both."""

APPROACH = 2.0
"""The most that it counts if somebody in a crowd does not go on as before the crowd."""

TURNS = 0.5
"""Of the way that somebody is taken to have gone on as before, so much is uncertain: people stop and turn
back, above all where they meet."""

LOOKS_NOISE, UNLIKE, UNKNOWN_LOOKS = 0.15, 0.4, 2.0
"""Standard deviation of the difference of two looks at one person (0.06 to 0.3; of two persons 0.4 to
0.6), and what counts if there is nothing to compare."""

ALONE = 0.5
"""How much clothes count where nobody is close who could be mistaken: people turn, fall, and meet shadows."""


def owners_of(
    rgb: NDArray[np.uint8], t_s: float, bodies: list[Body], people: list[Person]
) -> list[Person | None]:
    """For each body whose it is, None: nobody's of ``people``. Sets who of them is disputed or leapt."""
    for body in bodies:
        body.looks = describe(rgb, body.sighting.landmarks)
    contrast = _contrast(people)
    costs = np.array(
        [[_cost(person, body, t_s, contrast) for body in bodies] for person in people]
    ).reshape(len(people), len(bodies))
    hidden = [
        row
        for row, person in enumerate(people)
        if person.hidden_s is not None and person.approach is not None
    ]
    owners: list[Person | None] = [None] * len(bodies)
    for row, column in assign(costs, OTHERS):
        owners[column] = owner = people[row]
        rival = min((costs[other, column] for other in hidden if other != row), default=math.inf)
        owner.disputed = bool(rival - _change(contrast) + DISPUTE < costs[row, column])
        if _leaps(owner, bodies[column], people, t_s):
            owner.leapt_s = t_s
    return owners


def _leaps(person: Person, body: Body, people: list[Person], t_s: float) -> bool:
    """Does the motion contradict the clothes? Of a body half hidden they are those of the one in front."""
    if person.approach is None:
        return False
    off = misfit(person, body, t_s)
    others = (each for each in people if each is not person and each.approach is not None)
    return off > DOUBT and any(misfit(other, body, t_s) < off for other in others)


def misfit(person: Person, body: Body, t_s: float, *, turns: float = 0.0) -> float:
    """By the middle one of the distances of all landmarks from where the person's should be: two bodies
    at one place still hold their limbs differently. ``turns``: as of ``Motion.misfit``."""
    shift = person.motion.shift(t_s).astype(np.float32)
    ways = body.sighting.landmarks[:, :2] - person.sighting.landmarks[:, :2] - shift
    off_px = float(np.median(np.hypot(ways[:, 0], ways[:, 1])))
    return person.motion.misfit(off_px, body.size, t_s, turns=turns)


def _contrast(people: list[Person]) -> float:
    """0..1, how much the clothes can say of those who are close to others: little if they look alike."""
    looks = [
        person.appearance
        for person in people
        if person.approach is not None and person.appearance is not None
    ]
    apart = [difference(one, other) for number, one in enumerate(looks) for other in looks[:number]]
    if len(looks) < 2:
        return ALONE
    return min([1.0, *((each / UNLIKE) ** 2 for each in apart if each is not None)])


def _change(contrast: float) -> float:
    return CHANGE * (1 - contrast / 2)


def _cost(person: Person, body: Body, t_s: float, contrast: float) -> float:
    """How ill ``body`` suits ``person``, in squared standard deviations."""
    total = misfit(person, body, t_s, turns=TURNS)
    if person.approach is not None:
        way = person.approach.place + person.approach.shift(t_s) - body.place
        off_px = float(np.linalg.norm(way))
        total += min(person.approach.misfit(off_px, body.size, t_s), APPROACH)
    elif person.motion.is_near(body.place):
        if person in body.seekers and evidence(body.sighting) < 0:
            return min(total, LEAP)  # of who is blurred, or falls, clothes tell nothing
        if person.hidden_s is None or person.is_awaited(t_s):
            total = min(total, LEAP)
    if person.hidden_s is not None or (body.seekers and person not in body.seekers):
        total += _change(contrast)
    if person.appearance is None or body.looks is None:
        return total + UNKNOWN_LOOKS
    apart = difference(person.appearance, body.looks)
    return total + (UNKNOWN_LOOKS if apart is None else contrast * (apart / LOOKS_NOISE) ** 2)
