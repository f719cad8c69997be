"""Score a file of predictions by a published rule: python -m eval_suites score PREDICTIONS --suite NAME.

python -m eval_suites score answers.jsonl --suite rsvqa-lr
python -m eval_suites score answers.jsonl --suite lrsvqa --protocol stripped --references LRS_VQA_merged.jsonl --out out
python -m eval_suites score xlrs.json --suite xlrs --protocol all

The last line of standard output is one JSON object with every number; the table goes to standard error. With --out,
OUT/SUITE.PROTOCOL/ holds result.json and samples.jsonl (what was read from each answer, its score, and why).
"""

from __future__ import annotations

import argparse
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval_suites.leaderboard import write_tie
from eval_suites.measure import Measure, Value, row_shares, score_measures
from eval_suites.readers.loaded import Entry, Loaded, Options
from eval_suites.rules.judge import build_judge
from eval_suites.rules.registry import find_rule, rules_of
from eval_suites.rules.rule import Number, Rule, Scores
from eval_suites.scored import Row
from vlm.errors import DataError
from vlm.output import write_text

LOG = logging.getLogger("nadir.eval")
MOST_NAMED = 10
MOST_TEXT = 400


def add_score_options(verbs: Any) -> None:
    """Add the verb and its options to a command line's verbs."""
    layout = argparse.RawDescriptionHelpFormatter
    score = verbs.add_parser("score", help="score a file of predictions", description=__doc__, formatter_class=layout)
    score.add_argument("predictions", type=Path, help="json, jsonl, csv, npz, a folder of masks ...; gzipped or not")
    score.add_argument("--suite", required=True, help="see python -m eval_suites list")
    score.add_argument("--protocol", help="the suite's default, one that it names, or all")
    score.add_argument("--references", type=Path, help="the annotations, where the predictions do not hold them")
    score.add_argument("--out", type=Path, help="result.json and samples.jsonl go to OUT/SUITE.PROTOCOL")
    score.add_argument("--key", action="append", default=[], metavar="FIELD=KEY", help="take a field from this key")
    score.add_argument("--file", action="append", default=[], metavar="NAME=PATH", help="an extra file: wordmap=...")
    score.add_argument("--dialect", default="", help="whose text the boxes are in, where the suite does not say it")
    score.add_argument("--raw", action="store_true", help="read the whole text, not the payload of <answer> tags")
    score.add_argument("--judge", default="none", help="none, stub, or http://host:8000/v1#MODEL")
    score.add_argument("--judge-key", default="OPENAI_API_KEY", help="environment variable that holds the judge's key")


def score_file(given: argparse.Namespace) -> dict[str, Any]:
    """Score as the command line says; give what its last line holds. Raises DataError for what cannot be read."""
    options = Options(
        keys=_pairs("--key", given.key),
        files={name: Path(path) for name, path in _pairs("--file", given.file).items()},
        dialect=given.dialect,
        raw=given.raw,
        judge=build_judge(given.judge, key_from=given.judge_key),
    )
    if given.protocol != "all":
        return _score(find_rule(given.suite, given.protocol), given, options)
    results = []
    for rule in rules_of(given.suite) or (find_rule(given.suite),):
        try:
            results.append(_score(rule, given, options))
        except DataError as error:
            LOG.info("suite=%s protocol=%s does not fit this file: %s", given.suite, rule.protocol, error)
            results.append({"protocol": rule.protocol, "refused": str(error)})
    return {"suite": given.suite, "protocols": results}


def _score(rule: Rule, given: argparse.Namespace, options: Options) -> dict[str, Any]:
    loaded = rule.reader(given.predictions, given.references, rule.fields, options)
    result, scores = score_loaded(given.suite, rule, loaded, options)
    _log(result, loaded)
    if given.out:
        write_result(given.out / f"{given.suite}.{rule.protocol}", result, loaded, scores)
    return result


def score_loaded(suite: str, rule: Rule, loaded: Loaded, options: Options) -> tuple[dict[str, Any], Scores]:
    """Score entries by a rule; give what result.json holds, and the scores themselves."""
    if not loaded.entries:
        raise DataError(f"no question of {suite} could be paired with a target: {'; '.join(loaded.unpaired[:3])}")
    scores = rule.score(loaded, options)
    groups = [entry.group for entry in loaded.entries]
    tables = {title: list(cells.items()) for title, cells in scores.tables.items()}
    flat = [*scores.measures, *(cell for cells in tables.values() for _, cell in cells)]
    values = iter(_values(flat, groups))
    named = {measure.name: next(values) for measure in scores.measures}
    result = {
        "suite": suite,
        "protocol": rule.protocol,
        "rule": rule.source,
        "judge": options.judge.name,
        "payload": "raw text" if options.raw else "text of <answer>, where there is one",
        "n": len(loaded.entries),
        "missing": loaded.missing,
        "left_out": len(loaded.unpaired) - sum("counts as wrong" in line for line in loaded.unpaired),
        "unparsed": sum(row.unparsed for row in scores.rows),
        "headline": rule.headline,
        "scores": named,
        "tables": {title: {name: next(values) for name, _ in cells} for title, cells in tables.items()},
        "ties": [asdict(one) for one in scores.ties],
        "keys": dict(loaded.keys),
        "unpaired": list(loaded.unpaired),
    }
    return result | ({"oddity": rule.oddity} if rule.oddity else {}), scores


def write_result(folder: Path, result: Mapping[str, Any], loaded: Loaded, scores: Scores) -> None:
    """Write result.json and samples.jsonl."""
    shares = row_shares(scores.measures[0], len(scores.rows))
    lines = [
        _sample(entry, row) | ({} if share is None else {"share": share})
        for entry, row, share in zip(loaded.entries, scores.rows, shares, strict=True)
    ]
    write_text(folder / "samples.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    write_text(folder / "result.json", json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def _values(flat: list[Measure | Number], groups: list[str]) -> list[dict[str, Any]]:
    """Give value, standard error (none where the bootstrap cannot give it) and n of each; NaN becomes none."""
    drawn = iter(score_measures([one for one in flat if isinstance(one, Measure)], groups))
    found = [next(drawn) if isinstance(one, Measure) else Value(one.value, None, one.n) for one in flat]
    return [{"value": _finite(one.value), "standard_error": _finite(one.standard_error), "n": one.n} for one in found]


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _sample(entry: Entry, row: Row) -> dict[str, Any]:
    shown = entry.prediction if isinstance(entry.prediction, str | int | float | None) else str(entry.prediction)
    return {
        "id": entry.id,
        "group": entry.group,
        "category": entry.category,
        "prediction": shown if not isinstance(entry.prediction, list | dict) else entry.prediction,
        "parsed": row.parsed,
        "target": row.target,
        "score": row.score,
        "explanation": row.explanation,
        "unparsed": row.unparsed,
    }


def _log(result: Mapping[str, Any], loaded: Loaded) -> None:
    """Show what was taken from the file, which rows are no part of it, and the numbers."""
    LOG.info("suite=%(suite)s protocol=%(protocol)s judge=%(judge)s n=%(n)d missing=%(missing)d", result)
    LOG.info("rule: %s", result["rule"])
    LOG.info("read: %s", ", ".join(_taken(field, key) for field, key in loaded.keys.items()))
    for line in loaded.unpaired[:MOST_NAMED]:
        LOG.info("  %s", line)
    if len(loaded.unpaired) > MOST_NAMED:
        LOG.info("  ... and %d more, all in result.json with --out", len(loaded.unpaired) - MOST_NAMED)
    for name, value in result["scores"].items():
        LOG.info("%-32s %s", name, _written(value))
    for title, cells in result["tables"].items():
        LOG.info("%s", title)
        for name, value in cells.items():
            LOG.info("  %-30s %s", name[:60], _written(value))
    for tie in result["ties"]:
        LOG.info("%s", write_tie(tie))
    if "oddity" in result:
        LOG.info("note: %s", result["oddity"])


def _taken(field: str, key: str) -> str:
    return f"{field} {key}" if field == "paired by" else f"{field} from {key!r}"


def _written(value: Mapping[str, Any]) -> str:
    if value["value"] is None:
        return f"       - (n {value['n']})"
    spread = "" if value["standard_error"] is None else f" +- {value['standard_error']:.6f}"
    return f"{value['value']:10.6f}{spread} (n {value['n']})"


def _pairs(option: str, given: list[str]) -> dict[str, str]:
    for text in given:
        if "=" not in text:
            raise DataError(f"{option} {text!r} is no NAME=VALUE: write for example {option} prediction=model_answer")
    return {name: value for name, _, value in (text.partition("=") for text in given)}
