"""A store of captioned pictures of coloured boxes, in two languages, with the boxes as detections."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
from PIL import Image as PILImage

from data_engine.annotations import scene_to_sample
from data_engine.languages import mark_language
from data_engine.objects import Scene
from tests.data_engine.made_corpora import store
from vlm.geometry.shapes import HBB
from vlm.records import Answer, Image, Region, Sample, Turn

COLOURS = {"red": (220, 30, 30), "green": (30, 190, 40), "blue": (30, 60, 220)}
PORTUGUESE = {"red": "vermelha", "green": "verde", "blue": "azul"}
SIDE = 64


def make_captioned(count: int, *, seed: int = 0) -> list[Sample]:
    """Give, of each picture, an English and a Portuguese caption and a detection of its two boxes."""
    return [sample for number in range(count) for sample in _about(number, random.Random(f"{seed}/{number}"))]


def write_captioned(folder: Path, count: int) -> Path:
    """Write them as a store."""
    return store(folder, make_captioned(count), shard=12)


def _about(number: int, rng: random.Random) -> list[Sample]:
    picture = np.full((SIDE, SIDE, 3), 110, np.uint8)
    names = rng.sample(sorted(COLOURS), 2)
    regions = []
    for at, name in enumerate(names):
        x, y = rng.randrange(2, 36), 2 + 32 * at
        picture[y : y + 26, x : x + 26] = COLOURS[name]
        regions.append(Region(HBB(x, y, x + 26, y + 26), f"{name} box"))
    data = io.BytesIO()
    PILImage.fromarray(picture).save(data, format="PNG")
    image = Image(data=data.getvalue(), width=SIDE, height=SIDE)
    classes = tuple(f"{name} box" for name in COLOURS)
    scene = Scene(f"made/{number}", image, tuple(regions), (), classes, "made", "train", "none")
    words = [("en", f"a {names[0]} box and a {names[1]} box"),
             ("pt", f"uma caixa {PORTUGUESE[names[0]]} e uma caixa {PORTUGUESE[names[1]]}")]  # fmt: skip
    captions = [
        Sample(
            mark_language(f"made/{number}/caption", code),
            (image,),
            (Turn("Describe.", Answer(text)),),
            "caption",
            "made",
        )
        for code, text in words
    ]
    return [*captions, scene_to_sample(scene)]
