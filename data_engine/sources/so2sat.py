"""So2Sat LCZ42: 400,673 pairs of Sentinel-1 and Sentinel-2 patches, 32 x 32 at 10 m, in 17 local climate zones.

Layout (the official one, versions 2 and 4): {training,validation,testing}.h5, HDF5 with sen1 (N, 32, 32, 8), sen2 (N,
32, 32, 10) and label (N, 17, one-hot). The splits are by city (42, and halves of ten others).
Quirks: no patch is a file, so images are not named by path but embedded, each as a GeoTIFF with its bands and pixel
type; sen2 is reflectance in 0..1, sen1 has real and imaginary parts, Lee-filtered intensities and the covariance. The
geolocation of version 4 (*_geo.h5) is not read: its world files do not say whether they mean pixel corners or centres.
Licence: CC BY 4.0. Citation: Zhu et al., So2Sat LCZ42: a benchmark data set for the classification of global local
climate zones, IEEE GRSM 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from data_engine import generate
from data_engine.objects import seeded
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.label_turns import name_label
from data_engine.sources.source import Source, require_path, require_split
from vlm.errors import DataError
from vlm.records import Image, Sample

NAME: Final = "so2sat"
FILES: Final = {"train": "training.h5", "val": "validation.h5", "test": "testing.h5"}
SPLITS: Final = tuple(FILES)
LICENCE: Final = "CC BY 4.0"
LAYOUT: Final = "training.h5, validation.h5 or testing.h5; they come from https://mediatum.ub.tum.de/1836598"
ZONES: Final = (
    "compact high-rise", "compact mid-rise", "compact low-rise", "open high-rise", "open mid-rise", "open low-rise",
    "lightweight low-rise", "large low-rise", "sparsely built", "heavy industry", "dense trees", "scattered trees",
    "bush or scrub", "low plants", "bare rock or paved", "bare soil or sand", "water",
)  # fmt: skip
BANDS: Final = {
    "sen2": ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12"),
    "sen1": (
        "VH real", "VH imaginary", "VV real", "VV imaginary", "VH intensity", "VV intensity", "covariance real",
        "covariance imaginary",
    ),
}  # fmt: skip
SENSORS: Final = {"sen2": "Sentinel-2", "sen1": "Sentinel-1"}
GSD_M: Final = 10.0
BATCH: Final = 256


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield the local climate zone of each patch, once for the optical and once for the SAR image of it."""
    require_split(NAME, split, SPLITS)
    path = require_path(Path(root) / FILES[split], name=NAME, layout=LAYOUT)

    def convert(record: tuple[int, dict[str, np.ndarray]]) -> Iterator[Sample]:
        number, arrays = record
        zone = _zone(arrays["label"], where=f"{path} patch {number}")
        for kind in BANDS:
            sample_id = f"{NAME}/{split}/{number:06d}/{kind}"
            turn = name_label("climate_zone", zone, seeded(seed, sample_id))
            image = _embed(arrays[kind], kind)
            yield generate.wrap_turn(
                turn, sample_id=sample_id, images=(image,), source=NAME, split=split, licence=LICENCE
            )

    return convert_each(_patches(path), convert, name=NAME, reject=reject)


def _patches(path: Path) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Yield (number, arrays) of each patch; BATCH of them are in memory."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if not {*BANDS, "label"} <= set(file):
                raise DataError(f"{path} holds {sorted(file)}: expected sen1, sen2 and label; expected {LAYOUT}")
            for start in range(0, file["label"].shape[0], BATCH):
                batch = {key: file[key][start : start + BATCH] for key in (*BANDS, "label")}
                for offset in range(len(batch["label"])):
                    yield start + offset, {key: values[offset] for key, values in batch.items()}
    except OSError as error:
        raise DataError(f"{path} cannot be read as HDF5 ({error}): download it again") from error


def _zone(one_hot: np.ndarray, *, where: str) -> str:
    if one_hot.shape != (len(ZONES),) or np.count_nonzero(one_hot) != 1:
        raise DataError(f"{where} has the label {one_hot.tolist()}: expected one of 17 values to be set")
    return ZONES[int(one_hot.argmax())]


def _embed(pixels: np.ndarray, kind: str) -> Image:
    """Encode a patch (rows, cols, bands) as a GeoTIFF with its band names, without loss."""
    from rasterio.io import MemoryFile

    from vlm.dataset import quiet

    rows, cols, count = pixels.shape
    if count != len(BANDS[kind]):
        raise DataError(f"{NAME}: a patch of {kind} has {count} bands: expected {len(BANDS[kind])}")
    profile = {"driver": "GTiff", "height": rows, "width": cols, "count": count, "dtype": pixels.dtype.name}
    with MemoryFile() as memory, quiet():
        with memory.open(**profile, compress="deflate") as dataset:
            dataset.write(np.moveaxis(pixels, -1, 0))
            dataset.descriptions = BANDS[kind]
        data = memory.read()
    return Image(data=data, width=cols, height=rows, sensor=SENSORS[kind], bands=BANDS[kind], gsd_m=GSD_M)


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Zhu et al., IEEE GRSM 2020"
)
