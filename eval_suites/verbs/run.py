"""Ask a model the questions of a suite and score its answers: python -m eval_suites run NAME --data FOLDER.

python -m eval_suites run xlrs --data ~/xlrs --model http://localhost:8000/v1 --limit 200
python -m eval_suites run dior-rsvg --data ~/DIOR-RSVG --model out/mine --probes all --shuffled
python -m eval_suites run rsicd-scene --cases out/eval/cases

`--data` is the folder of a benchmark's official files (describe NAME says which), `--cases` that of the files which
data_engine.cases writes of the public sample data. A run that was stopped goes on where it stopped.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eval_suites.cases import Case, CaseFile, load_cases, pick_cases
from eval_suites.images import require_images
from eval_suites.leaderboard import headline_words
from eval_suites.models.answerer import Answerer
from eval_suites.models.find import find_model, find_towers
from eval_suites.models.options import add_model_options, read_model_options
from eval_suites.pages import write_page
from eval_suites.probes import find_probes
from eval_suites.progress import Progress
from eval_suites.rules.judge import build_judge
from eval_suites.rules.registry import find_rule
from eval_suites.run import LIMIT_SEED, RunConfig, run_suite
from eval_suites.suites import BENCHMARKS, LABELLED, SUITES, Suite, find_benchmark, find_suite
from vlm.errors import DataError

LOG = logging.getLogger("nadir.eval")


@dataclass(frozen=True, slots=True)
class Job:
    """Hold one suite with its cases, and the protocol where a checkpoint's towers answer."""

    suite: Suite
    file: CaseFile
    towers: str = ""


def add_run_options(verbs: Any) -> None:
    """Add the verb and its options to a command line's verbs."""
    layout = argparse.RawDescriptionHelpFormatter
    run = verbs.add_parser("run", help="ask a model and score it", description=__doc__, formatter_class=layout)
    run.add_argument("suite", help="see python -m eval_suites list; with --cases also `all`")
    run.add_argument("--data", type=Path, help="the folder of the benchmark's official files")
    run.add_argument("--cases", type=Path, help="SUITE.jsonl, or the folder that holds it")
    run.add_argument("--out", type=Path, default=Path("out/eval"), help="results go to OUT/SUITE")
    run.add_argument("--protocol", help="how the answers are scored; the default is `official`")
    run.add_argument("--limit", type=int, help="a seeded subset of this many cases")
    run.add_argument("--batch", type=int, help="cases asked at once")
    run.add_argument("--no-blind", action="store_true", help="leave the blind baseline out")
    run.add_argument("--shuffled", action="store_true", help="ask once more with the images of other cases")
    run.add_argument("--probes", default="", help="flip,turn,... or all: how often the answer survives")
    run.add_argument("--skip-missing", action="store_true", help="leave out questions whose images are missing")
    run.add_argument("--judge", default="none", help="none, stub, or http://host:8000/v1#MODEL")
    run.add_argument("--judge-key", default="OPENAI_API_KEY", help="environment variable that holds the judge's key")
    add_model_options(run)


def run_jobs(given: argparse.Namespace) -> dict[str, Any]:
    """Run the suites asked for, one after the other, with one model; give their headlines beside the baselines."""
    if given.data and given.suite in BENCHMARKS and BENCHMARKS[given.suite].refusal and BENCHMARKS[given.suite].towers:
        return _retrieve(given)
    jobs = [_benchmark_job(given)] if given.data else list(_case_jobs(given))
    options = read_model_options(given)
    towers = jobs[0].towers
    answerer = find_towers(given.model, options, protocol=towers) if towers else find_model(given.model, options)
    facts = _facts(given)
    headlines = {}
    try:
        for job in jobs:
            result = _run(job, answerer, given, facts)
            headlines[job.suite.name] = _headline(result)
            LOG.info("%s", headline_words(result))
            LOG.info("see %s", given.out / job.suite.name / "report.html")
    finally:
        answerer.close()
    return headlines


def _retrieve(given: argparse.Namespace) -> dict[str, Any]:
    """Score a checkpoint's towers on a suite of retrieval."""
    from eval_suites.models.find import load_towers
    from eval_suites.retrieve import load_pairs, run_retrieval

    benchmark = find_benchmark(given.suite)
    rule = find_rule(benchmark.name, given.protocol)
    pairs = load_pairs(benchmark.open(given.data), limit=given.limit)
    towers = load_towers(given.model, read_model_options(given))
    with Progress() as progress:
        result = run_retrieval(benchmark.name, rule, pairs, towers, given.out, facts=_facts(given), track=progress.step)
    LOG.info("%s", headline_words(result))
    return {benchmark.name: _headline(result)}


def _facts(given: argparse.Namespace) -> dict[str, Any]:
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {given.device}"
    return {"commit": find_commit(), "machine": machine}


def _headline(result: dict[str, Any]) -> dict[str, Any]:
    """Give the headline, n, and what the baselines have in its place."""
    name = result["headline"]
    beside = {label: round(values[name]["value"], 4) for label, values in result["baselines"].items() if name in values}
    return {name: round(result["scores"][name]["value"], 4), "n": result["n"], "baselines": beside}


def _run(job: Job, answerer: Answerer, given: argparse.Namespace, facts: dict[str, Any]) -> dict[str, Any]:
    if given.probes and not job.suite.probes:
        LOG.warning("%s has no probes: it is asked without", job.suite.name)
    config = RunConfig(
        batch=given.batch,
        limit=given.limit,
        blind=not given.no_blind,
        shuffled=given.shuffled,
        probes=find_probes(given.probes, job.suite.probes),
    )
    with Progress() as progress:
        result = run_suite(job.suite, job.file, answerer, given.out, config, facts=facts, track=progress.step)
    write_page(given.out / job.suite.name, result, job.file, dialect=answerer.dialect)
    return result


def _benchmark_job(given: argparse.Namespace) -> Job:
    """Read a benchmark's folder, unpack what is asked about, and see that its images are there."""
    benchmark = find_benchmark(given.suite)
    folder = benchmark.open(given.data)
    file, questions = benchmark.ask(folder)
    suite = benchmark.suite(
        questions, protocol=given.protocol, judge=build_judge(given.judge, key_from=given.judge_key)
    )
    if given.skip_missing:
        file = _without_missing(file)
    chosen = pick_cases(file.cases, given.limit, seed=LIMIT_SEED)
    if benchmark.prepare:
        benchmark.prepare(folder, chosen)
    require_images(chosen, where=f"{benchmark.get}; or leave their questions out with --skip-missing")
    return Job(suite, file, benchmark.protocol(given.protocol) if benchmark.towers else "")


def _case_jobs(given: argparse.Namespace) -> Iterator[Job]:
    if given.suite not in SUITES and given.suite in BENCHMARKS:
        find_suite(given.suite)
    if given.cases is None:
        raise DataError(f"{given.suite} needs its data: name the folder with --data, or its case file with --cases")
    if given.protocol not in (None, "official", "default"):
        raise DataError(
            f"{given.suite} has one protocol on the sample data: --protocol goes with --data and a benchmark"
        )
    for name in _chosen(given.suite, given.cases):
        yield Job(find_suite(name), load_cases(_case_path(given.cases, name)))


def _without_missing(file: CaseFile) -> CaseFile:
    there = {path: Path(path).exists() for case in file.cases for path in case.images}

    def is_whole(case: Case) -> bool:
        return all(there[path] for path in case.images)

    kept = tuple(case for case in file.cases if is_whole(case))
    if len(kept) < len(file.cases):
        LOG.warning("%d of %d questions lack an image and are left out", len(file.cases) - len(kept), len(file.cases))
    return replace(file, cases=kept, digest=f"{file.digest}-{len(kept)}")


def _chosen(suite: str, cases: Path) -> list[str]:
    if suite != "all":
        return [find_suite(suite).name]
    return [name for name in (*SUITES, *LABELLED) if (cases / f"{name}.jsonl").exists()] or [next(iter(SUITES))]


def _case_path(cases: Path, suite: str) -> Path:
    return cases if cases.suffix == ".jsonl" else cases / f"{suite}.jsonl"


def find_commit() -> str:
    """Give the short commit of this checkout, marked when files differ from it; unknown outside one."""
    here = Path(__file__).parent
    asked = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
