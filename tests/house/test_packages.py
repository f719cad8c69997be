"""Every package that a room imports is declared for it, and the constraints pin what is declared."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS_OF_ROOM = {
    "data_engine": ("ray",), "train": ("train",), "eval_suites": ("eval", "lmms"), "serve": ("serve", "ray", "vllm"),
}  # fmt: skip
OWN = {"vlm", "data_engine", "train", "eval_suites", "serve", "benchmarks"}


def names(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[<>=!~ \[;]", requirement)[0]) for requirement in requirements}


def normal(name: str) -> str:
    return name.lower().replace("_", "-")


def third_party(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        for top in (module.split(".")[0] for module in modules):
            if top not in sys.stdlib_module_names and top not in OWN and top != "__future__":
                yield top


def test_every_import_is_declared(room_sources: list[Any]) -> None:
    distributions = packages_distributions()
    core = names(PROJECT["dependencies"])
    missing = []
    for source in room_sources:
        extras = EXTRAS_OF_ROOM.get(source.room, ())
        declared = core.union(*(names(PROJECT["optional-dependencies"][extra]) for extra in extras))
        for top in set(third_party(source.tree)):
            if not {normal(name) for name in distributions.get(top, [top])} & declared:
                missing.append(f"{source.path} imports {top}, which neither the core nor {extras} declare")
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("extra", ["core", "train", "eval", "ray", "serve", "dev"])
def test_constraints_pin_what_is_declared(extra: str) -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = names([line for line in lines if "==" in line and not line.startswith("#")])
    declared = PROJECT["dependencies"] if extra == "core" else PROJECT["optional-dependencies"][extra]
    assert not names(declared) - pinned, f"not pinned: {names(declared) - pinned}"


def test_command_is_installed_under_its_name() -> None:
    assert PROJECT["scripts"] == {"nadir": "vlm.cli:main"}
