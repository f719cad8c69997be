"""DOTA's files and their like: label folders, Task1 result folders, and JSON of images with their objects.

Targets: a folder of label files, one an image (`x1 y1 ... x4 y4 class difficult` a line, headers left out), or JSON.
Predictions: a folder of `Task1_CLASS.txt` (`image score x1 y1 ... x4 y4` a line), a folder of label files, or JSON.
JSON is a list of images, or a record with `images` (and `classes`): each image has a name and objects, or a model's
text. An entry is an image; its prediction is text, a list of objects (class, 8 numbers, score), or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from eval_suites.readers.loaded import Entry, Field, Loaded, Options
from eval_suites.readers.rows import load_json, load_rows
from vlm.errors import DataError

IMAGE_KEYS = ("image", "image_id", "file_name", "filename", "img", "img_id", "id", "image_path", "name")
FOUND_KEYS = ("det", "dets", "pred", "preds", "prediction", "predictions", "pred_instances", "detections", "answer",
              "output", "response", "text")  # fmt: skip
TARGET_KEYS = ("gt", "gts", "ground_truth", "target", "targets", "gt_instances", "annotations", "labels", "objects")
SHAPE_KEYS = ("poly", "polygon", "polygons", "qbox", "quad", "bbox", "box", "obb", "points")
CLASS_KEYS = ("label", "category", "class", "name", "category_id", "labels", "cls")
RESULT_PREFIX = "Task1_"
CORNERS = 8
Object = tuple[Any, tuple[float, ...], float]
Sizes = dict[str, dict[str, Any]]


def read_detections(predictions: Path, references: Path | None, fields: tuple[Field, ...], options: Options) -> Loaded:
    """Read objects of both sides, an entry an image; DataError says what was expected."""
    del fields
    if not predictions.exists():
        raise DataError(f"{predictions} does not exist: name a folder of DOTA files, or JSON of images with objects")
    if references is None:
        rows, classes = _image_rows(predictions)
        found = _objects_by_image(rows, FOUND_KEYS, options, "prediction")
        targets, sizes = _objects_by_image(rows, TARGET_KEYS, options, "target"), _sizes(rows)
    else:
        found, _, _ = _read_side(predictions, FOUND_KEYS, options, "prediction")
        targets, classes, sizes = _read_side(references, TARGET_KEYS, options, "target")
    if not targets:
        raise DataError(f"{references or predictions} holds no image with targets: expected DOTA labels or JSON")
    if any(isinstance(value, str) for value in targets.values()):
        raise DataError(f"{references or predictions} has targets in words: expected a list of objects, or DOTA labels")
    if found and not targets.keys() & found.keys():
        found, targets = ({_stem(name): value for name, value in side.items()} for side in (found, targets))
    entries = tuple(
        Entry(name, name, found.get(name), objects or [], values=sizes.get(name, {}))
        for name, objects in sorted(targets.items())
    )
    unpaired = [f"image {name} has predictions and no targets: left out" for name in sorted(found.keys() - targets)]
    unpaired += [f"image {e.id} has no prediction: it counts as empty" for e in entries if e.id not in found]
    return Loaded(entries, {"prediction": "objects", "target": "objects", "paired by": "image"}, tuple(unpaired),
                  {"classes": classes})  # fmt: skip


def _read_side(path: Path, keys: tuple[str, ...], options: Options, what: str) -> tuple[dict[str, Any], Any, Sizes]:
    """Give what each image holds on one side, the names of classes and the sizes of images, where files say them."""
    if path.is_dir():
        files = sorted(path.glob("*.txt")) or sorted(path.rglob("*.txt"))
        if not files:
            raise DataError(f"{path} holds no txt file: expected DOTA labels or {RESULT_PREFIX}CLASS.txt files")
        if all(file.name.startswith(RESULT_PREFIX) for file in files):
            return _read_results(files), None, {}
        return {file.stem: [_label(line, file) for line in _lines(file)] for file in files}, None, {}
    if path.suffix == ".txt" and path.name.startswith(RESULT_PREFIX):
        return _read_results([path]), None, {}
    rows, classes = _image_rows(path)
    return _objects_by_image(rows, (*keys, *TARGET_KEYS, *FOUND_KEYS), options, what), classes, _sizes(rows)


def _image_rows(path: Path) -> tuple[list[Mapping[str, Any]], Any]:
    """Give the rows of images, and the names of classes where the file says them."""
    if path.is_dir():
        raise DataError(f"{path} is a folder of predictions: name the targets with --references")
    content = load_json(path) if ".json" in path.suffixes and ".jsonl" not in path.suffixes else None
    if isinstance(content, Mapping):
        rows = content.get("images")
        if isinstance(rows, list):
            return _records(rows, path), content.get("classes")
        return [{"image": name, "prediction": value} for name, value in content.items()], None
    return _records(content, path) if isinstance(content, list) else list(load_rows(path)), None


def _records(rows: list[Any], path: Path) -> list[Mapping[str, Any]]:
    if not all(isinstance(row, Mapping) for row in rows):
        raise DataError(f"{path} lists other things than images: expected a record an image, with its objects")
    return rows


def _objects_by_image(
    rows: Iterable[Mapping[str, Any]], keys: tuple[str, ...], options: Options, what: str
) -> dict[str, Any]:
    """Give what each image holds under the first of the keys: text as it is, records as objects.

    A row with a shape of its own is one object of its image.
    """
    chosen = options.keys.get(what)
    out: dict[str, Any] = {}
    for number, row in enumerate(rows):
        key = chosen or next((key for key in keys if row.get(key) is not None), None)
        name = _image_name(row, number)
        value = None if key is None else row.get(key)
        if value is not None:
            out[name] = value if isinstance(value, str) else _objects(value)
        elif any(row.get(key) is not None for key in SHAPE_KEYS):
            out.setdefault(name, []).extend(_object(row))
    return out


def _objects(value: Any) -> list[Object]:
    """Give the objects of a list of records, of parallel lists (polygons, labels, scores), or of LMMRotate's <ROD>."""
    if isinstance(value, Mapping):
        inner = value.get("<ROD>", value)
        shapes: Any = next((inner[key] for key in (*SHAPE_KEYS, "bboxes") if inner.get(key) is not None), [])
        labels: Any = next((inner[key] for key in CLASS_KEYS if inner.get(key) is not None), [])
        scores = inner.get("scores") or [1.0] * len(shapes)
        return [
            (label, part, float(score))
            for shape, label, score in zip(shapes, labels, scores, strict=False)
            for part in _corners(shape)
        ]
    if not isinstance(value, list):
        raise DataError(f"the objects of an image are {str(value)[:60]!r}: expected a list of records")
    return [found for record in value for found in _object(record)]


def _object(record: Any) -> list[Object]:
    if not isinstance(record, Mapping):
        raise DataError(f"an object is {str(record)[:60]!r}: expected a record with poly, label and score")
    shape = next((record[key] for key in SHAPE_KEYS if record.get(key) is not None), ())
    label = next((record[key] for key in CLASS_KEYS if record.get(key) is not None), None)
    score = record.get("score", record.get("confidence", 1.0))
    return [(label, part, float(score)) for part in _corners(shape)]


def _corners(shape: Any) -> list[tuple[float, ...]]:
    """Give the polygons of 8 numbers in a flat or nested list; longer lists are cut, as in the sources."""
    numbers = _flat(shape)
    return [tuple(numbers[i : i + CORNERS]) for i in range(0, len(numbers) - CORNERS + 1, CORNERS)]


def _flat(values: Any) -> list[float]:
    if isinstance(values, int | float):
        return [float(values)]
    return [number for value in values for number in _flat(value)]


def _read_results(files: list[Path]) -> dict[str, list[Object]]:
    """Read Task1 results: a class a file, an object a line."""
    out: dict[str, list[Object]] = {}
    for file in files:
        label = file.stem.removeprefix(RESULT_PREFIX)
        for line in _lines(file):
            parts = line.split()
            try:
                numbers = tuple(float(part) for part in parts[1:])
            except ValueError as error:
                raise DataError(f"{file} has the line {line[:60]!r}: expected image score x1 y1 ... x4 y4") from error
            if len(numbers) < 1 + CORNERS:
                raise DataError(f"{file} has the line {line[:60]!r}: expected image score x1 y1 ... x4 y4")
            out.setdefault(parts[0], []).append((label, numbers[1 : 1 + CORNERS], numbers[0]))
    return out


def _label(line: str, file: Path) -> Object:
    parts = line.replace(",", " ").split()
    try:
        return parts[CORNERS], tuple(float(part) for part in parts[:CORNERS]), 1.0
    except (ValueError, IndexError) as error:
        raise DataError(f"{file} has the line {line[:60]!r}: expected x1 y1 ... x4 y4 class difficult") from error


def _lines(file: Path) -> list[str]:
    """Give the lines of a DOTA file that are no header (imagesource, gsd)."""
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and ":" not in line]


def _sizes(rows: Iterable[Mapping[str, Any]]) -> Sizes:
    """Give what rows say about the size of their image."""
    wanted = ("width", "height", "image_size", "size", "original_width", "original_height")
    out = {}
    for number, row in enumerate(rows):
        values = {key.removeprefix("original_").replace("image_size", "size"): row[key] for key in wanted if key in row}
        if values:
            out[_image_name(row, number)] = values
    return out


def _image_name(row: Mapping[str, Any], number: int) -> str:
    return next((str(row[key]) for key in IMAGE_KEYS if row.get(key) is not None), f"row {number}")


def _stem(name: str) -> str:
    return Path(name).stem
