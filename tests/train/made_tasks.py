"""Samples of every task about tiny made pictures: one rectangle each, of a colour, somewhere, upright or turned."""

from __future__ import annotations

import random
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PILImage

from vlm.geometry import to_mask, to_polygon
from vlm.geometry.shapes import HBB, OBB
from vlm.records import Answer, Image, Region, Sample, Task, Turn

COLOURS = {"red": (220, 30, 30), "green": (30, 190, 40), "blue": (30, 60, 220), "white": (240, 240, 240)}
GROUNDS = {"grass": (70, 110, 60), "sand": (190, 170, 120), "water": (40, 70, 100)}
SIDE = 32
CELLS = 8
"""Cells a side of the masks' text."""
ASKED: dict[str, tuple[Task, str]] = {
    "caption": ("caption", "Describe the image."),
    "vqa": ("vqa", "Which colour is it?"),
    "box": ("ground", "Where is the box?"),
    "obb": ("ground", "Where is the turned box?"),
    "mask": ("segment", "Outline the box."),
    "change": ("change", "What has changed?"),
}


def make_samples(folder: Path, count: int, *, seed: int = 0) -> dict[str, list[Sample]]:
    """Give `count` samples of each of ASKED; their pictures are written to `folder`."""
    return {kind: [make_sample(folder, kind, number, seed) for number in range(count)] for kind in ASKED}


def make_sample(folder: Path, kind: str, number: int, seed: int) -> Sample:
    """Make one picture, for a change the same place without the rectangle before it, and the exchange about it."""
    rng = random.Random(f"{seed}/{kind}/{number}")
    colour, ground = rng.choice(sorted(COLOURS)), rng.choice(sorted(GROUNDS))
    w, h = rng.randrange(6, 14, 2), rng.randrange(6, 14, 2)
    x, y = rng.randrange(6, SIDE - w - 5), rng.randrange(6, SIDE - h - 5)
    angle = rng.randrange(-60, 60, 5) if kind == "obb" else 0
    shape = OBB(x + w / 2, y + h / 2, w, h, float(angle)) if kind == "obb" else HBB(x, y, x + w, y + h)
    picture = np.full((SIDE, SIDE, 3), GROUNDS[ground], np.uint8)
    empty = picture.copy()
    corners = np.array([[(px, py) for px, py in to_polygon(shape).exterior]], np.int32)
    cv2.fillPoly(picture, corners, COLOURS[colour])
    shown = [empty, picture] if kind == "change" else [picture]
    images = tuple(_save(rgb, folder / f"{kind}-{number}-{date}.png") for date, rgb in enumerate(shown))
    task, words = ASKED[kind]
    answer = _answer(kind, colour, ground, shape)
    return Sample(f"{kind}/{number}", images, (Turn(words, answer),), task, "made")


def _answer(kind: str, colour: str, ground: str, shape: HBB | OBB) -> Answer:
    if kind == "caption":
        return Answer(f"a {colour} box on {ground}")
    if kind == "vqa":
        return Answer(colour)
    if kind == "mask":
        assert isinstance(shape, HBB)
        frame = HBB(shape.x1 - 6, shape.y1 - 6, shape.x2 + 6, shape.y2 + 2)
        return Answer("{seg:0}", (Region(to_mask(shape, box=frame, rows=CELLS, cols=CELLS)),))
    if kind == "change":
        return Answer(f"a {colour} box: {{box:0}}", (Region(shape, image=1),))
    return Answer(f"{{{kind}:0}}", (Region(shape),))


def _save(rgb: np.ndarray, path: Path) -> Image:
    PILImage.fromarray(rgb).save(path)
    return Image(path=str(path), width=SIDE, height=SIDE)
