"""A run: ask a model every case, with and without the images, then score, probe and write.

`out`/SUITE/ holds samples.jsonl (prompt, raw output, parsed answer, target, score, explanation), blind.jsonl (the same
without the images), shuffled.jsonl and probe-NAME.jsonl where they were asked for, run.json (what was asked of whom)
and result.json. A run that was cut off goes on where it stopped when run.json is the same. Where the model or the cases
are others, the answers that are there are laid aside in earlier-DIGEST. Another protocol scores the same answers again,
and a shorter run keeps those to the other cases in beyond-samples.jsonl.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval_suites.baselines import BLIND
from eval_suites.cases import Case, CaseFile, count_groups, pick_cases
from eval_suites.measure import Measure, Value, build_mean, row_shares, score_gain, score_measure, score_measures
from eval_suites.models.answerer import Answerer
from eval_suites.models.wording import word_prompt
from eval_suites.probes import Probe, probe_case, survives
from eval_suites.rules.rule import Number
from eval_suites.scored import Scored
from eval_suites.size_tables import size_tables
from eval_suites.suites.suite import Suite
from eval_suites.sweeps import (
    Outputs,
    Sweep,
    Track,
    ask_sweep,
    build_running,
    keep_beyond,
    load_outputs,
    shuffle_images,
)
from vlm.output import write_text

__all__ = ["RunConfig", "load_outputs", "run_suite", "write_samples"]

LOG = logging.getLogger("nadir.eval")
LIMIT_SEED = 0
# What a run writes of one model and its cases, and of nobody else.
OWN_FILES = ("samples.jsonl", "blind.jsonl", "probe-*.jsonl", "shuffled*.jsonl", "beyond-*.jsonl", "result.json",
             "report.html", "leaderboard.md", "run.json")  # fmt: skip
SAMPLES, BLIND_FILE = "samples.jsonl", "blind.jsonl"
SHUFFLED = "shuffled (the images of another case)"
Values = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Say how a run goes: cases a batch (None: as the model likes it), how many cases (None: all, else seeded).

    `shuffled` asks once more with the images of other cases; `probes` are asked beside; `blind` may be left out.
    """

    batch: int | None = None
    limit: int | None = None
    blind: bool = True
    shuffled: bool = False
    probes: tuple[Probe, ...] = ()


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

    `facts` (commit, machine) are the caller's, `track` shows progress. One empty answer is scored before anything is
    asked, so that what scoring needs and lacks (Java, a word map, a judge) is said at once.
    """
    folder = out / suite.name
    folder.mkdir(parents=True, exist_ok=True)
    cases = pick_cases(file.cases, config.limit, seed=LIMIT_SEED)
    asking = _Asking(suite, file, answerer, folder, config, track)
    asking.score(cases[:1], [""])
    identity = {"suite": suite.name, "cases": file.digest, "model": answerer.digest, "tokens": suite.max_new_tokens}
    _claim(folder, identity | _wording(file.cases, answerer.dialect))
    answerer.begin(folder)
    outputs = {SAMPLES: asking.ask(cases, SAMPLES, running=suite.running)}
    if answerer.sees and config.blind:
        outputs[BLIND_FILE] = asking.ask(cases, BLIND_FILE, blind=True)
    if answerer.sees and config.shuffled:
        shuffled = "shuffled.jsonl" if len(cases) == len(file.cases) else f"shuffled-{len(cases)}.jsonl"
        outputs[shuffled] = asking.ask(shuffle_images(cases), shuffled)
    probed = {probe.name: asking.probe(probe, cases, outputs[SAMPLES]) for probe in config.probes if answerer.sees}
    judged = {name: asking.score(cases, told) for name, told in outputs.items()}
    for name, told in outputs.items():
        keep_beyond(folder / name, cases)
        write_samples(folder / name, cases, told, judged[name], headline=suite.headline, dialect=answerer.dialect)
    result = {
        **_describe(suite, file, cases),
        **_numbers(suite, file, cases, judged),
        "probes": probed,
        "model": {"name": answerer.name, "digest": answerer.digest, **answerer.facts},
        **facts,
    }
    write_text(folder / "result.json", json.dumps(result, indent=1) + "\n")
    return result


def write_samples(
    path: Path, cases: Sequence[Case], outputs: Outputs, scored: Scored, *, headline: str, dialect: str = "nadir"
) -> None:
    """Write one line a case: prompt, raw output, what the scorer made of it, and its share of the headline's sums."""
    shares = row_shares(scored.find(headline), len(cases))
    lines = [
        json.dumps(
            {
                "id": case.id,
                "group": case.group,
                "category": case.category,
                "prompt": word_prompt(case, dialect),
                "output": output,
                **asdict(row),
                **({} if share is None else {"share": share}),
            }
        )
        for case, output, row, share in zip(cases, outputs, scored.rows, shares, strict=True)
    ]
    write_text(path, "\n".join(lines) + "\n")


@dataclass(frozen=True, slots=True)
class _Asking:
    """Hold what every sweep of a run shares."""

    suite: Suite
    file: CaseFile
    answerer: Answerer
    folder: Path
    config: RunConfig
    track: Track

    def ask(self, cases: Sequence[Case], name: str, *, blind: bool = False, running: bool = False) -> Outputs:
        """Ask one sweep; its file names it."""
        kind = name.removesuffix(".jsonl")
        title = self.suite.name if name == SAMPLES else f"{self.suite.name} {kind}"
        shown = build_running(self.suite, self.file.training, self.answerer.dialect) if running else None
        sweep = Sweep(title, cases, self.folder / name, blind, shown)
        tokens = self.suite.max_new_tokens
        return ask_sweep(sweep, self.answerer, tokens=tokens, batch=self.config.batch, track=self.track)

    def score(self, cases: Sequence[Case], outputs: Outputs) -> Scored:
        """Score the outputs of one sweep as answers to the cases."""
        return self.suite.scorer(cases, outputs, training=self.file.training, dialect=self.answerer.dialect)

    def probe(self, probe: Probe, cases: Sequence[Case], plain: Outputs) -> dict[str, Any]:
        """Ask what a probe makes of the cases, and give the share of answers that survive."""
        folder = self.folder / "probes" / probe.name
        made = [(case, told or "", probe_case(probe, case, folder)) for case, told in zip(cases, plain, strict=True)]
        pairs = [(case, told, other) for case, told, other in made if other is not None]
        if not pairs:
            return {"value": None, "standard_error": None, "n": 0}
        told_probed = self.ask([other for _, _, other in pairs], f"probe-{probe.name}.jsonl")
        same = [
            survives(probe, case, told, other, other_told or "", self.answerer.dialect)
            for (case, told, other), other_told in zip(pairs, told_probed, strict=True)
        ]
        return asdict(score_measure(build_mean(probe.name, same), [case.group for case, _, _ in pairs]))


def _describe(suite: Suite, file: CaseFile, cases: Sequence[Case]) -> dict[str, Any]:
    return {
        "suite": suite.name,
        "title": f"{suite.title} ({file.split})",
        "protocol": suite.protocol,
        "published": suite.published,
        "n": len(cases),
        "of": len(file.cases),
        "groups": count_groups(cases),
        "headline": suite.headline,
        "lower_is_better": suite.lower_is_better,
    }


def _numbers(suite: Suite, file: CaseFile, cases: Sequence[Case], judged: Mapping[str, Scored]) -> dict[str, Any]:
    """Give the scores with their errors, the gain over the blind sweep, all baselines, and tables by category."""
    groups = [case.group for case in cases]
    scored, blind = judged[SAMPLES], judged.get(BLIND_FILE)
    baselines = {BLIND: _values(blind.measures, groups)} if blind else {}
    for name, other in judged.items():
        if name.startswith("shuffled"):
            baselines[SHUFFLED] = _values(other.measures, groups)
    for baseline in suite.baselines:
        baselines[baseline.name] = _values(baseline.measure(cases, file.training, suite.scorer), groups)
    tables = {**scored.tables, **size_tables(cases, scored.rows)}
    return {
        "scores": _values(scored.measures, groups),
        "gain_over_blind": asdict(_gain(scored, blind, suite.headline, groups)) if blind else None,
        "baselines": baselines,
        "tables": {title: _table(cells, groups) for title, cells in tables.items()},
        "ties": [asdict(one) for one in scored.ties],
    }


def _gain(scored: Scored, blind: Scored, headline: str, groups: Sequence[str]) -> Value:
    first, second = scored.find(headline), blind.find(headline)
    if isinstance(first, Measure) and isinstance(second, Measure):
        return score_gain(first, second, groups)
    values = _values([scored.find(headline)], groups)[headline], _values([blind.find(headline)], groups)[headline]
    return Value(values[0]["value"] - values[1]["value"], None, values[0]["n"])


def _values(measures: Iterable[Measure | Number], groups: Sequence[str]) -> Values:
    """Give value, standard error and n of each measure, leaving out those that count nothing."""
    return {name: value for name, value in _all_values([(one.name, one) for one in measures], groups) if value}


def _table(cells: Mapping[str, Measure | Number], groups: Sequence[str]) -> Values:
    return {name: value for name, value in _all_values(list(cells.items()), groups) if value}


def _all_values(
    named: Sequence[tuple[str, Measure | Number]], groups: Sequence[str]
) -> list[tuple[str, dict[str, Any]]]:
    drawn = iter(score_measures([one for _, one in named if isinstance(one, Measure)], groups))
    found = [next(drawn) if isinstance(one, Measure) else Value(one.value, None, one.n) for _, one in named]
    return [
        (name, asdict(value) if math.isfinite(value.value) else {})
        for (name, _), value in zip(named, found, strict=True)
    ]


def _claim(folder: Path, identity: dict[str, Any]) -> None:
    """Write run.json; answers of another model or to other cases are laid aside, and taken up when it is asked again.

    They lie in earlier-DIGEST, a folder that `compare` reads. run.json moves last: a claim that is cut off goes on.
    """
    path, told = folder / "run.json", json.dumps(identity)
    if path.exists() and path.read_text(encoding="utf-8") == told:
        return
    back = _earlier(folder, told)
    if path.exists() or not back.is_dir():
        known = path.read_text(encoding="utf-8") if path.exists() else "unknown"
        aside = _earlier(folder, known)
        if _move(folder, aside):
            LOG.info("%s holds answers of another model or to other cases: they are laid into %s", folder, aside.name)
    if back.is_dir() and _move(back, folder):
        LOG.info("%s goes on with the answers of an earlier run", folder)
    write_text(path, told)


def _wording(cases: Sequence[Case], dialect: str) -> dict[str, str]:
    """Give a digest of the prompts where a dialect words them in its own way; nothing where they are the cases' own."""
    prompts = [word_prompt(case, dialect) for case in cases]
    if prompts == [case.instruction for case in cases]:
        return {}
    return {"wording": hashlib.sha256("\n".join(prompts).encode()).hexdigest()[:16]}


def _earlier(folder: Path, told: str) -> Path:
    """Name the folder of an earlier run by what run.json says of it."""
    return folder / f"earlier-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def _move(source: Path, target: Path) -> int:
    """Move a run's own files from one folder into another, run.json last; give how many there were."""
    files = [path for pattern in OWN_FILES for path in sorted(source.glob(pattern))]
    if files:
        target.mkdir(exist_ok=True)
    for path in files:
        path.replace(target / path.name)
    return len(files)
