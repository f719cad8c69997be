"""refGeo (GeoGround): 161,000 expressions of RSVG, DIOR-RSVG, GeoChat, VRSBench and AVVG, with box, corners and mask.

Layout: metainfo/<set>_{train,val,test}.jsonl and images/<set>/<image_id>, sets as named in SETS; masks/<set>/ where
they were unpacked. The records are those of data_engine.formats.refgeo_jsonl, pixels of the original image. The layout
is known from published loaders (RSCoVLM, GeoBox-R1); the archive itself was not at hand. Folders are spelled
differently in copies ("DIOR-RSVG", "dior_rsvg"); any spelling with the same letters is taken.
Quirks: only geochat, vrsbench and avvg have oriented boxes of their own; elsewhere `poly` repeats the box and makes no
sample. Some images are .png where the record says .jpg. Records may be wrapped over several lines.
Licence: none stated; images under the terms of their datasets.
Citation: Zhou et al., GeoGround: a unified large vision-language model for remote sensing visual grounding, arXiv
2411.11904, 2024.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine.sources.boundary import Reject, report_to
from data_engine.sources.source import Source, require_path, require_split
from vlm.errors import DataError
from vlm.records import Sample

NAME: Final = "refgeo"
SPLITS: Final = ("train", "val", "test")
LICENCE: Final = "none stated; images under their datasets' terms"
LAYOUT: Final = (
    "metainfo/<set>_<split>.jsonl and images/<set>/ for the sets rsvg, dior_rsvg, geochat, vrsbench and avvg; they "
    "come from https://huggingface.co/datasets/erenzhou/refGeo"
)
SETS: Final = ("rsvg", "dior_rsvg", "geochat", "vrsbench", "avvg")


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield the grounding samples of each set: boxes, oriented boxes that are real, masks that are there."""
    require_split(NAME, split, SPLITS)
    folder = require_path(Path(root) / "metainfo", name=NAME, layout=LAYOUT)
    files = {name: folder / f"{name}_{split}.jsonl" for name in SETS}
    found = {name: path for name, path in files.items() if path.exists()}
    if not found:
        raise DataError(f"{NAME}: {folder} holds no files of the split {split!r}; expected {LAYOUT}")
    for name, path in found.items():
        images = _find_images(Path(root) / "images", path, name)
        yield from _load_set(path, images, split=split, seed=seed, reject=reject)


def _load_set(path: Path, images: Path, *, split: str, seed: int, reject: Reject | None) -> Iterator[Sample]:
    from data_engine.formats import Reading, refgeo_jsonl

    reading = Reading(
        images=images, source=NAME, split=split, licence=LICENCE, seed=seed, on_error=report_to(reject, NAME)
    )
    return refgeo_jsonl.load(path, reading)


def _find_images(folder: Path, path: Path, name: str) -> Path:
    """Give images/ where the records say the folder in it as it is spelled, else the folder of the set itself."""
    from data_engine.formats.json_records import read_records

    first = next((record for _, record in read_records(path, lambda error: None)), {})
    if not folder.is_dir() or (folder / str(first.get("dataset", "?"))).is_dir():
        return folder
    spelled = [inner for inner in sorted(folder.iterdir()) if inner.is_dir() and _letters(inner.name) == _letters(name)]
    return spelled[0] if spelled else folder


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Zhou et al., arXiv 2411.11904, 2024"
)
