"""The quirks and refusals of the land-cover, referring-mask, building and road sources, on tiny copies."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from data_engine.cover import sample_to_cover
from data_engine.sources import SOURCES, inria, landcover_ai, loveda
from tests.data_engine.makers import write_image, write_label
from tests.data_engine.tiny_copies import answers, read
from vlm.errors import DataError
from vlm.geometry.shapes import HBB, Mask, Polygon

# Land cover


def test_loveda_asks_for_what_is_there_and_for_one_class_that_is_not(make):
    root = make("loveda")
    samples = {
        key: answer for key, answer in answers(read("loveda", root, "train")).items() if "rural-0/mask-all" in key
    }
    present = {key.rpartition("/")[2] for key, answer in samples.items() if answer == "{seg:0}"}
    assert present == {"building", "water"}
    (absent,) = {key.rpartition("/")[2] for key, answer in samples.items() if answer == "none"}
    assert absent in {"road", "barren-land", "farmland"}
    building = read("loveda", root, "train")["loveda/train/rural-0/mask-all/building"]
    mask = building.turns[0].answer.regions[0].geometry
    assert (mask.box, mask.area) == (HBB(10, 20, 50, 40), 800)


def test_the_land_cover_sample_is_what_the_generators_read(make):
    root = make("loveda")
    cover = sample_to_cover(read("loveda", root, "train")["loveda/train/rural-0/cover"])
    assert cover is not None
    assert cover.classes == tuple(entry.name for entry in loveda.COVERS)
    assert {label: int(cover.bits(label).sum()) for label in cover.classes} == {
        "building": 800, "road": 0, "water": 960, "barren land": 0, "forest": 4, "farmland": 0
    }  # fmt: skip


def test_loveda_refuses_values_that_are_no_class_and_labels_of_another_size(make):
    root = make("loveda")
    path = root / "Train" / "Rural" / "masks_png" / "0.png"
    write_label(path, np.full((80, 96), 9))
    with pytest.raises(DataError, match=r"holds the values \[9\]"):
        read("loveda", root, "train")
    write_label(path, np.full((80, 95), 2))
    with pytest.raises(DataError, match="the label is"):
        read("loveda", root, "train")
    assert loveda.SPLITS == ("train", "val")


def test_landcover_ai_orthophotos_keep_their_place_and_tiles_are_read(make):
    root = make("landcover_ai")
    whole = read("landcover_ai", root, "all")
    image = next(iter(whole.values())).images[0]
    assert (image.crs, image.gsd_m) == ("EPSG:2180", 0.25)
    tiles = read("landcover_ai", root, "train")
    assert {answer for key, answer in answers(tiles).items() if "/mask-all/" in key} == {"{seg:0}", "none"}
    assert next(iter(tiles.values())).images[0].crs is None
    with pytest.raises(DataError, match=r"val\.txt does not exist"):
        read("landcover_ai", root, "val")
    assert landcover_ai.IGNORED == (0,)


# Referring expressions with masks, buildings, roads


def test_rsvg_reads_every_sentence_and_leaves_the_command_out(make):
    samples = read("rsvg", make("rsvg"), "train")
    assert list(samples) == ["rsvg/train/1/ground-0", "rsvg/train/2/ground-10", "rsvg/train/2/ground-11"]
    first = samples["rsvg/train/1/ground-0"].turns[0]
    assert "ground track field , it is to the left of the road" in first.instruction
    assert "Find a" not in first.instruction
    assert first.answer.regions[0].geometry == HBB(10, 20, 70, 60)
    assert samples["rsvg/train/2/ground-11"].turns[0].answer.regions[0].geometry == HBB(5, 5, 15.5, 25)


def test_rrsis_d_decodes_run_lengths_alone_or_in_a_list_and_polygons(make):
    root = make("rrsis_d")
    for sample in read("rrsis_d", root, "train").values():
        mask = sample.turns[0].answer.regions[0].geometry
        assert isinstance(mask, Mask)
        assert (mask.box, mask.area) == (HBB(10, 5, 30, 20), 300)
    (triangle,) = read("rrsis_d", root, "val").values()
    assert triangle.turns[0].answer.regions[0].geometry == Polygon(((10, 10), (30, 10), (10, 30)))
    assert (
        "red-white chimney on the left"
        in read("rrsis_d", root, "train")["rrsis_d/train/00001/mask-0"].turns[0].instruction
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no readable pickle"),
        (b"garbage", "no readable pickle"),
        (pickle.dumps({"a": 1}), "holds dict"),
        (pickle.dumps([{"ref_id": 1}]), "reference 0 lacks"),
        (pickle.dumps([{"ann_id": 7, "split": "train", "sentences": []}]), "ann_id 7, which"),
        (pickle.dumps([Path("x")]), "wants to load pathlib"),
        (b"cos\nsystem\n(S'echo broken in'\ntR.", "wants to load os.system|wants to load posix.system"),
    ],
)
def test_a_pickle_that_holds_more_than_plain_values_is_refused(make, content, sentence):
    root = make("rsvg")
    (root / "refs_rsvg.p").write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        read("rsvg", root, "train")


@pytest.mark.parametrize(
    ("name", "fields", "sentence"),
    [
        ("rsvg", {"bbox": [1, 2, 0, 4]}, "width and height above 0"),
        ("rsvg", {"bbox": None}, "width and height above 0"),
        ("rrsis_d", {"segmentation": []}, "has bbox None"),
        ("rrsis_d", {"segmentation": [{"size": [40, 60], "counts": 4}]}, "has run lengths 4"),
        ("rrsis_d", {"segmentation": [{"size": [60, 40], "counts": [2400]}]}, "run lengths of size"),
    ],
)
def test_refer_annotations_without_geometry_are_turned_away_alone(make, name, fields, sentence):
    root = make(name)
    path = next(root.rglob("instances*.json"))
    content = json.loads(path.read_text())
    content["annotations"][0].update(fields)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=sentence):
        read(name, root, "train")
    seen = []
    kept = list(SOURCES[name].load(root, split="train", reject=lambda *words: seen.append(words)))
    assert kept
    assert len(seen) == 1


def test_refsegrs_makes_a_sample_of_each_line(make):
    samples = read("refsegrs", make("refsegrs"), "train")
    assert list(samples) == ["refsegrs/train/0/mask-1", "refsegrs/train/0/mask-2", "refsegrs/train/17/mask-3"]
    assert "light-duty vehicle" in samples["refsegrs/train/17/mask-3"].turns[0].instruction
    assert samples["refsegrs/train/0/mask-1"].turns[0].answer.regions[0].geometry.area == 400


def test_earthreason_asks_every_question_and_answers_empty_targets_with_none(make):
    said = answers(read("earthreason", make("earthreason"), "train"))
    key = "earthreason/train"
    assert sum(name.startswith(f"{key}/a_1/mask-") for name in said) == 6
    assert said[f"{key}/a_1/reason-0"] == "The runway is long and flat: {seg:0}"
    assert said[f"{key}/a_1/reason-2"] == "{{It}} fits: {seg:0}"
    assert {answer for name, answer in said.items() if "b_2" in name} == {"none"}
    assert sum("b_2" in name for name in said) == 6


def test_earthreason_reads_a_split_inside_a_split_and_refuses_contradictions(make):
    root = make("earthreason")
    (root / "train" / "images").rename(root / "inner")
    (root / "train" / "train").mkdir()
    (root / "inner").rename(root / "train" / "train" / "images")
    assert len(read("earthreason", root, "train")) == 15
    path = root / "train" / "QAs" / "b_2.json"
    path.write_text(path.read_text().replace('"answer": []', '"answer": ["There."]'))
    with pytest.raises(DataError, match="answers about an empty label"):
        read("earthreason", root, "train")


def test_inria_cuts_tiles_and_keeps_the_first_five_of_a_city_for_validation(make):
    root = make("inria")
    train = read("inria", root, "train")
    assert {key.split("/")[2].partition("-")[0] for key in train} == {"austin6", "tyrol"}
    assert answers(train)["inria/train/austin6-0-0/mask-all/building"] == "{seg:0}"
    assert answers(train)["inria/train/austin6-500-500/mask-all/building"] == "none"
    tile = train["inria/train/austin6-500-0/mask-all/building"]
    assert (tile.images[0].width, tile.images[0].height, tile.images[0].gsd_m) == (120, 500, 0.3)
    assert tile.turns[0].answer.regions[0].geometry.box == HBB(0, 20, 30, 60)
    assert {key.split("/")[2].partition("-")[0] for key in read("inria", root, "val")} == {"austin1"}
    assert [name for name in ("austin5", "austin0", "austin15", "x") if inria.is_validation(name)] == ["austin5"]


def test_roads_reads_deepglobe_massachusetts_and_plain_folders(make, tmp_path):
    root = make("roads")
    deepglobe = read("roads", root, "train")
    assert list(deepglobe) == ["roads/train/100034/mask-all/road", "roads/train/999/mask-all/road"]
    sample = deepglobe["roads/train/999/mask-all/road"]
    assert sample.turns[0].answer.regions[0].geometry.box == HBB(0, 20, 64, 24)
    assert sample.images[0].gsd_m == 0.5
    for image, mask, split in (
        ("tiff/val/1_15.tiff", "tiff/val_labels/1_15.tif", "val"),
        ("images/a.jpg", "groundtruth/a.png", "all"),
    ):
        write_image(tmp_path / image, (20, 10))
        write_label(tmp_path / mask, np.eye(10, 20))
        (found,) = read("roads", tmp_path, split).values()
        assert found.turns[0].answer.regions[0].geometry.area == 10
    with pytest.raises(DataError, match="no images with masks"):
        read("roads", tmp_path, "test")


def test_ssdd_reads_corners_and_the_mask_of_all_ships(make):
    samples = read("ssdd", make("ssdd"), "train")
    key = "ssdd/train/000002"
    corners = samples[f"{key}/ground-obb/ship"].turns[0].answer.regions[0].geometry
    assert corners == Polygon(((20, 10), (40, 30), (30, 40), (10, 20)))
    assert samples[f"{key}/ground-box/ship"].turns[0].answer.regions[0].geometry == HBB(10, 10, 40, 40)
    assert samples[f"{key}/mask-all/ship"].turns[0].answer.regions[0].geometry.box == HBB(15, 15, 30, 30)
    assert answers(samples)["ssdd/train/000005/count/ship"] == "0"
    assert "ssdd/train/000005/mask-all/ship" not in samples
