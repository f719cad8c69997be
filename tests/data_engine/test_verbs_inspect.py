"""`python -m data_engine inspect`: one page that needs nothing else, with every region where it is stored."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from data_engine.__main__ import main
from data_engine.sheet import make_card
from data_engine.stage import StageOptions, Unit, write_stage
from data_engine.store import Ledger, load_manifest
from data_engine.store.pick import pick_samples
from tests.data_engine.made_samples import encode_picture, make_caption, make_sample, make_store, read_files
from vlm.geometry.shapes import HBB, Mask, Polygon
from vlm.records import Answer, Image, Region, Turn


def inspect(*arguments: object) -> None:
    with pytest.raises(SystemExit) as left:
        main(["inspect", *map(str, arguments)])
    assert left.value.code in (0, None)


def test_the_page_holds_all_it_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = make_store(tmp_path / "made", samples=12, size=5)
    before = read_files(store)
    inspect(store, "--samples", 4)
    line = json.loads(capsys.readouterr().out)
    assert (line["samples"], line["shown"], line["tasks"]) == (12, 4, {"detect": 12})
    page = (store / "sheet.html").read_text()
    assert page.count("<article") == 4 and page.count("data:image/jpeg;base64,") == 4
    assert not re.findall(r'(?:src|href)="(?!data:)', page), "the page asks for other files"
    assert "What is beside" in page and "made/000" in page and "&lt;obb&gt;" not in page.split("<details>")[0]
    assert {name: data for name, data in read_files(store).items() if name != "sheet.html"} == before


def test_the_same_seed_shows_the_same_samples(tmp_path: Path) -> None:
    store = make_store(tmp_path / "made", samples=40, size=8)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        inspect(store, "--samples", 5, "--seed", seed, "--out", tmp_path / f"{name}.html")
    pages = [(tmp_path / f"{name}.html").read_text() for name in "abc"]
    assert pages[0] == pages[1] != pages[2]


def test_a_dry_run_writes_no_page(tmp_path: Path) -> None:
    store = make_store(tmp_path / "made", samples=3)
    before = read_files(tmp_path)
    inspect(store, "--dry-run")
    assert read_files(tmp_path) == before


def test_outlines_are_the_stored_geometry_in_the_frame_of_their_image() -> None:
    images = tuple(Image(data=encode_picture(n, (40, 30)), width=40, height=30) for n in range(2))
    hole = Polygon(((1, 1), (21, 1), (21, 11), (1, 11)), (((5, 3), (9, 3), (9, 7)),))
    asked = (Region(HBB(2, 3, 12, 13), "tank"),)
    regions = (Region(hole, "field"), Region(Mask(np.ones((2, 2), bool), HBB(10, 10, 30, 20)), "lake", image=1))
    turn = Turn("Near {box:0}?", Answer("{ref poly:0} and {seg:1}", regions, task="change"), asked)
    card = make_card(replace(make_sample(0), images=images, turns=(turn,), task="change"))
    first, second = card.figures
    assert [outline.path for outline in first.outlines if outline.own] == [
        "M2.0,3.0 12.0,3.0 12.0,13.0 2.0,13.0Z",
        "M1.0,1.0 21.0,1.0 21.0,11.0 1.0,11.0Z M5.0,3.0 9.0,3.0 9.0,7.0Z",
    ]
    (lake,) = [outline for outline in second.outlines if outline.own]
    corners = {tuple(map(float, point.split(","))) for point in lake.path.strip("MZ").split()}
    assert corners == {(10, 10), (30, 10), (30, 20), (10, 20)}
    assert [outline.own for outline in first.outlines] == [True, True, False], "another date's region is dashed"
    (exchange,) = card.exchanges
    assert exchange.asked == ("Near ", 0, "?")
    assert exchange.answered == ("field ", 1, " and ", 2)
    assert "<poly>" in exchange.text or "field" in exchange.text


def test_svg_is_well_formed_and_long_outlines_are_thinned(tmp_path: Path) -> None:
    rows, cols = np.mgrid[:800, :800]
    disc = Mask((rows - 400) ** 2 + (cols - 400) ** 2 < 390**2, HBB(0, 0, 1600, 1600))
    image = Image(data=encode_picture(0, (1600, 1600), "JPEG"), width=1600, height=1600)
    turn = Turn("?", Answer("{seg:0}", (Region(disc, "<b>&lake"),), task="segment"))
    sample = replace(make_sample(0), images=(image,), turns=(turn,), task="segment")
    write_stage("made", [Unit("one", 1, None)], lambda *_: [sample], tmp_path / "s", options=StageOptions())
    inspect(tmp_path / "s")
    page = (tmp_path / "s" / "sheet.html").read_text()
    (svg,) = re.findall(r"<svg viewBox.*?</svg>", page, re.DOTALL)
    ElementTree.fromstring(svg)
    (outline,) = make_card(sample).figures[0].outlines
    assert len(outline.path.split()) < 150
    assert "<b>&lake" not in page


def test_an_image_that_cannot_be_read_is_said_not_shown(tmp_path: Path) -> None:
    gone = make_caption(0, Image(path=str(tmp_path / "gone.png"), width=10, height=10))
    broken = make_caption(1, Image(data=b"no image", width=10, height=10))
    for sample in (gone, broken):
        (figure,) = make_card(sample).figures
        assert figure.uri == "" and figure.problem
    assert "does not exist" in make_card(gone).figures[0].problem


def test_a_bad_template_and_an_unwritable_region_are_said() -> None:
    bad = replace(make_sample(0), turns=(Turn("a { lone brace", Answer("{box:7}", task="ground")),))
    (exchange,) = make_card(bad).exchanges
    assert "lone '{'" in str(exchange.asked[0])
    assert "cannot be written in nadir" in exchange.text


def test_every_sample_is_picked_as_often_as_any_other(tmp_path: Path) -> None:
    store = make_store(tmp_path / "made", samples=10, size=3)
    manifest = load_manifest(store)
    seen = Counter(
        sample.id for seed in range(40) for sample in pick_samples(manifest, 3, random.Random(seed), ledger=Ledger())
    )
    assert len(seen) == 10 and sum(seen.values()) == 120
    assert min(seen.values()) > 3
    every = [sample.id for sample in pick_samples(manifest, 99, random.Random(0), ledger=Ledger())]
    assert every == [f"made/{number:05d}" for number in range(10)]


def test_a_task_can_be_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = Image(data=encode_picture(), width=24, height=16)
    found = [make_sample(n) if n % 3 else make_caption(n, image) for n in range(10)]
    write_stage("made", [Unit("one", 10, None)], lambda *_: found, tmp_path / "s", options=StageOptions())
    manifest = load_manifest(tmp_path / "s")
    picked = list(pick_samples(manifest, 9, random.Random(0), ledger=Ledger(), task="caption"))
    assert picked == [sample for sample in found if sample.task == "caption"]
    with pytest.raises(SystemExit):
        main(["inspect", str(tmp_path / "s"), "--task", "segment"])
    assert "holds no samples of task 'segment': it holds caption, detect" in capsys.readouterr().err
