"""convert, then generate, as a user runs them: what is known of each image arrives, what it does not hold included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_engine.annotations import list_classes, sample_to_scene
from data_engine.intake_options import list_options
from data_engine.objects import Scene
from data_engine.sources import SOURCES, dota, hit_uav
from data_engine.store import Ledger, load_manifest, read_samples, read_shard
from tests.data_engine.makers import MAKERS
from vlm.records import Sample

DETECTION = [name for name in SOURCES if "annotations" in list_options(name)]


def by_name(out: Path, image: str) -> dict[str, Sample]:
    """Give the samples about one image by the part of the id that a recipe adds."""
    found = (sample for sample in read_samples(out) if f"/{image}/" in sample.id)
    return {sample.id.partition(f"/{image}/")[2]: sample for sample in found}


@pytest.mark.parametrize("name", DETECTION)
def test_what_is_known_of_an_image_comes_before_the_questions_about_it(make, name: str):
    root, load = make(name), SOURCES[name].load
    told: dict[str, Any] = {"annotations": True}
    samples = list(load(root, split=MAKERS[name][1], **told))
    annotated = [sample for sample in samples if sample.id.endswith("/objects")]
    first = {sample.images: sample for sample in reversed(samples)}
    assert annotated
    assert all(first[sample.images] == sample for sample in annotated)
    assert all(sample_to_scene(sample) is not None for sample in annotated)
    assert [s for s in samples if s not in annotated] == list(load(root, split=MAKERS[name][1]))


def test_an_image_without_objects_keeps_its_classes(make, run, tmp_path: Path):
    run("convert", "dota", make("dota"), tmp_path / "store", "--split", "all")
    run("generate", tmp_path / "store", tmp_path / "out", "--recipes", "detect,negatives,count,presence,mask")
    empty = by_name(tmp_path / "out", "P0002")
    said = {name: sample.turns[0].answer.template for name, sample in empty.items()}
    assert said["detect-box/all-classes"] == "none"
    asked = empty["detect-box/all-classes"].turns[0].instruction
    assert all(label in asked for label in dota.CLASSES if label not in dota.DOUBTFUL)
    assert sum(name.startswith("negatives-box/") for name in said) == 2
    assert set(said.values()) == {"none", "no", "0"}
    assert not any("small vehicle" in turn.instruction for s in empty.values() for turn in s.turns)


def test_objects_and_what_is_not_there_arrive_together(make, run, tmp_path: Path):
    run("convert", "dota", make("dota"), tmp_path / "store", "--split", "all")
    run("generate", tmp_path / "store", tmp_path / "out", "--recipes", "detect,negatives,count")
    full = by_name(tmp_path / "out", "P0001")
    regions = full["detect-obb/all-classes"].turns[0].answer.regions
    assert [region.phrase for region in regions] == ["large vehicle", "ship", "swimming pool"]
    absent = {name.partition("/")[2] for name in full if name.startswith("negatives-box/")}
    assert absent and absent <= {label.replace(" ", "-") for label in dota.CLASSES} - {"ship", "small-vehicle"}
    assert full["count/ship"].turns[0].answer.template == "1"


def test_an_image_in_which_nobody_may_judge_gives_no_negatives(make, run, tmp_path: Path):
    run("convert", "hit_uav", make("hit_uav"), tmp_path / "store")
    run("generate", tmp_path / "store", tmp_path / "out", "--recipes", "detect,negatives,count")
    assert by_name(tmp_path / "out", "0_60_60_0_00002") == {}, "it holds a DontCare"
    empty = by_name(tmp_path / "out", "0_60_90_0_00003")
    assert empty["detect-box/all-classes"].turns[0].answer.template == "none"
    assert all(label in empty["detect-box/all-classes"].turns[0].instruction for label in hit_uav.CLASSES)


def test_annotations_can_be_left_out(make, run, tmp_path: Path):
    run("convert", "hit_uav", make("hit_uav"), tmp_path / "store", "--option", "annotations=no")
    assert not any(sample.id.endswith("/objects") for sample in read_samples(tmp_path / "store"))


def test_a_dataset_gives_the_same_directly_and_through_its_store(make, run, tmp_path: Path):
    root = make("hit_uav")
    run("convert", "hit_uav", root, tmp_path / "store")
    run("generate", tmp_path / "store", tmp_path / "through", "--recipes", "ground,presence,count")
    run("generate", f"hit_uav:{root}", tmp_path / "direct", "--recipes", "ground,presence,count")
    image = "1_60_60_0_00001"
    through, direct = by_name(tmp_path / "through", image), by_name(tmp_path / "direct", f"{image}/objects")
    for name in ("ground-box/left-most-person", "ground-obb/car", "presence/car", "count/person"):
        assert through[name].turns[0].answer == direct[name].turns[0].answer


def test_the_samples_of_an_image_stay_in_one_shard(make, run, tmp_path: Path):
    run("convert", "hit_uav", make("hit_uav"), tmp_path / "store", "--shard-samples", 3)
    shards = load_manifest(tmp_path / "store").shards
    seen = [{s.images[0].path for s in read_shard(tmp_path / "store", shard, Ledger())} for shard in shards]
    assert len(seen) > 1
    assert sum(map(len, seen)) == len(set.union(*seen)) == 3


@pytest.mark.parametrize(("name", "form"), [("hit_uav", "yolo"), ("isaid", "coco"), ("dota", "dota_txt")])
def test_each_object_of_a_dataset_is_exported_once(make, run, tmp_path: Path, name: str, form: str):
    """Boxes, oriented boxes, masks of single objects and of whole classes are about the same objects."""
    root, split = make(name), MAKERS[name][1]
    out = tmp_path / ("out.json" if form == "coco" else "out")
    run("convert", name, root, tmp_path / "store", "--split", split)
    run("convert", "store", tmp_path / "store", out, "--to", form, "--images", root)
    run("convert", form, out, tmp_path / "back", "--images", root)
    back = {Path(str(s.images[0].path)).name: s.turns[0].answer.regions for s in read_samples(tmp_path / "back")}
    load_scenes = SOURCES[name].load_scenes
    assert load_scenes is not None
    for scene in load_scenes(root, split=split):
        assert isinstance(scene, Scene)
        found = [region.phrase for region in back.pop(Path(str(scene.image.path)).name)]
        expected = [region.phrase for region in scene.boxes if region.phrase not in scene.doubtful]
        assert sorted(found) == sorted(expected) or not list_classes(scene)
    assert not back
