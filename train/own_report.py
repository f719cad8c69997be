"""The report of a tuning: scores before and after on held-out ground, beside baselines, as a page and as numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from data_engine import templates
from data_engine.own.labels import OwnData
from data_engine.own.split import Split
from vlm.output import write_text

Result = dict[str, Any]
REPORT, PAGE, RESULT = "report.md", "report.html", "result.json"
TITLES: Final = {
    "labels-detect": "all objects of a class",
    "labels-ground": "one object by class, position or size",
    "labels-count": "how many",
    "labels-mask": "the mask of a class",
}
FEW: Final = 30
"""Questions below which a page says that they are few."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Hold what the report tells beside the scores."""

    settings: dict[str, Any]
    data: OwnData
    split: Split
    tasks: tuple[str, ...]
    seconds: float


def write_report(out: Path, facts: Facts, before: Sequence[Result], after: Sequence[Result]) -> Path:
    """Write result.json, report.md and report.html to a folder, and give the path of the last."""
    rows = [_row(*pair) for pair in zip(before, after, strict=True)]
    numbers = _numbers(facts) | {"steps": _say_steps(out)}
    headlines = {
        row["suite"]: {"score": row["score"], **{side: _round(row[side]) for side in ("before", "after")}}
        for row in rows
    }
    content = {
        "headlines": headlines,
        "rows": rows,
        "data": numbers,
        "settings": facts.settings,
        "model": str(out / "model"),
        **{name: after[0].get(name) for name in ("commit", "machine")},
    }
    write_text(out / RESULT, json.dumps(content, indent=1, default=str) + "\n")
    write_text(out / REPORT, render_markdown(out, facts, rows, numbers))
    return write_text(out / PAGE, _render_page(out, facts, rows, numbers))


def render_markdown(out: Path, facts: Facts, rows: Sequence[Result], numbers: dict[str, Any]) -> str:
    """Write the page as markdown."""
    head = ["| asked | score | n | before | after | after, without the image | other baseline |"]
    lines = [*head, "| --- | --- | --- | --- | --- | --- | --- |", *(_line(row) for row in rows)]
    told = "\n".join(f"- {name}: {value}" for name, value in numbers.items())
    notes = "\n".join(f"- {note}" for note in _notes(rows))
    asks = "\n".join(_asks(out, facts))
    return (
        f"# A model tuned on {facts.settings['labels']}\n\n" + "\n".join(lines) + f"\n\n{notes}\n\n"
        f"## Asking it\n\n```\n{asks}\n```\n\n## Data and training\n\n{told}\n"
    )


def _row(before: Result, after: Result) -> dict[str, Any]:
    """Join the results of a suite: its headline before and after, blind, and by the best other baseline."""
    name = after["headline"]
    found = {label: values[name] for label, values in after["baselines"].items() if name in values}
    blind = next((value for label, value in found.items() if label.startswith("blind")), None)
    sign = -1 if after["lower_is_better"] else 1
    others = {label: value for label, value in found.items() if not label.startswith("blind")}
    best = max(others, key=lambda label: sign * others[label]["value"], default=None)
    return {
        "suite": after["suite"], "asked": TITLES.get(after["suite"], after["suite"]), "score": name, "n": after["n"],
        "groups": after["groups"], "lower_is_better": after["lower_is_better"], "before": before["scores"][name],
        "after": after["scores"][name], "blind": blind, "baseline": best, "by_baseline": others.get(best or ""),
        "scores": after["scores"],
    }  # fmt: skip


def _line(row: dict[str, Any]) -> str:
    other = f"{row['baseline']}: {_write(row['by_baseline'])}" if row["baseline"] else "none"
    score = f"{row['score']} (less is better)" if row["lower_is_better"] else row["score"]
    link = f"[{row['asked']}](after/{row['suite']}/report.html)"
    cells = [link, score, row["n"], _write(row["before"]), f"**{_write(row['after'])}**", _write(row["blind"]), other]
    return f"| {' | '.join(map(str, cells))} |"


def _notes(rows: Sequence[Result]) -> list[str]:
    notes = [
        "Scored on ground that no training window shows, by the benchmark runner (docs/evaluation.md): the number "
        "behind a score is its standard error over held-out blocks. [comparison.md](comparison.md) has all scores, and "
        "the differences question by question."
    ]
    few = [f"{row['asked']} ({row['n']} in {row['groups']} blocks)" for row in rows if row["n"] < FEW]
    if few:
        notes.append(f"Few questions make a rough score: {', '.join(few)}. Label more, or hold out more (--holdout).")
    return notes


def _asks(out: Path, facts: Facts) -> list[str]:
    """Give commands that ask the tuned model about a held-out window."""
    cut, label = facts.split.held[0], facts.data.classes[0]
    window = cut.window
    ask = f"nadir ask {cut.image.path} --window {window.x},{window.y},{window.w},{window.h} --model {out / 'model'}"
    plural = templates.write_plural(label)
    return [f'{ask} "Where are the {plural}?" --out {out / "found.geojson"}', f'{ask} "How many {plural} are there?"']


def _numbers(facts: Facts) -> dict[str, Any]:
    data, split = facts.data, facts.split
    dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(data.dropped.items())) or "none"
    return {
        "features": f"{data.features}, {data.used} used; dropped: {dropped}",
        "classes": ", ".join(data.classes),
        "images": len(data.images),
        "training": f"{split.train_objects} objects in {len(split.train)} windows of {split.window_px} px",
        "held out": f"{split.held_objects} objects in {len(split.held)} windows, by {split.by}; seed "
                    f"{facts.settings['seed']}",
        "in neither": f"{split.unseen} objects on the border of both sides",
        "tasks": ", ".join(facts.tasks),
        "minutes of training": facts.settings["minutes"],
        "minutes in all, since the last start": round(facts.seconds / 60, 1),
        "from": facts.settings["model"] or "the built-in model",
    }  # fmt: skip


def _say_steps(out: Path) -> str:
    """Say how many steps each round took."""
    notes = {path.parents[1].name: json.loads(path.read_text()) for path in out.glob("rounds/*/model/training.json")}
    return ", ".join(f"{name} {found['step']}" for name, found in sorted(notes.items(), reverse=True)) or "none"


def _render_page(out: Path, facts: Facts, rows: Sequence[Result], numbers: dict[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("train", "."), autoescape=True, trim_blocks=True)
    return environment.get_template("finetune.html.jinja").render(
        title=f"A model tuned on {facts.settings['labels']}", rows=rows, numbers=numbers, write=_write,
        notes=[note.replace("[comparison.md](comparison.md)", "comparison.md") for note in _notes(rows)],
        asks=_asks(out, facts),
    )  # fmt: skip


def _write(value: dict[str, Any] | None) -> str:
    """Write a number with its standard error, where it has one."""
    if value is None:
        return "none"
    error = value["standard_error"]
    return f"{value['value']:.3f}" + ("" if error is None else f" ± {error:.3f}")


def _round(value: dict[str, Any]) -> float:
    return round(float(value["value"]), 4)
