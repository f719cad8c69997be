"""What a decoder is held to parses, and what the encoder writes is allowed."""

from __future__ import annotations

import re
from random import Random
from re._parser import parse as parse_expression  # type: ignore[import-not-found]
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm.codecs import parse_text, render_text
from vlm.codecs.grammar import answer_pattern, escape_literal
from vlm.dialects import DIALECTS
from vlm.errors import GeometryError
from vlm.geometry.shapes import HBB, OBB
from vlm.records import Region, Task

SIZE = (1200, 800)
FINDING: tuple[Task, ...] = ("ground", "detect", "segment")
_side = st.integers(20, 300)
boxes = st.builds(lambda x, y, w, h: HBB(x, y, x + w, y + h), st.integers(0, 900), st.integers(0, 500), _side, _side)
turned = st.builds(
    lambda x, y, w, h, angle: OBB(x, y, max(w, h), min(w, h), angle),
    st.integers(200, 1000), st.integers(200, 600), _side, _side, st.integers(-90, 89),
)  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
@given(shapes=st.lists(boxes | turned, min_size=1, max_size=3), phrase=st.sampled_from(["", "white ship", "car"]))
@settings(max_examples=25)
def test_what_the_encoder_writes_is_allowed(dialect: str, shapes: list[HBB | OBB], phrase: str) -> None:
    regions = [Region(shape, phrase) for shape in shapes]
    indices = ",".join(map(str, range(len(regions))))
    for task, kind in (("detect", "box"), ("detect", "obb"), ("segment", "seg")):
        text = render_text(f"{{ref {kind}:{indices}}}", regions, sizes=[SIZE], dialect=dialect)
        assert re.fullmatch(answer_pattern(task, dialect), text), text  # type: ignore[arg-type]
    for kind in ("box", "quad", "poly"):
        text = render_text(f"There: {{{kind}:0}}.", regions, sizes=[SIZE], dialect=dialect)
        assert re.fullmatch(answer_pattern("chat", dialect), text), text


def draw(tree: Any, rng: Random) -> str:
    """Draw a text that a parsed expression matches."""
    return "".join(_draw_one(kind, value, rng) for kind, value in tree)


def _draw_one(kind: Any, value: Any, rng: Random) -> str:
    match str(kind):
        case "LITERAL":
            return chr(value)
        case "NOT_LITERAL":
            return rng.choice([letter for letter in "ab 1,.{" if ord(letter) != value])
        case "IN":
            return _draw_letter(value, rng)
        case "BRANCH":
            return draw(rng.choice(value[1]), rng)
        case "SUBPATTERN":
            return draw(value[-1], rng)
        case "MAX_REPEAT":
            low, high, inner = value
            return "".join(draw(inner, rng) for _ in range(rng.randint(low, min(int(high), low + 3))))
    raise AssertionError(f"{kind} in an expression that is to be plain")


def _draw_letter(ranges: Any, rng: Random) -> str:
    pattern = "".join(
        f"{chr(value[0])}-{chr(value[1])}" if str(kind) == "RANGE" else re.escape(chr(value))
        for kind, value in ranges
        if str(kind) != "NEGATE"
    )
    negated = "^" if str(ranges[0][0]) == "NEGATE" else ""
    return rng.choice([letter for letter in map(chr, range(32, 127)) if re.match(f"[{negated}{pattern}]", letter)])


@pytest.mark.parametrize("task", FINDING)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_allowed_parses(dialect: str, task: Task) -> None:
    pattern = answer_pattern(task, dialect)
    for seed in range(30):
        text = draw(parse_expression(pattern), Random(seed))
        assert re.fullmatch(pattern, text), text
        parsed = parse_text(text, sizes=[SIZE], dialect=dialect)
        unread = [issue for issue in parsed.issues if issue.kind in ("unparsed", "unknown_image")]
        assert not unread, (text, unread)
        assert parsed.regions or text == "none", text


@pytest.mark.parametrize("dialect", DIALECTS)
def test_words_between_regions_parse_and_name_later_dates(dialect: str) -> None:
    for seed in range(60):
        text = draw(parse_expression(answer_pattern("change", dialect, dates=2)), Random(seed))
        parsed = parse_text(text, sizes=[SIZE, SIZE], dialect=dialect)
        assert not [issue for issue in parsed.issues if issue.kind in ("unparsed", "unknown_image")], text


def test_what_does_not_parse_is_not_allowed() -> None:
    for text in ("<box>[[1,2,3]]</box>", "<box>[[1,2,3,4]", "<box>[[1,2,3,1001]]</box>", "a ship", "", "<box>[]</box>"):
        assert not re.fullmatch(answer_pattern("ground", "nadir"), text), text
    assert re.fullmatch(answer_pattern("ground", "nadir"), "<box>[[0,10,100,1000]]</box>")
    assert not re.fullmatch(answer_pattern("change", "nadir"), "<box image=2>[[0,1,2,3]]</box>")
    assert re.fullmatch(answer_pattern("change", "nadir", dates=2), "<box image=2>[[0,1,2,3]]</box>")
    assert re.fullmatch(answer_pattern("count", "nadir"), "12") and not re.fullmatch(
        answer_pattern("count", "nadir"), "12 ships"
    )
    assert re.fullmatch(escape_literal("a.b*(c)"), "a.b*(c)") and not re.fullmatch(escape_literal("a.b"), "aXb")


@pytest.mark.parametrize(("task", "dialect"), [("chat", "klingon"), ("sing", "nadir")])
def test_unknown_names_are_refused(task: Task, dialect: str) -> None:
    with pytest.raises(GeometryError, match="known"):
        answer_pattern(task, dialect)
