"""Recipes as a family: pure, seeded, complete; and those that need masks, scene classes or large images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data_engine.annotations import merge_samples, sample_to_scene, scene_to_sample, split_colour
from data_engine.generate import classify, detect, ground, segment, segment_all
from data_engine.objects import Scene, all_samples, seeded
from data_engine.recipes import RECIPES, find_recipes
from data_engine.recipes.box_caption import boxes_to_captions
from data_engine.recipes.ladder import give_forms
from data_engine.recipes.scene import SCENES, find_group
from data_engine.templates import INSTRUCTIONS
from data_engine.wording import WORDING
from data_engine.wording.cdvqa import CDVQA
from vlm.codecs import parse_text, render_text, split_template
from vlm.errors import DataError
from vlm.geometry.convert import to_hbb, to_obb
from vlm.geometry.shapes import HBB, OBB, Mask, Polygon
from vlm.records import Image, Region, Sample

IMAGE = Image(path="a.png", width=2000, height=1500, gsd_m=0.3)
NEED_PIXELS = {"turned", "zoom"}


def scene(*regions, classes=("ship", "bridge", "boat", "car"), colours=(), image=IMAGE):
    return Scene("s/1", image, regions, regions, classes, "s", "train", "l", (), colours)


def harbour(colours=()):
    """Give three small ships and a bridge of which each outline is known."""
    bits = np.ones((10, 30), bool)
    bits[:4, :9] = False
    ships = [Region(Mask(bits, HBB(x, y, x + 30, y + 10)), "ship") for x, y in ((100, 200), (900, 700), (1500, 1300))]
    bridge = Region(Polygon(((1000, 100), (1400, 120), (1500, 160), (1390, 180), (990, 160))), "bridge")
    return scene_to_sample(scene(*ships, bridge, colours=colours))


def made_by(name, sample, seed=0):
    return {made.id.removeprefix(f"{sample.id}/"): made for made in RECIPES[name](sample, seed)}


def answer(made):
    turn = made.turns[-1]
    sizes = [(image.width or 9, image.height or 9) for image in made.images]
    return render_text(turn.answer.template, turn.answer.regions, sizes=sizes)


# The family


@pytest.mark.parametrize("name", sorted(set(RECIPES) - NEED_PIXELS))
def test_recipes_are_pure_and_seeded(name):
    sample = harbour(("white", "white", "red", "grey"))
    once, again = list(RECIPES[name](sample, 3)), list(RECIPES[name](sample, 3))
    assert once == again
    assert len({made.id for made in once}) == len(once)
    assert sample == harbour(("white", "white", "red", "grey"))


def test_another_seed_asks_in_other_words():
    texts = [{made.turns[0].instruction for made in RECIPES["ground"](harbour(), seed)} for seed in (0, 1)]
    assert texts[0] != texts[1]


@pytest.mark.parametrize("name", sorted(set(RECIPES) - NEED_PIXELS))
def test_samples_without_the_annotations_give_nothing(name):
    caption = Sample("s/1", (IMAGE,), (classify("somewhere", seeded(0, "")),), "caption", "s")
    assert list(RECIPES[name](caption, 0)) == []
    unsized = replace(harbour(), images=(Image(path="a.png"),))
    assert list(RECIPES[name](unsized, 0)) == []


def test_unknown_recipes_are_listed():
    assert list(find_recipes("count, ground,count")) == ["count", "ground"]
    with pytest.raises(DataError, match=r"no recipe is called .dance.: known are ground, detect"):
        find_recipes("ground,dance")
    with pytest.raises(DataError, match="known are"):
        find_recipes(" , ")


def test_every_paraphrase_of_the_recipes_is_distinct_and_starts_like_a_sentence():
    assert not set(WORDING) & set(INSTRUCTIONS)
    for kind, texts in WORDING.items():
        assert len(set(texts)) == len(texts) >= (2 if kind in CDVQA else 5), kind
        assert all(text[0].isupper() or text[0] == "{" for text in texts), kind


# What is read


def test_samples_of_one_class_each_are_read_together():
    boxes = [Region(HBB(x, 10, x + 20, 40), label) for x, label in ((10, "car"), (100, "car"), (300, "bus"))]
    kept = Scene("d/train/7", IMAGE, tuple(boxes), (), ("car", "bus", "ship"), "d", "train", "l")
    samples = list(all_samples(kept))
    merged = merge_samples(samples)
    assert merged.id == "d/train/7"
    found = sample_to_scene(merged)
    assert set(found.classes) == {"car", "bus"}
    assert {region.geometry for region in found.boxes} == {region.geometry for region in boxes}
    with pytest.raises(DataError, match="different images"):
        merge_samples([samples[0], replace(samples[1], images=(Image(path="b.png"),))])


def test_boxes_and_oriented_boxes_of_separate_samples_are_paired():
    rng = seeded(0, "x")
    boxes = [Region(HBB(x, 100 - x, x + 20, 120 - x), "car") for x in (10, 40, 80)]
    obbs = [Region(OBB(x + 10, 110 - x, 19, 5, 30), "car") for x in (10, 40, 80)]
    turns = (detect("car", boxes, rng), detect("car", obbs[::-1], rng, kind="obb"))
    found = sample_to_scene(Sample("s", (IMAGE,), turns, "detect", "s"))
    for box, obb in zip(found.boxes, found.obbs, strict=True):
        assert box.geometry.x1 + 10 == obb.geometry.cx


def test_colours_are_read_only_before_known_classes():
    assert split_colour("red car", ["car"]) == ("red", "car")
    assert split_colour("red car", ["bus"]) == (None, "red car")
    assert split_colour("small car", ["car"]) == (None, "small car")


def test_classes_that_cannot_be_listed_are_refused():
    with pytest.raises(DataError, match="without comma"):
        scene_to_sample(scene(classes=("ship, large",)))


# Masks and the ladder


def test_masks_of_objects_classes_and_boxes():
    made = made_by("mask", harbour())
    assert made["mask/bridge"].turns[0].answer.template == "{seg:0}"
    assert made["mask-all/ship"].turns[0].answer.regions[0].geometry.area == 3 * (300 - 36)
    assert answer(made["mask-all/none"]) == "none"
    boxed = made["mask-box/bridge"].turns[0]
    assert boxed.regions[0].geometry == to_hbb(boxed.answer.regions[0].geometry)
    assert made_by("mask", scene_to_sample(scene(Region(HBB(0, 0, 9, 9), "ship")))) == {}


def test_four_corners_are_an_outline_beside_objects_that_have_one():
    house = Region(Polygon(((10, 10), (50, 10), (50, 30), (10, 30))), "car")
    shed = Region(Polygon(((500, 10), (560, 10), (560, 30), (530, 30), (530, 20), (500, 20))), "car")
    both, alone = (scene_to_sample(scene(*regions)) for regions in ((house, shed), (house,)))
    assert answer(made_by("mask", both)["mask/left-most-car"]).startswith("<seg>")
    assert made_by("mask", both)["mask-all/car"].turns[0].answer.regions[0].geometry.area == 40 * 20 + 60 * 20 - 30 * 10
    assert "ladder-box-seg/left-most-car" in made_by("ladder", both)
    assert made_by("mask", alone) == {}, "it may be the oriented box of a car"
    assert "ladder-box-seg/car" not in made_by("ladder", alone)


def test_the_ladder_goes_up_and_down():
    made = made_by("ladder", harbour())
    for given, wanted in (("box", "obb"), ("obb", "seg"), ("box", "seg"), ("seg", "obb"), ("obb", "box")):
        turn = made[f"ladder-{given}-{wanted}/bridge"].turns[0]
        assert [slot.kind for slot in split_template(turn.instruction) if not isinstance(slot, str)] == [given]
        assert turn.answer.template == f"{{{wanted}:0}}"
    down = made["ladder-down/bridge"].turns[0].answer
    shape = down.regions[0].geometry
    assert [region.geometry for region in down.regions] == [shape, to_obb(shape), to_hbb(shape)]
    text = render_text(down.template, down.regions, sizes=[(2000, 1500)])
    assert [slot.kind for slot in split_template(parse_text(text, sizes=[(2000, 1500)]).template)
            if not isinstance(slot, str)] == ["seg", "obb", "box"]  # fmt: skip


def test_the_ladder_has_as_many_rungs_as_are_known():
    house = Region(Polygon(((0, 0), (40, 0), (40, 40), (0, 40))), "house")
    assert list(give_forms(Region(HBB(0, 0, 4, 4)), "a", outlined=False)) == ["box"]
    assert list(give_forms(Region(OBB(4, 4, 4, 2, 30)), "a", outlined=False)) == ["box", "obb"]
    assert list(give_forms(house, "a", outlined=False)) == ["box", "obb"]
    assert list(give_forms(house, "a", outlined=True)) == ["box", "obb", "seg"]
    turn = ground("left-most ship", Region(OBB(40, 40, 9, 4, 30), "ship"), seeded(0, ""), kind="obb")
    made = made_by("ladder", Sample("g/1", (IMAGE,), (turn,), "ground", "g"))
    assert set(made) == {"ladder-box-obb/left-most-ship", "ladder-obb-box/left-most-ship"}


def test_the_ladder_takes_one_thing_and_no_class_as_a_whole():
    mask = Mask(np.tri(9, dtype=bool), HBB(0, 0, 9, 9))
    for turn, taken in (
        (segment("right-most road", Region(mask, "right-most road"), seeded(0, "")), True),
        (segment_all("road", Region(mask, "road"), seeded(0, "")), False),
        (segment_all("water", Region(mask, "water"), seeded(1, "")), False),
    ):
        made = made_by("ladder", Sample("g/1", (IMAGE,), (turn,), "segment", "g"))
        assert bool(made) == taken, turn.instruction


# Negatives, captions, scenes


def test_hard_negatives_come_first():
    made = made_by("negatives", harbour(("white", "white", "red", "grey")))
    assert {name.split("/")[1] for name in made if name.startswith("negatives-box")} == {"boat", "car"}
    assert all(answer(made[name]) in ("none", "no") for name in made)
    asked = made["negatives-colour-ground/ship"].turns[0].instruction
    assert not any(colour in asked for colour in ("white ship", "red ship"))
    assert "negatives-colour/bridge" in made
    assert not any(word in made["negatives-colour/bridge"].turns[0].instruction for word in ("white", "black", "blue"))


def test_empty_images_answer_none():
    made = made_by("detect", scene_to_sample(scene()))
    assert answer(made["detect-box/all-classes"]) == "none"
    assert {answer(sample) for sample in made.values()} == {"none"}


def test_detections_of_all_classes_run_by_class_then_down():
    made = made_by("detect", harbour())
    found = made["detect-box/all-classes"].turns[0].answer
    assert [region.phrase for region in found.regions] == ["bridge", "ship", "ship", "ship"]
    assert answer(made["detect-box/all-classes"]).startswith("<ref>bridge</ref><box>")
    assert answer(made["detect-obb/all-classes"]).count("<obb>") == 2


def test_box_captions_count_and_place():
    middle = [Region(HBB(950, 700, 990, 730), "ship"), Region(HBB(1020, 700, 1060, 730), "ship")]
    around = [Region(HBB(50 * n, 20, 50 * n + 20, 40), "car") for n in range(12)]
    texts = boxes_to_captions(scene(*middle, *around), seeded(0, ""))
    assert texts[0] == "two ships in the center of the image"
    assert "many cars away from the center of the image" in texts
    assert any("there are" in text and "two ships" in text for text in texts[2:]) or len(texts) > 2


def test_scene_questions_are_answered_and_offer_no_second_right_class():
    turn = classify("railwaystation", seeded(0, ""))
    made = made_by("scene", Sample("c/1", (IMAGE,), (turn,), "classify", "c"))
    assert answer(made["scene/yes"]) == "yes"
    assert answer(made["scene/no"]) == "no"
    assert answer(made["scene/choice"]) == "railwaystation"
    assert answer(made["scene/land"]) == "urban"
    choices = made["scene/choice"].turns[0].instruction
    assert "railwaystation" in choices
    assert not any(label in choices for label in ("denseresidential", "industrial", "commercial", "tennis court"))
    assert {find_group(label) for labels in SCENES.values() for label in labels} == set(SCENES)
