"""What tells of a run beside its checkpoint: training.json for machines, run.md for people, the loss curve."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from train.progress import read_log

PACKAGES: Final = ("torch", "transformers", "deepspeed", "peft", "open_clip_torch")


def write_card(
    out: Path, notes: Mapping[str, Any], *, ledger: Mapping[str, Any], data: Sequence[Mapping[str, Any]]
) -> None:
    """Write `model/training.json`, `run.md` and `loss.png` of a run in `out`."""
    whole = {**notes, "ledger": dict(ledger), "data": [dict(source) for source in data]}
    (out / "model" / "training.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    (out / "run.md").write_text(render_card(out.name, whole), encoding="utf-8")
    draw_curve(out / "log.jsonl", out / "loss.png")


def render_card(name: str, whole: Mapping[str, Any]) -> str:
    """Write the card of a run as Markdown: what ran, on which data, and what became of it."""
    lines = [f"# Run {name}", "", f"{whole['step']} steps in {whole['minutes']} minutes, commit {whole['commit']}.", ""]
    lines += ["![loss](loss.png)", "", "## Command", "", f"    {' '.join(sys.argv)}", ""]
    if whole["data"]:
        names = list(whole["data"][0])
        lines += ["## Data", "", f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
        lines += [f"| {' | '.join(_show(source.get(name, '')) for name in names)} |" for source in whole["data"]] + [""]
    lines += [_table("Ledger", whole["ledger"]), _table("Settings", whole["config"]), _table("Packages", _versions())]
    return "\n".join(lines)


def draw_curve(log: Path, picture: Path) -> None:
    """Draw the losses, of the answers by task too and of the pointer, over the steps of a log."""
    from matplotlib.figure import Figure

    lines = read_log(log)
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    shown = {key for line in lines for key in line if (key.startswith("loss") or key == "pointer") and line[key] > 0}
    for name in sorted(shown):
        points = [(line["step"], line[name]) for line in lines if name in line]
        axes.plot(*zip(*points, strict=True), linewidth=2 if name == "loss" else 1, label=name.removeprefix("loss/"))
    axes.set(xlabel="step", ylabel="loss", yscale="log")
    axes.grid(visible=True, alpha=0.3)
    if lines:
        axes.legend(ncols=2, fontsize="small")
    figure.savefig(picture)


def _table(title: str, values: Mapping[str, Any]) -> str:
    rows = [f"| {name} | {_show(value)} |" for name, value in values.items()]
    return "\n".join([f"## {title}", "", "| | |", "|---|---|", *rows, ""])


def _show(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value).replace("|", "/")


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
