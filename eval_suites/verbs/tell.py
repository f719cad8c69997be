"""Say what there is: python -m eval_suites list, and python -m eval_suites describe NAME."""

from __future__ import annotations

import argparse
from typing import Any

from eval_suites.published import find_published
from eval_suites.rules.registry import rules_of
from eval_suites.suites import BENCHMARKS, SUITES, Benchmark, Suite, find_suite


def add_tell_options(verbs: Any) -> None:
    """Add the two verbs to a command line's verbs."""
    listed = verbs.add_parser("list", help="name the suites")
    listed.add_argument("--cases", action="store_true", help="only those of the public sample data, one a line")
    described = verbs.add_parser("describe", help="say what a suite asks, how it is scored and where its data is")
    described.add_argument("suite")


def render_list(given: argparse.Namespace) -> str:
    """Give a line a suite: name, what it is, and its default protocol or headline."""
    if given.cases:
        return "".join(f"{name}\n" for name in SUITES)
    own = [f"{suite.name:18} {suite.title}: {suite.headline}" for suite in SUITES.values()]
    field = [f"{name:18} {benchmark.title}: {_protocols(benchmark)}" for name, benchmark in BENCHMARKS.items()]
    head = "of the public sample data, with --cases:"
    return "\n".join([head, *own, "", "of the field, with --data and its official files:", *field]) + "\n"


def describe(given: argparse.Namespace) -> str:
    """Give all that is known about a suite; DataError lists the suites where it is unknown."""
    if given.suite in BENCHMARKS:
        return _describe_benchmark(BENCHMARKS[given.suite])
    return _describe_own(find_suite(given.suite))


def _protocols(benchmark: Benchmark) -> str:
    return ", ".join(rule.protocol for rule in rules_of(benchmark.rule or benchmark.name)) or "no rule yet"


def _describe_benchmark(benchmark: Benchmark) -> str:
    rules = rules_of(benchmark.rule or benchmark.name)
    lines = [f"{benchmark.name}: {benchmark.title}", "", benchmark.about.strip(), ""]
    lines += [f"data      {benchmark.layout}", f"from      {benchmark.get}", f"licence   {benchmark.licence}"]
    lines += [f"baselines blind, {', '.join(baseline.name for baseline in benchmark.baselines) or 'none'}"]
    lines += [f"probes    {', '.join(benchmark.probes) or 'none'}", "", "protocols (the first is the default)"]
    for rule in rules:
        lines.append(f"  {rule.protocol}: headline {rule.headline}; {rule.source}")
        lines += [f"    note: {rule.oddity}"] if rule.oddity else []
    published = find_published(benchmark.name)
    if published:
        lines += ["", "published"]
        lines += [f"  {one.protocol:14} {one.model}: {one.numbers()} [{one.source}]" for one in published]
    return "\n".join(lines) + "\n"


def _describe_own(suite: Suite) -> str:
    beside = ", ".join(baseline.name for baseline in suite.baselines)
    return (
        f"{suite.name}: {suite.title}\n\nheadline  {suite.headline}\nprotocol  {suite.protocol}\n"
        f"data      the public sample data: python -m data_engine.cases {suite.name} DATA FOLDER\n"
        f"baselines blind, {beside}\n"
    )
