"""The demonstration: a few clear scenes and one pair as georeferenced GeoTIFFs, with an instruction for every task."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from data_engine.synth.geotiff import write_geotiff
from data_engine.synth.pairs import render_pair
from data_engine.synth.render import render_scene
from vlm.output import write_text
from vlm.records import Task

SIZE_PX, GSD_M = 256, 0.5
PAIR_KIND, PAIR_SEED = "pond", 1_000_034
"""Seeds from a million on are for demonstrations and tests: train on those below."""


@dataclass(frozen=True, slots=True)
class DemoCase:
    """Hold one instruction of the demonstration: image files (names in its folder), the task and a title."""

    images: tuple[str, ...]
    instruction: str
    task: Task
    title: str


SCENES: dict[str, tuple[str, int]] = {
    "harbor.tif": ("port", 1_000_000), "airport.tif": ("airport", 1_000_000), "tanks.tif": ("storage tanks", 1_000_001),
    "sports.tif": ("playground", 1_000_002), "river.tif": ("river", 1_000_007),
    "homes.tif": ("medium residential", 1_000_001),
}  # fmt: skip
CASES: tuple[DemoCase, ...] = (
    DemoCase(("harbor.tif",), "Describe this image.", "caption", "In a sentence"),
    DemoCase(("sports.tif",), "What is the theme of this picture?", "classify", "Kind of scene"),
    DemoCase(("homes.tif",), "Is there a swimming pool?", "vqa", "A question"),
    DemoCase(("tanks.tif",), "How many storage tanks are there?", "count", "How many"),
    DemoCase(("airport.tif",), "Where are the planes?", "detect", "Boxes"),
    DemoCase(("harbor.tif",), "Find all ships and give oriented bounding boxes.", "detect", "Oriented boxes"),
    DemoCase(("river.tif",), "Segment the water.", "segment", "A mask"),
    DemoCase(("before.tif", "after.tif"), "Where are the changes?", "change", "Two dates"),
)


def render_demo(folder: Path | str) -> list[DemoCase]:
    """Write the scenes and `cases.json` (what `nadir demo --cases` reads) into a folder; give the cases.

    Raises OutputError when the folder cannot be written.
    """
    target = Path(folder)
    for name, (kind, seed) in SCENES.items():
        write_geotiff(render_scene(seed, size_px=SIZE_PX, gsd_m=GSD_M, kind=kind), target / name)
    pair = render_pair(PAIR_SEED, size_px=SIZE_PX, gsd_m=GSD_M, kind=PAIR_KIND, unchanged=0.0)
    write_geotiff(pair.before, target / "before.tif")
    write_geotiff(pair.after, target / "after.tif")
    rows = [
        {"images": list(case.images), "instruction": case.instruction, "task": case.task, "title": case.title}
        for case in CASES
    ]
    write_text(target / "cases.json", json.dumps(rows, indent=1) + "\n")
    return list(CASES)
