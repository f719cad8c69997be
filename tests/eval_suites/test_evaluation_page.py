"""docs/evaluation.md names every option that there is, and none that there is not; its commands are understood."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from eval_suites.__main__ import build_parser
from eval_suites.suites import BENCHMARKS, FILES_ALONE, SUITES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
OWN = PAGE.replace(re.search(r"## From lmms-eval.*?(?=^## )", PAGE, re.DOTALL | re.MULTILINE)[0], "")  # type: ignore[index]
BLOCKS = re.findall(r"^```\n(.*?)^```", OWN, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.startswith("python -m eval_suites")]


def verbs() -> dict[str, argparse.ArgumentParser]:
    (found,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str) -> None:
    given = build_parser().parse_args(shlex.split(command)[3:])
    assert given.verb in verbs()
    suite = getattr(given, "suite", None)
    assert suite is None or suite in {*SUITES, *BENCHMARKS, *FILES_ALONE}


def test_the_page_names_every_option_and_no_other() -> None:
    known = {option for parser in verbs().values() for action in parser._actions for option in action.option_strings}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", OWN))
    assert named <= known, f"no option of a verb: {named - known}"
    left_out = known - named - {"-h", "--help"}
    assert not left_out, f"the page leaves out: {left_out}"
    assert {command.split()[3] for command in COMMANDS} == set(verbs()) - {"report"}
