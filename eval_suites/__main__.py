"""The command line of the room: run suites, write the page of scores, list what there is.

python -m eval_suites run rsicd-scene --cases out/eval/cases --out out/eval [--model DIR] [--limit 100]
python -m eval_suites report out/eval docs/scores.md
python -m eval_suites list
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from eval_suites.cases import load_cases
from eval_suites.models.find import find_model
from eval_suites.models.options import add_model_options, read_model_options
from eval_suites.progress import Progress
from eval_suites.report import insert_headlines, load_results, render_scores
from eval_suites.run import RunConfig, run_suite
from eval_suites.suites import SUITES, find_suite
from eval_suites.verbs.score import add_score_options, score_file
from vlm.errors import NadirError
from vlm.output import write_text

LOG = logging.getLogger("nadir.eval")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the three verbs."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m eval_suites", description=__doc__, formatter_class=layout)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="ask a model the cases of a suite and score it")
    run.add_argument("suite", help="a suite, or all that have cases")
    run.add_argument("--cases", type=Path, required=True, help="SUITE.jsonl, or the folder that holds it")
    run.add_argument("--out", type=Path, default=Path("out/eval"), help="results go to OUT/SUITE")
    run.add_argument("--batch", type=int, help="cases asked at once")
    run.add_argument("--limit", type=int, help="a seeded subset of this many cases")
    add_model_options(run)
    report = verbs.add_parser("report", help="write the page of scores from the results")
    report.add_argument("results", type=Path)
    report.add_argument("page", type=Path)
    report.add_argument("--into", type=Path, action="append", default=[], help="page whose marked table is renewed")
    add_score_options(verbs)
    verbs.add_parser("list", help="name the suites")
    return parser


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Run the suites asked for, one after the other, with one model; give each suite's headline."""
    names = _chosen(given.suite, given.cases)
    files = [load_cases(_case_path(given.cases, name)) for name in names]
    answerer = find_model(given.model, read_model_options(given))
    facts = {
        "commit": _commit(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {given.device}",
    }
    config = RunConfig(batch=given.batch, limit=given.limit)
    headlines = {}
    try:
        for name, file in zip(names, files, strict=True):
            with Progress() as progress:
                result = run_suite(
                    find_suite(name), file, answerer, given.out, config, facts=facts, track=progress.step
                )
            value = result["scores"][result["headline"]]
            headlines[name] = {result["headline"]: round(value["value"], 4), "n": result["n"]}
            LOG.info("%s: %s %.4f, n %d", name, result["headline"], value["value"], result["n"])
    finally:
        answerer.close()
    return headlines


def main(arguments: list[str] | None = None) -> None:
    """Run one verb; a mistake of the user is one sentence and exit status 2."""
    given = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    LOG.setLevel(logging.INFO)
    try:
        if given.verb == "run":
            sys.stdout.write(json.dumps(run(given)) + "\n")
        elif given.verb == "score":
            sys.stdout.write(json.dumps(score_file(given)) + "\n")
        elif given.verb == "report":
            results = load_results(given.results)
            write_text(given.page, render_scores(results))
            for other in given.into:
                insert_headlines(other, results, link=os.path.relpath(given.page, other.parent))
            sys.stdout.write(json.dumps({"page": str(given.page)}) + "\n")
        else:
            sys.stdout.write("".join(f"{suite.name:18} {suite.title}: {suite.headline}\n" for suite in SUITES.values()))
    except NadirError as error:
        LOG.error("%s", error)
        raise SystemExit(2) from error


def _chosen(suite: str, cases: Path) -> list[str]:
    if suite != "all":
        return [find_suite(suite).name]
    return [name for name in SUITES if (cases / f"{name}.jsonl").exists()] or [next(iter(SUITES))]


def _case_path(cases: Path, suite: str) -> Path:
    return cases if cases.suffix == ".jsonl" else cases / f"{suite}.jsonl"


def _commit() -> str:
    """Give the short commit of this checkout, marked when files differ from it; unknown outside one."""
    here = Path(__file__).parent
    asked = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


if __name__ == "__main__":
    main()
