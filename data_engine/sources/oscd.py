"""OSCD (Onera Satellite Change Detection): urban change between two Sentinel-2 images, 10 m, 13 bands.

Layout: `Onera Satellite Change Detection dataset - Images/<city>/` with pair/img{1,2}.png (registered RGB), imgs_{1,2}/
(one GeoTIFF per band), dates.txt and, one level up, train.txt; `... - Train Labels/<city>/cm/<city>-cm.tif`.
Quirks: the label TIFF holds 1 = no change and 2 = change, whatever its README says. The bands have three sizes (10, 20,
60 m), and imgs_2 may differ from imgs_1 by a few pixels, so the registered RGB pair is what the samples show. The test
cities have no labels: HELD_OUT names a labelled city to score on instead, split "val"; "train" is the others.
Licence: modified Copernicus Sentinel data 2015-2018; change maps CC BY-NC-SA.
Citation: Caye Daudt et al., Urban change detection for multispectral Earth observation using convolutional neural
networks, IGARSS 2018.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from data_engine.changes import ChangeScene
from data_engine.labels import load_label
from data_engine.sources.change_pairs import ChangeSet
from data_engine.sources.source import Source, describe_image, require_path, require_split
from vlm.errors import DataError

NAME: Final = "oscd"
SPLITS: Final = ("train", "val", "all")
LICENCE: Final = "Copernicus open data; change maps CC BY-NC-SA"
LAYOUT: Final = (
    "the folders 'Onera Satellite Change Detection dataset - Images' and '... - Train Labels', unpacked side by side; "
    "they come from https://ieee-dataport.org/open-access/oscd-onera-satellite-change-detection"
)
PREFIX: Final = "Onera Satellite Change Detection dataset - "
HELD_OUT: Final = ("rennes",)
GSD_M: Final = 10.0
CROP_PX: Final = 128
FORWARD: Final = "the built-up area has changed"


def _list_cities(root: Path, split: str) -> list[Path]:
    """List the folders of the images of each labelled city."""
    require_split(NAME, split, SPLITS)
    folder = root / f"{PREFIX}Images"
    listing = require_path(folder / "train.txt", name=NAME, layout=LAYOUT)
    cities = [city.strip() for city in listing.read_text(encoding="utf-8").replace("\n", ",").split(",")]
    return [folder / city for city in cities if city and (split == "all" or (city in HELD_OUT) == (split == "val"))]


def _load_city(images: Path, split: str) -> ChangeScene:
    city = images.name
    labels = images.parent.with_name(f"{PREFIX}Train Labels") / city
    dates = _load_dates(images / "dates.txt")
    before, after = (
        describe_image(
            images / "pair" / f"img{number}.png",
            name=NAME,
            layout=LAYOUT,
            date=dates[number - 1],
            sensor="Sentinel-2",
            gsd_m=GSD_M,
        )
        for number in (1, 2)
    )
    label = load_label(require_path(labels / "cm" / f"{city}-cm.tif", name=NAME, layout=LAYOUT))
    if label.ndim != 2 or not 1 <= label.min() <= label.max() <= 2:
        raise DataError(f"{NAME}: the label of {city} holds other values than 1 (no change) and 2 (change)")
    key = f"{NAME}/{split}/{city}"
    return ChangeScene(key, before, after, label == 2, FORWARD, FORWARD, NAME, split, LICENCE)


def _load_dates(path: Path) -> tuple[str, str]:
    """Read `date_1: 20150821` and `date_2: ...` as ISO dates."""
    lines = require_path(path, name=NAME, layout=LAYOUT).read_text(encoding="utf-8").splitlines()
    digits = [line.partition(":")[2].strip() for line in lines if line.startswith("date_")]
    if len(digits) != 2 or not all(len(date) == 8 and date.isdigit() for date in digits):
        raise DataError(f"{path} holds {lines}: expected date_1: YYYYMMDD and date_2: YYYYMMDD")
    first, second = (f"{date[:4]}-{date[4:6]}-{date[6:]}" for date in digits)
    return first, second


READER: Final = ChangeSet(NAME, _list_cities, _load_city, CROP_PX)
load, load_scenes = READER.load, READER.load_scenes
SOURCE: Final = Source(
    NAME, load, SPLITS, LAYOUT, LICENCE, citation="Caye Daudt et al., IGARSS 2018", load_scenes=load_scenes
)
