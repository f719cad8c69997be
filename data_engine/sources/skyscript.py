"""SkyScript: 5.2 million images of many sensors with captions assembled from OpenStreetMap tags, listed in CSV files.

Layout (the official one): images2/ ... images7/*.jpg, and one of the lists SkyScript_{train,val,test}_*.csv a split in
`root` or in its folder dataframe/, with the columns filepath ("images2/a198234555_CH_19.jpg"), title (the focus object)
and title_multi_objects (with its surroundings). The CSV is read line by line.
Quirks: there are several lists of a split (unfiltered, top 30 or 50 % by one of two CLIP models, language polished):
keep one of them in the folder. A polished list has no title_multi_objects. The file name says sensor and year:
a198234555_CH_19 is from SWISSIMAGE in 2019. The focus object need not lie at the centre. The meta files are pickles and
are not read.
Licence: MIT (list and code), OpenStreetMap ODbL; images keep their sources' licences. Citation: Wang et al., SkyScript:
a large and semantically diverse vision-language dataset for remote sensing, AAAI 2024.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine import generate
from data_engine.objects import seeded
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.source import Source, describe_image, require_split
from vlm.errors import DataError
from vlm.records import Image, Sample

NAME: Final = "skyscript"
SPLITS: Final = ("train", "val", "test")
LICENCE: Final = "MIT; OpenStreetMap data ODbL; images as their sources"
LAYOUT: Final = (
    "one SkyScript_<split>_*.csv in the folder or in its dataframe/, and images2/ to images7/; they come from "
    "https://github.com/wangzhecheng/SkyScript"
)
TITLES: Final = ("title", "title_multi_objects")
SENSORS: Final = {
    "US": "NAIP", "DE": "Brandenburg orthophoto", "FI": "Finland orthophoto", "CH": "SWISSIMAGE", "ES": "PNOA",
    "P3": "SkySat", "P5": "SkySat", "S2": "Sentinel-2", "L8": "Landsat 8", "L9": "Landsat 9",
}  # fmt: skip
FILE_NAME: Final = re.compile(r"_([A-Z][A-Z0-9])_(\d\d)$")


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one caption sample per distinct title of each listed image."""
    require_split(NAME, split, SPLITS)
    root = Path(root)

    def convert(row: dict[str, str]) -> Iterator[Sample]:
        image = _describe(root / row["filepath"])
        titles = dict.fromkeys(" ".join((row.get(column) or "").split()) for column in TITLES)
        for number, title in enumerate(title for title in titles if title.rstrip(" .")):
            sample_id = f"{NAME}/{split}/{Path(row['filepath']).with_suffix('').as_posix()}/caption-{number}"
            turn = generate.caption(title, seeded(seed, sample_id))
            yield generate.wrap_turn(
                turn, sample_id=sample_id, images=(image,), source=NAME, split=split, licence=LICENCE
            )

    return convert_each(_rows(_find_list(root, split)), convert, name=NAME, reject=reject)


def _find_list(root: Path, split: str) -> Path:
    found = [path for folder in (root, root / "dataframe") for path in sorted(folder.glob(f"SkyScript_{split}_*.csv"))]
    if not found:
        raise DataError(f"{NAME}: {root} holds no list of the split {split!r}; expected {LAYOUT}")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataError(f"{NAME}: {root} holds {len(found)} lists of the split {split!r} ({names}): keep one of them")
    return found[0]


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if not {"filepath", "title"} <= set(reader.fieldnames or ()):
            raise DataError(f"{path} has the columns {reader.fieldnames}: expected filepath and title among them")
        yield from (row for row in reader if row["filepath"])


def _describe(path: Path) -> Image:
    match = FILE_NAME.search(path.stem)
    sensor, year = match.groups() if match else ("", "")
    date = f"20{year}" if year else None
    return describe_image(path, name=NAME, layout=LAYOUT, date=date, sensor=SENSORS.get(sensor))


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Wang et al., AAAI 2024"
)
