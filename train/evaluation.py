"""Scores while training: the benchmark runner asks the model a fixed part of its cases, and the best model is kept.

The runner is started as its command line, in a process of its own: what stands in the log is what
`python -m eval_suites run SUITE --cases FOLDER --model OUT/best --limit N --no-blind` says of the same model.

OUT/evaluation/step-*/SUITE/  what the runner writes     OUT/evaluation.jsonl  a line of scores a time
OUT/best/                     the model of the best score, and score.json, which names it
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from train.checkpoints import replace_folder, say_failure
from train.progress import Listener, forget_after, read_log
from train.runner import start_runner
from vlm.errors import InputError

LOG = logging.getLogger("nadir.train")
SCORES: Final = "evaluation.jsonl"
SCORE: Final = "score.json"
BEST: Final = "best"
LAST_LINES: Final = 3


@dataclass(frozen=True)
class EvaluationSettings:
    """Say what is asked of the model while it trains, and by which score the best one is kept."""

    cases: str = ""
    """Folder of case files (data_engine/cases.py); "" asks nothing."""
    suites: tuple[str, ...] = ()
    """Names of the suites, each with a file in it; none for all that are there."""
    limit: int = 64
    """Cases of each suite, always the same ones."""
    minutes: float = 15.0
    """Least minutes of training between two evaluations; what is evaluated is the model of a checkpoint."""
    best: str = ""
    """SUITE, for its headline, or SUITE/SCORE, by which the best model is kept; "" for the first suite's headline."""
    device: str = ""
    """Where the runner puts the model, such as cuda:1; "" for the device of the first process."""


@dataclass
class Evaluation:
    """Score models of a run and keep the best; used by the first process alone."""

    out: Path
    settings: EvaluationSettings
    device: str
    listeners: tuple[Listener, ...] = ()
    _minutes: float = field(default=0.0, init=False)
    _step: int = field(default=0, init=False)

    def check(self) -> None:
        """See before any work that the cases are there; InputError where they are not."""
        cases = Path(self.settings.cases)
        there = sorted(path.stem for path in cases.glob("*.jsonl"))
        missing = [name for name in self.suites() if name not in there]
        if missing or not there:
            raise InputError(
                f"evaluation.cases={cases} holds no {f'{missing[0]}.jsonl' if missing else 'case file'}: it has "
                f"{', '.join(there) or 'none'}; write case files with python -m data_engine.cases SUITE DATA {cases}"
            )
        suite = self.settings.best.partition("/")[0]
        if suite and suite not in self.suites():
            raise InputError(
                f"evaluation.best={self.settings.best}: {suite} is not asked, but {', '.join(self.suites())}"
            )

    def begin(self, model: Path) -> None:
        """Score the model that a run starts from: what it cannot be scored for is said before any work is lost.

        Raises InputError with the last words of the runner.
        """
        (self.out / SCORES).unlink(missing_ok=True)
        shutil.rmtree(self.out / BEST, ignore_errors=True)
        self._score(model, 0, 0.0)

    def go_on(self, *, step: int, minutes: float) -> None:
        """Forget the scores of steps that are taken again; the best model stays."""
        forget_after(self.out / SCORES, step)
        self._minutes, self._step = minutes, max((line["step"] for line in read_log(self.out / SCORES)), default=-1)

    def suites(self) -> tuple[str, ...]:
        """Give the names of the suites that are asked."""
        return self.settings.suites or tuple(sorted(path.stem for path in Path(self.settings.cases).glob("*.jsonl")))

    def follow(self, model: Path, *, step: int, minutes: float, last: bool) -> None:
        """Score the model of a checkpoint when it is time; a failure is told and costs the run nothing else."""
        if step == self._step or (minutes - self._minutes < self.settings.minutes and not last):
            return
        self._minutes, self._step = minutes, step
        try:
            self._score(model, step, minutes)
        except (InputError, OSError) as error:
            LOG.error("step %d is not evaluated: %s; training goes on", step, error)

    def _score(self, model: Path, step: int, minutes: float) -> None:
        results = {suite: self._ask(suite, model, step) for suite in self.suites()}
        values = {
            f"{suite}/{name}": float(score["value"])
            for suite, found in results.items()
            for name, score in found["scores"].items()
        }
        chosen, lower = self._chosen(results, values)
        LOG.info("eval  %7d  %s", step, "  ".join(f"{name} {value:.4f}" for name, value in values.items()))
        for listener in self.listeners:
            listener(step, {f"eval/{name}": value for name, value in values.items()})
        score = {"score": chosen, "value": values[chosen], "lower_is_better": lower, "step": step}
        if self._is_better(score):
            self._keep(model, score)
        with (self.out / SCORES).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "minutes": round(minutes, 2), **values}) + "\n")

    def _ask(self, suite: str, model: Path, step: int) -> dict[str, Any]:
        out = self.out / "evaluation" / f"step-{step:08d}"
        words = ["run", suite, "--cases", self.settings.cases, "--no-blind"]
        words += ["--limit", str(self.settings.limit), "--model", str(model), "--name", f"step {step}"]
        words += ["--out", str(out), "--device", self.settings.device or self.device]
        done = start_runner(words, capture_output=True)
        if done.returncode:
            said = done.stderr.strip().splitlines()[-LAST_LINES:] or ["it said nothing"]
            raise InputError(f"the benchmark runner could not score {model} on {suite}: {' '.join(said)}")
        found: dict[str, Any] = json.loads((out / suite / "result.json").read_text(encoding="utf-8"))
        return found

    def _chosen(self, results: dict[str, dict[str, Any]], values: dict[str, float]) -> tuple[str, bool]:
        """Give the score that the best model is kept by, and whether a lower one is better."""
        suite, _, name = (self.settings.best or self.suites()[0]).partition("/")
        chosen = f"{suite}/{name or results[suite]['headline']}"
        if chosen not in values:
            known = [one for one in values if one.startswith(f"{suite}/")]
            raise InputError(f"evaluation.best={self.settings.best}: {suite} gives {', '.join(known)}")
        return chosen, bool(results[suite]["lower_is_better"])

    def _is_better(self, score: dict[str, Any]) -> bool:
        path = self.out / BEST / SCORE
        held = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        if held is None or held["score"] != score["score"]:
            return True
        gain = float(score["value"]) - float(held["value"])
        return gain < 0 if score["lower_is_better"] else gain > 0

    def _keep(self, model: Path, score: dict[str, Any]) -> None:
        best = self.out / BEST
        new = best.with_name(f"{BEST}.new")
        shutil.rmtree(new, ignore_errors=True)
        try:
            shutil.copytree(model, new)
            (new / SCORE).write_text(json.dumps(score) + "\n", encoding="utf-8")
        except OSError as error:
            shutil.rmtree(new, ignore_errors=True)
            raise InputError(f"{best} could not be written: {say_failure(error, self.out)}") from error
        replace_folder(new, best)
