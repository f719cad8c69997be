"""Files to rows: every shape in which the field stores predictions and references becomes a list of flat records.

Read: json (a list; a record that holds one; id -> value; image -> questions; columns; predictions and targets by id;
COCO captions; RSICD's `sentences`; RSVQA's questions and answers; lmms-eval's samples), jsonl (records may be wrapped
over lines), csv, tsv, parquet, npz (columns), txt (one prediction a line), each gzipped or not, and folders of such
files. What was nested keeps its place in the keys `part` or `image` (the name it stood under) and `file` (the name of
the file in a folder).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eval_suites.readers.arrays import load_arrays
from vlm.errors import DataError

Row = dict[str, Any]
CONTAINERS = ("rows", "data", "results", "predictions", "samples", "items", "outputs", "records", "docs")
SAID = ("res", "hypo", "hyps", "hypotheses", "pred", "preds", "prediction", "predictions", "results")
RIGHT = ("gts", "gt", "refs", "references", "groundtruth", "groundtruths", "targets", "labels")
PAIRS = re.compile(r"^(vqa|qa)s?(_?pairs.*)?$", re.IGNORECASE)
SUFFIXES = {".json", ".jsonl", ".csv", ".tsv", ".txt", ".parquet", ".npz"}
MANY_PARTS = 12
MOST_FIELD = 2**31 - 1
SPACE = re.compile(r"\s*")


def load_rows(path: Path) -> list[Row]:
    """Give the records of a file or of a folder of files; DataError names what cannot be read and what was expected."""
    if not path.exists():
        raise DataError(f"{path} does not exist: name a file of predictions (json, jsonl, csv, gz) or a folder of them")
    files = sorted(file for file in path.rglob("*") if _suffix(file) in SUFFIXES) if path.is_dir() else [path]
    rows = [row if file == path else {**row, "file": _stem(file)} for file in files for row in _load_file(file)]
    if not rows:
        raise DataError(f"{path} holds no record: expected a list of predictions, one record a question")
    return rows


def load_json(path: Path) -> Any:
    """Give the content of a json file, gzipped or not; DataError says where it is broken."""
    try:
        return json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is not JSON ({error}): write it again") from error


def flatten(content: Any) -> list[Row]:
    """Give the records inside any of the json shapes that the module's docstring names."""
    if isinstance(content, list):
        return [inner for entry in content for inner in _unfold(entry)]
    if not isinstance(content, dict):
        return []
    for read in (_coco, _karpathy, _questions, _container, _sides, _parts, _columns):
        rows = read(content)
        if rows:
            return rows
    return [{"id": key, "value": value} for key, value in content.items()]


def _load_file(path: Path) -> list[Row]:
    suffix = _suffix(path)
    if suffix == ".parquet":
        return flatten(_parquet(path))
    if suffix == ".npz":
        return _columns({name: values.tolist() for name, values in load_arrays(path).items()})
    text = _read_text(path)
    if suffix in (".csv", ".tsv"):
        return _table(path, text, "\t" if suffix == ".tsv" else ",")
    if suffix == ".txt":
        return [{"value": line} for line in text.splitlines()]
    records = list(_records(path, text))
    if suffix == ".json" and len(records) == 1:
        return flatten(_with_answers(path, records[0]))
    return [row for one in records for row in (flatten(one) if isinstance(one, list) else _unfold(one))]


def _table(path: Path, text: str, delimiter: str) -> list[Row]:
    csv.field_size_limit(MOST_FIELD)
    try:
        rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
        if any(None in row for row in rows):
            raise csv.Error("a line has more cells than there are names")
        return rows
    except csv.Error as error:
        raise DataError(
            f"{path} is no table ({error}): write it again, one record a line under a line of names"
        ) from error


def _parquet(path: Path) -> list[Row]:
    from pyarrow import ArrowException, parquet

    try:
        rows: list[Row] = parquet.read_table(path).to_pylist()
    except (ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read ({error}): expected a table in parquet") from error
    return rows


def _with_answers(path: Path, content: Any) -> Any:
    """Add the answers that RSVQA and CDVQA keep in the file beside: LR_split_test_questions.json, ..._answers.json."""
    beside = path.with_name(path.name.replace("questions", "answers"))
    if not isinstance(content, dict) or "questions" not in content or "answers" in content or beside == path:
        return content
    return content | {"answers": load_json(beside).get("answers")} if beside.is_file() else content


def _records(path: Path, text: str) -> Iterator[Any]:
    """Yield the records of JSON lines; a record may go over several lines, even inside its strings."""
    decoder, place = json.JSONDecoder(strict=False), 0
    while (start := SPACE.match(text, place).end()) < len(text):  # type: ignore[union-attr]
        try:
            record, place = decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            line = text.count("\n", 0, start) + 1
            raise DataError(
                f"{path} line {line} is not JSON ({error.msg}): {text[start : start + 60]!r}; write the file again"
            ) from error
        yield record


def _unfold(entry: Any) -> list[Row]:
    """Give the questions inside a record that lists them under `vqa_pairs...`, else the record itself."""
    if not isinstance(entry, dict):
        return [{"value": entry}]
    for key, value in entry.items():
        if PAIRS.match(key) and _rows(value):
            shared = {name: other for name, other in entry.items() if name != key}
            return [{**shared, **inner} for inner in value]
    if isinstance(entry.get("doc"), dict) or {"doc_id", "filtered_resps"} <= entry.keys():
        return [_answered(entry)]
    spoken = _spoken(entry)
    return [{**entry, "reference": spoken} if spoken is not None else entry]


def _answered(sample: Row) -> Row:
    """Give the answer of a sample that lmms-eval logged, the filtered one or else the raw one, with its document.

    Since 0.7 the document itself is left out, and its question, target and images stand beside the answer.
    """
    said = sample.get("filtered_resps")
    said = sample.get("resps") if said in (None, []) else said
    while isinstance(said, list) and said:
        said = said[0]
    known = sample.get("doc")
    if not isinstance(known, dict):
        images = [str(image) for image in sample.get("input_media") or () if isinstance(image, str)]
        known = {"question": sample.get("input"), "target": sample.get("target"), "image": "+".join(images) or None}
    return {**known, "prediction": said, "index": sample.get("doc_id")}


def _spoken(entry: Row) -> str | None:
    """Give the assistant's turn of a chat record without another target."""
    turns = _rows(entry.get("messages") or entry.get("conversations"))
    if {"reference", "ground_truth"} & entry.keys():
        return None
    said = [turn.get("content", turn.get("value")) for turn in turns if _speaker(turn) in ("assistant", "gpt")]
    return said[0] if said and isinstance(said[0], str) else None


def _speaker(turn: Row) -> Any:
    return turn.get("role", turn.get("from"))


def _coco(content: Row) -> list[Row]:
    """Read COCO's captions: one row an image with all captions that are written for it."""
    annotations = [row for row in _rows(content.get("annotations")) if {"caption", "image_id"} <= row.keys()]
    names = {image.get("id"): image.get("file_name") for image in _rows(content.get("images"))}
    captions: dict[Any, list[str]] = defaultdict(list)
    for annotation in annotations:
        captions[annotation["image_id"]].append(annotation["caption"])
    return [{"image_id": key, "image": names.get(key), "captions": texts} for key, texts in captions.items()]


def _karpathy(content: Row) -> list[Row]:
    """Read RSICD's and LEVIR-CC's layout: images with sentences."""
    return [
        {**image, "sentences": [str(said.get("raw", " ".join(said.get("tokens", ())))) for said in sentences]}
        for image in _rows(content.get("images"))
        if (sentences := _rows(image.get("sentences")))
    ]


def _questions(content: Row) -> list[Row]:
    """Read RSVQA's layout: questions and answers that name each other."""
    questions, answers = _rows(content.get("questions")), _rows(content.get("answers"))
    if questions and answers:
        said = {answer.get("question_id", answer.get("id")): answer.get("answer") for answer in answers}
        questions = [{**row, "answer": said.get(row.get("id"))} for row in questions]
    return [row for row in questions or answers if row.get("active", True)]


def _container(content: Row) -> list[Row]:
    for name in CONTAINERS:
        if _rows(content.get(name)):
            return flatten(content[name])
    return []


def _sides(content: Row) -> list[Row]:
    """Read two records of id -> value, those of pycocoevalcap: what was said, and what is right."""
    sides = {re.sub(r"\W|_", "", name.lower()): side for name, side in content.items() if isinstance(side, dict)}
    said = next((sides[name] for name in SAID if name in sides), None)
    right = next((sides[name] for name in RIGHT if name in sides), None)
    if not said or not right:
        return []
    return [{"id": key, "prediction": said.get(key), "ground_truth": value} for key, value in right.items()]


def _parts(content: Row) -> list[Row]:
    """Read name -> rows (tasks, or images with their questions) and id -> record."""
    lists = {key: value for key, value in content.items() if _rows(value)}
    if lists:
        place = "image" if len(lists) > MANY_PARTS or all(Path(key).suffix for key in lists) else "part"
        return [{place: key, **row} for key, rows in lists.items() for row in rows]
    records = {key: value for key, value in content.items() if isinstance(value, dict)}
    return [{"id": key, **value} for key, value in records.items()] if len(records) == len(content) else []


def _columns(content: Row) -> list[Row]:
    """Read columns of equal length: name -> values."""
    lists = {key: value for key, value in content.items() if isinstance(value, list)}
    lengths = {len(value) for value in lists.values()}
    if len(lists) < 2 or len(lists) != len(content) or len(lengths) != 1:
        return []
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def _rows(value: Any) -> list[Row]:
    """Give a list of records as it is, and anything else as no record."""
    return value if isinstance(value, list) and all(isinstance(entry, dict) for entry in value) else []


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}): expected UTF-8 text, gzipped or not") from error


def _suffix(path: Path) -> str:
    return (Path(path.stem).suffix if path.suffix == ".gz" else path.suffix).lower()


def _stem(path: Path) -> str:
    return Path(path.stem).stem if path.suffix == ".gz" else path.stem
