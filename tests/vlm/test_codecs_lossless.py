"""Nothing of a text is lost in silence: it is in the template, in a phrase, in the reasoning, or in an issue."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vlm.codecs import escape_braces, parse_text, render_text
from vlm.dialects import DIALECTS
from vlm.geometry import HBB, OBB
from vlm.records import Region

SIZE = (1000, 1000)
law = settings(deadline=None, max_examples=30)
words = st.text(alphabet="abc ,.;:!?{}()[]|*\n\"'é-/\\&=#", max_size=12)
numbers = st.integers(0, 100)


@pytest.mark.parametrize(
    ("text", "template", "kinds"),
    [
        ("{<1><2><3><4>} {small}", "{box:0} {{small}}", []),
        ("{<1><2><3><4>}{small}", "{box:0}{{small}}", []),
        ("{<1><2><3><4>}, {<1><2><3><4>}", "{box:0}, {box:1}", []),
        ("between {<1><2><3><4>}, {<1><2><3><4>|<5>} and {x}", "between {box:0}, {obb:1} and {{x}}", []),
        ("{<1><2><3><4>} | {<1><2><3><4>}", "{box:0} | {box:1}", []),
        ("{<1><2><3><4>}<delim>{<1><2><3><4>|<5>}", "{box:0}{obb:1}", []),
        ("{<1><2><3><4>}<delim> and", "{box:0}<delim> and", []),
        ("{<1><2><3><4>}, ", "{box:0}, ", []),
        ("{<1><2><3><4>} {", "{box:0} {{", []),
        ("{<1>, <2>, <3>, <4>}", "{box:0}", []),
        ("{<1><2><3><4> is it", "{box:0} is it", []),
        ("{<1><2><3>|<4>}", "{{<1><2><3>|<4>}}", ["unparsed"]),
        ("{<1><2><3><4>|}", "{{<1><2><3><4>|}}", ["unparsed"]),
        ("{<1|<2><3><4>|<5>}", "{{<1|<2><3><4>|<5>}}", ["unparsed"]),
        ("{<1.2.3><2><3><4>}", "{{<1.2.3><2><3><4>}}", ["unparsed"]),
        ("{<1><2><3><4>} {<5><6>} x", "{box:0} {{<5><6>}} x", ["unparsed"]),
        ("{<1><2><3><4>|<9", "{{<1><2><3><4>|<9", ["truncated"]),
        ("{<1><2><3><4>}<delim>{<1><2", "{box:0}", ["truncated"]),
        ("{<1><2><3><4>}<del", "{box:0}", ["truncated"]),
        ("{<1><2> is the form of {<1>}.", "{{<1><2> is the form of {{<1>}}.", ["unparsed", "unparsed"]),
    ],
)
def test_geochat_texts_keep_what_is_no_region(text: str, template: str, kinds: list[str]) -> None:
    parsed = parse_text(text, sizes=[SIZE], dialect="geochat")
    assert parsed.template == template
    assert [issue.kind for issue in parsed.issues] == kinds


@pytest.mark.parametrize(
    ("dialect", "text", "template", "kinds"),
    [
        ("nadir", "<box>[[1,2,3,4]]. There", "{box:0}. There", []),
        ("nadir", "<box>[[1,2,3,4]] 5 ships", "{box:0} 5 ships", []),
        ("nadir", "<box>1 2 3 4. There", "{box:0}. There", []),
        ("nadir", "<box>(1,2),(3,4), then", "{box:0}, then", []),
        ("nadir", "<box>[[1,2,3,4], 5]</box>", "{box:0}", ["unparsed"]),
        ("nadir", '<box name="x">[[1,2,3,4]]</box>', "{box:0}", ["unparsed"]),
        ("nadir", "<box> is a tag", "<box> is a tag", ["unparsed"]),
        ("falcon", "<box><1><2><3><4>, <box><5><6><7><8></box>", "{box:0}, {box:1}", []),
        ("qwen3", '[{"bbox_2d": [1, 2, 3, 4], "score": 1e-05}]', "{box:0}", ["unparsed"]),
        ("qwen3", '[{"bbox_2d": [1, 2, 3, 4], "label": "a", "name": "b"}]', "{ref box:0}", ["unparsed"]),
        ("qwen3", '[{"bbox_2d": [1, 2, 3, 4]}, {"label": "a"}]', "{box:0}", ["unparsed"]),
        ("lmmrotate", "a <b" + "<loc_1>" * 8, "a <b{quad:0}", []),
        ("lmmrotate", "ship" + "<loc_1>" * 8 + ",", "{ref quad:0},", []),
        ("lmmrotate", "ship" + "<loc_1>" * 3 + " three", "ship" + "<loc_1>" * 3 + " three", ["unparsed"]),
        ("lmmrotate", "ship" + "<loc_1>" * 8 + "<sep><lo", "{ref quad:0}", ["truncated"]),
        (
            "lmmrotate",
            "a" + "<loc_1>" * 8 + "<sep>" + "<loc_2>" * 3 + "b" + "<loc_1>" * 8,
            "{ref quad:0}<sep>" + "<loc_2>" * 3 + "{ref quad:1}",
            ["unparsed"],
        ),
    ],
)
def test_other_texts_keep_what_is_no_region(dialect: str, text: str, template: str, kinds: list[str]) -> None:
    parsed = parse_text(text, sizes=[SIZE], dialect=dialect)
    assert parsed.template == template
    assert [issue.kind for issue in parsed.issues] == kinds


def test_a_list_that_goes_on_shares_the_phrase() -> None:
    parsed = parse_text(
        "<p>ships</p> {<1><2><3><4>}, {<1><2><3><4>} or {<1><2><3><4>}", sizes=[SIZE], dialect="geochat"
    )
    assert [region.phrase for region in parsed.regions] == ["ships", "ships", ""]
    assert parsed.template == "{ref box:0}, {box:1} or {box:2}"


@pytest.mark.parametrize("dialect", DIALECTS)
@law
@given(parts=st.lists(st.tuples(words, st.lists(st.tuples(*[numbers] * 4), min_size=1, max_size=3)), max_size=4))
@example(parts=[("", [(0, 0, 1, 1)]), (" {small}", [(0, 0, 1, 1)])])
@example(parts=[("a", [(0, 0, 1, 1)]), (",", [(0, 0, 1, 1)])])
def test_words_between_regions_stay_where_they_are(dialect: str, parts: list) -> None:
    """What a dialect writes, with any words around it, is read and written again as it was."""
    text = ""
    for between, corners in parts:
        boxes = [
            HBB(10 * min(a, c), 10 * min(b, d), 10 * max(a, c) + 10, 10 * max(b, d) + 10) for a, b, c, d in corners
        ]
        regions = [Region(HBB(box.x1, box.y1, min(box.x2, 1000), min(box.y2, 1000))) for box in boxes]
        slot = "{box:" + ",".join(map(str, range(len(regions)))) + "}"
        text += between + render_text(slot, regions, sizes=[SIZE], dialect=dialect)
    text += "; end {of} it,"
    parsed = parse_text(text, sizes=[SIZE], dialect=dialect)
    assert render_text(parsed.template, parsed.regions, sizes=[SIZE], dialect=dialect) == text
    assert {issue.kind for issue in parsed.issues} <= {"reordered"}
    assert len(parsed.regions) == sum(len(corners) for _, corners in parts)


PIECES = [
    "<box>", "</box>", "<ref>", "</ref>", "[[", "]]", "[1,2,3,4]", "1,2", ",", ";", "*", "|", "{", "}", "{<", "<1>",
    "<2>", "{<1><2><3><4>}", "{<1><2><3><4>|<5>}", "|<", "<delim>", "<sep>", "<loc_3>", "<loc_3>" * 8, "```json",
    '{"bbox_2d": ', "[1, 2, 3, 4]", '{"bbox_2d": [1, 2, 3, 4]}', '"label": "x"', '"', "\\", "<seg>", "</seg>", "<obb>",
    "<quad>", "<poly>", "1,2,3,4|4|", "0*4", "<think>", "</think>", "<answer>", "</answer>", " ", "\n", "<p>", "</p>",
    "1,2,3,4 a\n", "10, 20, 30, 40",
]  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(deadline=None, max_examples=60)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=14), marks=st.lists(st.booleans(), min_size=14, max_size=14))
def test_every_word_is_found_again(dialect: str, pieces: list[str], marks: list[bool]) -> None:
    """Words strewn over any text come back: in the template, a phrase, the reasoning or an issue."""
    strewn = [
        f"{piece}zq{i}q" if marked else piece for i, (piece, marked) in enumerate(zip(pieces, marks, strict=False))
    ]
    text = "".join(strewn)
    for kept in (False, True):
        parsed = parse_text(text, sizes=[SIZE], dialect=dialect, keep_reasoning=kept)
        found = " ".join(
            (
                parsed.template,
                parsed.reasoning,
                *(region.phrase for region in parsed.regions),
                *(issue.text for issue in parsed.issues),
            )
        )
        lost = [word for word in re.findall(r"zq\d+q", text) if word not in found]
        assert not lost
        if kept and not parsed.regions:
            assert parsed.template == escape_braces(text)


@pytest.mark.parametrize(
    ("text", "template", "reasoning"),
    [
        ("<think>hm</think>Yes.", "Yes.", "hm"),
        ("hm</think>\nYes.", "Yes.", "hm"),
        ("Well. <think>hm</think> Yes. <think>so</think> No.", "Well.  Yes.  No.", "hm\nso"),
        ("<Think>hm <think> hm</think><Answer>Yes.</Answer>", "Yes.", "hm\nhm"),
        ("<think>a</think> b</think> Yes.", "Yes.", "a\nb"),
        ("Yes. <think>but", "Yes.", "but"),
        ("<think></think>Yes.", "Yes.", ""),
        ("<thinking> stays", "<thinking> stays", ""),
    ],
)
def test_reasoning_is_told_from_the_answer(text: str, template: str, reasoning: str) -> None:
    parsed = parse_text(text, sizes=[SIZE])
    assert (parsed.template, parsed.reasoning) == (template, reasoning)
    assert [issue.kind for issue in parsed.issues] == (["truncated"] if text.endswith("but") else [])


def test_reasoning_can_stay_with_its_regions() -> None:
    text = "<think>It is at <box>[[1,2,3,4]]</box>.</think>\n<answer>Yes {sure}.</answer>"
    parsed = parse_text(text, sizes=[SIZE], keep_reasoning=True)
    assert parsed.template == "<think>It is at {box:0}.</think>\n<answer>Yes {{sure}}.</answer>"
    assert parsed.reasoning == ""
    assert render_text(parsed.template, parsed.regions, sizes=[SIZE]) == text


def test_five_numbers_are_an_oriented_box_with_and_without_the_mark() -> None:
    for text in ("{<10><20><30><40>|<0>}", "{<10><20><30><40><0>}", "{ <10> <20> <30> <40> | <0> }"):
        (region,) = parse_text(text, sizes=[SIZE], dialect="geochat").regions
        assert isinstance(region.geometry, OBB)
