"""Probes change what should not matter, and know the same answer when it has moved with the image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval_suites.cases import Case
from eval_suites.models.fakes import say_target
from eval_suites.probes import PROBES, find_probes, probe_case, survives
from eval_suites.suites.asking import ask
from tests.eval_suites.made_files import write_picture
from vlm.errors import DataError
from vlm.geometry import HBB


def made(tmp_path: Path, **changes: object) -> Case:
    path = write_picture(tmp_path / "a.png", size=(40, 20))
    box = HBB(2, 3, 12, 9)
    case = ask("q", [str(path)], "Locate the ship", regions=[("ship", box)], form="box", phrase="ship on the left", sizes=[(40, 20)])  # noqa: E501  # fmt: skip
    return replace(case, **changes)


@pytest.mark.parametrize("name", ["flip", "turn", "brightness", "jpeg", "shift"])
def test_a_box_that_moves_with_the_image_survives_and_one_that_stays_does_not(name: str, tmp_path: Path) -> None:
    probe, case = PROBES[name], made(tmp_path, phrase="ship")
    other = probe_case(probe, case, tmp_path / "probed")
    assert other is not None
    told = say_target(case, "qwen3")
    assert survives(probe, case, told, other, say_target(other, "qwen3"), "qwen3")
    assert survives(probe, case, "nothing", other, "nothing", "qwen3")
    assert not survives(probe, case, told, other, "nothing", "qwen3")
    if name in ("flip", "turn"):
        assert not survives(probe, case, told, other, told, "qwen3")


def test_words_of_places_change_sides_and_forbid_a_turn(tmp_path: Path) -> None:
    case = made(tmp_path, phrase="leftmost car in the Northwest, near the southern and eastern ends")
    other = probe_case(PROBES["flip"], case, tmp_path)
    assert other is not None and other.phrase == "rightmost car in the Northeast, near the southern and western ends"
    assert probe_case(PROBES["turn"], case, tmp_path) is None


@pytest.mark.parametrize("name", ["flip", "turn", "shift"])
def test_regions_of_the_sample_datas_cases_move_too(name: str, tmp_path: Path) -> None:
    """A case of a file has no form: its targets say that geometry is asked for."""
    probe, case = PROBES[name], made(tmp_path, form="", phrase="", instruction="Where is the ship?")
    other = probe_case(probe, case, tmp_path / "probed")
    assert other is not None
    told, probed = (say_target(replace(one, form="box"), "nadir") for one in (case, other))
    assert survives(probe, case, told, other, probed, "nadir")
    assert name == "shift" or not survives(probe, case, told, other, told, "nadir")


def test_pixels_move_as_geometry_does(tmp_path: Path) -> None:
    case = made(tmp_path, phrase="ship")
    pixels = np.asarray(Image.open(case.images[0]))
    shown = {}
    for name in ("flip", "turn", "shift"):
        other = probe_case(PROBES[name], case, tmp_path / name)
        assert other is not None
        shown[name] = np.asarray(Image.open(other.images[0]))
        (x1, y1, x2, y2) = (int(v) for v in (lambda b: (b.x1, b.y1, b.x2, b.y2))(other.regions[0].geometry))
        cut = shown[name][y1:y2, x1:x2]
        back = {"flip": cut[:, ::-1], "turn": np.rot90(cut), "shift": cut}[name]
        assert np.array_equal(back, pixels[3:9, 2:12])
    assert shown["turn"].shape[:2] == (40, 20)


def test_words_change_sides_in_question_and_answer(tmp_path: Path) -> None:
    case = made(tmp_path, instruction="Is the ship left of the East pier?", form="", answers=("Left",), regions=())
    other = probe_case(PROBES["flip"], case, tmp_path)
    assert other is not None
    assert (other.instruction, other.phrase) == ("Is the ship right of the West pier?", "ship on the right")
    assert survives(PROBES["flip"], case, "left.", other, "<answer>Right</answer>", "nadir")
    assert not survives(PROBES["flip"], case, "left", other, "left", "nadir")
    assert probe_case(PROBES["turn"], case, tmp_path) is None


def test_options_in_reverse_ask_for_the_same_option(tmp_path: Path) -> None:
    prompt = "Which?\n(A) red\n(B) green\n(C) blue\nAnswer with a letter (A, B, C)."
    case = made(tmp_path, instruction=prompt, options=("red", "green", "blue"), answers=("A",), form="", regions=())
    other = probe_case(PROBES["options"], case, tmp_path)
    assert other is not None
    assert other.instruction.splitlines()[1:4] == ["(A) blue", "(B) green", "(C) red"]
    assert other.answers == ("C",)
    same = [survives(PROBES["options"], case, "A", other, said, "nadir") for said in ("C", "(C) red", "A", "")]
    assert same == [True, True, False, False]
    assert survives(PROBES["options"], case, "A B", other, "C, B", "nadir")
    assert probe_case(PROBES["options"], replace(case, instruction="Which?"), tmp_path) is None


def test_dates_are_swapped_where_time_has_no_direction(tmp_path: Path) -> None:
    case = made(tmp_path, images=("a.png", "b.png"), instruction="Has it changed?", phrase="", form="", regions=())
    other = probe_case(PROBES["swap"], case, tmp_path)
    assert other is not None and other.images == ("b.png", "a.png")
    assert probe_case(PROBES["swap"], replace(case, instruction="Did buildings increase?"), tmp_path) is None
    assert probe_case(PROBES["swap"], made(tmp_path), tmp_path) is None


def test_unknown_probes_are_refused_with_those_there_are() -> None:
    assert [probe.name for probe in find_probes("all", ("flip", "jpeg"))] == ["flip", "jpeg"]
    assert find_probes("", ("flip",)) == ()
    with pytest.raises(DataError, match="no probe turn for this suite: it has flip"):
        find_probes("turn", ("flip",))
