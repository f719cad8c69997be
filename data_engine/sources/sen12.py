"""SEN12MS: 180,662 triplets of Sentinel-1, Sentinel-2 and MODIS land cover, 256 x 256 at 10 m, in four seasons.

Layout (the official one): ROIs{1158_spring,1868_summer,1970_fall,2017_winter}/{s1,s2,lc}_<scene>/
ROIs<season>_{s1,s2,lc}_<scene>_p<patch>.tif. s1 holds VV and VH in dB, s2 the 13 bands B1 to B12 with B8A after B8, lc
four MODIS schemes, the first of which is IGBP (classes 1 to 17, at 500 m, resampled).
Quirks: labels are made as the authors make them: the 17 IGBP classes become the ten of the simplified scheme, a class
counts from 10 % of the patch on, and the largest is the main class. They are coarse and weak labels. The SAR patch
ROIs1868_summer_s1_146_p202 holds NaN and is left out. The test split is the hold-out scenes of the authors (HELD_OUT).
Images are named by path, with bands and sensor, and are not converted.
Licence: CC BY 4.0 (Copernicus, MODIS). Citation: Schmitt et al., SEN12MS, ISPRS Annals IV-2/W7, 2019; labels: Schmitt
and Wu, ISPRS Annals V-2, 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from data_engine import generate
from data_engine.objects import seeded
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.label_turns import list_labels, name_label
from data_engine.sources.rasters import describe_raster, load_band
from data_engine.sources.source import Source, require_split
from vlm.errors import DataError
from vlm.records import Image, Sample
from vlm.sensors import SENSORS

NAME: Final = "sen12"
SPLITS: Final = ("train", "test", "all")
LICENCE: Final = "CC BY 4.0"
LAYOUT: Final = (
    "ROIs<season>/{s1,s2,lc}_<scene>/*.tif for one or more of the four seasons; they come from "
    "https://mediatum.ub.tum.de/1474000"
)
SEASONS: Final = ("ROIs1158_spring", "ROIs1868_summer", "ROIs1970_fall", "ROIs2017_winter")
HELD_OUT: Final = {
    "ROIs1158_spring": (15, 17, 63, 97, 124, 146),
    "ROIs1868_summer": (15, 19, 43, 72, 79, 104, 131),
    "ROIs1970_fall": (30, 35, 39, 47, 61, 120, 141, 144),
    "ROIs2017_winter": (32, 64, 107, 135, 146),
}
DAMAGED: Final = "ROIs1868_summer_s1_146_p202.tif"
CLASSES: Final = (
    "forest", "shrubland", "savanna", "grassland", "wetlands", "croplands", "urban and built-up areas",
    "snow and ice", "barren land", "water",
)  # fmt: skip
SIMPLIFIED: Final = np.array([-1, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 5, 7, 8, 9])
"""Index in CLASSES of each IGBP class, 1 to 17; -1 for 0, which is none."""
LEAST_SHARE: Final = 0.1
GSD_M: Final = 10.0


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield, for the optical and the SAR patch of each triplet, its main land cover class and the list of classes."""
    require_split(NAME, split, SPLITS)
    folders = [folder for season in SEASONS for folder in _scenes(Path(root) / season, split)]
    if not folders:
        raise DataError(f"{NAME}: {root} holds no scenes of the split {split!r}; expected {LAYOUT}")

    def convert(label_path: Path) -> Iterator[Sample]:
        shares = land_shares(load_band(label_path, name=NAME, layout=LAYOUT), where=str(label_path))
        for kind in ("s2", "s1"):
            path = label_path.parents[1] / label_path.parent.name.replace("lc_", f"{kind}_")
            path = path / label_path.name.replace("_lc_", f"_{kind}_")
            if path.name != DAMAGED:
                yield from _samples(_describe(path, kind), shares, f"{NAME}/{split}/{path.stem}", split, seed)

    patches = (path for folder in folders for path in sorted(folder.glob("*.tif")))
    return convert_each(patches, convert, name=NAME, reject=reject)


def land_shares(igbp: np.ndarray, *, where: str) -> dict[str, float]:
    """Give the share of each simplified class of at least LEAST_SHARE in an IGBP map (rows, cols), largest first.

    The largest class is always there. A map with other values than 0 to 17 or with no class raises DataError.
    """
    if igbp.min() < 0 or igbp.max() >= len(SIMPLIFIED):
        raise DataError(f"{where} holds the values {igbp.min()} to {igbp.max()}: expected the IGBP classes 1 to 17")
    found = SIMPLIFIED[igbp]
    counts = np.bincount(found[found >= 0], minlength=len(CLASSES))
    if not counts.any():
        raise DataError(f"{where} has no land cover class: it is empty")
    order = np.argsort(-counts, kind="stable")
    shares = {CLASSES[index]: float(counts[index] / igbp.size) for index in order if counts[index]}
    return {label: share for rank, (label, share) in enumerate(shares.items()) if not rank or share >= LEAST_SHARE}


def _scenes(season: Path, split: str) -> Iterator[Path]:
    """Yield the folders of labels of a season's scenes in the split."""
    for folder in sorted(season.glob("lc_*")):
        held_out = folder.name.removeprefix("lc_") in map(str, HELD_OUT[season.name])
        if split == "all" or held_out == (split == "test"):
            yield folder


def _describe(path: Path, kind: str) -> Image:
    key, bands = ("sentinel2", SENSORS["sentinel2"].codes) if kind == "s2" else ("sentinel1", ("vv", "vh"))
    return describe_raster(path, name=NAME, layout=LAYOUT, sensor=SENSORS[key].name, bands=bands, gsd_m=GSD_M)


def _samples(image: Image, shares: dict[str, float], key: str, split: str, seed: int) -> Iterator[Sample]:
    turns = {
        "main": name_label("main_class", next(iter(shares)), seeded(seed, f"{key}/main")),
        "classes": list_labels(tuple(shares), seeded(seed, f"{key}/classes")),
    }
    for kind, turn in turns.items():
        yield generate.wrap_turn(
            turn, sample_id=f"{key}/{kind}", images=(image,), source=NAME, split=split, licence=LICENCE
        )


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE,
    citation="Schmitt et al., ISPRS Annals IV-2/W7, 2019; labels: Schmitt and Wu, ISPRS Annals V-2, 2021",
)  # fmt: skip
