"""How calm and how late smoothed landmarks are, and what smoothing costs, beside MediaPipe's own filter."""

from __future__ import annotations

import time
from typing import Any, get_args

import numpy as np

from streamer.config.media import Smoothing
from streamer.pose.smoothing import PoseSmoother
from tests.bench.table import figure, print_table
from tests.rigs.clips import PERSON_FRAMES, prepare_clips
from tests.rigs.steadiness import (
    FPS,
    Watched,
    lateness_ms,
    trembling,
    watch_clip,
    watch_held,
)

STRENGTHS: tuple[Smoothing, ...] = get_args(Smoothing)
EVERY = (1, 2, 6)
"""Of the frames of the clip: 30, 15 and 5 fps."""

HELD = (0, 10, 20, 30, 40, 50, 60, 80, 90, 100)
"""Frames of the clip that are held still. In 70, 110 and 120, of jumps, the network loses its way: there
whole legs leap from frame to frame, and no filter helps."""

HELD_FRAMES = 50
COST_FRAMES = 3000


def smoothing() -> dict[str, Any]:
    """Print the table; return its figures by strength and frame rate."""
    clip = prepare_clips().person
    print("\nThe landmark network watches person.mp4 of tests/rigs/clips.py …", flush=True)
    held = [watch_held(clip, place, HELD_FRAMES) for place in HELD]
    moving = [watch_clip(clip, len(PERSON_FRAMES), every) for every in EVERY]
    found: dict[str, Any] = {strength: _figures(strength, held, moving) for strength in STRENGTHS}
    _print(found)
    return found


def _figures(
    strength: Smoothing, held: list[Watched], moving: list[Watched]
) -> dict[str, dict[str, Any]]:
    """By frame rate. ``trembling``: of each picture that was held."""
    cpu_us = _cpu_us(moving[0], strength)
    return {
        str(round(clip.fps)): {
            "trembling": [trembling(each.smoothed(strength), each) for each in shown],
            "raw_trembling": [trembling(each.raw, each) for each in shown],
            "lag_ms": lateness_ms(clip.smoothed(strength), clip),
            "cpu_us": cpu_us,
        }
        for clip in moving
        for shown in [[picture.at(clip.fps) for picture in held]]
    }


def _cpu_us(watched: Watched, strength: Smoothing) -> float:
    """Of one frame of one person."""
    smoother = PoseSmoother(strength)
    sightings = (watched.sightings * (COST_FRAMES // len(watched.sightings) + 1))[:COST_FRAMES]
    began = time.thread_time()
    for number, each in enumerate(sightings):
        smoother.smooth(each.landmarks, each.world, each.next_region.size, number / FPS)
    return (time.thread_time() - began) / COST_FRAMES * 1e6


def _print(found: dict[str, Any]) -> None:
    rows = []
    for strength in STRENGTHS:
        for fps in (str(round(FPS / every)) for every in EVERY):
            own, theirs = found[strength][fps], found["mediapipe"][fps]
            ratios = np.array(own["trembling"]) / theirs["trembling"]
            rows.append(
                [
                    f"{strength}, {fps} fps",
                    figure(float(np.median(own["trembling"])), 3),
                    figure(float(np.median(ratios)), 2),
                    figure(float(ratios.max()), 2),
                    figure(own["lag_ms"]),
                    figure(own["lag_ms"] / theirs["lag_ms"], 2),
                    figure(own["cpu_us"]),
                ]
            )
    print_table(
        f"Smoothing: {len(HELD)} pictures of a person held still; the same person in motion",
        (
            *("strength", "trembling /s2", "x MediaPipe's", "at most"),
            *("lag ms", "x MediaPipe's", "CPU us/frame"),
        ),
        rows,
    )
    raw = found["mediapipe"]["30"]["raw_trembling"]
    print(f"\nUnsmoothed, at 30 fps: {figure(float(np.median(raw)), 3)}. Regions per s2, RMS.")
