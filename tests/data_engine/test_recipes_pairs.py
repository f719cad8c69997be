"""Recipes on pairs: ChangeChat's six kinds and CDVQA's eight, against numbers that are counted here."""

from __future__ import annotations

import ast
import random
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_engine.amounts import write_area_class, write_number, write_percent, write_ratio_class
from data_engine.annotations import change_scene_to_sample, cover_to_turn
from data_engine.change_map import compare_covers, sample_to_change, singular
from data_engine.changes import ChangeScene
from data_engine.cover import Cover, cover_to_regions, regions_to_cover
from data_engine.recipes import RECIPES
from data_engine.recipes.change_text import describe_change, write_counts
from data_engine.templates import NO_CHANGE
from tests.data_engine.makers import block
from vlm.codecs import render_text
from vlm.records import Image, Region, Sample

CLASSES = ("buildings", "trees", "low vegetation", "non-vegetated ground surface", "water", "playgrounds")
WORDS = {"buildings": "buildings", "trees": "trees", "low vegetation": "low_vegetation", "water": "water",
         "non-vegetated ground surface": "NVG_surface", "playgrounds": "playgrounds"}  # fmt: skip
W, H = 60, 48
BEFORE, AFTER = (Image(path=f"{name}.png", width=W, height=H, gsd_m=2.0) for name in "ab")


def cover(labels, classes=CLASSES):
    return Cover(np.asarray(labels, np.int16), classes)


def pair_sample(before, after, classes=CLASSES):
    masks = [*cover_to_regions(cover(before, classes)), *cover_to_regions(cover(after, classes), image=1)]
    turn = cover_to_turn(masks, classes, seed=0, key="p", dates=2)
    return Sample("p/1", (BEFORE, AFTER), (turn,), "change", "s")


def answers(samples):
    found = {}
    for made in samples:
        turn = made.turns[-1]
        found[made.id.removeprefix("p/1/")] = render_text(turn.answer.template, turn.answer.regions, sizes=[(W, H)] * 2)
    return found


def grown_town():
    """Make two dates: two new buildings at the top left, one at the bottom right, trees lost to ground at the right."""
    before = np.full((H, W), CLASSES.index("low vegetation"), np.int16)
    before[20:30, 45:58] = CLASSES.index("trees")
    after = before.copy()
    for x1, y1, x2, y2 in ((2, 2, 8, 8), (11, 3, 18, 9), (50, 40, 56, 46)):
        after[y1:y2, x1:x2] = CLASSES.index("buildings")
    after[20:30, 45:52] = CLASSES.index("non-vegetated ground surface")
    return before, after


def test_change_tells_what_happened_to_each_class():
    said = answers(RECIPES["change"](pair_sample(*grown_town()), 0))
    assert said["change/presence"] == "yes"
    assert said["change/count/new-building"] == "3"
    assert said["change/count/lost-tree"] == "1"
    assert said["change/counts"] == "3 new buildings and no new trees have appeared"
    assert "buildings ['top-left', 'bottom-right']" in said["change/places"]
    assert "trees ['center-right']" in said["change/places"]
    assert said["change/open/became/trees"] == "non-vegetated ground surface"
    assert said["change/open/was/buildings"] == "low vegetation"
    assert said["change/open/trend/trees"] == "the area of trees has shrunk from 5% to 2% of the image"
    assert said["change/open/class/water"] == "no"
    assert said["change/open/class/buildings"] == "yes"
    changed = (np.subtract(*grown_town()) != 0).sum()
    assert said["change/open/share"] == f"{round(100 * changed / (W * H))}%"
    assert said["change/open/area"] == f"{write_number(4 * changed)} m2"
    assert "three buildings have been built" in said["change/caption"]
    assert "a tree has disappeared" in said["change/caption"]


def test_shares_are_of_the_area_whose_classes_are_known():
    """SECOND labels changed pixels only: what covers the rest of the image is not known."""
    before, after = grown_town()
    same = before == after
    said = answers(RECIPES["change"](pair_sample(np.where(same, -1, before), np.where(same, -1, after)), 0))
    lost, changed = 10 * 7, int((~same).sum())
    assert said["change/open/trend/trees"] == (
        f"the area of trees has shrunk from {round(100 * lost / changed)}% to 0% of the changed area"
    )
    assert said["change/open/share"] == f"{round(100 * changed / (W * H))}%"
    assert said["change-second-twice/open/class/trees"] == "no"
    before[:, :30], after[:, :30] = -1, -1
    said = answers(RECIPES["change"](pair_sample(before, after), 0))
    assert said["change/open/trend/trees"] == "the area of trees has shrunk from 9% to 4% of the mapped area"


def test_the_dialogue_is_one_sample_of_several_turns():
    made = {s.id.removeprefix("p/1/"): s for s in RECIPES["change"](pair_sample(*grown_town()), 0)}
    talk = made["change/dialogue"]
    assert talk.task == "chat"
    assert len(talk.turns) == 6
    assert talk.turns[0].answer.template == "yes"
    assert talk.turns[-1].answer == made["change/caption"].turns[0].answer


def test_the_second_date_twice_is_no_change_of_any_kind():
    sample, twice = pair_sample(*grown_town()), "change-second-twice"
    said = answers(RECIPES["change"](sample, 0))
    assert said[f"{twice}/presence"] == "no"
    assert said[f"{twice}/caption"] == said[f"{twice}/dialogue"] == NO_CHANGE
    assert said[f"{twice}/box"] == said[f"{twice}/mask"] == said[f"{twice}/mask/new-building"] == "none"
    assert said[f"{twice}/count/new-building"] == "0"
    assert said[f"{twice}/counts"] == "there are no changes in buildings or trees"
    assert "buildings []" in said[f"{twice}/places"]
    assert said[f"{twice}/open/share"] == "0%"
    images = {s.id: s.images for s in RECIPES["change"](sample, 0)}
    assert images["p/1/change-second-twice/box"] == (AFTER, AFTER)
    assert Counter(said[name] for name in said if name.endswith("/presence")) == {"yes": 1, "no": 1}


def test_one_picture_twice_is_left_to_the_pair_it_comes_from():
    _, after = grown_town()
    still = replace(pair_sample(after, after), images=(AFTER, AFTER))
    assert list(RECIPES["change"](still, 0)) == []


def test_an_unchanged_pair_gives_negatives_only():
    before, _ = grown_town()
    said = answers(RECIPES["change"](pair_sample(before, before), 0))
    assert said["change/presence"] == "no"
    assert not any(name.startswith("change-") for name in said)


def test_specks_are_neither_change_nor_none():
    before, _ = grown_town()
    after = before.copy()
    after[0:3, 0:3] = 0
    assert not [s for s in RECIPES["change"](pair_sample(before, after), 0) if s.images == (BEFORE, AFTER)]
    after[10:20, 30:40] = CLASSES.index("water")
    said = answers(RECIPES["change"](pair_sample(before, after), 0))
    assert "change/count/new-building" not in said
    assert "change/presence" in said


def test_a_bare_change_mask_is_enough():
    changed = block((W, H), (2, 2, 10, 10), (30, 30, 34, 40)) > 0
    scene = ChangeScene("p/1", BEFORE, AFTER, changed, "new roads have been laid", None, "s", "train", "l")
    sample = change_scene_to_sample(scene)
    said = {made.id.removeprefix("p/1/pair/"): made.turns[-1].answer for made in RECIPES["change"](sample, 0)}
    assert said["change/caption"].template == "new roads have been laid"
    assert len(said["change/box"].regions) == 2
    assert said["change/mask"].regions[0].geometry.area == 104
    assert said["change/open/where"].template == "top left"
    assert not any("count" in name or "places" in name for name in said)


def test_masks_of_classes_are_read_as_changed_things():
    masks = cover_to_regions(cover(grown_town()[1] * 0 + (grown_town()[1] == 0), ("background", "road")))
    turn = cover_to_turn(
        [Region(m.geometry, "road") for m in masks if m.phrase == "road"], (), seed=0, key="p", dates=2
    )
    found = sample_to_change(Sample("p/1", (BEFORE, AFTER), (turn,), "change", "s"))
    assert list(found.kinds) == ["changed road"]
    assert write_counts(found, ["road"]) == "3 new roads have been constructed"


@pytest.mark.parametrize(("label", "one"), [("buildings", "building"), ("water", "water"), ("grass", "grass")])
def test_singular(label, one):
    assert singular(label) == one


# CDVQA


labels = arrays(np.int16, (12, 12), elements=st.integers(0, 5))


@settings(max_examples=25, deadline=None)
@given(labels, labels)
def test_cdvqa_answers_are_counted(before, after):
    """Check every answer against counts of pixels, with the classes' names as CDVQA's questions say them."""
    masks = [*cover_to_regions(cover(before)), *cover_to_regions(cover(after), image=1)]
    images = tuple(Image(path=name, width=12, height=12) for name in "ab")
    sample = Sample("p/1", images, (cover_to_turn(masks, CLASSES, seed=0, key="p", dates=2),), "change", "s")
    changed = before != after
    kinds = Counter()
    for made in RECIPES["cdvqa"](sample, 1):
        (turn,) = made.turns
        kind, text = made.id.removeprefix("p/1/cdvqa/").split("/")[0], turn.answer.template
        kinds[kind] += 1
        label = next((x for x in CLASSES if f" {x}" in turn.instruction), None)
        date = before if re.search("first|pre-", turn.instruction) else after if "image" in turn.instruction else None
        assert text == expected(kind, label, date, before, after, changed), turn
    assert {"change_ratio", "unchanged_ratio", "change_or_not", "change_ratio_types"} <= set(kinds)


def expected(kind, label, date, before, after, changed):
    if kind in ("change_ratio", "unchanged_ratio"):
        share = changed.mean() if kind == "change_ratio" else 1 - changed.mean()
        return (
            "0"
            if share == 0
            else next(f"{low}_to_{low + 10}" for low in range(0, 100, 10) if share <= (low + 10) / 100 + 1e-9)
        )
    areas = {x: here(i, date, before, after, changed) for i, x in enumerate(CLASSES)}
    if kind == "largest_change":
        return WORDS[max(areas, key=areas.get)]
    if kind == "smallest_change":
        return WORDS[min((x for x in areas if areas[x]), key=areas.get)]
    index = CLASSES.index(label)
    if kind == "change_or_not":
        return "yes" if areas[label] else "no"
    if kind == "change_ratio_types":
        return write_ratio_class(areas[label] / changed.size)
    if kind == "change_to_what":
        goal = Counter(after[changed & (before == index)].tolist()).most_common(1)[0][0]
        return WORDS[CLASSES[goal]]
    more = (after == index).sum() - (before == index).sum()
    return "yes" if (more > 0 if kind == "increase_or_not" else more < 0) else "no"


def here(index, date, before, after, changed):
    return int((changed & ((date == index) if date is not None else (before == index) | (after == index))).sum())


# Numbers as answers write them


def test_classes_of_amounts_are_those_of_the_benchmarks():
    assert [write_area_class(x) for x in (0, 1, 10, 11, 100, 101, 1000, 1001)] == [
        "0m2", "between 0m2 and 10m2", "between 0m2 and 10m2", "between 10m2 and 100m2", "between 10m2 and 100m2",
        "between 100m2 and 1000m2", "between 100m2 and 1000m2", "more than 1000m2",
    ]  # fmt: skip
    assert [write_ratio_class(x) for x in (0, 0.001, 0.1, 0.1001, 0.7, 1)] == [
        "0", "0_to_10", "0_to_10", "10_to_20", "60_to_70", "90_to_100",
    ]  # fmt: skip
    assert [write_number(x) for x in (0, 0.0731, 7.26, 9.96, 41.3, 125, 12345)] == [
        "0", "0.073", "7.3", "10", "41", "120", "12000",
    ]  # fmt: skip
    assert [write_percent(x) for x in (0, 0.001, 0.126, 1)] == ["0%", "less than 1%", "13%", "100%"]


@given(arrays(np.int16, (9, 14), elements=st.integers(-1, 2)))
def test_land_cover_goes_through_masks_and_back(values):
    found = cover(values, ("a", "b", "c"))
    again = regions_to_cover(cover_to_regions(found), found.classes, width=14, height=9)
    assert (again.labels == found.labels).all()


def test_sentences_name_the_main_transition_of_what_is_not_counted():
    before = np.zeros((30, 30), np.int16)
    after = before.copy()
    after[0:10, 0:10] = 1
    found = compare_covers(cover(before, ("forest", "water")), cover(after, ("forest", "water")))
    assert describe_change(found, random.Random(0)) == "forest has turned into water in the top left of the image"


def test_places_are_written_so_that_the_evaluation_reads_them():
    said = answers(RECIPES["change"](pair_sample(*grown_town()), 0))["change/places"]
    lists = re.findall(r"buildings\s*(\[[^\]]*\])", said)
    assert ast.literal_eval(lists[0]) == ["top-left", "bottom-right"]
