"""Image-text pairs as people keep them for contrastive training: WebDataset tars, or Parquet files of images and texts.

Layout: *.tar anywhere below `root`, a record being <key>.{jpg,jpeg,png,webp,tif,...} with <key>.txt, and <key>.pt.txt,
<key>.zh.txt ... for captions in other languages, a caption a line; and *.parquet with a column `image` (bytes, or the
{bytes, path} of datasets.Image, or a path from the file's folder) and a column `caption` or `text`, and caption_pt,
caption_zh ... for other languages, each a text or a list of texts. Files below a folder named train, val or test are of
that split; "all" is every file.
Quirks: of a record's .json only an id that ends in a language is read (what `--to webdataset` writes), its other files
are not; img2dataset's records that failed have no image and are counted as bad. The language is kept at the end of a
sample's id (data_engine/languages.py).
Licence: that of the set; "unknown" here. Citation: that of the set.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from data_engine import generate
from data_engine.languages import ENGLISH, is_language, mark_language, read_language
from data_engine.objects import seeded
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.source import Source, describe_image, require_path, require_split
from data_engine.sources.tar_shards import Record, read_shards
from data_engine.store.images import ImageFaultError
from vlm.errors import DataError
from vlm.records import Image, Sample

NAME: Final = "image_text"
SPLITS: Final = ("all", "train", "val", "test")
LICENCE: Final = "unknown"
LAYOUT: Final = (
    "*.tar of <key>.jpg and <key>.txt, or *.parquet with columns image and caption; such sets come from "
    "https://github.com/rom1504/img2dataset, https://huggingface.co/datasets and others"
)
IMAGES: Final = ("jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp", "jp2")
TEXT: Final = "txt"
COLUMNS: Final = ("caption", "text")
ROWS: Final = 64
"""Rows of a Parquet file that are held at a time."""
Texts = list[tuple[str, str]]
"""Codes of languages and captions."""


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield a caption sample for each distinct caption of each image, in each language."""
    require_split(NAME, split, SPLITS)
    root = require_path(Path(root), name=NAME, layout=LAYOUT)
    tars, tables = (_files(root, suffix, split) for suffix in (".tar", ".parquet"))
    if not tars and not tables:
        raise DataError(f"{NAME}: {root} holds no tars or Parquet files of the split {split!r}; expected {LAYOUT}")

    def name(path: Path, key: str) -> str:
        return f"{NAME}/{split}/{path.relative_to(root).with_suffix('').as_posix()}/{key}"

    def of_record(record: Record) -> Iterator[Sample]:
        kind = next((kind for kind in record.files if kind.lower() in IMAGES), "jpg")
        yield from _samples(name(record.shard, record.key), record.image(kind), _read_texts(record), split, seed)

    def of_row(found: tuple[Path, int, dict[str, Any]]) -> Iterator[Sample]:
        path, number, row = found
        key = f"{number:08d}"
        yield from _samples(
            name(path, key), _row_image(path, key, row["image"]), _row_texts(path, key, row), split, seed
        )

    yield from convert_each(read_shards(tars, name=NAME, reject=reject), of_record, name=NAME, reject=reject)
    yield from convert_each(_rows(tables), of_row, name=NAME, reject=reject)


def _files(root: Path, suffix: str, split: str) -> list[Path]:
    found = sorted(root.rglob(f"*{suffix}"))
    return found if split == "all" else [path for path in found if split in path.relative_to(root).parts[:-1]]


def _samples(key: str, image: Image, texts: Texts, split: str, seed: int) -> Iterator[Sample]:
    if not texts:
        raise DataError(f"{key} has no caption: expected a text beside the image")
    for number, (code, text) in enumerate(dict.fromkeys(texts)):
        sample_id = mark_language(f"{key}/caption-{number}", code)
        turn = generate.caption(text, seeded(seed, sample_id))
        yield generate.wrap_turn(turn, sample_id=sample_id, images=(image,), source=NAME, split=split, licence=LICENCE)


def _read_texts(record: Record) -> Texts:
    found: Texts = []
    own = _own_language(record)
    for kind in sorted(record.files, key=lambda kind: (kind != TEXT, kind)):
        code, dot, last = kind.rpartition(".")
        if last == TEXT and (not dot or is_language(code)):
            found += [(code or own, line) for line in _clean(record.text(kind).splitlines())]
    return found


def _own_language(record: Record) -> str:
    """Give the language of a record's .txt: that of the id in its .json, where `convert --to webdataset` wrote it."""
    try:
        content = json.loads(record.text("json")) if "json" in record.files else {}
    except (json.JSONDecodeError, DataError):
        return ENGLISH
    return read_language(str(content.get("id", ""))) if isinstance(content, dict) else ENGLISH


def _rows(paths: list[Path]) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """Yield the rows of Parquet files with their numbers; a file that cannot be read raises DataError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                names = file.schema_arrow.names
                captions = [name for name in names if _language(name)]
                if "image" not in names or not captions:
                    raise DataError(f"{path} has the columns {', '.join(names)}: expected image, and caption or text")
                number = 0
                for batch in file.iter_batches(ROWS, columns=["image", *captions], use_threads=False):
                    for row in batch.to_pylist():
                        yield path, number, row
                        number += 1
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path} cannot be read as Parquet ({error}): download it again") from error


def _row_texts(path: Path, key: str, row: dict[str, Any]) -> Texts:
    found: Texts = []
    for name, value in row.items():
        code = _language(name)
        values = value if isinstance(value, list) else [value]
        if code and any(one is not None and not isinstance(one, str) for one in values):
            raise DataError(f"{path} row {key}: {name} holds {value!r:.60}: expected a text or a list of texts")
        found += [(code, text) for text in _clean([one for one in values if one])] if code else []
    return found


def _row_image(path: Path, key: str, value: Any) -> Image:
    data = value.get("bytes") if isinstance(value, dict) else value
    place = value.get("path") if isinstance(value, dict) else value
    if isinstance(data, bytes) and data:
        return Record(key, path, {"image": data}).image("image")
    if isinstance(place, str) and place:
        return describe_image(path.parent / place, name=NAME, layout=LAYOUT)
    raise ImageFaultError("missing image", f"{path} row {key} has no image: expected bytes or a path")


def _language(column: str) -> str:
    """Give the language that a column of captions is in; "" for a column of something else."""
    for name in COLUMNS:
        code = column.removeprefix(f"{name}_")
        if column == name:
            return ENGLISH
        if code != column and is_language(code):
            return code
    return ""


def _clean(lines: list[str]) -> list[str]:
    return [text for text in (" ".join(line.split()) for line in lines) if text.rstrip(" .")]


SOURCE: Final = Source(name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="that of the set")
