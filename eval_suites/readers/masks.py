"""Masks: folders of pictures, arrays in npz and npy, or rows that name pictures or hold run lengths.

A folder may hold both sides in two folders of their own (`pred` and `gt`, or other usual names), or the targets are
another folder. Pictures are paired by their name without its ending and without a first or last `pred`, `gt`, `mask`.
Entries hold paths, so that a rule has one pair in memory at a time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from eval_suites.readers.arrays import load_arrays
from eval_suites.readers.keys import PREDICTION, TARGET, plain
from eval_suites.readers.loaded import Entry, Field, Loaded, Options
from eval_suites.readers.pair import read_pairs
from vlm.errors import DataError

PICTURES = {".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".gif", ".npy"}
FOUND_FOLDERS = ("pred", "preds", "prediction", "predictions", "predicted", "result", "results", "output", "outputs",
                 "pred_masks", "predict", "vis_pred")  # fmt: skip
TARGET_FOLDERS = ("gt", "gts", "ground_truth", "groundtruth", "label", "labels", "target", "targets", "mask", "masks",
                  "annotations", "gt_masks")  # fmt: skip
FOUND_NAMES, TARGET_NAMES = {plain(name) for name in FOUND_FOLDERS}, {plain(name) for name in TARGET_FOLDERS}
ENDINGS = re.compile(r"[-_ ](pred|prediction|gt|label|mask|target|seg|change)s?$", re.IGNORECASE)
BEGINNINGS = re.compile(r"(?:^|(?<=/))(pred|prediction|gt|label|mask|target)s?[-_ ](?=[^/]+$)", re.IGNORECASE)
FOUND_KEYS = (
    "pr",
    "pred_mask",
    "mask_pred",
    "predicted_mask",
    "pred_path",
    "prediction_path",
    "segmentation",
    *PREDICTION,
)
TARGET_KEYS = ("gt_mask", "mask_gt", "mask_path", "label_path", "gt_path", "mask", "masks", *TARGET)
MASK_FIELDS = (Field("prediction", FOUND_KEYS), Field("target", TARGET_KEYS))


def read_masks(predictions: Path, references: Path | None, fields: tuple[Field, ...], options: Options) -> Loaded:
    """Read masks of both sides from folders, arrays or rows; DataError says what was expected."""
    if not predictions.exists():
        raise DataError(f"{predictions} does not exist: name a folder of masks, an npz of arrays, or rows of masks")
    if predictions.is_dir():
        found, targets = _two_folders(predictions, references)
        return _pair_by_name(found, targets, str(predictions))
    if predictions.suffix in (".npz", ".npy"):
        return _read_arrays(predictions, references)
    return _read_rows(predictions, references, fields, options)


def _two_folders(predictions: Path, references: Path | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the masks of both sides by name."""
    inner = {plain(path.name): path for path in sorted(predictions.iterdir()) if path.is_dir()}
    own = next((inner[name] for name in map(plain, FOUND_FOLDERS) if name in inner), None)
    if references is not None:
        other = _load_named(references) if references.is_file() else _pictures(_target_folder(references) or references)
        return _pictures(own or predictions), other
    beside = _target_folder(predictions)
    if own is None or beside is None:
        flat = _one_folder(predictions)
        if all(flat):
            return flat
        raise DataError(
            f"{predictions} holds {', '.join(sorted(inner)) or 'no folders'}: expected two folders such as pred and "
            "gt, or name the folder of targets with --references"
        )
    return _pictures(own), _pictures(beside)


def _one_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give both sides of a folder that holds `a_pred.png` beside `a_gt.png`, or `pred.npy` beside `gt.npy`."""
    sides: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for path in sorted(folder.iterdir()):
        place = _side_of(path.stem)
        if path.suffix.lower() not in {*PICTURES, ".npz"} or place is None:
            continue
        if plain(path.stem) in FOUND_NAMES | TARGET_NAMES:
            sides[place].update(_load_named(path) if path.suffix in (".npy", ".npz") else {"mask": path})
        else:
            sides[place][_name(Path(path.name))] = path
    return sides


def _side_of(name: str) -> int | None:
    """Say which side a name such as a_pred, pred_a, a_gt or gt is of: 0 for predictions, 1 for targets."""
    word = ENDINGS.search(f"_{name}") or BEGINNINGS.search(name)
    return None if word is None else 0 if word[1].lower().startswith("pred") else 1


def _target_folder(folder: Path) -> Path | None:
    inner = {plain(path.name): path for path in sorted(folder.iterdir()) if path.is_dir()}
    return next((inner[name] for name in map(plain, TARGET_FOLDERS) if name in inner), None)


def _pictures(folder: Path) -> dict[str, Any]:
    """List the pictures of a folder and its folders by their path without endings; DataError where there are none."""
    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in PICTURES]
    if not files:
        raise DataError(f"{folder} holds no mask: expected {', '.join(sorted(PICTURES))} files")
    return {_name(path.relative_to(folder)): path for path in files}


def _name(path: Path) -> str:
    return BEGINNINGS.sub("", ENDINGS.sub("", path.with_suffix("").as_posix()))


def _load_named(path: Path) -> dict[str, Any]:
    """Give the arrays of an npz by name; one array of many masks by number."""
    if path.suffix not in (".npz", ".npy"):
        raise DataError(f"{path} is no npz of masks: name a folder of pictures or an npz as references")
    return _by_name(load_arrays(path))


def _read_arrays(predictions: Path, references: Path | None) -> Loaded:
    arrays = load_arrays(predictions)
    if references is None:
        found = next((arrays[key] for name in FOUND_KEYS for key in arrays if plain(key) == plain(name)), None)
        target = next((arrays[key] for name in TARGET_KEYS for key in arrays if plain(key) == plain(name)), None)
        if found is not None and target is not None:
            return _pair_by_name(_numbered(found), _numbered(target), str(predictions))
        sides: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        for name, values in arrays.items():
            if (place := _side_of(name)) is not None:
                sides[place][_name(Path(name))] = values
        if all(sides):
            return _pair_by_name(*sides, str(predictions))
        raise DataError(
            f"{predictions} holds {', '.join(arrays)}: expected two arrays such as pred and gt, or pred_0, gt_0 and so "
            "on, or name the targets with --references"
        )
    other = _pictures(references) if references.is_dir() else _load_named(references)
    return _pair_by_name(_by_name(arrays), other, str(predictions))


def _by_name(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    if len(arrays) == 1 and next(iter(arrays.values())).ndim > 2:
        return _numbered(next(iter(arrays.values())))
    return {_name(Path(name)): values for name, values in arrays.items()}


def _numbered(values: np.ndarray) -> dict[str, Any]:
    many = values[None] if values.ndim == 2 else values
    return {str(number): mask for number, mask in enumerate(many)}


def _pair_by_name(found: dict[str, Any], targets: dict[str, Any], where: str) -> Loaded:
    """Pair by the whole path, or by the last part of it where the folders differ; the targets decide."""
    if not targets.keys() & found.keys():
        found = {name.rsplit("/", 1)[-1]: value for name, value in found.items()}
        targets = {name.rsplit("/", 1)[-1]: value for name, value in targets.items()}
    if not targets.keys() & found.keys():
        raise DataError(
            f"no mask of {where} has the name of a target: predictions are called {', '.join(sorted(found)[:3])}, "
            f"targets {', '.join(sorted(targets)[:3])}"
        )
    entries = tuple(Entry(name, name, found.get(name), target) for name, target in sorted(targets.items()))
    unpaired = [f"mask {name} belongs to no target: left out" for name in sorted(found.keys() - targets.keys())]
    unpaired += [
        f"target {name} has no prediction: it counts as wrong" for name in sorted(targets.keys() - found.keys())
    ]
    return Loaded(entries, {"prediction": "masks", "target": "masks", "paired by": "name"}, tuple(unpaired))


def _read_rows(predictions: Path, references: Path | None, fields: tuple[Field, ...], options: Options) -> Loaded:
    """Read rows that name pictures: paths are meant from the file's own folder."""
    loaded = read_pairs(predictions, references, fields, options)
    entries = tuple(
        replace(
            entry,
            prediction=_resolve(entry.prediction, predictions.parent),
            target=_resolve(entry.target, (references or predictions).parent),
        )
        for entry in loaded.entries
    )
    return replace(loaded, entries=entries)


def _resolve(value: Any, folder: Path) -> Any:
    if isinstance(value, str) and Path(value).suffix.lower() in PICTURES:
        path = Path(value)
        return path if path.is_absolute() or not (folder / path).exists() else folder / path
    return value
