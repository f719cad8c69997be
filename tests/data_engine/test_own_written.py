"""Windows become pictures, stores of samples and cases that the benchmark runner reads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from PIL import Image as PILImage

from data_engine.annotations import slot_kinds
from data_engine.own.labels import OwnData, load_own
from data_engine.own.layers import LabelOptions
from data_engine.own.split import Split, split_own
from data_engine.own.written import (
    HELD_OUT,
    KINDS,
    PAINT,
    TRAIN,
    picture_path,
    write_cases,
    write_store,
    write_windows,
)
from data_engine.store import read_samples
from eval_suites.cases import load_cases
from eval_suites.suites import LABELLED
from tests.data_engine.made_sites import corners, squares, write_labels, write_raster
from vlm.geometry import to_hbb

PLACES = corners(192)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[OwnData, Split, Path]:
    folder = tmp_path_factory.mktemp("site")
    image = write_raster(folder / "a.tif", PLACES, side=192)
    turned = [shapely.affinity.rotate(shape, 20) for shape in squares(PLACES)]
    data = load_own(image, write_labels(folder / "a.gpkg", turned), LabelOptions())
    split = split_own(data, window_px=64, holdout=0.25, seed=0)
    write_windows(split, folder / "data")
    return data, split, folder / "data"


def test_pictures_show_the_window_and_nothing_of_the_other_side(site: tuple[OwnData, Split, Path]) -> None:
    _, split, folder = site
    for side, cuts in ((TRAIN, split.train), (HELD_OUT, split.held)):
        for cut in cuts:
            with PILImage.open(picture_path(cut, folder, side)) as picture:
                pixels = np.asarray(picture)
            assert pixels.shape == (cut.window.h, cut.window.w, 3)
            for part in cut.painted:
                assert (pixels[part.y : part.y + part.h, part.x : part.x + part.w] == PAINT).all()
            for region in cut.objects:
                box = to_hbb(region.geometry)
                inner = pixels[round(box.y1) : round(box.y2), round(box.x1) : round(box.x2)]
                assert inner.mean() > 130, "the object is where its label says"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    write_windows(split, folder)
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}, "what is there stays"


@pytest.mark.parametrize("task", KINDS)
def test_each_task_is_a_store(site: tuple[OwnData, Split, Path], task: str) -> None:
    data, split, folder = site
    split = replace(split, train=split.train[::6])
    ledger = write_store(task, split, data.classes, folder, seed=0)
    ledger.require_balance(task)
    samples = list(read_samples(folder / TRAIN / task))
    assert samples and len(samples) == ledger.kept
    for sample in samples:
        kinds = slot_kinds(sample.turns[0].answer)
        assert ("obb" in kinds) == KINDS[task].oriented or not kinds
        assert Path(str(sample.images[0].path)).is_file() and HELD_OUT not in str(sample.images[0].path)
    assert write_store(task, split, data.classes, folder, seed=0).kept == ledger.kept, "a finished one is left"


def test_cases_are_what_the_runner_reads(site: tuple[OwnData, Split, Path]) -> None:
    data, split, folder = site
    written = write_cases(split, data.classes, folder, masks=True, seed=0)
    assert set(written) == set(LABELLED)
    for suite, count in written.items():
        file = load_cases(folder / "cases" / f"{suite}.jsonl")
        assert (file.suite, len(file.cases)) == (suite, count)
        for case in file.cases:
            with PILImage.open(case.images[0]) as picture:
                assert HELD_OUT in case.images[0] and case.sizes[0] == picture.size
    detect = load_cases(folder / "cases" / "labels-detect.jsonl")
    assert sum(len(case.regions) for case in detect.cases) == sum(len(cut.objects) for cut in split.held)
    count = load_cases(folder / "cases" / "labels-count.jsonl")
    assert [int(case.target) for case in count.cases] == [len(cut.objects) for cut in split.held]
    assert sum(count.training["tank"].values()) == len(split.train)
    assert "labels-mask" not in write_cases(split, data.classes, folder, masks=False, seed=0)


def test_manifests_say_what_they_are_of(site: tuple[OwnData, Split, Path]) -> None:
    data, split, folder = site
    write_store("count", replace(split, train=split.train[::6]), data.classes, folder, seed=0)
    text = "".join(path.read_text() for path in (folder / TRAIN / "count").glob("*.json"))
    assert json.dumps(list(data.classes))[1:-1] in text
