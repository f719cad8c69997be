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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from eval_suites.cases import Case, CaseFile, count_groups, pick_cases
from eval_suites.measure import Measure, score_gain, score_measure
from eval_suites.scored import Scored
from eval_suites.suites import Suite
from vlm.output import write_text

LOG = logging.getLogger("nadir.eval")
LIMIT_SEED = 0
Track = Callable[[str, int, int], None]


class Answerer(Protocol):
    """Answer cases as text: a Nadir checkpoint, or whatever a test puts in its place."""

    name: str
    digest: str
    dialect: str

    def ask(self, cases: Sequence[Case], *, max_new_tokens: int, blind: bool) -> list[str]:
        """Give the raw text of each case's answer; `blind` leaves the images away."""
        ...


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Say how a run goes: cases a batch, and how many cases (all by default, else a seeded subset)."""

    batch: int = 24
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
    sighted = ask_cases(cases, answerer, suite, folder / "samples.jsonl", config, blind=False, track=track)
    blind = ask_cases(cases, answerer, suite, folder / "blind.jsonl", config, blind=True, track=track)
    options: dict[str, Any] = {"training": file.training, "dialect": answerer.dialect}
    scored, scored_blind = suite.scorer(cases, sighted, **options), suite.scorer(cases, blind, **options)
    write_samples(folder / "samples.jsonl", cases, sighted, scored)
    write_samples(folder / "blind.jsonl", cases, blind, scored_blind)
    groups = [case.group for case in cases]
    baselines = {"blind (the same model without the image)": _values(scored_blind.measures, groups)}
    for baseline in suite.baselines:
        baselines[baseline.name] = _values(baseline.measure(cases, file.training, suite.scorer), groups)
    gain = score_gain(scored.find(suite.headline), scored_blind.find(suite.headline), groups)
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
        "gain_over_blind": asdict(gain),
        "baselines": baselines,
        "model": {"name": answerer.name, "digest": answerer.digest},
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
) -> list[str]:
    """Give the outputs in the order of the cases, asking only those that `path` does not hold yet.

    Without images, cases of the same instruction are the same question and are asked once.
    """
    known = load_outputs(path)
    shared = {case.instruction: known[case.id] for case in cases if blind and case.id in known}
    todo = [case for case in cases if case.id not in known]
    asked = _one_per_instruction(todo, shared) if blind else todo
    ordered = sorted(asked, key=_likeness)
    title = f"{suite.name}{' blind' if blind else ''}"
    with path.open("a", encoding="utf-8") as file:
        track(title, 0, len(ordered))
        for start in range(0, len(ordered), config.batch):
            batch = ordered[start : start + config.batch]
            outputs = answerer.ask(batch, max_new_tokens=suite.max_new_tokens, blind=blind)
            for case, output in zip(batch, outputs, strict=True):
                known[case.id] = shared[case.instruction] = output
                file.write(json.dumps({"id": case.id, "prompt": case.instruction, "output": output}) + "\n")
            file.flush()
            track(title, start + len(batch), len(ordered))
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


def _claim(folder: Path, identity: dict[str, Any]) -> None:
    """Write run.json; answers of another or an unknown model or to other cases are deleted: they are not this run's."""
    path = folder / "run.json"
    if path.exists() and path.read_text(encoding="utf-8") == json.dumps(identity):
        return
    stale = [folder / name for name in ("samples.jsonl", "blind.jsonl", "result.json") if (folder / name).exists()]
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
