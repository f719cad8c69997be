"""BigEarthNet v2 (reBEN): 549,488 pairs of Sentinel-1 and Sentinel-2 patches, 120 x 120 at 10 m, 19 land cover classes.

Layout (the official one, Zenodo 10891137): metadata.parquet with patch_id, labels, split, s1_name and more;
BigEarthNet-S2/<tile>/<patch_id>/<patch_id>_B*.tif (12 bands in three sizes) and, where it was unpacked,
BigEarthNet-S1/<tile>/<s1_name>/<s1_name>_{VV,VH}.tif. <tile> is patch_id without its last two parts, s1_name without
its last three. Read from published loaders; the archives were not at hand.
Quirks: an image is its folder, which opens as one raster on the 10 m grid in the order of `bands` (B8A after B8, no
B10; VH before VV); the split is called "validation", here val. Patches that the metadata marks as snowy or cloudy are
left out: their labels cannot be seen. Class names have commas, so lists are joined by ";". The pixel maps
(Reference_Maps) and version 1 (43 classes in JSON) are not read.
Licence: CDLA-Permissive 1.0. Citation: Clasen et al., reBEN: refined BigEarthNet dataset for remote sensing image
analysis, IGARSS 2025; Sumbul et al., BigEarthNet-MM, GRSM 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from data_engine import generate
from data_engine.objects import seeded
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.label_turns import list_labels
from data_engine.sources.rasters import describe_raster
from data_engine.sources.source import Source, require_path, require_split
from vlm.errors import DataError
from vlm.records import Image, Sample
from vlm.sensors import SENSORS

NAME: Final = "bigearthnet"
SPLITS: Final = ("train", "val", "test")
LICENCE: Final = "CDLA-Permissive 1.0"
LAYOUT: Final = (
    "metadata.parquet, BigEarthNet-S2/<tile>/<patch>/*.tif and optionally BigEarthNet-S1/; they come from "
    "https://zenodo.org/records/10891137"
)
CLASSES: Final = (
    "Urban fabric", "Industrial or commercial units", "Arable land", "Permanent crops", "Pastures",
    "Complex cultivation patterns",
    "Land principally occupied by agriculture, with significant areas of natural vegetation", "Agro-forestry areas",
    "Broad-leaved forest", "Coniferous forest", "Mixed forest", "Natural grassland and sparsely vegetated areas",
    "Moors, heathland and sclerophyllous vegetation", "Transitional woodland, shrub", "Beaches, dunes, sands",
    "Inland wetlands", "Coastal wetlands", "Inland waters", "Marine waters",
)  # fmt: skip
COLUMNS: Final = ("patch_id", "labels", "split", "s1_name")
UNSEEN: Final = ("contains_seasonal_snow", "contains_cloud_or_shadow")
S1_BANDS: Final = ("vh", "vv")
GSD_M: Final = 10.0
BATCH_ROWS: Final = 4096


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one sample with the list of land cover classes per patch, and one for its SAR patch where S1 is there."""
    require_split(NAME, split, SPLITS)
    root = Path(root)
    metadata = require_path(root / "metadata.parquet", name=NAME, layout=LAYOUT)

    def convert(row: dict[str, Any]) -> Iterator[Sample]:
        labels = _labels(row)
        for image in _images(root, row):
            sample_id = f"{NAME}/{split}/{Path(str(image.path)).name}/classes"
            turn = list_labels(labels, seeded(seed, sample_id))
            yield generate.wrap_turn(
                turn, sample_id=sample_id, images=(image,), source=NAME, split=split, licence=LICENCE
            )

    return convert_each(_rows(metadata, "validation" if split == "val" else split), convert, name=NAME, reject=reject)


def _rows(path: Path, split: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a split a batch at a time, without those that nobody can see the labels of."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            missing = set(COLUMNS) - set(file.schema_arrow.names)
            if missing:
                raise DataError(
                    f"{path} lacks the columns {', '.join(sorted(missing))}: expected the metadata of reBEN"
                )
            flags = [column for column in UNSEEN if column in file.schema_arrow.names]
            for batch in file.iter_batches(BATCH_ROWS, columns=[*COLUMNS, *flags]):
                for row in batch.to_pylist():
                    if row["split"] == split and not any(row[flag] for flag in flags):
                        yield row
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet ({error}): download it again") from error


def _labels(row: dict[str, Any]) -> tuple[str, ...]:
    unknown = sorted(set(row["labels"] or ()) - set(CLASSES))
    if unknown or not row["labels"]:
        raise DataError(
            f"{NAME} patch {row['patch_id']} has the labels {row['labels']}: expected some of the 19 classes"
        )
    return tuple(label[0].lower() + label[1:] for label in CLASSES if label in row["labels"])


def _images(root: Path, row: dict[str, Any]) -> Iterator[Image]:
    patch, sar = str(row["patch_id"]), str(row["s1_name"])
    optical = SENSORS["sentinel2_l2a"]
    path = root / "BigEarthNet-S2" / patch.rsplit("_", 2)[0] / patch
    yield describe_raster(
        path, name=NAME, layout=LAYOUT, sensor="Sentinel-2", bands=optical.codes, gsd_m=GSD_M, date=_date(patch)
    )
    if (root / "BigEarthNet-S1").is_dir():
        path = root / "BigEarthNet-S1" / sar.rsplit("_", 3)[0] / sar
        yield describe_raster(
            path, name=NAME, layout=LAYOUT, sensor="Sentinel-1", bands=S1_BANDS, gsd_m=GSD_M, date=_date(sar)
        )


def _date(name: str) -> str | None:
    """Read the date of the first part such as 20170613T101031 of a product name."""
    for part in name.split("_"):
        if len(part) == 15 and part[8] == "T" and part[:8].isdigit():
            return f"{part[:4]}-{part[4:6]}-{part[6:8]}"
    return None


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE,
    citation="Clasen et al., IGARSS 2025; Sumbul et al., GRSM 2021",
)  # fmt: skip
