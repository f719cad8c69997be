"""NWPU-Captions: five captions an image of NWPU-RESISC45, 31,500 images of 256 x 256 in 45 scene classes.

Layout: dataset_nwpu.json = {class: [{"filename", "split", "imgid", "raw", "raw_1", ... "raw_4"}]} and
NWPU_images/<class>/<filename>; the archive NWPU_images.tar.gz unpacks to that folder. train 25,200, val 3,150, test
3,150. The layout is the one that published loaders read; the JSON itself was not at hand.
Quirks: the sentences are five keys, not a list; images lie in a folder a class, and the class is the scene theme
("baseball_diamond"); sentences repeat, a caption sample is made of each distinct one. Some text is not plain ASCII.
Licence: none stated; research use. Citation: Cheng et al., NWPU-Captions dataset and MLCA-Net for remote sensing image
captioning, TGRS 2022; images: Cheng et al., Proc. IEEE 2017.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from data_engine import generate
from data_engine.objects import seeded
from data_engine.sources import karpathy
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.source import load_json, require_split
from vlm.errors import DataError
from vlm.records import Sample

SENTENCES: Final = ("raw", "raw_1", "raw_2", "raw_3", "raw_4")
NWPU: Final = karpathy.CaptionSet(
    name="nwpu_captions",
    splits=("train", "val", "test"),
    licence="none stated; research use",
    layout=(
        "dataset_nwpu.json and NWPU_images/<class>/*.jpg; they come from https://github.com/HaiyanHuang98/NWPU-Captions"
    ),
    home="NWPU-Captions",
    annotations="dataset_nwpu.json",
    images="NWPU_images",
    citation="Cheng et al., TGRS 2022",
)
Entry = tuple[str, dict[str, Any]]


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one caption sample per distinct sentence and one theme sample per image of the split."""
    require_split(NWPU.name, split, NWPU.splits)

    def convert(entry: Entry) -> Iterator[Sample]:
        theme, record = entry
        filename = f"{theme}/{record['filename']}"
        image = NWPU.image(root, filename)
        cleaned = [str(record[key]).rstrip(" .").strip() for key in SENTENCES if key in record]
        captions = (filename, [sentence for sentence in cleaned if sentence])
        yield from karpathy.caption_samples(NWPU, captions, image, split=split, seed=seed)
        sample_id = f"{NWPU.name}/{split}/{Path(filename).stem}/theme"
        turn = generate.classify(theme.replace("_", " "), seeded(seed, sample_id))
        yield generate.wrap_turn(
            turn, sample_id=sample_id, images=(image,), source=NWPU.name, split=split, licence=NWPU.licence
        )

    entries = _entries(NWPU.folder(root) / NWPU.annotations, split)
    return convert_each(entries, convert, name=NWPU.name, reject=reject)


def _entries(path: Path, split: str) -> Iterator[Entry]:
    content = load_json(path, name=NWPU.name, layout=NWPU.layout)
    if not isinstance(content, dict) or not all(isinstance(records, list) for records in content.values()):
        raise DataError(f"{path} does not map classes to lists: expected the layout of NWPU-Captions")
    for theme, records in content.items():
        for number, record in enumerate(records):
            if not isinstance(record, dict) or not {"filename", "split", "raw"} <= record.keys():
                raise DataError(f"{path} entry {number} of {theme!r} lacks filename, split or raw: download it again")
            if record["split"] == split:
                yield theme, record


SOURCE: Final = NWPU.source(load)
