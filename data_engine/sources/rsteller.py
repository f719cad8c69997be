"""RSTeller: NAIP patches of 448 x 448 at 0.6 m with two to five captions each, written by LLMs from OpenStreetMap tags.

Layout (the official one): *.tar below `root` (240 WebDataset tars, JPG/train-NNNNNN.tar, in an older release
Patches0000.tar), a record being <patch id>.jpg and <patch id>.json = {"metadata": {"patch_id", "image_name"},
"annotations": [{"task", "text"}]}; a <patch id>.txt, where there is one, repeats the texts. There is one split, train.
Quirks: task 1 describes an area, 2 something that is no area, 3 rewords one of them; each distinct text is a caption
sample. Texts name what a map knows and an image may not show (road names, review status). `image_name` ends with the
flight date ("m_4107501_ne_18_060_20221108").
Licence: Apache-2.0 (dataset), NAIP imagery public domain, OpenStreetMap ODbL. Citation: Ge et al., RSTeller: scaling up
visual language modeling in remote sensing with rich linguistic semantics from openly available data and large language
models, ISPRS Journal 2025.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from data_engine import generate
from data_engine.objects import seeded
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.source import Source, require_split
from data_engine.sources.tar_shards import Record, read_shards
from vlm.errors import DataError
from vlm.records import Sample

NAME: Final = "rsteller"
SPLITS: Final = ("train",)
LICENCE: Final = "Apache-2.0; NAIP imagery public domain; OpenStreetMap data ODbL"
LAYOUT: Final = (
    "WebDataset tars with <patch id>.jpg and <patch id>.json; they come from "
    "https://huggingface.co/datasets/SlytherinGe/RSTeller"
)
GSD_M: Final = 0.6
DATE: Final = re.compile(r"_(20\d\d)(\d\d)(\d\d)(_\d{8})?$")


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one caption sample per distinct text of each record; the images are embedded as they are encoded."""
    require_split(NAME, split, SPLITS)
    tars = sorted(Path(root).rglob("*.tar"))
    if not tars:
        raise DataError(f"{NAME}: {root} holds no tars; expected {LAYOUT}")

    def convert(record: Record) -> Iterator[Sample]:
        content = _parse(record)
        image = record.image("jpg", sensor="NAIP", gsd_m=GSD_M, date=_date(content))
        texts = dict.fromkeys(" ".join(str(entry["text"]).split()) for entry in content["annotations"])
        for number, text in enumerate(text for text in texts if text.rstrip(" .")):
            sample_id = f"{NAME}/{split}/{record.key}/caption-{number}"
            turn = generate.caption(text, seeded(seed, sample_id))
            yield generate.wrap_turn(
                turn, sample_id=sample_id, images=(image,), source=NAME, split=split, licence=LICENCE
            )

    return convert_each(read_shards(tars, name=NAME, reject=reject), convert, name=NAME, reject=reject)


def _parse(record: Record) -> dict[str, Any]:
    try:
        content = json.loads(record.text("json"))
    except json.JSONDecodeError as error:
        raise DataError(f"{record.shard}: {record.key}.json is not valid JSON ({error})") from error
    entries = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "text" in entry for entry in entries):
        raise DataError(f"{record.shard}: {record.key}.json has no list 'annotations' of texts")
    return content


def _date(content: dict[str, Any]) -> str | None:
    """Read the flight date at the end of a NAIP image name; a second date, if any, is that of publication."""
    metadata = content.get("metadata")
    name = str(metadata.get("image_name", "")) if isinstance(metadata, dict) else ""
    match = DATE.search(name)
    return "-".join(match.groups()[:3]) if match else None


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Ge et al., ISPRS Journal 2025"
)
