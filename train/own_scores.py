"""Scores before and after: the benchmark runner asks a model about the held-out windows, in a process of its own.

The runner is started as its command line, so that what stands in the report is what
`python -m eval_suites run all --cases OUT/data/cases --model OUT/model` says of the same model.
"""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from train.runner import start_runner
from vlm.errors import OutputError

LOG = logging.getLogger("nadir.train")
Result = dict[str, Any]


def ask_model(cases: Path, out: Path, model: Path | None, *, blind: bool, name: str) -> list[Result]:
    """Score a model (the built-in one by default) on all case files; what is there already is not asked again.

    Raises OutputError where the runner fails; what it says stands on the terminal.
    """
    suites = sorted(path.stem for path in cases.glob("*.jsonl"))
    if not all((out / suite / "result.json").exists() for suite in suites):
        words = ["run", "all", "--cases", str(cases), "--out", str(out), "--name", name]
        words += [] if model is None else ["--model", str(model)]
        _run([*words, *([] if blind else ["--no-blind"])])
    return load_scores(out, suites)


def load_scores(out: Path, suites: Iterable[str]) -> list[Result]:
    """Read the results of suites."""
    return [json.loads((out / suite / "result.json").read_text(encoding="utf-8")) for suite in suites]


def compare(before: Path, after: Path, page: Path) -> None:
    """Write the page that compares two runs question by question."""
    _run(["compare", str(before), str(after), "--out", str(page)])


def _run(words: list[str]) -> None:
    """Run a verb of the benchmark runner; its words go to the terminal, its result nowhere."""
    done = start_runner(words, stdout=subprocess.DEVNULL)
    if done.returncode:
        raise OutputError(
            f"the benchmark runner ended with status {done.returncode}, see above (it needs pip install "
            "'nadir-vlm[eval]'); the same command goes on from here"
        )
