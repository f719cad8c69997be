"""The rules for words and regions, as tables; and scores through a scorer that sees colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_engine.filter.geometry import GeometryRules, find_geometry_fault
from data_engine.filter.language import find_other_language
from data_engine.filter.scores import ScoreRules, find_score_faults, rank_captions, score_captions
from data_engine.filter.text import TextRules, find_text_fault, judge_text
from tests.data_engine.made_corpora import encode, make_image, say
from vlm.errors import DataError
from vlm.geometry.shapes import HBB, OBB, Mask, Polygon
from vlm.records import Answer, Image, Region, Turn

GOOD = (
    "many planes are parked next to a long building in an airport",
    "airport",
    "storage tanks",
    "yes",
    "12",
    "111",
    "a river in Baden-Württemberg, seen from above",
    "An aerial image of the La Défense district in Paris",
    "a view of Rio de Janeiro and the Baía de Guanabara",
    "the dome of the church in the middle of the city",
    "there are green trees and green lawns around the green pond in the park",
    "1, 2, 2, 2, 3",
)
BAD = (
    ("", "empty text"),
    (" . ", "empty text"),
    ("aaaaaaa", "degenerate text"),
    ("x" * 80, "degenerate text"),
    ("word and other " * 200, "long text"),
    ("a plane plane plane on the runway", "repeated words"),
    ("a large ship in a port and a large ship in a port and a large ship in a port", "repeated words"),
    ("see https://example.com/a", "markup in text"),
    ("the file P0023.png shows a port", "markup in text"),
    ("two <b>ships</b>", "markup in text"),
    ("a port \ufffd\ufffd", "markup in text"),
    ("Une image aérienne d'un aéroport avec plusieurs avions", "other language"),
    ("Viele Flugzeuge stehen auf dem Flugplatz neben der Halle", "other language"),
    ("hay muchos barcos en el puerto", "other language"),
    ("一张机场的航拍图", "other language"),
    ("на снимке виден аэропорт", "other language"),
)


@pytest.mark.parametrize("text", GOOD)
def test_good_words_pass(text):
    assert judge_text(text, TextRules()) is None


@pytest.mark.parametrize(("text", "reason"), BAD)
def test_bad_words_have_their_reason(text, reason):
    assert judge_text(text, TextRules())[0] == reason


def test_words_in_the_wanted_language_pass_and_others_do_not():
    for language, text in (("zh", "一张机场的航拍图"), ("fr", "Une image aérienne d'un aéroport"), ("de", "ein Fluss")):
        assert find_other_language(text, wanted=language) is None
    assert find_other_language("a large airport with many planes", wanted="zh") == "LATIN"
    assert find_other_language("there are two planes on the runway", wanted="de") == "en"
    with pytest.raises(DataError, match="language 'xx' is unknown: known are en, fr"):
        find_other_language("a", wanted="xx")


def test_only_language_is_read_and_templates_have_to_be_whole():
    image = make_image(0)
    slots = say(1, image, "{box:0}", task="detect", regions=[Region(HBB(1, 1, 5, 5), "ship")])
    assert find_text_fault(slots, TextRules()) is None
    assert (
        find_text_fault(say(2, image, "{box:0}", task="change", regions=slots.turns[0].answer.regions), TextRules())
        is None
    )
    assert find_text_fault(say(3, image, "a { port"), TextRules())[0] == "broken template"
    assert find_text_fault(say(4, image, "ein Hafen mit dem Schiff und der Stadt"), TextRules(language=None)) is None


SIZE = (100, 80)
REGIONS = (
    (HBB(10, 10, 20, 30), "box", None),
    (HBB(-5, 10, 20, 30), "box", None),
    (OBB(2, 40, 20, 8, 45.0), "obb", None),
    (HBB(90, 70, 140, 120), "box", "region outside"),
    (HBB(200, 10, 220, 30), "box", "region outside"),
    (HBB(10, 10, 10, 30), "box", "empty region"),
    (OBB(10, 10, 5, 0, 0.0), "obb", "empty region"),
    (Polygon(((1, 1), (5, 5), (9, 9))), "poly", "empty region"),
    (Mask(np.zeros((4, 4), bool), HBB(0, 0, 40, 40)), "seg", "empty region"),
    (HBB(0, 0, 100, 80), "box", "whole-image box"),
    (HBB(-10, -10, 120, 90), "box", "whole-image box"),
    (HBB(0, 0, 100, 60), "box", None),
    (Mask(np.ones((4, 4), bool), HBB(0, 0, 100, 80)), "seg", None),
)


@pytest.mark.parametrize(("geometry", "kind", "reason"), REGIONS)
def test_regions_have_their_reason(geometry, kind, reason):
    image = Image(path="a.png", width=SIZE[0], height=SIZE[1])
    sample = say(1, image, f"{{{kind}:0}}", task="detect", regions=[Region(geometry, "ship")])
    fault = find_geometry_fault(sample, GeometryRules())
    assert (fault and fault[0]) == reason


def test_regions_of_instructions_and_of_second_images_are_looked_at():
    images = [Image(path="a.png", width=100, height=80), Image(path="b.png", width=20, height=20)]
    turn = Turn("What is in {box:0}?", Answer("a ship", task="region"), (Region(HBB(50, 50, 60, 60), "", 1),))
    sample = replace(say(1, images, task="region"), turns=(turn,))
    assert find_geometry_fault(sample, GeometryRules())[0] == "region outside"
    unknown = replace(sample, images=(images[0], Image(path="b.png")))
    assert find_geometry_fault(unknown, GeometryRules()) is None
    beyond = replace(sample, images=images[:1])
    assert find_geometry_fault(beyond, GeometryRules())[0] == "broken template"
    missing = say(2, images[0], "{box:1}", task="detect", regions=[Region(HBB(1, 1, 9, 9), "ship")])
    assert find_geometry_fault(missing, GeometryRules())[0] == "broken template"


class ByColour:
    """See red, green and blue: of the whole picture, or of its top half alone where `upright`."""

    def __init__(self, *, upright: bool = False) -> None:
        self.upright = upright

    def embed_pictures(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        shown = [picture[: len(picture) // 2] if self.upright else picture for picture in pictures]
        return self._unit(np.array([picture.mean(axis=(0, 1)) for picture in shown]))

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self._unit(np.array([[name in text for name in ("red", "green", "blue")] for text in texts], float))

    @staticmethod
    def _unit(vectors: np.ndarray) -> np.ndarray:
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def coloured(top: tuple[int, int, int], bottom: tuple[int, int, int]) -> np.ndarray:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32], pixels[32:] = top, bottom
    return pixels


RED, BLUE = (200, 0, 0), (0, 0, 200)


def test_scores_are_cosines_over_the_quarter_turns():
    picture = coloured(RED, BLUE)
    fits, wrong = score_captions(ByColour(), [picture, picture], ["red", "green"])
    assert (fits.cosine, fits.spread) == pytest.approx((np.sqrt(0.5), 0), abs=1e-6)
    assert wrong.cosine == pytest.approx(0, abs=1e-6)
    (upright,) = score_captions(ByColour(upright=True), [picture], ["red"])
    by_hand = [1, np.sqrt(0.5), 0, np.sqrt(0.5)]
    assert (upright.cosine, upright.spread) == pytest.approx((np.mean(by_hand), np.std(by_hand)), abs=1e-6)


def test_the_steady_caption_is_chosen():
    picture = coloured((255, 0, 0), (255, 10, 10))
    assert rank_captions(ByColour(), picture, ["green", "red", "red and blue"]) == [1, 2, 0]
    both = coloured(RED, BLUE)
    assert rank_captions(ByColour(upright=True), both, ["red", "red and blue"]) == [1, 0]


def test_captions_that_do_not_fit_or_not_steadily_are_named():
    from PIL import Image as Picture

    image = Image(data=encode(Picture.fromarray(coloured(RED, BLUE))), width=64, height=64)
    samples = [
        say(0, image, "red and blue"),
        say(1, image, "green"),
        say(2, image, "{box:0}", task="detect", regions=[Region(HBB(0, 0, 5, 5), "x")]),
        say(3, image, "red"),
    ]
    rules = ScoreRules(Path("unused"), least_cosine=0.5, most_spread=0.2)
    assert {at: reason for at, (reason, _) in find_score_faults(samples, rules, ByColour()).items()} == {1: "low score"}
    steady = find_score_faults(samples, rules, ByColour(upright=True))
    assert {at: reason for at, (reason, _) in steady.items()} == {1: "low score", 3: "unsteady score"}
