"""Caption datasets in Karpathy's JSON, as RSICD, UCM-Captions, Sydney-Captions and RSITMD ship them.

    {"images": [{"filename", "split", "sentences": [{"raw"}]}], "dataset"}

`raw` may end with " ."; a few sentences are nothing but "."; most images repeat a sentence up to five times, so a
caption sample is made of each distinct sentence only. A file name that is listed twice in a split (RSICD's test split
has one) is one image with the sentences of both entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_engine import generate
from data_engine.objects import seeded
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.source import Loader, Source, describe_image, load_json, require_split
from vlm.errors import DataError
from vlm.records import Image, Sample

Captions = tuple[str, list[str]]
"""A file name and its sentences, repetitions kept, without their trailing periods."""


@dataclass(frozen=True, slots=True)
class CaptionSet:
    """Say where a dataset keeps its JSON and its images below `home`, which may be the root itself or lie in it."""

    name: str
    splits: tuple[str, ...]
    licence: str
    layout: str
    home: str
    annotations: str
    images: str
    citation: str
    sensor: str | None = None
    gsd_m: float | None = None

    def load(self, root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
        """Yield one caption sample per distinct sentence of each image of the split."""

        def convert(record: Captions) -> Iterator[Sample]:
            return caption_samples(self, record, self.image(root, record[0]), split=split, seed=seed)

        return convert_each(load_captions(self, root, split=split).items(), convert, name=self.name, reject=reject)

    def source(self, load: Loader | None = None) -> Source:
        """Give the dataset as a source, with a `load` of its own where it has more than captions."""
        return Source(self.name, load or self.load, self.splits, self.layout, self.licence, self.citation)

    def folder(self, root: Path) -> Path:
        """Give the dataset's own folder: `root`, or the folder named `home` in it."""
        return Path(root) / self.home if (Path(root) / self.home).is_dir() else Path(root)

    def image(self, root: Path, filename: str) -> Image:
        """Name one image by path with its size; a missing or broken one raises DataError."""
        path = self.folder(root) / self.images / filename
        return describe_image(path, name=self.name, layout=self.layout, sensor=self.sensor, gsd_m=self.gsd_m)


def load_captions(dataset: CaptionSet, root: Path, *, split: str) -> dict[str, list[str]]:
    """Give all sentences of each image of the split by file name, repetitions kept, without the trailing period."""
    require_split(dataset.name, split, dataset.splits)
    path = dataset.folder(root) / dataset.annotations
    found: dict[str, list[str]] = {}
    for record in _load_records(dataset, path):
        if record["split"] == split:
            found.setdefault(record["filename"], []).extend(_sentences(record))
    if not found:
        raise DataError(
            f"{path} lists no images of the split {split!r}: take another split or another copy of the file"
        )
    return found


def caption_samples(
    dataset: CaptionSet, record: Captions, image: Image, *, split: str, seed: int = 0
) -> Iterator[Sample]:
    """Yield one caption sample per distinct sentence of one image."""
    filename, sentences = record
    for number, sentence in enumerate(dict.fromkeys(sentences)):
        sample_id = f"{dataset.name}/{split}/{Path(filename).stem}/caption-{number}"
        turn = generate.caption(sentence, seeded(seed, sample_id))
        yield generate.wrap_turn(
            turn, sample_id=sample_id, images=(image,), source=dataset.name, split=split, licence=dataset.licence
        )


def _load_records(dataset: CaptionSet, path: Path) -> list[dict[str, Any]]:
    content = load_json(path, name=dataset.name, layout=dataset.layout)
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise DataError(f"{path} has no list 'images': expected Karpathy's layout")
    for number, record in enumerate(content["images"]):
        if not isinstance(record, dict) or not {"filename", "split", "sentences"} <= record.keys():
            raise DataError(f"{path} entry {number} of 'images' lacks filename, split or sentences: download it again")
    return content["images"]


def _sentences(record: dict[str, Any]) -> list[str]:
    cleaned = (str(sentence["raw"]).rstrip(" .").strip() for sentence in record["sentences"])
    return [sentence for sentence in cleaned if sentence]
