"""Runs beside each other: python -m eval_suites compare A/ B/ C/, with the published numbers of the same protocol.

A folder is that of one suite (it holds result.json and samples.jsonl) or of several. Runs of one suite stand in one
table only where the protocol is the same. Every run is compared with the first one, on the questions that both
answered, by bootstrap draws of whole images that are the same for both: the difference, its standard error, and the
share of draws on the other side of zero (two-sided p). Differences are of the headline where it is a mean or a ratio of
sums over rows (accuracies, hit rates, mean IoU); where it is another formula, they are of the mean of the rows' own
scores, and the table says so.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from eval_suites.leaderboard import write_value
from eval_suites.measure import ratio_or_zero
from eval_suites.published import find_published
from vlm.errors import DataError
from vlm.output import write_text

DRAWS: Final = 2000
SEED: Final = 0
MOST_CATEGORIES: Final = 20


@dataclass(frozen=True, slots=True)
class Run:
    """Hold one run: where it lies, what result.json says, and its judged rows by case id."""

    label: str
    result: dict[str, Any]
    rows: dict[str, dict[str, Any]]

    @property
    def key(self) -> tuple[str, str]:
        """Give suite and protocol: what must be the same in one table."""
        return self.result["suite"], name_protocol(self.result)

    @property
    def shares(self) -> bool:
        """Say whether each row knows what it adds to the two sums of the headline."""
        return all("share" in row for row in self.rows.values())


@dataclass(frozen=True, slots=True)
class Difference:
    """Hold how a run differs from another on n common questions: the difference, its error, and two-sided p."""

    value: float
    error: float
    p: float
    n: int


def add_compare_options(verbs: Any) -> None:
    """Add the verb and its options to a command line's verbs."""
    layout = argparse.RawDescriptionHelpFormatter
    compare = verbs.add_parser(
        "compare", help="put runs beside each other", description=__doc__, formatter_class=layout
    )
    compare.add_argument("runs", type=Path, nargs="+", help="folders of runs; the first is what others differ from")
    compare.add_argument("--out", type=Path, help="write the page there as well")


def compare_runs(given: argparse.Namespace) -> str:
    """Give the page that compares the folders named; raises DataError where one holds no run."""
    runs = [run for folder in given.runs for run in load_runs(folder)]
    page = render_comparison(runs)
    if given.out:
        write_text(given.out, page)
    return page


def load_runs(folder: Path) -> list[Run]:
    """Read the run in a folder, or those of its suites."""
    paths = [folder / "result.json"] if (folder / "result.json").exists() else sorted(folder.glob("*/result.json"))
    if not paths:
        raise DataError(f"{folder} holds no result.json: name a folder that `python -m eval_suites run` wrote to")
    return [_load_run(path, folder) for path in paths]


def render_comparison(runs: Sequence[Run]) -> str:
    """Give a section for each suite and protocol, in the order of the runs."""
    keys = list(dict.fromkeys(run.key for run in runs))
    sections = [_section([run for run in runs if run.key == key]) for key in keys]
    return "# Comparison\n\n" + "\n\n".join(sections) + "\n"


def find_difference(run: Run, other: Run, *, category: str | None = None) -> Difference | None:
    """Compare the headlines of two runs, or their rows' scores, on the common questions; None where there are none."""
    common = [
        key
        for key, row in run.rows.items()
        if key in other.rows and (category is None or row.get("category") == category)
    ]
    if not common:
        return None
    shared = run.shares and other.shares
    sums = [np.array([_share(one.rows[key], shared=shared) for key in common], float) for one in (run, other)]
    groups = {name: place for place, name in enumerate(dict.fromkeys(_group(run, key) for key in common))}
    index = np.array([groups[_group(run, key)] for key in common])
    drawn = np.random.default_rng(SEED).multinomial(len(groups), np.full(len(groups), 1 / len(groups)), DRAWS)
    by_group = [np.stack([np.bincount(index, part[:, k]) for k in (0, 1)], axis=1) for part in sums]
    mine, theirs = (ratio_or_zero(drawn @ part) for part in by_group)
    means = mine - theirs
    value = float(ratio_or_zero(sums[0].sum(axis=0)) - ratio_or_zero(sums[1].sum(axis=0)))
    wrong_side = min(float((means <= 0).mean()), float((means >= 0).mean()))
    return Difference(value, float(means.std()), min(1.0, 2 * wrong_side), len(common))


def name_protocol(result: dict[str, Any]) -> str:
    """Name the protocol of a run, or of a scored file, with its judge where one decided."""
    if result.get("published"):
        return str(result["published"])
    judge = result.get("judge", "none")
    name = str(result["protocol"]).split(":")[0]
    return name if judge == "none" else f"{name} (judge {judge})"


def _load_run(path: Path, folder: Path) -> Run:
    samples = path.parent / "samples.jsonl"
    result = json.loads(path.read_text(encoding="utf-8"))
    lines = samples.read_text(encoding="utf-8").splitlines() if samples.exists() else []
    rows = {row["id"]: row for row in map(json.loads, lines)}
    if "protocol" not in result or not rows or not all("score" in row for row in rows.values()):
        raise DataError(f"{path.parent} is no finished run: it needs result.json and judged rows in samples.jsonl")
    name = result.get("model", {}).get("name") or folder.name
    return Run(f"{name} ({folder})", result, rows)


def _group(run: Run, key: str) -> str:
    return str(run.rows[key].get("group") or key)


def _share(row: dict[str, Any], *, shared: bool) -> tuple[float, float]:
    """Give what a row adds to the two sums: its shares of the headline, or its own score of one question."""
    if not shared:
        return float(row["score"]), 1.0
    return float(row["share"][0]), float(row["share"][1])


def _section(runs: Sequence[Run]) -> str:
    first = runs[0]
    rule = f"{first.result['protocol']}: {first.result['rule']}" if "rule" in first.result else first.result["protocol"]
    title = first.result.get("title", first.key[0])
    data = f"{title}, {first.result['n']} questions of {first.result.get('of', first.result['n'])}"
    parts = [f"## {first.key[0]}", f"Protocol: {rule}\n\nData of the first run: {data}.", _scores(runs)]
    if len(runs) > 1:
        parts += [_differences(runs), *_categories(runs)]
    return "\n\n".join(part for part in parts if part)


def _scores(runs: Sequence[Run]) -> str:
    """Give the table of measures: the runs, then the published numbers of the same protocol."""
    first = runs[0].result
    names = list(first["scores"])
    published = find_published(first["suite"], name_protocol(first))
    tables = {name for cells in first.get("tables", {}).values() for name in cells}
    extra = [name for one in published for name in one.scores if name not in names and name in tables]
    names += list(dict.fromkeys(extra))
    shown = [one for one in published if set(one.scores) & set(names)]
    head = ["measure", *(run.label for run in runs), *(f"{one.model} (published)" for one in shown)]
    lines = [_line(head), _line(["---"] * len(head))]
    lines += [
        _line([name, *(_cell(run, name) for run in runs), *(_plain(one.scores, name) for one in shown)])
        for name in names
    ]
    lines.append(_line(["n", *(str(run.result["n"]) for run in runs), *("" for _ in shown)]))
    sources = sorted({f"{one.model}: {one.source}" for one in shown})
    table = "\n".join(lines)
    words = "Published by the same protocol, about the whole official split"
    return f"{table}\n\n{words}: {'; '.join(sources)}." if sources else table


def _cell(run: Run, name: str) -> str:
    if name in run.result["scores"]:
        return write_value(run.result["scores"][name])
    cells = [cells[name] for cells in run.result.get("tables", {}).values() if name in cells]
    return write_value(cells[0]) if cells else ""


def _plain(scores: dict[str, float], name: str) -> str:
    return f"{scores[name]:.4f}" if name in scores else ""


def _differences(runs: Sequence[Run]) -> str:
    first = runs[0]
    lines = [_line(["run", f"minus {first.label}", "p", "questions in common"]), _line(["---"] * 4)]
    for run in runs[1:]:
        found = find_difference(run, first)
        cells = ["", "", "0"] if found is None else [_signed(found), f"{found.p:.3f}", str(found.n)]
        lines.append(_line([run.label, *cells]))
    return "\n".join(lines) + f"\n\n{_what_is_drawn(runs)}"


def _what_is_drawn(runs: Sequence[Run]) -> str:
    """Say whether differences are of the headline."""
    headline = runs[0].result["headline"]
    if all(run.shares for run in runs):
        return f"Differences are of {headline}."
    return f"Differences are of the mean of the rows' own scores, which is not {headline}."


def _categories(runs: Sequence[Run]) -> Iterable[str]:
    """Give the differences by category, the largest first."""
    first = runs[0]
    known = sorted({str(row.get("category", "")) for row in first.rows.values()} - {""})
    if len(known) < 2:
        return []
    found = {name: [find_difference(run, first, category=name) for run in runs[1:]] for name in known}
    order = sorted(known, key=lambda name: -max((abs(one.value) for one in found[name] if one), default=0.0))
    head = ["category", "n", *(run.label for run in runs[1:])]
    lines = [_line(head), _line(["---"] * len(head))]
    for name in order[:MOST_CATEGORIES]:
        n = max((one.n for one in found[name] if one), default=0)
        lines.append(_line([name, str(n), *("" if one is None else _signed(one) for one in found[name])]))
    return [f"By category, minus {first.label}:", "\n".join(lines)]


def _signed(found: Difference) -> str:
    mark = " *" if found.p < 0.05 else ""
    return f"{found.value:+.4f} ± {found.error:.4f}{mark}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
