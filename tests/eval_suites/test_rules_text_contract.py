"""The laws of all rules on text: perfect is best, empty is worst, order is irrelevant, missing is wrong and stays."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from eval_suites.measure import Measure
from eval_suites.readers.loaded import Loaded, Options
from eval_suites.readers.pair import pair_rows
from eval_suites.rules import geometry
from eval_suites.rules.choices import XLRS_TASKS
from eval_suites.rules.judge import StubJudge
from eval_suites.rules.registry import ALL
from eval_suites.rules.rule import Rule
from eval_suites.rules.spice import find_jar_folder
from vlm.errors import InputError

TEXT_RULES = [rule for rule in ALL if rule not in geometry.RULES]
JAVA = {"coco", "coco-spice", "ids", "words"}
CAPTIONS = [
    "many green trees stand around the old square stadium",
    "two long white planes are parked near terminal buildings",
    "some dark blue water lies beside a narrow sandy beach",
    "several grey villas appear along the curved new road",
]
QUERY = "Which one?\nA. a red car\nB. a blue boat\nC. the green field\nD. some grey roof"
CHOICES = ["(A) red", "(B) green", "(C) blue", "(D) white", "(E) grey"]
PLACES = ("roads ['top-left'] buildings ['center-right', 'bottom-left']", "roads ['top-right'] buildings []")
COUNTS = ("2 new roads and 14 new buildings have been constructed", "no new roads and 3 new buildings")
CAPTION_SUITES = {"levircc", "dubai", "geochat-region", "rsrag-vqa", "vrsbench-cap"}


def rows_for(rule: Rule) -> list[dict[str, Any]]:
    """Make questions with perfect answers, as a file of the suite would hold them."""
    suite, kind = rule.suites[0], "type"
    if suite == "changechat":
        kinds = {"count": COUNTS, "loc": PLACES, "binary": ("yes", "no")}
        return [{"prediction": one, "gt": one, "task": kind} for kind, texts in kinds.items() for one in texts]
    if suite in CAPTION_SUITES or suite.startswith("caption"):
        return [{"prediction": text, "references": [text]} for text in CAPTIONS]
    if suite == "xlrs":
        return [{"prediction": one, "answer": one, "category": XLRS_TASKS[n]} for n, one in enumerate("ABCD")]
    if suite in ("mme-rs", "geobench", "choice"):
        given = {"choices": CHOICES} if suite != "choice" else {"query": QUERY}
        return [{"response": one, "label": one, "task": f"t{n % 2}", **given} for n, one in enumerate("BCDB")]
    words = ("yes", "urban", "forest", "bridge")
    if suite in ("vleo", "earthvqa"):
        words, kind = ("3", "1", "6", "2"), "Basic Counting"
    return [{"prediction": one, "gt": one, "type": f"{kind} {n % 2}", "question": "q"} for n, one in enumerate(words)]


def load(rule: Rule, rows: list[dict[str, Any]]) -> Loaded:
    numbered = [{"question_id": f"q_{number}", "image": f"{number}.png", **row} for number, row in enumerate(rows)]
    loaded = pair_rows(numbered, rule.fields, Options(), where="made")
    words = {word: number for number, word in enumerate(sorted(set(" ".join(CAPTIONS).split())), start=1)}
    return Loaded(loaded.entries, loaded.keys, loaded.unpaired, {"wordmap": words})


def headline(rule: Rule, loaded: Loaded, options: Options | None = None) -> float:
    scores = rule.score(loaded, options or Options())
    assert len(scores.rows) == len(loaded.entries)
    first = scores.measures[0]
    assert first.name == rule.headline
    assert isinstance(first, Measure)
    value = float(first.combine(first.parts.sum(axis=0)))
    assert all(tie.lowest - 1e-9 <= value <= tie.highest + 1e-9 for tie in scores.ties if tie.measure == first.name)
    return value


def change(rows: list[dict[str, Any]], said: Any, *, only: int | None = None) -> list[dict[str, Any]]:
    key = "response" if "response" in rows[0] else "prediction"
    return [row | {key: said} if only in (None, number) else row for number, row in enumerate(rows)]


def worse(rule: Rule, first: float, second: float) -> bool:
    return first > second if rule.headline in rule.errors else first < second


def marks(rule: Rule) -> list[pytest.MarkDecorator]:
    needs = pytest.mark.skipif(shutil.which("java") is None, reason="PTB tokenizer and METEOR 1.5 need Java")
    graphs = pytest.mark.skipif(not has_spice(), reason="SPICE needs Stanford CoreNLP beside pycocoevalcap's jar")
    if rule.protocol not in JAVA:
        return []
    return [needs, pytest.mark.slow, *([graphs] if rule.protocol == "coco-spice" else [])]


def has_spice() -> bool:
    try:
        return find_jar_folder().is_dir()
    except InputError:
        return False


RULES = [pytest.param(rule, marks=marks(rule), id=f"{rule.suites[0]}-{rule.protocol}") for rule in TEXT_RULES]


@pytest.mark.parametrize("rule", RULES)
def test_perfect_is_best_and_empty_is_worst(rule: Rule) -> None:
    rows = rows_for(rule)
    assert headline(rule, load(rule, rows)) == pytest.approx(rule.best, abs=0.01)
    empty = headline(rule, load(rule, change(rows, "")))
    assert worse(rule, empty, rule.best) if rule.headline in rule.errors else empty == pytest.approx(rule.empty)


@pytest.mark.parametrize("rule", RULES)
def test_order_is_irrelevant(rule: Rule) -> None:
    rows = rows_for(rule)
    key = "response" if "response" in rows[0] else "prediction"
    loaded = load(rule, change(rows, rows[1][key], only=0))
    turned = Loaded(loaded.entries[::-1], loaded.keys, loaded.unpaired, loaded.extras)
    assert headline(rule, turned) == pytest.approx(headline(rule, loaded))
    again = [row.score for row in rule.score(turned, Options()).rows]
    assert again[::-1] == pytest.approx([row.score for row in rule.score(loaded, Options()).rows])


@pytest.mark.parametrize("rule", RULES)
def test_a_missing_prediction_is_wrong_and_stays(rule: Rule) -> None:
    rows = rows_for(rule)
    loaded = load(rule, change(rows, None, only=1))
    assert loaded.missing == 1
    assert len(loaded.entries) == len(rows)
    assert worse(rule, headline(rule, loaded), headline(rule, load(rule, rows)))
    row = rule.score(loaded, Options()).rows[1]
    assert "no prediction" in row.explanation
    assert row.unparsed


@pytest.mark.parametrize("rule", [rule for rule in TEXT_RULES if rule.suites[0] in ("vrsbench-vqa", "rsvlm-qa")])
def test_a_judge_stands_beside_the_rule_and_never_before_it(rule: Rule) -> None:
    rows = change(rows_for(rule), "something else")
    loaded = load(rule, rows)
    alone, judged = (rule.score(loaded, Options(judge=judge)) for judge in (Options().judge, StubJudge("1")))
    assert [one.name for one in alone.measures] == [one.name for one in judged.measures if "judge" not in one.name]
    assert headline(rule, loaded, Options(judge=StubJudge("1"))) == headline(rule, loaded)


def test_rules_say_where_they_come_from_and_are_found_once() -> None:
    assert all(rule.source and rule.headline for rule in ALL)
    pairs = [(suite, name) for rule in ALL for suite in rule.suites for name in (rule.protocol, *rule.aliases)]
    assert len(pairs) == len(set(pairs)), sorted({pair for pair in pairs if pairs.count(pair) > 1})
