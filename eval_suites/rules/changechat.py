"""ChangeChat-105k: six kinds of questions about a pair of images, each with its own sub-score.

hanlinwu/DeltaVLM @6c9bd609 scripts/test-*.ipynb. caption, open and dialog: caption scores on words; binary: accuracy,
precision, recall and F1 of yes; count: "2 new roads and 14 new buildings ..." parted at `new`, MAE and RMSE of roads
and buildings; loc: `roads [...] buildings [...]` on a 3 x 3 grid, Hamming loss, micro precision, recall and F1, Jaccard
over pairs (two empty sets give 0) and equal sets. The kind is the row's category, the name of its file or list, or read
from the target's form. An answer that does not parse counts as no change, and as wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from eval_suites.measure import Measure, build_mean
from eval_suites.readers.loaded import Entry, Loaded, Options, text_of
from eval_suites.rules.captions import build_rows
from eval_suites.rules.change_captions import (
    binary_measures,
    divide,
    score_change_captions,
)
from eval_suites.rules.judged import NO_PREDICTION, read_text
from eval_suites.rules.rule import Number, Rule, Scores
from eval_suites.scored import Row, score_rates

OBJECTS: Final = ("road", "building")
PLACES: Final = tuple(
    f"{row}-{column}" for row in ("top", "center", "bottom") for column in ("left", "center", "right")
)
KINDS: Final = {
    "caption": ("caption", "cap", "captioning"),
    "binary": ("binary", "cls", "classification", "changeornot", "yesno"),
    "count": ("count", "counting", "quantification"),
    "loc": ("loc", "localization", "localisation", "location"),
    "open": ("open", "qa", "openqa", "openended", "openquestions"),
    "dialog": ("dialog", "dialogue", "multiturn", "conversation"),
}
NOTHING: Final = ("there are no changes in roads or buildings", "no new roads or buildings")
NUMBER = re.compile(r"\d+")
TEXTS: Final = ("caption", "open", "dialog")


@dataclass(frozen=True, slots=True)
class _Part:
    """Hold the entries of one kind: their numbers among all, their rows and their measures."""

    chosen: list[int]
    rows: Sequence[Row]
    measures: Sequence[Measure | Number]


def parse_counts(text: str) -> tuple[int, int] | None:
    """Read the numbers of new roads and buildings; none where the sentence is of another form."""
    if any(sentence in text for sentence in NOTHING):
        return 0, 0
    parts = text.split("new")
    if len(parts) < 2:
        return None
    found = [0 if "no" in part else int(match[0]) if (match := NUMBER.search(part)) else None for part in parts[:2]]
    return None if None in found else (int(found[0] or 0), int(found[1] or 0))


def parse_places(text: str) -> tuple[frozenset[str], frozenset[str]] | None:
    """Read the cells of the 3 x 3 grid where roads and buildings changed; none where a list is absent."""
    lists = [re.search(rf"{name}s\s*\[([^\]]*)\]", text) for name in OBJECTS]
    if None in lists:
        return None
    first, second = (frozenset(place for place in PLACES if place in _items(match[1])) for match in lists if match)
    return first, second


def score_changechat(loaded: Loaded, options: Options) -> Scores:
    """Score every kind that is there; the headline is the mean of the rows' own scores (ours, not the authors')."""
    kinds = [name_kind(entry) for entry in loaded.entries]
    score = {"binary": _score_binary, "count": _score_counts, "loc": _score_places}
    rows: list[Row | None] = [None] * len(kinds)
    measures: list[Measure | Number] = []
    for kind in KINDS:
        chosen = [index for index, one in enumerate(kinds) if one == kind]
        if not chosen:
            continue
        some = replace(loaded, entries=tuple(loaded.entries[index] for index in chosen))
        part = _score_texts(some, options, chosen) if kind in TEXTS else score[kind](some, options, chosen)
        measures += [_place(kind, one, chosen, len(kinds)) for one in part.measures]
        for index, row in zip(chosen, part.rows, strict=True):
            rows[index] = row
    done = tuple(row for row in rows if row is not None)
    return Scores(done, (build_mean("mean of rows", [row.score for row in done]), *measures, *score_rates(done)))


def name_kind(entry: Entry) -> str:
    """Give the kind of a question: by the words of its category, else by the form of its target."""
    words = set(re.split(r"[^a-z]+", entry.category.lower())) | {re.sub(r"[^a-z]+", "", entry.category.lower())}
    for kind, names in KINDS.items():
        if words & set(names):
            return kind
    target = entry.target
    if isinstance(target, dict):
        return "loc" if any(isinstance(value, list) for value in target.values()) else "count"
    if isinstance(target, list):
        return "caption"
    text = text_of(target).strip().lower()
    if text.rstrip(".") in ("yes", "no"):
        return "binary"
    return "loc" if parse_places(text) else "count" if parse_counts(text) else "open"


def _score_texts(loaded: Loaded, options: Options, chosen: list[int]) -> _Part:
    scores = score_change_captions(loaded, options, ids=False)
    kept = [one for one in scores.measures if one.name != "unparsed" and not one.name.startswith("change ")]
    lengths = [row.score for row in scores.rows]
    said = [row.parsed for row in scores.rows]
    return _Part(chosen, build_rows(loaded, said, [min(1.0, one / 10) for one in lengths], "CIDEr / 10"), kept)


def _score_binary(loaded: Loaded, options: Options, chosen: list[int]) -> _Part:
    said = [_yes(read_text(entry, options)) for entry in loaded.entries]
    true = [_yes(text_of(entry.target)) is True for entry in loaded.entries]
    rows = [
        Row({True: "yes", False: "no", None: ""}[one], text_of(entry.target), float(one is wanted),
            NO_PREDICTION if entry.prediction is None else f"said {one}, expected {wanted}", one is None)
        for entry, one, wanted in zip(loaded.entries, said, true, strict=True)
    ]  # fmt: skip
    return _Part(
        chosen, rows, binary_measures("yes", [one is True for one in said], true, [one is None for one in said])
    )


def _score_counts(loaded: Loaded, options: Options, chosen: list[int]) -> _Part:
    said = [None if (text := read_text(entry, options)) is None else parse_counts(text) for entry in loaded.entries]
    true = [_true_counts(entry.target) for entry in loaded.entries]
    errors = np.array([one or (0, 0) for one in said], float) - np.array(true, float)
    rows = [_row(entry, one, wanted) for entry, one, wanted in zip(loaded.entries, said, true, strict=True)]
    measures: list[Measure | Number] = []
    for column, name in enumerate(OBJECTS):
        squares = np.stack((errors[:, column] ** 2, np.ones(len(errors))), axis=1)
        measures.append(build_mean(f"{name} MAE", np.abs(errors[:, column])))
        measures.append(Measure(f"{name} RMSE", squares, lambda sums: np.sqrt(divide(sums[..., 0], sums[..., 1]))))
    return _Part(chosen, rows, measures)


def _score_places(loaded: Loaded, options: Options, chosen: list[int]) -> _Part:
    said = [None if (text := read_text(entry, options)) is None else parse_places(text) for entry in loaded.entries]
    true = [_true_places(entry.target) for entry in loaded.entries]
    rows = [_row(entry, one, wanted) for entry, one, wanted in zip(loaded.entries, said, true, strict=True)]
    measures: list[Measure | Number] = []
    for column, name in enumerate(OBJECTS):
        found = np.array([[place in (one or (set(), set()))[column] for place in PLACES] for one in said], bool)
        wanted = np.array([[place in one[column] for place in PLACES] for one in true], bool)
        lost = np.array([one is None for one in said])
        measures += _place_measures(name, found, wanted, lost)
    return _Part(chosen, rows, measures)


def _place_measures(name: str, found: np.ndarray, wanted: np.ndarray, lost: np.ndarray) -> list[Measure]:
    """Build the six numbers of one object from cells (N, 9); an answer that is lost is in no subset right."""
    hits, false, missed = ((a & b).sum(axis=1) for a, b in ((found, wanted), (found, ~wanted), (~found, wanted)))
    parts = np.stack((hits, false, missed), axis=1).astype(float)
    equal = (found == wanted).all(axis=1) & ~lost
    return [
        build_mean(f"{name} Hamming loss", np.where(lost, 1.0, (found != wanted).mean(axis=1))),
        Measure(f"{name} precision", parts, lambda sums: divide(sums[..., 0], sums[..., 0] + sums[..., 1])),
        Measure(f"{name} recall", parts, lambda sums: divide(sums[..., 0], sums[..., 0] + sums[..., 2])),
        Measure(
            f"{name} F1", parts, lambda sums: divide(2 * sums[..., 0], 2 * sums[..., 0] + sums[..., 1] + sums[..., 2])
        ),
        build_mean(f"{name} Jaccard", divide(hits, hits + false + missed)),
        build_mean(f"{name} subset accuracy", equal.astype(float)),
    ]


def _row(entry: Entry, said: Any, wanted: Any) -> Row:
    right = said == wanted
    shown = "" if said is None else _written(said)
    why = "equal" if right else "not of the expected form" if said is None else "not equal"
    return Row(shown, _written(wanted), float(right), NO_PREDICTION if entry.prediction is None else why, said is None)


def _written(pair: Any) -> str:
    return "; ".join(f"{name} {', '.join(sorted(one)) if isinstance(one, frozenset) else one}"
                     for name, one in zip(OBJECTS, pair, strict=True))  # fmt: skip


def _yes(text: str | None) -> bool | None:
    words = re.findall(r"[a-z]+", (text or "").lower())
    return None if not words or words[0] not in ("yes", "no") else words[0] == "yes"


def _true_counts(target: Any) -> tuple[int, int]:
    if isinstance(target, dict):
        first, second = (int(_either(target, name) or 0) for name in OBJECTS)
        return first, second
    return parse_counts(text_of(target)) or (0, 0)


def _true_places(target: Any) -> tuple[frozenset[str], frozenset[str]]:
    if isinstance(target, dict):
        first, second = (frozenset(_either(target, name) or ()) for name in OBJECTS)
        return first, second
    return parse_places(text_of(target)) or (frozenset(), frozenset())


def _either(target: dict[str, Any], name: str) -> Any:
    """Give what a target holds under the name of an object, in the singular or plural."""
    return target[name] if name in target else target.get(f"{name}s")


def _items(text: str) -> list[str]:
    return [item.strip().strip("'\"") for item in text.split(",")]


def _place(kind: str, measure: Measure | Number, chosen: list[int], n: int) -> Measure | Number:
    """Give a measure of one kind as one of all rows, under the kind's name."""
    name = f"{kind}: {measure.name}"
    if isinstance(measure, Number):
        return replace(measure, name=name)
    parts = np.zeros((n, measure.parts.shape[1]))
    parts[chosen] = measure.parts
    return Measure(name, parts, measure.combine)


_ERRORS: Final = tuple(f"count: {name} {error}" for name in OBJECTS for error in ("MAE", "RMSE"))

RULES: Final = (
    Rule(("changechat",), "sub-scores", "hanlinwu/DeltaVLM @6c9bd609 scripts/test-*.ipynb: captions on words, binary "
         "F1, count MAE and RMSE, 3 x 3 places, open questions, dialogues", "mean of rows", score_changechat,
         aliases=("six sub-scores", "6 sub-scores", "official", "deltavlm"),
         errors=(*_ERRORS, *(f"loc: {name} Hamming loss" for name in OBJECTS))),
)  # fmt: skip
