"""Sweeps of a run: each asks one model all cases in one way, and keeps each answer at once.

The plain sweep shows the images, the blind one leaves them away, the shuffled one shows those of another case, and a
probe shows them changed in a way that should not matter (probes.py). The answers do not depend on the batches.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eval_suites.cases import Case
from eval_suites.measure import Measure
from eval_suites.models.answerer import Answerer
from eval_suites.models.wording import word_prompt
from eval_suites.scored import Training
from eval_suites.suites.suite import Suite
from vlm.output import write_text

LOG = logging.getLogger("nadir.eval")
RUNNING_S, RUNNING_CASES = 5.0, 2000
SHUFFLE_SEED = 0
Track = Callable[[str, int, int, str], None]
Outputs = list[str | None]
Running = Callable[[Sequence[Case], dict[str, str | None], int], str]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Name one way of asking: its cases, the file that keeps the answers, and whether the images are left away."""

    title: str
    cases: Sequence[Case]
    path: Path
    blind: bool = False
    running: Running | None = None


def ask_sweep(sweep: Sweep, answerer: Answerer, *, tokens: int, batch: int | None, track: Track) -> Outputs:
    """Give the outputs in the order of the cases, asking only those that the file does not hold yet.

    Without images, cases of the same words are the same question and are asked once.
    """
    known = load_outputs(beyond(sweep.path)) | load_outputs(sweep.path)
    shared = {words(case): known[case.id] for case in sweep.cases if sweep.blind and case.id in known}
    todo = [case for case in sweep.cases if case.id not in known]
    asked = _one_per_question(todo, shared) if sweep.blind else todo
    ordered = sorted(asked, key=_likeness)
    size = batch or answerer.batch
    with sweep.path.open("a", encoding="utf-8") as file:
        track(sweep.title, 0, len(ordered), "")
        for start in range(0, len(ordered), size):
            some = ordered[start : start + size]
            outputs = answerer.ask(some, max_new_tokens=tokens, blind=sweep.blind)
            for done, (case, output) in enumerate(zip(some, outputs, strict=True), start=start + 1):
                known[case.id] = shared[words(case)] = output
                prompt = word_prompt(case, answerer.dialect)
                file.write(json.dumps({"id": case.id, "prompt": prompt, "output": output}) + "\n")
                file.flush()
                score = sweep.running(ordered, known, done) if sweep.running else ""
                track(sweep.title, done, len(ordered), score)
    return [known[case.id] if case.id in known else shared[words(case)] for case in sweep.cases]


def load_outputs(path: Path) -> dict[str, str | None]:
    """Read the outputs in a file of samples by case id; from a line that was cut off on, the file is shortened."""
    if not path.exists():
        return {}
    found: dict[str, str | None] = {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines):
        row = _parse_row(line)
        if row is None:
            LOG.warning("%s was cut off at line %d: the run goes on from there", path, number + 1)
            write_text(path, "".join(lines[:number]))
            break
        found[row["id"]] = row["output"]
    return found


def beyond(path: Path) -> Path:
    """Name the file that keeps the answers to cases outside a run's limit."""
    return path.with_name(f"beyond-{path.name}")


def keep_beyond(path: Path, cases: Sequence[Case]) -> None:
    """Keep the answers of a file to cases that are not among these: the file is about to hold these alone."""
    asked = {case.id for case in cases}
    known = load_outputs(beyond(path)) | load_outputs(path)
    lines = [json.dumps({"id": key, "output": output}) + "\n" for key, output in known.items() if key not in asked]
    if lines:
        write_text(beyond(path), "".join(lines))


def build_running(suite: Suite, training: Training, dialect: str) -> Running:
    """Build what scores the newest answers now and then, and takes a twentieth of the time at most."""
    due, shown = time.monotonic() + RUNNING_S, ""

    def score(cases: Sequence[Case], known: dict[str, str | None], done: int) -> str:
        nonlocal due, shown
        began = time.monotonic()
        if began >= due:
            newest = cases[max(0, done - RUNNING_CASES) : done]
            scored = suite.scorer(newest, [known[case.id] for case in newest], training=training, dialect=dialect)
            measure = scored.find(suite.headline)
            value = float(measure.combine(measure.parts.sum(axis=0))) if isinstance(measure, Measure) else measure.value
            ended = time.monotonic()
            due, shown = ended + max(RUNNING_S, 20 * (ended - began)), f"{suite.headline} {value:.3f}"
        return shown

    return score


def shuffle_images(cases: Sequence[Case]) -> list[Case]:
    """Give each case the images of another group, as many and of the same sizes where there are some; seeded."""
    pools: dict[Any, list[Case]] = {}
    for case in cases:
        pools.setdefault((len(case.images), case.sizes), []).append(case)
    rng = random.Random(SHUFFLE_SEED)
    taken: dict[str, Case] = {}
    for pool in pools.values():
        for case in pool:
            others = [other for other in (rng.choice(pool) for _ in range(20)) if other.group != case.group]
            taken[case.id] = others[0] if others else case
    return [
        replace(case, images=taken[case.id].images, sizes=taken[case.id].sizes, window=taken[case.id].window)
        for case in cases
    ]


def words(case: Case) -> tuple[str, ...]:
    """Give all words of a question: two cases of the same words are one question to who sees no image."""
    return (case.instruction, case.form, case.phrase)


def _parse_row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None
    return row if isinstance(row, dict) and line.endswith("\n") and {"id", "output"} <= row.keys() else None


def _one_per_question(cases: Iterable[Case], shared: dict[tuple[str, ...], str | None]) -> list[Case]:
    return list({words(case): case for case in cases if words(case) not in shared}.values())


def _likeness(case: Case) -> tuple[Any, ...]:
    """Sort cases so that a batch holds images of one size, which cost the same, and instructions of similar length."""
    shown = [(case.window.w, case.window.h)] if case.window else list(case.sizes)
    return len(case.images), shown, len(case.instruction), case.id
