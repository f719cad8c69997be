"""The README and the docs say what is there: paths exist, commands run, tables are those of the code."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import typer

from vlm.cli import app
from vlm.vector import FORMATS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
CONCEPTS = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def blocks(text: str) -> list[str]:
    return re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_a_command_for_a_laptop_stands_by_line_20() -> None:
    assert "make demo" in "\n".join(README.splitlines()[:20])


def test_make_commands_exist() -> None:
    named = set(re.findall(r"^(?:make|`make|.*[ (]`make) ([a-z-]+)", README, re.MULTILINE))
    assert named <= TARGETS, f"the README names targets that the Makefile has not: {named - TARGETS}"
    left_out = TARGETS - named - {"help", "format", "clean"}
    assert not left_out, f"the README leaves out: {left_out}"


def test_nadir_commands_and_their_options_exist() -> None:
    lines = [line for block in blocks(README) for line in block.splitlines() if re.match(r"nadir [a-z]", line)]
    verbs = {line.split()[1] for line in lines}
    assert verbs == set(COMMANDS), f"README {sorted(verbs)}, command line {sorted(COMMANDS)}"
    for line in lines:
        known = {option for parameter in COMMANDS[line.split()[1]].params for option in parameter.opts}
        used = set(re.findall(r" (--?[a-z][a-z-]*)", re.sub(r'"[^"]*"', "", line)))
        assert used <= known, f"{line}: unknown options {used - known}"


def test_every_option_has_a_help_text() -> None:
    silent = [
        f"{verb} {parameter.opts[0]}"
        for verb, command in COMMANDS.items()
        for parameter in command.params
        if parameter.param_type_name == "option" and not getattr(parameter, "help", None)
    ]
    assert not silent, silent


def test_file_map_is_the_tree() -> None:
    (block,) = [block for block in blocks(README) if block.startswith("vlm/")]
    shown, parent = [], ""
    for line in block.splitlines():
        name = line.split()[0]
        parent = name if not line.startswith(" ") else parent
        shown.append(name if not line.startswith(" ") else parent + name)
    missing = [path for path in shown if not (ROOT / path).exists()]
    assert not missing, f"the map shows what is not there: {missing}"
    rooms = {path.parts[0] + "/" for path in files_of_rooms()}
    assert rooms <= set(shown), f"the map leaves out {rooms - set(shown)}"


def files_of_rooms() -> list[Path]:
    visible = (path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "_")))
    folders = [path for path in visible if path.name not in {"out", "shared", "build", "dist"}]
    return [found.relative_to(ROOT) for folder in folders for found in folder.rglob("*.py")]


def test_links_and_files_in_backticks_exist() -> None:
    for text, folder in ((README, ROOT), (CONCEPTS, ROOT / "docs")):
        links = {link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link}
        assert all((folder / link).exists() for link in links), links
    named = set(re.findall(r"`([a-z_]+/[a-z_/]+\.(?:py|md))`", README + CONCEPTS))
    missing = {path for path in named if not (ROOT / path).exists()}
    assert not missing, missing


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:vlm|data_engine|eval_suites)\.[\w.]+)`", CONCEPTS))))
def test_concepts_name_what_the_code_has(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    if attribute.islower():
        importlib.import_module(name)
    else:
        assert hasattr(importlib.import_module(module), attribute)


def test_files_page_lists_every_format() -> None:
    page = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \| ", page.split("## GeoJSON")[0], re.MULTILINE) == list(FORMATS)


def test_built_in_kinds_of_words_are_the_design() -> None:
    words = re.findall(r"\w+", "image raster tile plan query region box obb mask sample turn answer suite dialect")
    assert all(f"| {word} |" in CONCEPTS for word in words)


def test_tables_are_tables() -> None:
    """A rewrapped table is one line with the dashes in its middle, which renders as prose."""
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
    broken = [
        f"{path.name}: {line[:60]}"
        for path in (*documents, ROOT / "vlm" / "nano" / "README.md")
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"\| --- \|", line) and not re.fullmatch(r"\|( :?-+:? \|)+", line)
    ]
    assert not broken, broken
