"""Sets in shared layouts: where their files lie, their splits, and which questions their geometry answers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_engine.languages import read_language
from data_engine.sources import SOURCES, coco, folder_scenes, image_text, yolo
from tests.data_engine.makers import write_image
from tests.data_engine.makers_formats import (
    make_coco_set,
    make_folder_scenes,
    make_image_text,
    make_voc_set,
    make_yolo_set,
)
from tests.data_engine.makers_text import write_tar
from vlm.errors import DataError
from vlm.geometry import HBB, Mask


def kinds(samples) -> Counter[str]:
    return Counter(sample.id.split("/", 2)[2].split("/")[1].split("-")[0] for sample in samples)


def test_coco_outlines_make_boxes_and_masks(tmp_path):
    make_coco_set(tmp_path)
    samples = list(coco.load(tmp_path, split="train"))
    first = [sample for sample in samples if "/1/" in sample.id]
    assert kinds(first) == {"ground": 2, "detect": 2, "count": 2, "presence": 2, "region": 2, "mask": 4}
    assert kinds(sample for sample in samples if "/2/" in sample.id)["mask"] == 0
    answer = next(sample for sample in first if sample.id.endswith("mask/ship")).turns[0].answer
    mask = answer.regions[0].geometry
    assert isinstance(mask, Mask)
    assert mask.box == HBB(5, 10, 40, 30)
    assert mask.area == pytest.approx(30 * 20 + 5 * 20 / 2, rel=0.05)
    box = next(sample for sample in first if sample.id.endswith("ground-box/ship")).turns[0].answer
    assert box.regions[0].geometry == HBB(5, 10, 40, 30)


def test_coco_annotations_are_found_in_all_layouts(tmp_path):
    make_coco_set(tmp_path / "official")
    content = (tmp_path / "official" / "annotations" / "instances_train2017.json").read_text()
    for path in ("valid/_annotations.coco.json", "val.json", "annotations/my_val.json"):
        root = tmp_path / path.replace("/", "-")
        (root / path).parent.mkdir(parents=True)
        (root / path).write_text(content)
        for number in (1, 2):
            write_image(root / "valid" / f"{number}.jpg", (120, 90))
        assert {sample.split for sample in coco.load(root, split="val")} == {"val"}
    (root / "annotations" / "other_val.json").write_text(content)
    with pytest.raises(DataError, match=r"could be my_val\.json, other_val\.json"):
        coco.find_annotations(root, "val")


def test_yolo_splits_lie_in_either_order(tmp_path):
    make_yolo_set(tmp_path)
    assert {sample.id.split("/")[2] for sample in yolo.load(tmp_path, split="train")} == {"a", "b"}
    assert {sample.id.split("/")[2] for sample in yolo.load(tmp_path, split="all")} == {"train", "val"}
    (tmp_path / "valid").mkdir()
    (tmp_path / "labels" / "val").rename(tmp_path / "valid" / "labels")
    (tmp_path / "images" / "val").rename(tmp_path / "valid" / "images")
    assert {sample.id.split("/")[2] for sample in yolo.load(tmp_path, split="val")} == {"c"}
    with pytest.raises(DataError, match="no labels of the split 'test'"):
        list(yolo.load(tmp_path, split="test"))


def test_voc_lists_say_what_is_in_a_split(tmp_path):
    make_voc_set(tmp_path)
    load = SOURCES["voc_set"].load
    samples = list(load(tmp_path, split="train"))
    assert list(dict.fromkeys(sample.id.split("/")[2] for sample in samples)) == ["c", "a"]
    absent = next(sample for sample in samples if "/c/presence/" in sample.id)
    assert absent.turns[0].answer.template == "no"
    assert {sample.id.split("/")[2] for sample in load(tmp_path, split="all")} == {"a", "b", "c"}
    with pytest.raises(DataError, match="so split 'all' is the only one"):
        list(load(tmp_path, split="val"))


def test_class_folders_become_words(tmp_path):
    make_folder_scenes(tmp_path)
    answers = Counter(s.turns[0].answer.template for s in folder_scenes.load(tmp_path, split="all"))
    assert answers == {"dense residential": 2, "golf course": 2}
    with pytest.raises(DataError, match="no folder train, so split 'all' is the only one"):
        list(folder_scenes.load(tmp_path, split="train"))
    for split in ("train", "valid"):
        make_folder_scenes(tmp_path / "split" / split)
    assert len(list(folder_scenes.load(tmp_path / "split", split="val"))) == 4
    assert len(list(folder_scenes.load(tmp_path / "split", split="all"))) == 8
    (tmp_path / "one" / "forest").mkdir(parents=True)
    with pytest.raises(DataError, match="holds 0 folders with images"):
        list(folder_scenes.load(tmp_path / "one", split="all"))


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("Forest", "forest"),
        ("RiverLake", "river lake"),
        ("tennis-court", "tennis court"),
        ("UTM zone", "utm zone"),
        ("freeway2", "freeway 2"),
    ],
)
def test_folder_names(folder, words):
    assert folder_scenes.read_theme(folder) == words


def test_a_real_folder_of_scenes(shared_data: Path):
    root = shared_data / "rsscn7"
    if not root.is_dir():
        pytest.skip("needs rsscn7 in ../shared/data")
    answers = Counter(s.turns[0].answer.template for s in folder_scenes.load(root, split="all"))
    assert len(answers) == 7
    assert answers.total() == 112
    assert "d river lake" in answers  # the folder is called dRiverLake


def test_coco_files_without_images_are_empty_not_broken(tmp_path):
    (tmp_path / "train.json").write_text(json.dumps({"images": [], "categories": [], "annotations": []}))
    assert list(coco.load(tmp_path, split="train")) == []


def test_image_text_pairs_keep_their_languages(tmp_path):
    make_image_text(tmp_path)
    found = {sample.id: sample.turns[0].answer.template for sample in image_text.load(tmp_path, split="train")}
    assert found == {
        "image_text/train/train/00000/a/caption-0": "a quiet harbour",
        "image_text/train/train/00000/a/caption-1@pt": "um porto tranquilo",
        "image_text/train/train/00000/a/caption-2@pt": "duas docas",
        "image_text/train/train/00000/b/caption-0": "a field",
        "image_text/train/train/more/00000000/caption-0": "two storage tanks",
        "image_text/train/train/more/00000000/caption-1@pt": "dois tanques",
        "image_text/train/train/more/00000001/caption-0": "a dense forest",
    }
    assert len(list(image_text.load(tmp_path, split="all"))) == 7
    with pytest.raises(DataError, match="no tars or Parquet files of the split 'val'"):
        list(image_text.load(tmp_path, split="val"))


def test_languages_survive_tars(tmp_path, run):
    make_image_text(tmp_path / "in")
    for to, source, root in (("samples", "image_text", "in"), ("webdataset", "store", "samples")):
        run("convert", source, tmp_path / root, tmp_path / to, "--to", to)
    again = image_text.load(tmp_path / "webdataset", split="all")
    assert Counter(read_language(sample.id) for sample in again) == {"en": 4, "pt": 3}


def test_bad_image_text_pairs_cost_no_others(tmp_path):
    make_image_text(tmp_path)
    write_tar(tmp_path / "train" / "00001.tar", {"c": {"txt": b"no image"}, "d": {"jpg": b"no image", "txt": b"x"}})
    table = pa.Table.from_pylist([{"image": {"bytes": None, "path": "gone.jpg"}, "text": "gone"}])
    pq.write_table(table, tmp_path / "train" / "gone.parquet")
    seen = []
    assert len(list(image_text.load(tmp_path, split="train", reject=lambda *words: seen.append(words)))) == 7
    assert sorted(reason for reason, *_ in seen) == ["bad record", "bad record", "missing image"]
    pq.write_table(pa.Table.from_pylist([{"url": "x"}]), tmp_path / "urls.parquet")
    with pytest.raises(DataError, match="has the columns url: expected image, and caption or text"):
        list(image_text.load(tmp_path, split="all", reject=lambda *words: None))
