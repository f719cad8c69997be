"""Conversations whose places are only told: how a language model learns to write down what the pointer tells.

Copying a number from the token that tells it is a circuit that forms after some ten thousand examples. Real ones cost
a picture of seven tiles each; here a box lies anywhere in any picture, shown as one tile, and the pointer tells it
(train/pointing.py, with the truth always in its place): a fifth of the cost, and nothing but copying to be learned.
Without them the circuit fades again while the pointer is often wrong: they belong into every round.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from data_engine import generate, templates
from data_engine.store.rows import Rows
from train.mixture import Conversation, Feed
from train.pictures import load_rgb
from vlm.errors import DataError
from vlm.geometry import to_hbb, to_obb
from vlm.geometry.shapes import OBB
from vlm.records import Answer, Region, Sample, Turn

SIDES = (0.01, 0.4)
"""Range of the geometric mean of a box's sides, in sides of the picture."""
ASPECT = 3.0
"""Most times that one side is longer than the other."""
ORIENTED = 0.35
"""Share of the boxes that are asked for as oriented ones."""


def told_feed(*sources: Sequence[Sample]) -> Feed:
    """Draw boxes at random places of the pictures of several sources' samples, named by any of their phrases.

    Raises DataError for samples without a phrase or a picture.
    """
    singles = [(source, number) for source in sources for number in find_singles(source)]
    phrases = sorted(set().union(*map(find_phrases, sources)))
    if not singles or not phrases:
        raise DataError("the samples name no region with a phrase in a single picture: nothing can be told of them")

    def draw(rng: random.Random) -> Conversation:
        source, number = rng.choice(singles)
        rgb = load_rgb(source[number].images[0])
        phrase, oriented = rng.choice(phrases), rng.random() < ORIENTED
        obb = draw_box(rng, rgb.shape[1], rgb.shape[0])
        region = Region(obb if oriented else to_hbb(obb), phrase)
        kind = "obb" if oriented else "box"
        instruction = templates.write_instruction(f"ground_{kind}", rng, phrase=phrase)
        turn = Turn(instruction, Answer(f"{{{kind}:0}}", (region,), task="ground"))
        return Conversation((rgb,), (turn,), "ground", told=True)

    return draw


def told_list_feed(*sources: Sequence[Sample], most: int) -> Feed:
    """Draw lists of none to `most` boxes of one phrase, at random places; they are told in the order of the answer.

    Raises DataError for samples without a phrase or a picture.
    """
    single = told_feed(*sources)

    def draw(rng: random.Random) -> Conversation:
        first = single(rng)
        height, width = first.pictures[0].shape[:2]
        phrase = first.turns[0].answer.regions[0].phrase
        boxes = [to_hbb(draw_box(rng, width, height)) for _ in range(rng.randint(0, most))]
        regions = generate.sort_regions([Region(box, phrase) for box in boxes])
        answer = Answer(generate.write_slot("box", len(regions)), regions, task="detect")
        instruction = templates.write_instruction("detect_box", rng, phrase=phrase)
        return Conversation(first.pictures, (Turn(instruction, answer),), "detect", told=True, listed=True)

    return draw


def find_singles(samples: Sequence[Sample]) -> list[int]:
    """Give the numbers of the samples that show one image; a store knows them without its images."""
    if isinstance(samples, Rows):
        return np.flatnonzero(samples.image_counts() == 1).tolist()
    return [number for number, sample in enumerate(samples) if len(sample.images) == 1]


def find_phrases(samples: Sequence[Sample]) -> set[str]:
    """Give the phrases of the answers' regions; a store knows them without its images."""
    if isinstance(samples, Rows):
        return samples.phrases()
    return {region.phrase for sample in samples for turn in sample.turns for region in turn.answer.regions} - {""}


def draw_box(rng: random.Random, width: int, height: int) -> OBB:
    """Draw an oriented box whose upright box lies in a width x height px picture."""
    low, high = SIDES
    while True:
        side = min(width, height) * low * (high / low) ** rng.random()
        stretch = ASPECT ** (rng.random() / 2)
        obb = to_obb(OBB(0.0, 0.0, side * stretch, side / stretch, float(rng.randint(-90, 89))))
        box = to_hbb(obb)
        if box.x2 - box.x1 <= width and box.y2 - box.y1 <= height:
            return OBB(
                rng.uniform(-box.x1, width - box.x2), rng.uniform(-box.y1, height - box.y2), obb.w, obb.h, obb.angle_deg
            )
