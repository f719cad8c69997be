"""Case files: what is written is what the runner reads; balanced, unique, and the same on every run."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data_engine.cases import CASE_SETS, main, render_geometry, write_cases
from eval_suites.cases import load_cases, parse_geometry
from eval_suites.suites import SUITES
from vlm.errors import DataError
from vlm.geometry import HBB, OBB, Mask, Polygon

EXPECTED = {
    "rsicd-scene": 1094, "rsicd-caption": 1094, "hit-uav-ground": 23, "hit-uav-obb": 23, "hit-uav-count": 183,
    "rsvqa-lr": 800, "rsvqa-hr": 701, "levir-change-mask": 8,
}  # fmt: skip


def test_every_suite_has_cases_and_every_case_set_a_suite() -> None:
    assert list(CASE_SETS) == list(SUITES)


@pytest.mark.parametrize(
    "geometry",
    [
        HBB(0.5, 1, 20, 30.25),
        OBB(10, 20, 8, 4, -30.5),
        Mask(np.zeros((2, 3), bool), HBB(0, 0, 3, 2)),
        Mask(np.ones((2, 3), bool), HBB(0, 0, 3, 2)),
        Mask(np.random.default_rng(0).random((17, 9)) > 0.5, HBB(3, 4, 12, 21)),
    ],
)
def test_geometry_comes_back_as_it_was(geometry: HBB | OBB | Mask) -> None:
    assert parse_geometry(json.loads(json.dumps(render_geometry(geometry)))) == geometry


def test_other_geometry_is_refused() -> None:
    with pytest.raises(DataError, match="not Polygon"):
        render_geometry(Polygon(((0, 0), (1, 0), (0, 1))))


@pytest.mark.parametrize("suite", list(CASE_SETS))
def test_real_cases_are_read_back(suite: str, shared_data: Path, tmp_path: Path) -> None:
    path = write_cases(suite, shared_data, tmp_path)
    file = load_cases(path)
    assert file.suite == suite
    assert len(file.cases) == EXPECTED.get(suite, len(file.cases))
    assert all(Path(image).exists() for case in file.cases for image in case.images)
    assert all(case.answers or case.regions for case in file.cases)
    assert write_cases(suite, shared_data, tmp_path / "again").read_bytes() == path.read_bytes()


def test_change_questions_are_balanced(shared_data: Path, tmp_path: Path) -> None:
    cases = load_cases(write_cases("levir-change", shared_data, tmp_path)).cases
    answers = Counter(case.target for case in cases)
    assert answers["yes"] == answers["no"] == len(cases) / 2
    kinds = Counter(case.category for case in cases)
    assert kinds["changed window"] == kinds["unchanged window"] > 0
    assert all(case.images[0] == case.images[1] for case in cases if "twice" in case.category)


def test_training_answers_never_come_from_the_scored_split(shared_data: Path, tmp_path: Path) -> None:
    file = load_cases(write_cases("rsicd-scene", shared_data, tmp_path))
    assert sum(file.training["scene"].values()) == 8734


def test_mistakes_are_one_sentence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for suite, words in (("nothing", "known are rsicd-scene"), ("all", "holds none of the datasets"),
                         ("rsicd-scene", "does not exist")):  # fmt: skip
        with pytest.raises(SystemExit) as stopped:
            main([suite, str(tmp_path), str(tmp_path / "out")])
        assert stopped.value.code == 2
        assert words in caplog.text
