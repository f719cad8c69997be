"""A recipe small enough to train in seconds, and a folder of data made by the sources' own makers."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image as PILImage

from vlm.geometry.shapes import HBB
from vlm.records import Answer, Image, Region, Sample, Turn

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 60, 220)}


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Give six samples about three 48 x 32 pictures, each a coloured box on grey: where is it, and what colour."""
    found = []
    for index, (colour, rgb) in enumerate(COLOURS.items()):
        picture = PILImage.new("RGB", (48, 32), (120, 120, 120))
        box = HBB(4 + 8 * index, 6, 20 + 8 * index, 18)
        picture.paste(rgb, (int(box.x1), int(box.y1), int(box.x2), int(box.y2)))
        path = tmp_path / f"{colour}.png"
        picture.save(path)
        image = Image(path=str(path), width=48, height=32)
        where = Turn("Where is the box?", Answer("{box:0}", (Region(box, "box"),), task="ground"))
        which = Turn("Which colour is it?", Answer(colour, task="vqa"))
        found += [
            Sample(f"{colour}/where", (image,), (where,), "ground", "made"),
            Sample(f"{colour}/which", (image,), (which,), "vqa", "made"),
        ]
    return found
