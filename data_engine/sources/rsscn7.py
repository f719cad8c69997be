"""RSSCN7: scene classes, seven of them, 400 x 400 Google Earth images at four scales.

Layout: <letter><Class>/<letter><number>.jpg, e.g. eForest/e012.jpg; numbers 001-100, 101-200, ... are the scales. There
is no official split (papers draw 50 % at random), so the only split here is "all".
Licence: none stated; research use.
Citation: Zou et al., Deep learning based feature selection for remote sensing scene classification, GRSL 2015.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine import generate
from data_engine.objects import seeded
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.source import Source, describe_image, require_path, require_split
from vlm.records import Sample

NAME: Final = "rsscn7"
SPLITS: Final = ("all",)
LICENCE: Final = "none stated; research use"
LAYOUT: Final = "<class folder>/*.jpg for the seven classes; they come from https://github.com/palewithout/RSSCN7"
CLASSES: Final = {
    "aGrass": "grass",
    "bField": "field",
    "cIndustry": "industry",
    "dRiverLake": "river or lake",
    "eForest": "forest",
    "fResident": "residential area",
    "gParking": "parking lot",
}


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one scene-class sample per image."""
    require_split(NAME, split, SPLITS)
    folders = [require_path(Path(root) / folder, name=NAME, layout=LAYOUT) for folder in CLASSES]

    def convert(path: Path) -> Iterator[Sample]:
        image = describe_image(path, name=NAME, layout=LAYOUT)
        sample_id = f"{NAME}/{split}/{path.stem}/theme"
        turn = generate.classify(CLASSES[path.parent.name], seeded(seed, sample_id))
        yield generate.wrap_turn(turn, sample_id=sample_id, images=(image,), source=NAME, split=split, licence=LICENCE)

    pictures = [path for folder in folders for path in sorted(folder.glob("*.jpg"))]
    return convert_each(pictures, convert, name=NAME, reject=reject)


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Zou et al., GRSL 2015"
)
