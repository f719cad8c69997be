"""Say what there is: python -m eval_suites list, and python -m eval_suites describe NAME."""

from __future__ import annotations

import argparse
from typing import Any

from eval_suites.published import find_published
from eval_suites.rules.registry import rules_of
from eval_suites.suites import BENCHMARKS, FILES_ALONE, LABELLED, SUITES, Benchmark, FileSuite, Suite, refuse_suite


def add_tell_options(verbs: Any) -> None:
    """Add the two verbs to a command line's verbs."""
    listed = verbs.add_parser("list", help="name the suites")
    listed.add_argument("--cases", action="store_true", help="only those of the public sample data, one a line")
    described = verbs.add_parser("describe", help="say what a suite asks, how it is scored and where its data is")
    described.add_argument("suite")


def render_list(given: argparse.Namespace) -> str:
    """Give a line a suite: name, what it is, and its protocols or headline, by what it is run on."""
    if given.cases:
        return "".join(f"{name}\n" for name in SUITES)
    lines = ["run on the public sample data (--cases):"]
    lines += [f"{suite.name:18} {suite.title}: {suite.headline}" for suite in SUITES.values()]
    lines += ["", "run on the cases that nadir finetune writes of your own labels (--cases):"]
    lines += [f"{suite.name:18} {suite.title}: {suite.headline}" for suite in LABELLED.values()]
    lines += ["", "run on a benchmark's official files (--data), and scored from files of answers:"]
    lines += [f"{one.name:18} {one.title}: {_protocols(one.rule or one.name)}" for one in BENCHMARKS.values()]
    lines += ["", "scored from files alone (python -m eval_suites score FILE --suite NAME); no model is asked:"]
    lines += [f"{name:18} {suite.title}: {_protocols(name)}" for name, suite in FILES_ALONE.items()]
    return "\n".join(lines) + "\n"


def describe(given: argparse.Namespace) -> str:
    """Give all that is known about a suite; DataError lists the suites where it is unknown."""
    if given.suite in BENCHMARKS:
        beside = f"\nand of the same name\n\n{_describe_own(SUITES[given.suite])}" if given.suite in SUITES else ""
        return _describe_benchmark(BENCHMARKS[given.suite]) + beside
    if given.suite in FILES_ALONE:
        return _describe_files(FILES_ALONE[given.suite])
    if given.suite in SUITES:
        return _describe_own(SUITES[given.suite])
    if given.suite in LABELLED:
        return _describe_own(LABELLED[given.suite], data="your own labels: nadir finetune IMAGES LABELS")
    raise refuse_suite(given.suite, tuple(dict.fromkeys((*SUITES, *LABELLED, *BENCHMARKS, *FILES_ALONE))))


def _protocols(suite: str) -> str:
    return ", ".join(rule.protocol for rule in rules_of(suite))


def _describe_rules(suite: str) -> list[str]:
    """Give the lines about the protocols of a suite, and about what is published."""
    lines = ["", "protocols (the first is the default)"]
    for rule in rules_of(suite):
        lines.append(f"  {rule.protocol}: headline {rule.headline}; {rule.source}")
        lines += [f"    note: {rule.oddity}"] if rule.oddity else []
    published = find_published(suite)
    lines += ["", "published"] if published else []
    lines += [f"  {one.protocol:14} {one.model}: {one.numbers()} [{one.source}]" for one in published]
    return lines


def _describe_benchmark(benchmark: Benchmark) -> str:
    lines = [f"{benchmark.name}: {benchmark.title}", "", benchmark.about.strip(), ""]
    lines += [f"data      {benchmark.layout}", f"from      {benchmark.get}", f"licence   {benchmark.licence}"]
    if benchmark.refusal:
        lines += ["asked     the two towers of a checkpoint; baseline a random ranking"]
        lines += [f"scored    also python -m eval_suites score FILE --suite {benchmark.name}"]
    else:
        lines += [f"baselines blind, {', '.join(baseline.name for baseline in benchmark.baselines) or 'none'}"]
        lines += [f"probes    {', '.join(benchmark.probes) or 'none'}"]
    return "\n".join([*lines, *_describe_rules(benchmark.rule or benchmark.name)]) + "\n"


def _describe_files(suite: FileSuite) -> str:
    lines = [f"{suite.name}: {suite.title}", "", f"data      {suite.holds}", f"from      {suite.get}"]
    lines += [f"scored    python -m eval_suites score FILE --suite {suite.name}; no model is asked"]
    return "\n".join([*lines, *_describe_rules(suite.name)]) + "\n"


def _describe_own(suite: Suite, *, data: str = "") -> str:
    data = data or f"the public sample data: python -m data_engine.cases {suite.name} DATA FOLDER"
    beside = ", ".join(baseline.name for baseline in suite.baselines)
    return (
        f"{suite.name}: {suite.title}\n\nheadline  {suite.headline}\nprotocol  {suite.protocol}\n"
        f"data      {data}\n"
        f"baselines blind, {beside}\n"
    )
