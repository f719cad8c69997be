"""EarthVQA: exact classes (OA), and the error of counts and shares measured on the number of their class (RMSE).

Junjue-Wang/EarthVQA @d043845b utils/metric.py. The closed vocabulary starts with the counts 0 to 6 (classes 0 to 6) and
the shares `0%-10%` to `90%-100%` (7 to 16); RMSE is over the questions whose target is one of these 17, and errors of
Reasoning-based types are scaled by 10/7. Targets and predictions are words or class numbers. Words outside the 17 have
numbers only with the benchmark's own list of answers (in the file itself under a key such as ANSWER_VOC, in a file
*vocabulary*.json beside it, or --file vocabulary=answers.json); without it, as for a missing answer, the number 17
stands in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from eval_suites.measure import Measure, build_mean
from eval_suites.readers.loaded import Entry, Field, Loaded, Options, text_of
from eval_suites.readers.pair import read_pairs
from eval_suites.readers.rows import load_json
from eval_suites.rules.judged import NO_PREDICTION, read_text, tabulate
from eval_suites.rules.rule import Number, Rule, Scores
from eval_suites.scored import Row, score_rates
from vlm.errors import DataError

NUMBERED: Final = 17
COUNTS: Final = 7
SCALE: Final = 10 / 7
WHOLE = re.compile(r"\d+(\.0*)?", re.ASCII)
VOCABULARY = re.compile(r"voc", re.IGNORECASE)
SHARE = re.compile(r"(\d)0?%\s*-\s*(\d+)%")


def number_answer(answer: Any, vocabulary: dict[str, int]) -> int | None:
    """Give the class of an answer: a class number as it is, counts and shares in their order, words by `vocabulary`.

    Words that it does not hold have none.
    """
    text = text_of(answer).strip()
    if WHOLE.fullmatch(text):
        return int(float(text))
    match = SHARE.fullmatch(text)
    if match:
        return COUNTS + int(match[1])
    return vocabulary.get(text.lower())


def read_earthvqa(predictions: Path, references: Path | None, fields: tuple[Field, ...], options: Options) -> Loaded:
    """Read rows, and the benchmark's list of answers where it is in the file or beside it."""
    loaded = read_pairs(predictions, references, fields, options)
    found = None if "vocabulary" in options.files else _find_vocabulary((predictions, references))
    if found is None:
        return loaded
    return replace(loaded, keys={**loaded.keys, "vocabulary": found[0]}, extras={"vocabulary": found[1]})


def score_earthvqa(loaded: Loaded, options: Options) -> Scores:
    """Give OA, RMSE over all and accuracy and RMSE by type."""
    given = options.files.get("vocabulary")
    words = _load_vocabulary(given) if given else loaded.extras.get("vocabulary", ())
    vocabulary = {text_of(word).strip().lower(): number for number, word in enumerate(words)}
    judged = [_judge(entry, options, vocabulary) for entry in loaded.entries]
    rows = tuple(row for row, _ in judged)
    errors = np.array([error for _, error in judged])
    types, values = [entry.category for entry in loaded.entries], [row.score for row in rows]
    tables: dict[str, dict[str, Measure | Number]] = {"accuracy by type": tabulate(values, types)}
    with_error = {name for name, error in zip(types, errors, strict=True) if np.isfinite(error)}
    tables["RMSE by type"] = {
        name: _rmse(name, errors, np.array([one == name for one in types])) for name in sorted(with_error)
    }
    found = [_rmse("RMSE", errors, np.ones(len(rows), bool))] if with_error else []
    return Scores(rows, (build_mean("OA", values), *found, *score_rates(rows)), tables)


def _judge(entry: Entry, options: Options, vocabulary: dict[str, int]) -> tuple[Row, float]:
    """Judge one answer; the error is NaN where the target is no count or share."""
    text, wanted = read_text(entry, options), number_answer(entry.target, vocabulary)
    target = text_of(entry.target).strip()
    said = None if text is None else number_answer(text, vocabulary)
    right = text is not None and (
        said == wanted if said is not None and wanted is not None else text.strip().lower() == target.lower()
    )
    error = np.nan
    if wanted is not None and wanted < NUMBERED:
        error = (NUMBERED if said is None else said) - wanted
        error *= SCALE if "reasoning-based" in entry.category.lower() else 1
    why = NO_PREDICTION if text is None else "same class" if right else f"class {said}: expected {wanted or target}"
    return Row((text or "").strip(), target, float(right), why, text is None), float(error)


def _rmse(name: str, errors: np.ndarray, where: np.ndarray) -> Measure:
    counted = np.isfinite(errors) & where
    parts = np.stack((np.where(counted, np.nan_to_num(errors) ** 2, 0), counted), axis=1)
    return Measure(name, parts, _root_mean)


def _root_mean(sums: np.ndarray) -> np.ndarray:
    mean = np.divide(sums[..., 0], sums[..., 1], out=np.full_like(sums[..., 0], np.nan), where=sums[..., 1] > 0)
    root: np.ndarray = np.sqrt(mean)
    return root


def _load_vocabulary(path: Path) -> list[Any]:
    words = load_json(path)
    if not isinstance(words, list):
        raise DataError(f"{path} holds no list: expected EarthVQA's answers in the order of their classes")
    return words


def _find_vocabulary(paths: Iterable[Path | None]) -> tuple[str, list[Any]] | None:
    """Find the list of answers inside JSON files, or in a file beside them; none where there is no such."""
    for path in filter(None, paths):
        content = load_json(path) if path.is_file() and ".json" in path.suffixes else None
        listed = content.items() if isinstance(content, dict) else ()
        inside = [(key, value) for key, value in listed if VOCABULARY.search(key) and isinstance(value, list)]
        if inside:
            return inside[0]
        folder = path if path.is_dir() else path.parent
        beside = [other for other in sorted(folder.glob("*.json")) if VOCABULARY.search(other.stem) and other != path]
        if beside:
            return beside[0].name, _load_vocabulary(beside[0])
    return None


RULES: Final = (
    Rule(
        ("earthvqa",),
        "oa-rmse",
        "Junjue-Wang/EarthVQA @d043845b utils/metric.py: exact class; RMSE on the class number of the 17 counts and "
        "shares, x 10/7 for Reasoning-based types",
        "OA",
        score_earthvqa,
        reader=read_earthvqa,
        aliases=("official", "oa", "rmse", "oa, rmse", "oa and rmse", "exact"),
        errors=("RMSE",),
    ),
)
