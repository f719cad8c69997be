"""EuroSAT: 27,000 Sentinel-2 patches of 64 x 64 at 10 m in ten land use classes, as RGB JPEG and with 13 bands.

Layout (the official archives): EuroSAT.zip -> 2750/<Class>/<Class>_<number>.jpg (EuroSAT_RGB/ on Zenodo) and
EuroSATallBands.zip -> ds/images/remote_sensing/otherDatasets/sentinel_2/tif/<Class>/<Class>_<number>.tif (EuroSAT_MS/
on Zenodo). `root` holds one or both, or is a folder of the ten classes itself; both are read where both are there.
There is no official split. Where eurosat-{train,val,test}.txt (a name a line, Neumann et al. 2019, as TorchGeo has
them) lie in `root`, those splits are known too; the names say .jpg or .tif, only the stem counts.
Quirks: the 13 bands are in the order B1 ... B8, B9, B10, B11, B12, B8A: B8A comes last, unlike in a Sentinel-2 product,
so `bands` has to be heeded; values are top-of-atmosphere reflectance x 10,000. Images are named by path, not converted.
Licence: MIT; Copernicus open data. Citation: Helber et al., EuroSAT: a novel dataset and deep learning benchmark for
land use and land cover classification, JSTARS 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine import generate
from data_engine.objects import seeded
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.rasters import describe_raster
from data_engine.sources.source import Source, describe_image, require_path, require_split
from vlm.errors import DataError
from vlm.records import Image, Sample

NAME: Final = "eurosat"
SPLITS: Final = ("all", "train", "val", "test")
LICENCE: Final = "MIT; Copernicus open data"
LAYOUT: Final = (
    "2750/<Class>/*.jpg (RGB) or ds/images/remote_sensing/otherDatasets/sentinel_2/tif/<Class>/*.tif (13 bands); they "
    "come from https://zenodo.org/records/7711810"
)
HOMES: Final = (
    "2750", "EuroSAT_RGB", "EuroSAT", "EuroSAT_MS", "EuroSATallBands",
    "ds/images/remote_sensing/otherDatasets/sentinel_2/tif", ".",
)  # fmt: skip
CLASSES: Final = {
    "AnnualCrop": "annual crop",
    "Forest": "forest",
    "HerbaceousVegetation": "herbaceous vegetation",
    "Highway": "highway",
    "Industrial": "industrial buildings",
    "Pasture": "pasture",
    "PermanentCrop": "permanent crop",
    "Residential": "residential buildings",
    "River": "river",
    "SeaLake": "sea or lake",
}
BANDS: Final = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11", "B12", "B8A")
GSD_M: Final = 10.0


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one scene-class sample per image, RGB and 13 bands alike."""
    require_split(NAME, split, SPLITS)
    root = Path(root)
    homes = [root / home for home in HOMES if any((root / home / folder).is_dir() for folder in CLASSES)]
    if not homes:
        raise DataError(f"{NAME}: {root} holds no folders of the ten classes; expected {LAYOUT}")
    wanted = None if split == "all" else _listed(root, split)

    def convert(path: Path) -> Iterator[Sample]:
        image = _describe(path)
        kind = "bands" if image.bands else "rgb"
        sample_id = f"{NAME}/{split}/{kind}/{path.stem}"
        turn = generate.classify(CLASSES[path.parent.name], seeded(seed, sample_id))
        yield generate.wrap_turn(turn, sample_id=sample_id, images=(image,), source=NAME, split=split, licence=LICENCE)

    paths = (path for home in homes for folder in CLASSES for path in _pictures(home / folder))
    return convert_each(
        (path for path in paths if wanted is None or path.stem in wanted), convert, name=NAME, reject=reject
    )


def _pictures(folder: Path) -> list[Path]:
    """List the images of a class by number."""
    found = [path for path in folder.glob("*_*") if path.suffix in (".jpg", ".tif")]
    return sorted(found, key=lambda path: (path.suffix, len(path.stem), path.stem))


def _listed(root: Path, split: str) -> set[str]:
    path = require_path(root / f"eurosat-{split}.txt", name=NAME, layout=f"a list of file names, and {LAYOUT}")
    return {Path(line.strip()).stem for line in path.read_text(encoding="utf-8").splitlines() if line.strip()}


def _describe(path: Path) -> Image:
    if path.suffix == ".tif":
        return describe_raster(path, name=NAME, layout=LAYOUT, sensor="Sentinel-2", bands=BANDS, gsd_m=GSD_M)
    return describe_image(path, name=NAME, layout=LAYOUT, sensor="Sentinel-2", gsd_m=GSD_M)


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Helber et al., JSTARS 2019"
)
