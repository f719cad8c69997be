"""What no file of the rooms may hold, and what every public name must: a sentence that starts with a verb."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from typing import Any

import pytest

NOTE = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
NO_VERB = {"A", "An", "The", "This", "These", "It", "Function", "Class", "Helper", "Method", "Wrapper"}
DEBUGGERS = {"pdb", "ipdb", "pudb"}
ASKED_FOR_BY_TRANSFORMERS = {
    "forward", "get_input_embeddings", "get_output_embeddings", "set_input_embeddings", "set_output_embeddings",
}  # fmt: skip
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def test_annotations_come_from_the_future(sources: list[Any]) -> None:
    line = "from __future__ import annotations"
    without = [str(source.path) for source in sources if source.tree.body[1:] and line not in source.text]
    assert not without, f"start with {line!r}: {without}"


def test_library_code_does_not_print_or_stop_in_a_debugger(room_sources: list[Any]) -> None:
    found = []
    for source in room_sources:
        for node in ast.walk(source.tree):
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            names = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            if called in ("print", "breakpoint") or names & DEBUGGERS:
                found.append(f"{source.path}:{node.lineno}")
    assert not found, f"print or debugger: {found}"


def test_no_except_catches_everything(room_sources: list[Any]) -> None:
    broad = [
        f"{source.path}:{node.lineno}"
        for source in room_sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or re.search(r"\b(Base)?Exception\b", ast.unparse(node.type)))
    ]
    assert not broad, f"name the exceptions that can happen: {broad}"


def test_nothing_is_left_for_later(sources: list[Any]) -> None:
    notes = [
        f"{source.path}:{token.start[0]}"
        for source in sources
        for token in tokenize.generate_tokens(io.StringIO(source.text).readline)
        if token.type == tokenize.COMMENT and NOTE.search(token.string)
    ]
    assert not notes, f"do it or leave it out: {notes}"


def test_every_module_says_what_it_is(room_sources: list[Any]) -> None:
    silent = [str(source.path) for source in room_sources if source.tree.body and not ast.get_docstring(source.tree)]
    assert not silent, silent


def test_every_public_name_has_a_sentence_that_starts_with_a_verb(room_sources: list[Any]) -> None:
    wrong = []
    for source in room_sources:
        for node in public_definitions(source.tree):
            complaint = complain(ast.get_docstring(node))
            if complaint:
                wrong.append(f"{source.path}:{node.lineno} {node.name} {complaint}")
    assert not wrong, "\n".join(wrong)


def public_definitions(tree: ast.Module) -> Iterator[Definition]:
    """Yield public functions and classes, and the public methods of public classes that are no properties."""
    for node in tree.body:
        if not isinstance(node, Definition) or node.name.startswith("_"):
            continue
        yield node
        if isinstance(node, ast.ClassDef) and "Protocol" not in map(ast.unparse, node.bases):
            methods = (member for member in node.body if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef))
            yield from (method for method in methods if not method.name.startswith("_") and not is_short(method))


def is_short(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Say whether a method explains itself: a property, an override or an overload."""
    if method.name in ASKED_FOR_BY_TRANSFORMERS:
        return True
    marks = {ast.unparse(mark).split(".")[-1] for mark in method.decorator_list}
    return bool(marks & {"property", "cached_property", "setter", "override", "overload"})


def complain(docstring: str | None) -> str:
    """Say what is wrong with a docstring's first paragraph, or nothing."""
    if not docstring:
        return "has no docstring"
    first = docstring.split("\n\n")[0].strip()
    word = first.split()[0]
    if not first.endswith((".", ":")):
        return f"does not end its first sentence with a full stop: {first[-40:]!r}"
    if word in NO_VERB or not word[0].isupper():
        return f"starts with {word!r}: expected a verb"
    return ""


@pytest.mark.parametrize(
    ("docstring", "complaint"),
    [
        (None, "has no docstring"),
        ("Give the area.", ""),
        ("The area.", "starts with 'The': expected a verb"),
        ("Give the area\n\nin pixels.", "does not end its first sentence with a full stop: 'Give the area'"),
    ],
)
def test_the_docstring_rule_itself(docstring: str | None, complaint: str) -> None:
    assert complain(docstring) == complaint
