"""Files are short, are named after what they hold and tell nothing about the machine they were written on."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MOST_FILE_LINES = 400
MOST_FUNCTION_LINES = 60
FORBIDDEN_NAME = re.compile(r"^(utils?|helpers?|misc|common|stuff)$|_(v\d+|old|new|bak|copy)$")
MIRRORED = ("vlm", "data_engine", "train", "eval_suites", "serve", "benchmarks", "house")
# Written in pieces, so that this file does not find itself.
MACHINE = re.compile(
    "|".join(
        (
            *("/" + place for place in (r"work/", r"tmp/w\b", r"opt/(wheels|pypi)", r"home/\w", "root/")),
            *(host + r"\." + "org" for host in ("pythonhosted", r"pypi", r"download\.pytorch")),
        )
    )
)
TEXT = {".py", ".md", ".toml", ".txt", ".json", ".jinja", ".html", ".css", ".cfg", ".yml", ".yaml", ""}
MOST_TEXT_BYTES = 2_000_000


def test_files_are_at_most_400_lines(sources: list[Any]) -> None:
    long = {str(source.path): lines for source in sources if (lines := source.text.count("\n")) > MOST_FILE_LINES}
    assert not long, f"longer than {MOST_FILE_LINES} lines: split them by idea: {long}"


def test_functions_are_at_most_60_lines(sources: list[Any]) -> None:
    long = [
        f"{source.path}:{node.lineno} {node.name} has {lines} lines"
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MOST_FUNCTION_LINES
    ]
    assert not long, "\n".join(long)


def test_names_say_what_is_inside(files: list[Path]) -> None:
    vague = [str(path) for path in files if any(FORBIDDEN_NAME.search(Path(part).stem) for part in path.parts)]
    assert not vague, f"name them after what they hold: {vague}"


def test_tests_mirror_the_rooms(files: list[Path]) -> None:
    tests = [path for path in files if path.parts[0] == "tests" and path.suffix == ".py" and len(path.parts) > 1]
    stray = [str(path) for path in tests if path.name != "conftest.py" and path.parts[1] not in MIRRORED]
    assert not stray, f"tests lie in a folder named after a room ({', '.join(MIRRORED)}): {stray}"


def test_nothing_tells_about_the_machine(files: list[Path]) -> None:
    found = []
    for path in files:
        full = ROOT / path
        if path.suffix not in TEXT or full.stat().st_size > MOST_TEXT_BYTES:
            continue
        text = full.read_text(encoding="utf-8", errors="ignore")
        found += [f"{path}: {match.group()}" for match in MACHINE.finditer(text)]
    assert not found, f"paths and hosts of one machine: {found[:20]}"


def test_nothing_large_or_generated_is_kept(files: list[Path]) -> None:
    kept = [str(path) for path in files if path.suffix in {".pyc", ".log", ".so"} or "__pycache__" in path.parts]
    assert not kept, kept
    total_mb = sum((ROOT / path).stat().st_size for path in files) / 1e6
    assert total_mb < 60, f"the repository keeps {total_mb:.0f} MB: expected at most 60, the built-in model included"
