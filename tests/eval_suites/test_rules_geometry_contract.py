"""The laws of all rules on geometry: perfect is best, empty is worst, order is irrelevant, missing is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eval_suites.measure import Measure, score_measure
from eval_suites.readers.class_scores import read_class_scores
from eval_suites.readers.dota import read_detections
from eval_suites.readers.loaded import Entry, Loaded, Options
from eval_suites.readers.masks import read_masks
from eval_suites.readers.similarity import group_captions, read_similarity
from eval_suites.rules.geometry import RULES
from eval_suites.rules.ranks import block_of_matrix
from eval_suites.rules.rule import Rule

BOXES = [[5, 5, 25, 45], [30, 10, 60, 40], [0, 0, 90, 80], [50, 50, 70, 90]]
ANSWERED_ONLY = {"earthdial", "xbd", "vleo-grounding"}


def box_text(box: list[int], rule: Rule) -> str:
    if rule.protocol == "official":
        return "{" + "".join(f"<{number}>" for number in box) + "}"
    return str([[*box, 0]]) if {"geochat-refer", "xbd"} & set(rule.suites) else str(box)


def mask_of(number: int) -> np.ndarray:
    mask = np.zeros((12, 12), np.uint8)
    mask[: 4 + number, :4], mask[: 4 + number, 6:9] = 128, 255
    return mask


def made(rule: Rule, *, empty: bool = False) -> Loaded:
    """Make four entries with perfect or empty predictions."""
    targets: list[Any]
    extras: dict[str, Any] = {}
    if rule.reader is read_masks:
        targets = [mask_of(number) for number in range(4)]
        said = [np.zeros_like(target) if empty else target for target in targets]
    elif rule.reader is read_detections:
        targets = [[("ship", (0, 0, n + 9, 0, n + 9, 9, 0, 9), 1.0)] for n in range(4)]
        said = ["There are none." if empty else target for target in targets]
        extras = {"classes": ["ship"]}
    elif rule.reader is read_similarity:
        owners = np.arange(80) // 5  # more images than the ten that count, of which four are asked
        matrix = np.full((16, 80), np.nan) if empty else (owners == np.arange(16)[:, None]).astype(float)
        captions = group_captions(owners, 16)
        extras = {"by_image": block_of_matrix(matrix), "by_caption": matrix, "owners": owners,
                  "captions": captions}  # fmt: skip
        targets, said = [captions[number].tolist() for number in range(4)], list(range(4))
    elif rule.reader is read_class_scores:
        targets = ["harbor", "beach", "forest", "river"]
        said = ["" if empty else target for target in targets]
    else:
        targets = [box_text(box, rule) for box in BOXES]
        said = ["" if empty else target for target in targets]
    pairs = enumerate(zip(said, targets, strict=True))
    return Loaded(tuple(Entry(f"e{n}", f"e{n}", one, target) for n, (one, target) in pairs), extras=extras)


def headline(rule: Rule, loaded: Loaded) -> float:
    scores = rule.score(loaded, Options())
    assert len(scores.rows) == len(loaded.entries)
    first = scores.measures[0]
    assert first.name == rule.headline
    groups = [entry.group for entry in loaded.entries]
    value = score_measure(first, groups, draws=2).value if isinstance(first, Measure) else first.value
    assert all(tie.lowest - 1e-6 <= value <= tie.highest + 1e-6 for tie in scores.ties if tie.measure == first.name)
    return value


def change(loaded: Loaded, place: int, prediction: Any) -> Loaded:
    entries = list(loaded.entries)
    entries[place] = replace(entries[place], prediction=prediction)
    return replace(loaded, entries=tuple(entries))


def names(rule: Rule) -> str:
    return f"{rule.suites[0]}-{rule.protocol}"


@pytest.mark.parametrize("rule", RULES, ids=names)
def test_perfect_is_best_and_empty_is_worst(rule: Rule) -> None:
    assert headline(rule, made(rule)) == pytest.approx(rule.best, abs=1e-5)
    empty = headline(rule, made(rule, empty=True))
    background = float(np.mean([(mask_of(number) == 0).mean() for number in range(4)]))
    assert empty == (pytest.approx(background / 3) if rule.protocol == "levir-mci" else rule.empty)


@pytest.mark.parametrize("rule", RULES, ids=names)
def test_order_is_irrelevant(rule: Rule) -> None:
    loaded = made(rule)
    mixed = loaded if rule.reader is read_similarity else change(loaded, 0, made(rule).entries[1].prediction)
    turned = replace(mixed, entries=tuple(mixed.entries[place] for place in (2, 0, 3, 1)))
    assert headline(rule, turned) == pytest.approx(headline(rule, mixed))
    rows, again = rule.score(mixed, Options()).rows, rule.score(turned, Options()).rows
    assert [again[place] for place in (1, 3, 0, 2)] == list(rows)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.protocol not in ANSWERED_ONLY], ids=names)
def test_a_missing_prediction_is_wrong_and_stays(rule: Rule) -> None:
    loaded = made(rule)
    missing = headline(rule, change(loaded, 1, None))
    assert missing < headline(rule, loaded) - 0.05
    fewer = replace(loaded, entries=tuple(entry for entry in loaded.entries if entry.id != "e1"))
    assert missing < headline(rule, fewer) - 0.05


def test_rules_say_where_they_come_from_and_what_is_odd() -> None:
    assert all(rule.source and rule.headline for rule in RULES)
    assert all(rule.oddity for rule in RULES if rule.protocol in ANSWERED_ONLY)
    pairs = [(suite, rule.protocol) for rule in RULES for suite in rule.suites]
    assert len(set(pairs)) == len(pairs), "two rules of one suite and protocol"
