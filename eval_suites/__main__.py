"""The command line of the room: run suites, score files, compare runs, say what there is.

python -m eval_suites list
python -m eval_suites describe dior-rsvg
python -m eval_suites run xlrs --data ~/xlrs --model http://localhost:8000/v1 --limit 200
python -m eval_suites score predictions.jsonl --suite rsvqa-lr
python -m eval_suites compare out/a out/b out/c
python -m eval_suites report out/eval docs/scores.md
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from eval_suites.compare import add_compare_options, compare_runs
from eval_suites.report import insert_headlines, load_results, render_scores
from eval_suites.rules.registry import name_suite
from eval_suites.suites import BENCHMARKS, FILES_ALONE, SUITES
from eval_suites.verbs.run import add_run_options, run_jobs
from eval_suites.verbs.score import add_score_options, score_file
from eval_suites.verbs.tell import add_tell_options, describe, render_list
from vlm.errors import NadirError
from vlm.output import write_text

LOG = logging.getLogger("nadir.eval")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the verbs."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m eval_suites", description=__doc__, formatter_class=layout)
    verbs = parser.add_subparsers(dest="verb", required=True)
    add_run_options(verbs)
    add_score_options(verbs)
    add_compare_options(verbs)
    report = verbs.add_parser("report", help="write the page of scores from the results")
    report.add_argument("results", type=Path)
    report.add_argument("page", type=Path)
    report.add_argument("--into", type=Path, action="append", default=[], help="page whose marked table is renewed")
    add_tell_options(verbs)
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Run one verb; a mistake of the user is one sentence and exit status 2."""
    given = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    LOG.setLevel(logging.INFO)
    verbs = {"report": _report, "list": render_list, "describe": describe, "compare": compare_runs}
    try:
        if "suite" in given:
            given.suite = name_suite(given.suite, (*SUITES, *BENCHMARKS, *FILES_ALONE))
        if given.verb == "run":
            sys.stdout.write(json.dumps(run_jobs(given)) + "\n")
        elif given.verb == "score":
            sys.stdout.write(json.dumps(score_file(given)) + "\n")
        else:
            sys.stdout.write(verbs[given.verb](given))
    except NadirError as error:
        LOG.error("%s", error)
        raise SystemExit(2) from error
    except KeyboardInterrupt as stop:
        LOG.error("stopped: what was answered is kept, and the same command goes on from here")
        raise SystemExit(130) from stop


def _report(given: argparse.Namespace) -> str:
    """Write the page of scores, and its table of headlines into other pages."""
    results = load_results(given.results)
    write_text(given.page, render_scores(results))
    for other in given.into:
        insert_headlines(other, results, link=os.path.relpath(given.page, other.parent))
    return json.dumps({"page": str(given.page)}) + "\n"


if __name__ == "__main__":
    main()
