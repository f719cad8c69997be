"""The table of scores: every result.json of a folder becomes docs/scores.md, each score beside its baselines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eval_suites.baselines import BLIND
from eval_suites.suites import BENCHMARKS, SUITES
from vlm.errors import DataError
from vlm.output import write_text

Result = dict[str, Any]
OPEN_MARK, CLOSE_MARK = "<!-- results -->", "<!-- /results -->"
HEAD = """# Scores

This page is made by `make eval` from the results of its suites; do not edit it by hand.

Every score has its standard error behind it: the standard deviation of 1,000 bootstrap draws of whole images (or pairs
of dates), with a fixed seed. *Blind* is the same model, asked without the image. *Gain* is the score minus the blind
score, with the error of paired draws. *Clear* means that the gain is more than two standard errors and that no other
baseline is better. Answers that do not parse count as wrong. Few images (see each suite) make a rough standard error,
and where all cases score the same it is 0 and says nothing.
"""


def load_results(folder: Path) -> list[Result]:
    """Read every SUITE/result.json below a folder, in the order of the suites; raises DataError when there is none."""
    paths = [folder / name / "result.json" for name in dict.fromkeys((*SUITES, *BENCHMARKS))]
    found = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]
    if not found:
        raise DataError(f"{folder} holds no SUITE/result.json: run `make eval` first")
    return found


def render_scores(results: Iterable[Result]) -> str:
    """Give the page: what was run on what, the table of headlines, and a table for each suite."""
    listed = list(results)
    parts = [HEAD, _provenance(listed), render_headlines(listed)]
    return "\n\n".join([*parts, *map(_table, listed)]).replace("\n\n\n", "\n\n") + "\n"


def render_headlines(results: Iterable[Result], *, link: str = "") -> str:
    """Give the table of headline scores; `link` leads from another page to the page of scores."""
    head = [
        "| Suite | n | Score | Blind | Gain | Other baseline | Clear? |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *(_headline(result, link) for result in results)])


def insert_headlines(page: Path, results: Iterable[Result], *, link: str) -> None:
    """Replace what stands between the two marks of a page by the table of headline scores.

    Raises DataError when the page has no marks.
    """
    text = page.read_text(encoding="utf-8")
    before, opened, rest = text.partition(OPEN_MARK)
    _, closed, after = rest.partition(CLOSE_MARK)
    if not opened or not closed:
        raise DataError(f"{page} has no place for scores: expected a line {OPEN_MARK} and, below it, {CLOSE_MARK}")
    table = render_headlines(results, link=link)
    write_text(page, f"{before}{OPEN_MARK}\n\n{table}\n\n{CLOSE_MARK}{after}")


def is_clear(result: Result) -> bool:
    """Say whether the model beats its blind baseline by more than two standard errors and every other by any amount."""
    sign = -1 if result["lower_is_better"] else 1
    gain, name = result["gain_over_blind"], result["headline"]
    if gain is None or not result["baselines"]:
        return False
    error = gain["standard_error"]
    best = max(sign * values[name]["value"] for values in result["baselines"].values() if name in values)
    return error is not None and sign * gain["value"] > 2 * error and sign * result["scores"][name]["value"] > best


def _provenance(results: list[Result]) -> str:
    lines = {
        f"Model {result['model']['name']} (digest {result['model']['digest']}), commit {result['commit']}, on "
        f"{result['machine']}."
        for result in results
    }
    return "\n".join(sorted(lines))


def _headline(result: Result, link: str) -> str:
    name = result["headline"]
    blind = result["baselines"].get(BLIND)
    others = [(label, values) for label, values in result["baselines"].items() if label != BLIND]
    subset = "" if result["n"] == result["of"] else f" of {result['of']}"
    beside = "; ".join(f"{label}: {_number(values[name])}" for label, values in others if name in values)
    cells = [
        f"[{result['suite']}]({link}#{result['suite']})",
        f"{result['n']}{subset}",
        f"{name} **{_number(result['scores'][name])}**",
        _number(blind[name]) if blind and name in blind else "not asked",
        _number(result["gain_over_blind"], signed=True) if blind else "not asked",
        beside,
        "yes" if is_clear(result) else "**no**",
    ]
    return f"| {' | '.join(cells)} |"


def _table(result: Result) -> str:
    names = list(result["baselines"])
    lines = [
        f"## {result['suite']}",
        f"{result['title']}. Protocol: {result['protocol']}. {result['n']} cases of {result['of']}, "
        f"{result['groups']} independent images or pairs.",
        "\n".join(
            [
                f"| Measure | n | Model | {' | '.join(name.capitalize() for name in names)} |",
                f"| --- | --- | --- | {' | '.join('---' for _ in names)} |",
                *(_row(measure, value, result) for measure, value in result["scores"].items()),
            ]
        ),
    ]
    return "\n\n".join(lines)


def _row(measure: str, value: dict[str, Any], result: Result) -> str:
    beside = [_number(values[measure]) if measure in values else "" for values in result["baselines"].values()]
    return f"| {measure} | {value['n']} | {_number(value)} | {' | '.join(beside)} |"


def _number(value: dict[str, Any], *, signed: bool = False) -> str:
    error = value["standard_error"]
    written = f"{value['value']:+.3f}" if signed else f"{value['value']:.3f}"
    return written if error is None else f"{written} ± {error:.3f}"
