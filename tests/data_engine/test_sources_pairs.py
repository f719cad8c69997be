"""Pairs with masks: folders of one's own, LEVIR-MCI's two kinds of change, SECOND's land cover of both dates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_engine.change_map import sample_to_change
from data_engine.sources import SOURCES, ab_label, levir_cd, second
from tests.data_engine.makers import block, write_image, write_label
from tests.data_engine.makers_changes import SIZE, write_pair
from tests.data_engine.tiny_copies import answers, read
from vlm.errors import DataError
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import HBB

# Folders of one's own


def own_pair(root: Path, folders: tuple[str, str, str], *, name: str = "x", suffixes: str = "png png png") -> None:
    first, second_date, label = (f"{name}.{suffix}" for suffix in suffixes.split())
    write_image(root / folders[0] / first, SIZE)
    write_image(root / folders[1] / second_date, SIZE, seed=1)
    write_label(root / folders[2] / label, block(SIZE, (8, 8, 24, 20)))


def whole(root: Path, split: str = "train") -> list[str]:
    return [sample_id for sample_id in read("change_folder", root, split) if sample_id.count("/") == 3]


@pytest.mark.parametrize(("dates", "label"), zip(ab_label.DATES, ab_label.LABELS, strict=True))
def test_the_folders_of_a_pair_may_be_called_otherwise(tmp_path, dates, label):
    own_pair(tmp_path, (*dates, label), suffixes="jpg tif png")
    (pair,) = ab_label.list_pairs(tmp_path, ab_label.OWN, split="train")
    assert [pair.before.parent.name, pair.after.parent.name, pair.label.parent.name] == [*dates, label]
    sample = read("change_folder", tmp_path, "train")["change_folder/train/x/box"]
    (box,) = sample.turns[0].answer.regions
    assert to_hbb(box.geometry) == HBB(8, 8, 24, 20)


def test_what_is_no_image_is_passed_over(tmp_path):
    own_pair(tmp_path, ("A", "B", "label"), suffixes="tif tif tif")
    for folder in ("A", "B", "label"):
        for file in ("x.tfw", "x.tif.aux.xml", ".DS_Store", "._x.tif"):
            (tmp_path / folder / file).write_text("1.0", encoding="utf-8")
    assert whole(tmp_path) == [f"change_folder/train/x/{kind}" for kind in ("presence", "box", "mask", "caption")]


@pytest.mark.parametrize("on", [1, 255, True])
def test_a_label_may_be_0_and_1(tmp_path, on):
    own_pair(tmp_path, ("A", "B", "label"))
    bits = block(SIZE, (8, 8, 24, 20), value=1)
    write_label(tmp_path / "label" / "x.png", bits.astype(bool) if on is True else bits * on)
    (scene,) = ab_label.OWN.reader().load_scenes(tmp_path, split="all")
    assert scene.changed.sum() == 16 * 12


def test_a_mask_of_shades_is_cut_in_the_middle(tmp_path):
    own_pair(tmp_path, ("A", "B", "label"))
    shades = block(SIZE, (8, 8, 24, 20)) + block(SIZE, (30, 30, 40, 40), value=127)
    write_label(tmp_path / "label" / "x.png", shades)
    (scene,) = ab_label.OWN.reader().load_scenes(tmp_path, split="all")
    assert scene.changed.sum() == 16 * 12


def test_splits_are_folders_lists_or_names(tmp_path):
    folders, lists, names = (tmp_path / kind for kind in ("folders", "lists", "names"))
    for split, name in (("train", "a"), ("train", "b"), ("val", "c")):
        own_pair(folders / split, ("A", "B", "label"), name=name)
        own_pair(lists, ("A", "B", "label"), name=name)
        own_pair(names, ("A", "B", "label"), name=f"{split}_{name}")
    (lists / "list").mkdir()
    (lists / "list" / "val.txt").write_text("b.png\n\nc.jpg\n", encoding="utf-8")

    def stems(root: Path, split: str) -> list[str]:
        return [pair.label.stem for pair in ab_label.list_pairs(root, ab_label.OWN, split=split)]

    assert (stems(folders, "train"), stems(folders, "val"), stems(folders, "all")) == (["a", "b"], ["c"], list("abc"))
    assert (stems(lists, "val"), stems(lists, "all")) == (["b", "c"], ["a", "b", "c"])
    assert (stems(names, "train"), stems(names, "val")) == (["train_a", "train_b"], ["val_c"])
    for root in (lists, names):
        with pytest.raises(DataError, match=r"neither list/test\.txt nor files named test_\*"):
            stems(root, "test")
    with pytest.raises(DataError, match=r"folders/A does not exist; expected"):
        stems(folders, "test")


def test_a_pair_that_is_not_whole_is_named(tmp_path):
    own_pair(tmp_path, ("A", "B", "label"))
    (tmp_path / "B" / "x.png").unlink()
    with pytest.raises(DataError, match=r"change_folder: .*B/x\.\* does not exist"):
        read("change_folder", tmp_path, "train")


def test_one_bad_pair_is_turned_away_and_the_others_read(tmp_path):
    for name in ("x", "y"):
        own_pair(tmp_path, ("A", "B", "label"), name=name)
    write_label(tmp_path / "label" / "x.png", block((32, 32), (0, 0, 9, 9)))
    turned_away: list[str] = []

    def reject(reason: str, detail: str, where: str) -> None:
        turned_away.append(f"{reason}: {detail} ({where})")

    samples = list(SOURCES["change_folder"].load(tmp_path, split="train", reject=reject))  # type: ignore[call-arg]
    assert {sample.id.split("/")[2] for sample in samples} == {"y"}
    (told,) = turned_away
    assert "change_folder/train/x" in told
    assert told.startswith("bad record: ")


def test_own_folders_say_only_that_something_changed_and_levir_cd_what(tmp_path):
    own_pair(tmp_path, ("A", "B", "label"), name="train_1")
    said = answers(read("change_folder", tmp_path, "train"))
    assert said["change_folder/train/train_1/caption"] == "part of the area has changed"
    assert said["change_folder/train/train_1/swapped/caption"] == "part of the area has changed"
    assert said["change_folder/train/train_1/first-twice/caption"] == "no change has occurred"
    said = answers(read("levir_cd", tmp_path, "train"))
    assert said["levir_cd/train/train_1/swapped/caption"] == "buildings have disappeared"
    (scene,) = levir_cd.load_scenes(tmp_path, split="train")
    assert scene.before.gsd_m == 0.5


# LEVIR-MCI


def test_levir_mci_values_are_roads_and_buildings_and_specks_are_no_box(make):
    samples = read("levir_mci", make("levir_mci"), "train")
    key = "levir_mci/train/train_000016"
    roads, buildings = samples[f"{key}/mask"].turns[0].answer.regions
    assert (roads.phrase, roads.geometry.area) == ("changed road", 20 * 4 + 1)
    assert (buildings.phrase, buildings.geometry.area) == ("changed building", 10 * 10 + 6 * 6)
    boxes = {kind: samples[f"{key}/box/changed-{kind}"].turns[0].answer.regions for kind in ("road", "building")}
    assert [to_hbb(region.geometry) for region in boxes["road"]] == [HBB(10, 10, 30, 14)]
    assert [to_hbb(region.geometry) for region in boxes["building"]] == [HBB(40, 40, 50, 50), HBB(20, 50, 26, 56)]
    none = {sample_id for sample_id, answer in answers(samples).items() if answer == "none"}
    assert none == {
        f"levir_mci/train/train_000001/{kind}"
        for kind in ("mask", *(f"{kind}/changed-{what}" for kind in ("mask", "box") for what in ("road", "building")))
    }


def test_levir_mci_masks_are_what_the_generators_read(make):
    samples = read("levir_mci", make("levir_mci"), "train")
    found = sample_to_change(samples["levir_mci/train/train_000016/mask"])
    assert found is not None
    assert {kind: int(bits.sum()) for kind, bits in found.kinds.items()} == {
        "changed road": 81,
        "changed building": 136,
    }
    unchanged = sample_to_change(samples["levir_mci/train/train_000001/mask"])
    assert unchanged is not None
    assert not unchanged.changed.any()


def test_levir_mci_where_only_a_speck_changed_says_nothing_of_that_kind(make):
    root = make("levir_mci")
    label = block(SIZE, (40, 40, 50, 50))
    label[0, 0] = 128
    write_label(root / "images" / "train" / "label" / "train_000016.png", np.dstack([label] * 3))
    said = answers(read("levir_mci", root, "train"))
    asked = {sample_id for sample_id in said if "train_000016/mask/" in sample_id or "train_000016/box/" in sample_id}
    assert asked == {f"levir_mci/train/train_000016/{kind}/changed-building" for kind in ("mask", "box")}


@pytest.mark.parametrize("label", [block(SIZE, (0, 0, 9, 9), value=64), block((64, 63), (0, 0, 9, 9))])
def test_levir_mci_refuses_other_values_and_other_sizes(make, label):
    root = make("levir_mci")
    write_label(root / "images" / "train" / "label" / "train_000016.png", label)
    with pytest.raises(DataError, match=r"train_000016: the label is .* expected 0, 128 and 255"):
        read("levir_mci", root, "train")


# SECOND


def test_second_says_what_most_of_the_change_became():
    def labels(*runs: tuple[int, int]) -> np.ndarray:
        return np.concatenate([np.full(length, value) for value, length in runs])

    assert second.say_transition(labels((2, 9), (1, 1)), labels((3, 9), (4, 1))) == "trees turned into buildings"
    mixed = second.say_transition(labels((2, 6), (1, 4)), labels((3, 6), (4, 4)))
    assert mixed == "mostly trees turned into buildings"
    assert second.say_transition(labels((-1, 9)), labels((-1, 9))) == "nothing has changed"


def test_second_land_cover_of_both_dates_is_what_the_generators_read(make):
    samples = read("second", make("second"), "train")
    found = sample_to_change(samples["second/train/00003/cover"])
    assert found is not None
    assert (found.changed.sum(), found.before.classes) == (20 * 20 + 8 * 4, second.CLASSES)
    assert {kind: int(bits.sum()) for kind, bits in found.kinds.items()} == {
        "lost tree": 400, "new building": 400, "lost low vegetation": 32, "new water": 32
    }  # fmt: skip
    (turn,) = samples["second/train/00003/cover"].turns
    assert [region.image for region in turn.answer.regions] == [0, 0, 1, 1]
    assert "change" in turn.instruction or "differ" in turn.instruction, "the masks end where the change ends"
    assert "second/train/00011/cover" not in samples
    said = answers(samples)
    assert said["second/train/00003/caption"] == "trees turned into buildings"
    assert said["second/train/00003/swapped/caption"] == "buildings turned into trees"
    assert (said["second/train/00011/presence"], said["second/train/00011/mask"]) == ("no", "none")


def test_second_reads_the_folders_of_other_copies(make, tmp_path):
    home = make("second") / "SECOND_train_set"
    (home / "label1").rename(home / "label1_rgb")
    plain = set(read("second", home, "train"))
    assert plain == set(read("second", home.parent, "train"))
    home.rename(home.parent / "test")
    assert {sample_id.replace("/train/", "/test/") for sample_id in plain} == set(read("second", home.parent, "test"))
    write_pair((tmp_path / "im1",), "x.png")
    with pytest.raises(DataError, match=r"label1_rgb.*does not exist; expected"):
        read("second", tmp_path, "train")


def test_second_refuses_labels_that_it_cannot_read(make):
    folder = make("second") / "SECOND_train_set"
    label = np.full((64, 64, 3), 255, np.uint8)
    label[10:30, 10:30] = (1, 2, 3)
    write_label(folder / "label1" / "00003.png", label)
    with pytest.raises(DataError, match=r"label1/00003\.png holds the colours \[\(1, 2, 3\)\]"):
        read("second", folder, "train")
    write_label(folder / "label1" / "00003.png", label[..., 0])
    with pytest.raises(DataError, match="has one band: expected the RGB colours"):
        read("second", folder, "train")
    label[10:30, 10:30] = (0, 255, 0)
    write_label(folder / "label1" / "00003.png", label)
    with pytest.raises(DataError, match=r"labels of 00003\.png do not agree about what is unchanged"):
        read("second", folder, "train")
