"""RS5M: five million image-text pairs in WebDataset tars, about 500 GB, read as a stream.

Layout (the official one): {pub11,rs3}-{train,val}-NNNN.tar anywhere below `root` (the release has train/ and val/); a
record is <key>.img_content (an encoded image), <key>.img_name and <key>.caption. The *.csv files beside them repeat
names and captions and are not read.
Quirks: pub11 comes from eleven public web collections, so its captions are the web's ("souraku stadium oita"); rs3 is
captioned by BLIP-2, and for fMoW and BigEarthNet the caption begins with metadata (place, season, UTM zone, date, sun
angles) that no image shows; the id says which of the two a record is ("rs3-train-0007").
Licence: annotations CC BY-NC 4.0; images keep their sources' licences. Citation: Zhang et al., RS5M and GeoRSCLIP: a
large scale vision-language dataset and a large vision-language model for remote sensing, TGRS 2024.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine import generate
from data_engine.objects import seeded
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.source import Source, require_split
from data_engine.sources.tar_shards import Record, read_shards
from vlm.errors import DataError
from vlm.records import Sample

NAME: Final = "rs5m"
SPLITS: Final = ("train", "val")
LICENCE: Final = "annotations CC BY-NC 4.0; images as their sources"
LAYOUT: Final = (
    "pub11-<split>-NNNN.tar and rs3-<split>-NNNN.tar with <key>.img_content, .img_name and .caption; they come from "
    "https://github.com/om-ai-lab/RS5M"
)
FILE_NAME: Final = re.compile(r"(pub11|rs3)-(\w+)-\d+\.tar")


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one caption sample per record of the split's tars; the images are embedded as they are encoded."""
    require_split(NAME, split, SPLITS)
    tars = [path for path in sorted(Path(root).rglob("*.tar")) if _split_of(path) == split]
    if not tars:
        raise DataError(f"{NAME}: {root} holds no tars of the split {split!r}; expected {LAYOUT}")

    def convert(record: Record) -> Iterator[Sample]:
        sample_id = f"{NAME}/{split}/{record.shard.stem}/{record.key}"
        sentence = " ".join(record.text("caption").split())
        if not sentence.rstrip(" ."):
            raise DataError(f"{record.shard}: the caption of {record.key} is empty")
        turn = generate.caption(sentence, seeded(seed, sample_id))
        images = (record.image("img_content"),)
        yield generate.wrap_turn(turn, sample_id=sample_id, images=images, source=NAME, split=split, licence=LICENCE)

    return convert_each(read_shards(tars, name=NAME, reject=reject), convert, name=NAME, reject=reject)


def _split_of(path: Path) -> str:
    match = FILE_NAME.fullmatch(path.name)
    return match.group(2) if match else ""


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Zhang et al., TGRS 2024"
)
