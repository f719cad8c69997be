"""Draw synthetic conversations for training: pixels as arrays and a few turns about them, nothing encoded."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from data_engine.synth.change_turns import pair_turns
from data_engine.synth.pairs import render_pair
from data_engine.synth.render import render_scene
from data_engine.synth.turns import TaskTurn, scene_turns
from vlm.records import Task, Turn

SIZES_PX = (192, 224, 256, 320, 384)
GSDS_M = (0.25, 0.35, 0.5, 0.5, 0.8)


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """Hold one or two dates as uint8 (H, W, 3) arrays, the turns about them and the task of the first turn."""

    pictures: tuple[np.ndarray, ...]
    turns: tuple[Turn, ...]
    task: Task


def scene_feed_turns(rng: random.Random, *, pair_share: float = 0.25, most_turns: int = 4) -> Draw:
    """Draw a scene or, with probability `pair_share`, a pair, of random size and gsd, and one to `most_turns` turns."""
    size_px, gsd_m, seed = rng.choice(SIZES_PX), rng.choice(GSDS_M), rng.getrandbits(40)
    if rng.random() < pair_share:
        pair = render_pair(seed, size_px=min(size_px, 256), gsd_m=gsd_m)
        return _draw((pair.before.rgb, pair.after.rgb), pair_turns(pair, rng), rng, most_turns)
    scene = render_scene(seed, size_px=size_px, gsd_m=gsd_m)
    return _draw((scene.rgb,), scene_turns(scene, rng), rng, most_turns)


def _draw(pictures: tuple[np.ndarray, ...], turns: list[TaskTurn], rng: random.Random, most: int) -> Draw:
    chosen = rng.sample(turns, min(len(turns), rng.randint(1, most)))
    return Draw(pictures, tuple(turn for _, turn in chosen), chosen[0][0])
