"""Instructions and answers: wording, plurals, braces; turns from geometry; unique phrases; masks from labels."""

from __future__ import annotations

import random
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine import generate, templates
from data_engine.changes import ChangeScene, change_samples, crop_scenes
from data_engine.labels import crop_mask, encode_colours, join_masks, split_components, split_instances
from data_engine.objects import MAX_DETECTED, Scene, all_samples, mask_samples
from data_engine.phrases import POSITION_MARGIN, SIZE_RATIO, area_of, find_unique_phrases
from tests.data_engine.makers import block, write_image
from vlm.codecs import render_text
from vlm.errors import DataError
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import HBB, OBB, Polygon
from vlm.records import TASKS, Answer, Image, Region, Turn

IMAGE = Image(path="a.png", width=1000, height=500)


def rng() -> random.Random:
    return random.Random(7)


def car(x: float, y: float, size: float = 20, phrase: str = "car") -> Region:
    return Region(HBB(x, y, x + size, y + size), phrase)


# Wording


@pytest.mark.parametrize("kind", sorted(templates.INSTRUCTIONS))
def test_paraphrases_are_many_distinct_and_well_formed(kind):
    texts = templates.INSTRUCTIONS[kind]
    assert 8 <= len(texts) <= 30
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert text[0].isupper()
        assert {name for _, name, _, _ in string.Formatter().parse(text) if name} <= {
            "phrase",
            "plural",
            "article",
            "region",
        }


def test_every_paraphrase_is_drawn_and_none_keeps_a_slot():
    for kind, texts in templates.INSTRUCTIONS.items():
        source = rng()
        drawn = {templates.write_instruction(kind, source, phrase="airplane", region="HERE") for _ in range(400)}
        assert len(drawn) == len(texts)
        assert not any("{" in text or "a airplane" in text for text in drawn)


def test_unknown_kind_lists_the_known_ones():
    with pytest.raises(DataError, match="no instructions of kind 'sing': known are caption, theme"):
        templates.write_instruction("sing", rng())


@pytest.mark.parametrize(
    ("noun", "plural"),
    [
        ("person", "people"),
        ("car", "cars"),
        ("other vehicle", "other vehicles"),
        ("storage tank", "storage tanks"),
        ("bus", "buses"),
        ("church", "churches"),
        ("factory", "factories"),
        ("railway", "railways"),
        ("military aircraft", "military aircraft"),
    ],
)
def test_plurals(noun, plural):
    assert templates.write_plural(noun) == plural


@given(st.text(max_size=60))
def test_any_text_stands_literally_in_a_template(text):
    assert render_text(templates.escape_braces(text), (), sizes=[(10, 10)]) == text
    assert "{" not in render_text(templates.write_sentence(text), (), sizes=[(10, 10)]).replace(text, "") or "{" in text


def test_instructions_with_braces_in_the_phrase_render_back():
    turn = generate.ground("car {0}", car(0, 0), rng())
    assert "car {0}" in render_text(turn.instruction, (), sizes=[(10, 10)])


# Turns


def test_answers_have_their_fixed_forms():
    regions = [car(500, 10), car(10, 10), car(10, 5)]
    assert generate.ground("car", regions[0], rng()).answer.template == "{box:0}"
    assert generate.ground("car", regions[0], rng(), kind="obb").answer.template == "{obb:0}"
    assert generate.detect("car", regions, rng()).answer.template == "{box:0,1,2}"
    assert generate.detect("car", [], rng()).answer.template == "none"
    assert generate.count("car", 12, rng()).answer.template == "12"
    assert generate.presence("car", True, rng()).answer.template == "yes"
    assert generate.presence("car", False, rng()).answer.template == "no"
    assert generate.segment("car", regions[0], rng()).answer.template == "{seg:0}"
    assert generate.segment_all("car", None, rng()).answer.template == "none"
    assert generate.caption(" A  road .\n", rng()).answer.template == "A road"
    assert generate.classify("port", rng()).answer.template == "port"
    assert generate.change_caption(None, rng()).answer.template == "no change has occurred"
    assert generate.change_boxes([], rng()).answer.template == "none"
    assert generate.change_mask(None, rng()).answer.template == "none"
    region = generate.describe_region(regions[0], rng(), kind="obb")
    assert "{obb:0}" in region.instruction
    assert region.regions == (regions[0],)
    assert region.answer.template == "car"


def test_detections_run_from_top_to_bottom():
    regions = [car(500, 10), car(10, 10), car(10, 5)]
    assert generate.detect("car", regions, rng()).answer.regions == (regions[2], regions[1], regions[0])


def test_every_turn_states_a_known_task():
    for turn in (
        generate.count("car", 1, rng()),
        generate.segment("car", None, rng()),
        generate.change_mask(None, rng()),
    ):
        assert turn.answer.task in TASKS
    with pytest.raises(DataError, match="states no task"):
        generate.wrap_turn(
            Turn("?", Answer("yes")), sample_id="x", images=(IMAGE,), source="s", split="train", licence="l"
        )


# Unique phrases


def phrases(*regions: Region, colours: tuple[str | None, ...] = ()) -> dict[str, int]:
    found = find_unique_phrases(regions, width=1000, height=500, colours=colours)
    assert len({unique.phrase for unique in found}) == len(found)
    return {unique.phrase: unique.index for unique in found}


def test_one_of_its_class_needs_no_more_words():
    assert phrases(car(0, 0), car(50, 0, phrase="bus")) == {"car": 0, "bus": 1}


def test_positions_need_a_clear_margin():
    assert phrases(car(0, 0), car(49, 0)) == {}
    assert phrases(car(0, 0), car(51, 0)) == {"left-most car": 0, "right-most car": 1}
    assert phrases(car(0, 0), car(0, 26)) == {"top-most car": 0, "bottom-most car": 1}


def test_sizes_need_a_clear_ratio():
    assert phrases(car(0, 0, 20), car(0, 0, 24)) == {}
    assert phrases(car(0, 0, 20), car(0, 0, 25)) == {"smallest car": 0, "largest car": 1}


def test_colours_count_only_when_all_are_known():
    cars = (car(0, 0), car(0, 0), car(0, 0))
    assert phrases(*cars, colours=("red", "blue", "blue")) == {"red car": 0}
    assert phrases(*cars, colours=("red", "blue", None)) == {}


boxes = st.builds(
    car, st.floats(0, 900), st.floats(0, 400), st.floats(1, 100), phrase=st.sampled_from(["car", "bus", "ship"])
)


@given(st.lists(boxes, max_size=12))
def test_each_phrase_fits_one_object_only(regions):
    """Check every phrase again by its own definition, over all members of its class."""
    for unique in find_unique_phrases(regions, width=1000, height=500):
        label = regions[unique.index].phrase
        others = [entry for at, entry in enumerate(regions) if entry.phrase == label and at != unique.index]
        mine = to_hbb(regions[unique.index].geometry)
        word = unique.phrase.removesuffix(label).strip()
        for other in (to_hbb(entry.geometry) for entry in others):
            beyond = {
                "left-most": (other.x1 + other.x2 - mine.x1 - mine.x2) / 2000,
                "right-most": (mine.x1 + mine.x2 - other.x1 - other.x2) / 2000,
                "top-most": (other.y1 + other.y2 - mine.y1 - mine.y2) / 1000,
                "bottom-most": (mine.y1 + mine.y2 - other.y1 - other.y2) / 1000,
            }
            ratio = {"largest": mine.area / other.area, "smallest": other.area / mine.area}
            assert word
            assert beyond.get(word, 1) >= POSITION_MARGIN - 1e-9
            assert ratio.get(word, 9) >= SIZE_RATIO - 1e-9
        assert others or unique.basis == "single"


def test_area_of_every_shape():
    ring = ((0, 0), (10, 0), (10, 10), (0, 10))
    hole = ((2, 2), (4, 2), (4, 4), (2, 4))
    assert area_of(Polygon(ring, (hole,))) == 96
    assert area_of(OBB(0, 0, 4, 5, 30)) == 20


# Samples of a scene


def scene(*regions: Region, obbs: bool = True, doubtful: tuple[str, ...] = ()) -> Scene:
    return Scene("s/train/1", IMAGE, regions, regions if obbs else (), ("car", "bus"), "s", "train", "l", doubtful)


def test_scene_samples_are_true_and_complete():
    samples = {sample.id.removeprefix("s/train/1/"): sample for sample in all_samples(scene(car(0, 0), car(300, 0)))}
    assert set(samples) == {
        *(f"ground-{kind}/{word}-most-car" for kind in ("box", "obb") for word in ("left", "right")),
        *(f"detect-{kind}/{label}" for kind in ("box", "obb") for label in ("car", "bus")),
        *(f"{kind}/{label}" for kind in ("count", "presence") for label in ("car", "bus")),
        "region/car",
    }
    assert samples["count/car"].turns[0].answer.template == "2"
    assert samples["presence/bus"].turns[0].answer.template == "no"
    assert samples["ground-box/left-most-car"].turns[0].answer.regions == (Region(HBB(0, 0, 20, 20), "left-most car"),)


def test_doubtful_classes_are_never_counted_listed_or_called_absent():
    ids = {sample.id.removeprefix("s/train/1/") for sample in all_samples(scene(car(0, 0), doubtful=("car", "bus")))}
    assert ids == {"presence/car", "region/car"}


def test_long_lists_are_left_out_of_detection():
    many = [car(i * 30, 0) for i in range(MAX_DETECTED + 1)]
    ids = {sample.id for sample in all_samples(scene(*many, obbs=False))}
    assert "s/train/1/detect-box/car" not in ids
    assert "s/train/1/count/car" in ids


def test_a_sample_does_not_depend_on_the_others():
    alone = {sample.id: sample for sample in all_samples(scene(car(0, 0)), seed=3)}
    together = {sample.id: sample for sample in all_samples(scene(car(0, 0), car(9, 9, phrase="bus")), seed=3)}
    assert alone["s/train/1/count/car"] == together["s/train/1/count/car"]


def test_scenes_refuse_what_does_not_fit():
    with pytest.raises(DataError, match="1 boxes and 2 oriented boxes"):
        Scene("k", IMAGE, (car(0, 0),), (car(0, 0), car(1, 1)), ("car",), "s", "train", "l")
    with pytest.raises(DataError, match="0 masks for 1 objects"):
        list(mask_samples(scene(car(0, 0))))


# Label images


def test_components_touch_at_corners_and_small_ones_go():
    bits = block((8, 6), (0, 0, 2, 2), (2, 2, 4, 4), (7, 5, 8, 6)) > 0
    assert [mask.box for mask in split_components(bits)] == [HBB(0, 0, 4, 4), HBB(7, 5, 8, 6)]
    assert [mask.area for mask in split_components(bits, min_px=2)] == [8]
    assert split_components(np.zeros((4, 4), bool)) == ()


def test_masks_are_cut_joined_and_never_lose_a_pixel():
    bits = block((30, 20), (3, 4, 9, 6), (20, 10, 22, 19)) > 0
    whole = crop_mask(bits)
    assert whole.box == HBB(3, 4, 22, 19)
    assert join_masks(split_components(bits)) == whole
    assert crop_mask(np.zeros((3, 3), bool)) is None
    assert join_masks([]) is None


def test_instances_by_colour():
    label = np.zeros((5, 6, 3), np.uint8)
    label[1:3, 2:4] = (1, 2, 0)
    label[4, 5] = (0, 0, 1)
    found = dict(split_instances(encode_colours(label)))
    assert {key: mask.box for key, mask in found.items()} == {513: HBB(2, 1, 4, 3), 65536: HBB(5, 4, 6, 5)}
    assert list(split_instances(np.zeros((3, 3), np.int64))) == []


# Change pairs


@pytest.fixture
def pair(tmp_path) -> ChangeScene:
    for number in (1, 2):
        write_image(tmp_path / f"{number}.png", (100, 60), seed=number)
    before, after = (Image(path=str(tmp_path / f"{number}.png"), width=100, height=60) for number in (1, 2))
    changed = block((100, 60), (10, 10, 30, 20), (50, 50, 51, 51)) > 0
    return ChangeScene("c/train/1", before, after, changed, "built", "gone", "c", "train", "l")


def test_change_samples_tell_dates_apart(pair):
    said = {sample.id.removeprefix("c/train/1/"): sample for sample in change_samples(pair)}
    assert len(said) == 16
    assert said["caption"].turns[0].answer.template == "built"
    assert said["swapped/caption"].turns[0].answer.template == "gone"
    assert said["swapped/caption"].images == (pair.after, pair.before)
    assert said["first-twice/presence"].turns[0].answer.template == "no"
    assert said["first-twice/presence"].images == (pair.before, pair.before)
    assert said["box"].turns[0].answer.template == "{box:0}"
    assert said["mask"].turns[0].answer.regions[0].geometry.area == 201


def test_crops_cover_the_pair_and_keep_the_label(pair):
    crops = list(crop_scenes(pair, size_px=40))
    assert [crop.key.rpartition("/")[2] for crop in crops] == [f"crop-{x}-{y}" for y in (0, 20) for x in (0, 40, 60)]
    assert int(crops[0].changed.sum()) == 200
    assert {(crop.before.width, crop.before.height) for crop in crops} == {(40, 40)}
    assert list(crop_scenes(pair, size_px=80)) == []


def test_a_change_of_a_few_pixels_is_neither_change_nor_none(pair):
    speck = ChangeScene("c", pair.before, pair.after, block((100, 60), (5, 5, 8, 8)) > 0, "a", None, "c", "train", "l")
    assert {sample.id.split("/")[1] for sample in change_samples(speck)} == {"first-twice", "second-twice"}
