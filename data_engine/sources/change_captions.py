"""Change captions in Karpathy's JSON, as LEVIR-CC, LEVIR-MCI and SECOND-CC ship them: five sentences a pair.

    {"images": [{"filename", "filepath" or "split", "changeflag", "sentences": [{"raw"}]}]}

`changeflag` is 0 where nothing changed, and may be missing; `raw` begins and ends with a blank, and ends with a period.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_engine import generate
from data_engine.objects import seeded
from data_engine.sources.referring import Origin
from data_engine.sources.source import load_json
from vlm.errors import DataError
from vlm.records import Image, Sample

Record = dict[str, Any]


def load_records(path: Path, *, split: str, name: str, layout: str) -> list[Record]:
    """Read the pairs of a split; a file without them raises DataError."""
    content = load_json(path, name=name, layout=layout)
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise DataError(f"{path} has no list 'images': expected Karpathy's layout")
    for number, record in enumerate(content["images"]):
        if not isinstance(record, dict) or not {"filename", "split", "sentences"} <= record.keys():
            raise DataError(f"{path} entry {number} of 'images' lacks filename, split or sentences: download it again")
        if not isinstance(record["filename"], str):
            raise DataError(f"{path} entry {number} of 'images' has the filename {record['filename']!r}: expected text")
    records = [record for record in content["images"] if record["split"] == split]
    if not records:
        raise DataError(f"{path} lists no pairs of the split {split!r}: take another split or another copy of the file")
    return records


def read_sentences(record: Record) -> list[str]:
    """Give all sentences of a pair, repetitions kept, blanks joined, without the last period."""
    sentences = record["sentences"]
    if not isinstance(sentences, list) or not all(
        isinstance(s, dict) and isinstance(s.get("raw"), str) for s in sentences
    ):
        raise DataError(f"the sentences of {record['filename']} are not a list of texts 'raw': download the file again")
    cleaned = (" ".join(sentence["raw"].split()).rstrip(" .") for sentence in sentences)
    return [sentence for sentence in cleaned if sentence]


def caption_samples(record: Record, images: tuple[Image, Image], origin: Origin, *, key: str) -> Iterator[Sample]:
    """Yield one caption sample per distinct sentence, and a yes/no question where the record tells the answer."""
    if (images[0].width, images[0].height) != (images[1].width, images[1].height):
        raise DataError(
            f"{key}: the first image is {images[0].width} x {images[0].height}, the second {images[1].width} x "
            f"{images[1].height}: both must be equal"
        )
    for number, sentence in enumerate(dict.fromkeys(read_sentences(record))):
        name = f"{key}/caption-{number}"
        yield origin.wrap(generate.change_caption(sentence, seeded(origin.seed, name)), images, key=name)
    flag = record.get("changeflag")
    if flag is not None:
        if flag not in (0, 1):
            raise DataError(f"{key} has changeflag {flag!r}: expected 0 or 1")
        name = f"{key}/presence"
        yield origin.wrap(generate.change_presence(bool(flag), seeded(origin.seed, name)), images, key=name)
