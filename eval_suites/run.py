"""A run: ask a model every case, with and without the images, keep each answer at once, then score and write.

`out`/SUITE/ holds samples.jsonl (prompt, raw output, parsed answer, target, score, explanation), blind.jsonl (the same
without the images), run.json (what was asked of whom) and result.json. A run that was cut off goes on where it stopped
when run.json is the same, and starts anew when the model or the cases are others. The answers do not depend on the
batches.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval_suites.baselines import BLIND
from eval_suites.cases import Case, CaseFile, count_groups, pick_cases
from eval_suites.measure import Measure, score_gain, score_measure
from eval_suites.models.answerer import Answerer
from eval_suites.scored import Scored
from eval_suites.suites import Suite
from vlm.output import write_text

LOG = logging.getLogger("nadir.eval")
LIMIT_SEED = 0
SAMPLES = ("samples.jsonl", "blind.jsonl")
RUNNING_S, RUNNING_CASES = 5.0, 2000
Track = Callable[[str, int, int, str], None]
Running = Callable[[Sequence[Case], Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Say how a run goes: cases a batch (None: as the model likes it), and how many cases (None: all, else seeded)."""

    batch: int | None = None
    limit: int | None = None


def run_suite(
    suite: Suite,
    file: CaseFile,
    answerer: Answerer,
    out: Path,
    config: RunConfig,
    *,
    facts: dict[str, Any],
    track: Track,
) -> dict[str, Any]:
    """Run one suite and give what result.json holds.

    `facts` (commit, machine) are the caller's, `track` shows progress.
    """
    folder = out / suite.name
    folder.mkdir(parents=True, exist_ok=True)
    cases = pick_cases(file.cases, config.limit, seed=LIMIT_SEED)
    identity = {"suite": suite.name, "cases": file.digest, "model": answerer.digest, "tokens": suite.max_new_tokens}
    _claim(folder, identity)
    answerer.begin(folder)
    options: dict[str, Any] = {"training": file.training, "dialect": answerer.dialect}
    groups = [case.group for case in cases]

    ways = (False, True) if answerer.sees else (False,)
    outputs = {}
    for blind in ways:
        running = None if blind or not suite.running else _running(suite, options)
        path = folder / SAMPLES[blind]
        outputs[blind] = ask_cases(cases, answerer, suite, path, config, blind=blind, track=track, running=running)
    judged = {blind: suite.scorer(cases, outputs[blind], **options) for blind in ways}
    for blind in ways:
        write_samples(folder / SAMPLES[blind], cases, outputs[blind], judged[blind])
    scored, scored_blind = judged[False], judged.get(True)
    baselines = {BLIND: _values(scored_blind.measures, groups)} if scored_blind else {}
    for baseline in suite.baselines:
        baselines[baseline.name] = _values(baseline.measure(cases, file.training, suite.scorer), groups)
    gain = score_gain(scored.find(suite.headline), scored_blind.find(suite.headline), groups) if scored_blind else None
    result = {
        "suite": suite.name,
        "title": f"{suite.title} ({file.split})",
        "protocol": suite.protocol,
        "n": len(cases),
        "of": len(file.cases),
        "groups": count_groups(cases),
        "headline": suite.headline,
        "lower_is_better": suite.lower_is_better,
        "scores": _values(scored.measures, groups),
        "gain_over_blind": asdict(gain) if gain else None,
        "baselines": baselines,
        "model": {"name": answerer.name, "digest": answerer.digest, **answerer.facts},
        **facts,
    }
    write_text(folder / "result.json", json.dumps(result, indent=1) + "\n")
    return result


def ask_cases(
    cases: Sequence[Case],
    answerer: Answerer,
    suite: Suite,
    path: Path,
    config: RunConfig,
    *,
    blind: bool,
    track: Track,
    running: Running | None = None,
) -> list[str]:
    """Give the outputs in the order of the cases, asking only those that `path` does not hold yet.

    Without images, cases of the same instruction are the same question and are asked once. `running` gives the score
    of what is answered so far, for the progress.
    """
    known = load_outputs(path)
    shared = {case.instruction: known[case.id] for case in cases if blind and case.id in known}
    todo = [case for case in cases if case.id not in known]
    asked = _one_per_instruction(todo, shared) if blind else todo
    ordered = sorted(asked, key=_likeness)
    title = f"{suite.name}{' blind' if blind else ''}"
    size = config.batch or answerer.batch
    with path.open("a", encoding="utf-8") as file:
        track(title, 0, len(ordered), "")
        for start in range(0, len(ordered), size):
            batch = ordered[start : start + size]
            outputs = answerer.ask(batch, max_new_tokens=suite.max_new_tokens, blind=blind)
            for done, (case, output) in enumerate(zip(batch, outputs, strict=True), start=start + 1):
                known[case.id] = shared[case.instruction] = output
                file.write(json.dumps({"id": case.id, "prompt": case.instruction, "output": output}) + "\n")
                file.flush()
                score = running(ordered[:done], [known[one.id] for one in ordered[:done]]) if running else ""
                track(title, done, len(ordered), score)
    return [known[case.id] if case.id in known else shared[case.instruction] for case in cases]


def load_outputs(path: Path) -> dict[str, str]:
    """Read the outputs in a file of samples by case id; from a line that was cut off on, the file is shortened."""
    if not path.exists():
        return {}
    found: dict[str, str] = {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines):
        row = _parse_row(line)
        if row is None:
            LOG.warning("%s was cut off at line %d: the run goes on from there", path, number + 1)
            write_text(path, "".join(lines[:number]))
            break
        found[row["id"]] = row["output"]
    return found


def write_samples(path: Path, cases: Sequence[Case], outputs: Sequence[str], scored: Scored) -> None:
    """Write one line a case: prompt, raw output, and what the scorer made of it."""
    lines = [
        json.dumps(
            {"id": case.id, "category": case.category, "prompt": case.instruction, "output": output, **asdict(row)}
        )
        for case, output, row in zip(cases, outputs, scored.rows, strict=True)
    ]
    write_text(path, "\n".join(lines) + "\n")


def _running(suite: Suite, options: dict[str, Any]) -> Running:
    """Build what scores the newest answers now and then, and takes a twentieth of the time at most."""
    due, shown = time.monotonic() + RUNNING_S, ""

    def score(cases: Sequence[Case], outputs: Sequence[str]) -> str:
        nonlocal due, shown
        began = time.monotonic()
        if began >= due:
            scored = suite.scorer(cases[-RUNNING_CASES:], outputs[-RUNNING_CASES:], **options)
            measure = scored.find(suite.headline)
            value = float(measure.combine(measure.parts.sum(axis=0)))
            ended = time.monotonic()
            due, shown = ended + max(RUNNING_S, 20 * (ended - began)), f"{suite.headline} {value:.3f}"
        return shown

    return score


def _claim(folder: Path, identity: dict[str, Any]) -> None:
    """Write run.json; answers of another or an unknown model or to other cases are deleted: they are not this run's."""
    path = folder / "run.json"
    if path.exists() and path.read_text(encoding="utf-8") == json.dumps(identity):
        return
    stale = [folder / name for name in (*SAMPLES, "result.json") if (folder / name).exists()]
    if stale:
        LOG.info("%s holds answers of another model or to other cases: it starts anew", folder)
    for file in stale:
        file.unlink()
    write_text(path, json.dumps(identity))


def _parse_row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None
    return row if isinstance(row, dict) and line.endswith("\n") and {"id", "output"} <= row.keys() else None


def _one_per_instruction(cases: Iterable[Case], shared: dict[str, str]) -> list[Case]:
    return list({case.instruction: case for case in cases if case.instruction not in shared}.values())


def _likeness(case: Case) -> tuple[Any, ...]:
    """Sort cases so that a batch holds images of one size, which cost the same, and instructions of similar length."""
    shown = [(case.window.w, case.window.h)] if case.window else list(case.sizes)
    return len(case.images), shown, len(case.instruction), case.id


def _values(measures: Iterable[Measure], groups: Sequence[str]) -> dict[str, dict[str, Any]]:
    found = {measure.name: score_measure(measure, groups) for measure in measures}
    return {name: asdict(value) for name, value in found.items() if math.isfinite(value.value)}
