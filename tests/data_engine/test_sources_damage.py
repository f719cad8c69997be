"""Damaged annotation files: whatever stands in the wrong place, a source refuses it in one sentence."""

from __future__ import annotations

import json
import random
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_engine.sources import SOURCES
from tests.data_engine.makers import MAKERS
from vlm.errors import NadirError

CASES = 25
WRONG: tuple[Any, ...] = (None, 3, -1.5, "x", [], {}, [1], {"a": 1}, True, "", float("nan"), [[1, 2], [3]], "{0}")
WRONG_TEXTS = ("", "x", "nan", "-5", "1e9", "inf", "1,2,3", "{0}", "0")


def list_places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield from list_places(child, (*at, key))


def spoil_json(text: str, rng: random.Random) -> str:
    content, end = json.JSONDecoder().raw_decode(text)
    *outer, last = rng.choice([place for place in list_places(content) if place])
    inner = content
    for key in outer:
        inner = inner[key]
    if rng.random() < 0.2:
        del inner[last]
    else:
        inner[last] = rng.choice(WRONG)
    return json.dumps(content) + text[end:]


def spoil_xml(text: str, rng: random.Random) -> str:
    tree = ET.fromstring(text)
    parent, element = rng.choice([(parent, child) for parent in tree.iter() for child in parent])
    kind = rng.choice(("remove", "repeat", "empty", "text"))
    if kind == "remove":
        parent.remove(element)
    elif kind == "repeat":
        parent.append(element)
    elif kind == "empty":
        element.clear()
    else:
        element.text = rng.choice(WRONG_TEXTS)
    return ET.tostring(tree, encoding="unicode")


@pytest.mark.parametrize(
    "name",
    [
        "cdvqa", "changechat", "dior", "dior_rsvg", "earthreason", "fair1m", "geochat_instruct", "hrsc2016", "levir_cc",
        "levir_mci", "opt_rsvg", "refgeo", "rrsis_d", "rsvg", "second_cc", "ssdd", "vrsbench", "xbd",
    ],
)  # fmt: skip
def test_wrong_values_in_annotations_are_one_sentence(make, name):
    root: Path = make(name)
    files = sorted(path for path in root.rglob("*") if path.suffix in (".json", ".jsonl", ".xml"))
    rng = random.Random(name)
    refused: list[str] = []
    for path in (rng.choice(files) for _ in range(CASES)):
        text = path.read_text(encoding="utf-8")
        path.write_text((spoil_xml if path.suffix == ".xml" else spoil_json)(text, rng), encoding="utf-8")
        try:
            list(SOURCES[name].load(root, split=MAKERS[name][1]))
        except NadirError as error:
            refused.append(str(error))
        path.write_text(text, encoding="utf-8")
    assert refused
    assert not [sentence for sentence in refused if "\n" in sentence.strip()]
