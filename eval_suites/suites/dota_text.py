"""DOTA by text: all objects of an image with their classes and corners, in one answer (LMMRotate).

Labels of the test set are not public, so the folder holds the split that is asked, usually val: images/ and labelTxt/.
A label line is `x1 y1 ... y4 class difficult`; difficult objects count like all others, as in mmrotate's DOTADataset.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from eval_suites.baselines import NOTHING
from eval_suites.suites.asking import ask, polygon_of
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder

CORNERS: Final = 8
INSTRUCTION: Final = (
    "Find all objects of these classes and give their oriented boxes, each with its class, or say that there are none: "
    "plane, baseball-diamond, bridge, ground-track-field, small-vehicle, large-vehicle, ship, tennis-court, "
    "basketball-court, storage-tank, soccer-ball-field, roundabout, harbor, swimming-pool, helicopter."
)


def load(folder: Folder) -> Questions:
    """Read one question an image, the labels sorted by name."""
    paths = folder.files("labelTxt/*.txt")
    if not paths:
        raise folder.refuse("has no labelTxt/*.txt")
    cases = []
    for path in paths:
        objects = read_labels(path)
        cases.append(
            ask(
                path.stem,
                [folder.image(f"{path.stem}.png", str(path.parent.parent.relative_to(folder.root) / "images"))],
                INSTRUCTION,
                regions=[(label, polygon_of(corners)) for label, corners in objects],
                form="obbs",
                truth=[(label, tuple(corners), 1.0) for label, corners in objects],
            )
        )
    return Questions(tuple(cases), split=paths[0].parent.parent.name)


def read_labels(path: Path) -> list[tuple[str, list[float]]]:
    """Read class and corners of the objects in a label file."""
    rows = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return [(row[CORNERS], [float(x) for x in row[:CORNERS]]) for row in rows if len(row) > CORNERS]


BENCHMARK: Final = Benchmark(
    name="dota-text",
    title="DOTA, oriented detection by text",
    layout="images/<name>.png and labelTxt/<name>.txt of the split that is asked (DOTA-v1.0 val)",
    get="https://captain-whu.github.io/DOTA/dataset.html",
    licence="academic use only",
    about=__doc__,
    load=load,
    tokens=4096,
    baselines=(NOTHING,),
    probes=("flip", "turn", "brightness", "jpeg"),
)
