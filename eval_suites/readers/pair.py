"""Rows of files to entries: which key is the prediction, which the target, and which row belongs to which.

One file holds both, or a file of predictions is paired with a file of references by an id that they share (question_id,
id, image, ..., or image and question together; else by the order where both are equally long and nothing else is
there). The references decide what is asked: one without a prediction stays, with none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from eval_suites.readers.keys import CATEGORY, GROUP, ID, LAST_TARGET, QUESTION, SPLIT, Keys, value_of
from eval_suites.readers.loaded import Entry, Field, Loaded, Options
from eval_suites.readers.rows import Row, load_rows
from vlm.errors import DataError

Identify = Callable[[Row], str]
SPLIT_NAMES = {"train", "trainval", "restval", "val", "valid", "validation", "dev", "test", "test_phili", "test2"}
RESERVED = {"prediction", "target", "category", "id", "group", LAST_TARGET}


def read_pairs(predictions: Path, references: Path | None, fields: tuple[Field, ...], options: Options) -> Loaded:
    """Read predictions and targets from one file, or from two that share an id."""
    found = load_rows(predictions)
    if references is None:
        return pair_rows(found, fields, options, where=str(predictions))
    own = {name: key for name, key in options.keys.items() if name == "prediction"}
    other = {name: key for name, key in options.keys.items() if name != "prediction"}
    keys = Keys(found, fields, own, str(predictions))
    wanted = Keys(asked := load_rows(references), fields, other, str(references))
    return _join(found, asked, keys, wanted, fields)


def pair_rows(rows: Sequence[Row], fields: tuple[Field, ...], options: Options, *, where: str) -> Loaded:
    """Give the entries of rows that hold prediction and target; rows without a target are named and left out."""
    keys = Keys(rows, fields, options.keys, where)
    prediction, target = keys.find_pair()
    kept, unpaired = [], []
    for number, row in enumerate(rows, start=1):
        if value_of(row, target) is None:
            unpaired.append(f"row {number} has no target ({target}): left out")
        else:
            kept.append((row, row))
    return _build(kept, keys, keys, fields, prediction=prediction, target=target, unpaired=unpaired, by="row")


def _join(found: list[Row], asked: list[Row], keys: Keys, wanted: Keys, fields: tuple[Field, ...]) -> Loaded:
    prediction, target = keys.find_prediction(), wanted.find_target()
    name, identify_found, identify_asked = _find_id(found, asked, keys, wanted)
    ids = [identify_asked(row) for row in asked]
    said: dict[str, Row] = {}
    unpaired = []
    known = set(ids)
    for number, row in enumerate(found, start=1):
        key = identify_found(row)
        if key not in known:
            unpaired.append(f"prediction {number} ({key}) belongs to no reference: left out")
        elif key in said:
            unpaired.append(f"prediction {number} ({key}) is a second one for the same question: the first counts")
        else:
            said[key] = row
    splits = _paired_splits(asked, ids, said, wanted)
    kept = [(said.get(key, {}), row) for key, row in zip(ids, asked, strict=True) if splits is None or splits(row)]
    unpaired += [
        f"reference {key} has no prediction: it counts as wrong"
        for key, row in zip(ids, asked, strict=True)
        if key not in said and (splits is None or splits(row))
    ]
    return _build(kept, keys, wanted, fields, prediction=prediction, target=target, unpaired=unpaired, by=name)


def _paired_splits(
    asked: list[Row], ids: list[str], said: dict[str, Row], wanted: Keys
) -> Callable[[Row], bool] | None:
    """Give what tells the rows of the splits that predictions exist for; none where the references have no splits."""
    key = _split_key(asked, wanted)
    if key is None:
        return None
    there = {value_of(row, key) for name, row in zip(ids, asked, strict=True) if name in said}
    return lambda row: value_of(row, key) in there


def _split_key(asked: list[Row], wanted: Keys) -> str | None:
    """Give the key that names each row's split (LEVIR-CC calls it filepath); none where it holds anything else."""
    key = wanted.find("split", SPLIT)
    names = {str(value_of(row, key)).lower() for row in asked} if key else {""}
    return key if names <= SPLIT_NAMES else None


def _find_id(found: list[Row], asked: list[Row], keys: Keys, wanted: Keys) -> tuple[str, Identify, Identify]:
    """Find the id that pairs most rows, where the references give it to one row each."""
    best, best_count = None, 0
    for name, of_found, of_asked in _candidates(keys, wanted):
        counts = Counter(map(of_asked, asked))
        if max(counts.values()) > 1:
            continue
        paired = sum(of_found(row) in counts for row in found)
        if paired > best_count:
            best, best_count = (name, of_found, of_asked), paired
        if paired == len(found):
            break
    if best is not None:
        return best
    alike = _as_many(found, asked, wanted)
    if alike:
        orders = {id(row): str(number) for rows in (found, alike) for number, row in enumerate(rows, start=1)}
        return "order of the rows", lambda row: orders[id(row)], lambda row: orders.get(id(row), f"other {id(row)}")
    raise DataError(
        f"{keys.where} ({len(found)} rows) and {wanted.where} ({len(asked)} rows) share no id: expected the same "
        "values under question_id, id or image (with question) in both; name the key with --key id=NAME"
    )


def _as_many(found: list[Row], asked: list[Row], wanted: Keys) -> list[Row]:
    """Give the references, or those of the one split, that are as many as the predictions; none otherwise."""
    if len(found) == len(asked):
        return asked
    key = _split_key(asked, wanted)
    splits: dict[str, list[Row]] = {}
    for row in asked if key else ():
        splits.setdefault(str(value_of(row, key)), []).append(row)
    fitting = [rows for rows in splits.values() if len(rows) == len(found)]
    return fitting[0] if len(fitting) == 1 else []


def _candidates(keys: Keys, wanted: Keys) -> Iterator[tuple[str, Identify, Identify]]:
    chosen = wanted.wanted.get("id") or keys.wanted.get("id")
    usual = (chosen,) if chosen else ID
    of_found = [key for name in usual if (key := keys.find("", (name,)))]
    of_asked = [key for name in usual if (key := wanted.find("", (name,)))]
    pairs = sorted(((a, b) for a in of_found for b in of_asked), key=lambda pair: pair[0] != pair[1])
    for form in (str, _base, _stem):
        for a, b in pairs:
            yield a, _by(a, form), _by(b, form)
    questions = keys.find("question", QUESTION), wanted.find("question", QUESTION)
    if None not in questions:
        for a, b in pairs:
            yield f"{a} and question", _by_both(a, str(questions[0])), _by_both(b, str(questions[1]))


def _by(key: str, form: Callable[[str], str]) -> Identify:
    return lambda row: form(str(row.get(key)))


def _by_both(key: str, question: str) -> Identify:
    return lambda row: f"{_stem(str(row.get(key)))}|{row.get(question)}"


def _base(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def _stem(name: str) -> str:
    return _base(name).rsplit(".", 1)[0]


def _build(
    pairs: list[tuple[Row, Row]],
    keys: Keys,
    wanted: Keys,
    fields: tuple[Field, ...],
    *,
    prediction: str,
    target: str,
    unpaired: list[str],
    by: str,
) -> Loaded:
    """Build the entries of pairs: the row of the prediction and that of the reference (the same one in one file)."""
    category, group = wanted.find("category", CATEGORY, but=(target,)), wanted.find("group", GROUP)
    number = wanted.find("id", ID)
    own = {field.name: (wanted.find(field.name, ()), keys.find(field.name, (), but=(prediction,)))
           for field in fields if field.name not in RESERVED}  # fmt: skip
    for field in fields:
        if field.required and field.name not in RESERVED and not any(own[field.name]):
            raise wanted.refuse(field.name, ())
    ids = _unique([value_of(row, number) for _, row in pairs])
    entries = tuple(
        Entry(
            id=key,
            group=str(_first(value_of(asked, group), key)),
            prediction=value_of(said, prediction),
            target=value_of(asked, target),
            category=str(_first(value_of(asked, category), value_of(said, category), "")),
            values=_values(own, said, asked),
        )
        for key, (said, asked) in zip(ids, pairs, strict=True)
    )
    taken = {"prediction": prediction, "target": target, "category": category, "id": number, "group": group}
    taken |= {name: first or second for name, (first, second) in own.items()}
    shown = {name: key for name, key in taken.items() if key is not None} | {"paired by": by}
    return Loaded(entries, shown, tuple(unpaired))


def _values(own: dict[str, tuple[str | None, str | None]], said: Row, asked: Row) -> dict[str, Any]:
    values = {name: _first(value_of(asked, first), value_of(said, second)) for name, (first, second) in own.items()}
    return {name: value for name, value in values.items() if value is not None}


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _unique(keys: Sequence[Any]) -> list[str]:
    """Give every row an id of its own: the file's where it is one, else with the row's number behind it."""
    counts = Counter(str(key) for key in keys if key is not None)
    return [
        f"row {number}" if key is None else str(key) if counts[str(key)] == 1 else f"{key} (row {number})"
        for number, key in enumerate(keys, start=1)
    ]
