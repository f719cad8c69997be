"""Imports flow one way and in no circle; the torch-free half imports without torch and without slow packages."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("vlm", "data_engine", "train", "eval_suites", "serve")
MAY_IMPORT = {
    "vlm": {"vlm"},
    "data_engine": {"data_engine", "vlm"},
    "train": {"train", "data_engine", "vlm"},
    "eval_suites": {"eval_suites", "vlm"},
    "serve": {"serve", "vlm"},
}
TORCH_HALF = {
    f"vlm.{name}"
    for name in (
        "answer", "checkpoint", "compat", "config", "difference", "embed", "encoder", "model", "positions",
        "pointer", "processor", "prompter", "qformer", "sheet", "sight", "splice",
        "torchvision_ops", "zoom",
    )
}  # fmt: skip
TORCH = ["torch", "torchvision", "transformers", "open_clip", "timm", "peft", "deepspeed"]
SLOW = ["rasterio", "shapely", "pyproj", "pyogrio", "geopandas", "pandas", "scipy", "cv2", "pyarrow"]
SLOW_BUT_NEEDED = {"data_engine.synth": {"cv2"}}
IMPORT_BLOCKED = """
import importlib, importlib.abc, json, sys
torch, slow, needed, modules = json.loads(sys.stdin.read())
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in torch:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Block())
report = {}
for module in modules:
    before = set(sys.modules)
    try:
        importlib.import_module(module)
    except ImportError as error:
        report[module] = str(error)
    new = sorted({name for name in set(sys.modules) - before if name in slow} - set(needed.get(module, ())))
    if new:
        report[module] = f"imports {', '.join(new)} at once: import them in the functions that need them"
print(json.dumps(report))
"""


def imported(nodes: Iterator[ast.AST], known: set[str]) -> Iterator[str]:
    """Yield the modules of the rooms that import statements name."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else node.module for name in inside)


def at_import_time(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs when the module is imported: no function bodies, no TYPE_CHECKING blocks."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from at_import_time(node)


def test_rooms_import_in_one_direction(room_sources: list[Any]) -> None:
    known = {source.module for source in room_sources}
    wrong = [
        f"{source.path} imports {name}"
        for source in room_sources
        for name in imported(ast.walk(source.tree), known)
        if name.split(".")[0] in ROOMS and name.split(".")[0] not in MAY_IMPORT[source.room]
    ]
    assert not wrong, "\n".join(wrong)


def test_data_engine_uses_the_torch_free_half_only(room_sources: list[Any]) -> None:
    known = {source.module for source in room_sources}
    wrong = [
        f"{source.path} imports {name}"
        for source in room_sources
        if source.room == "data_engine"
        for name in imported(ast.walk(source.tree), known)
        if name in TORCH_HALF or name.split(".")[0] in TORCH
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_goes_in_a_circle(room_sources: list[Any]) -> None:
    known = {source.module for source in room_sources}
    graph = {source.module: set(imported(at_import_time(source.tree), known)) & known for source in room_sources}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(f"import circle: {' -> '.join(error.args[1])}") from error


def test_torch_free_half_imports_without_torch_and_fast(room_sources: list[Any]) -> None:
    modules = [
        source.module
        for source in room_sources
        if source.room in ("vlm", "data_engine")
        and source.module not in TORCH_HALF
        and not source.module.endswith("__main__")
    ]
    assert "vlm.records" in modules
    question = json.dumps([TORCH, SLOW, {name: sorted(used) for name, used in SLOW_BUT_NEEDED.items()}, modules])
    command = [sys.executable, "-W", "error", "-c", IMPORT_BLOCKED]
    done = subprocess.run(command, cwd=ROOT, input=question, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert not report, "\n".join(f"{module}: {reason}" for module, reason in report.items())


def test_torch_half_is_what_it_says(room_sources: list[Any]) -> None:
    for source in room_sources:
        names = {name.split(".")[0] for name in imported(at_import_time(source.tree), set())}
        if source.room == "vlm" and names & set(TORCH):
            assert source.module in TORCH_HALF, f"{source.path} imports {names & set(TORCH)}: name it in TORCH_HALF"
