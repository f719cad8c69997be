"""What is known about scenes: attributes, relations, and annotation samples that recipes can ask about."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from data_engine.annotations import sample_to_scene
from data_engine.recipes import RECIPES
from data_engine.synth import Scene, render_pair, render_scene
from data_engine.synth.facts import pair_facts, scene_facts
from data_engine.synth.relations import CLEAR_M, NEXT_M, find_relations, unique_relations


def shape_of(scene: Scene, index: int) -> shapely.Polygon:
    return shapely.Polygon(scene.objects[index].polygon.exterior)


def test_objects_tell_their_form_height_and_heading() -> None:
    scene = render_scene(1, size_px=256, kind="airport")
    planes = [entry for entry in scene.objects if entry.label == "plane"]
    assert planes
    for entry in planes:
        assert entry.form in ("jet", "light plane")
        assert entry.heading_deg is not None and 0 <= entry.heading_deg < 360
        assert entry.height_m > 0
        turn = (entry.heading_deg - entry.obb.angle_deg) % 180
        assert min(turn, 180 - turn) in (pytest.approx(0, abs=1e-6), pytest.approx(90, abs=1e-6))
    assert all(entry.heading_deg is None for entry in scene.objects if entry.label == "building")


@pytest.mark.parametrize(("kind", "seed"), [("bridge", 1), ("medium residential", 2), ("airport", 1)])
def test_relations_are_what_a_brute_force_measurement_finds(kind: str, seed: int) -> None:
    scene = render_scene(seed, size_px=192, kind=kind)
    found = find_relations(scene)
    assert found
    for relation in found:
        gap_m = shape_of(scene, relation.subject).distance(shape_of(scene, relation.anchor)) * scene.gsd_m
        assert gap_m <= NEXT_M
        entry = scene.objects[relation.subject]
        if relation.kind == "on":
            assert scene.objects[relation.anchor].label == "bridge"
            assert shape_of(scene, relation.anchor).contains(shapely.Point(entry.obb.cx, entry.obb.cy))


def test_unique_relations_name_one_object() -> None:
    named = 0
    for seed in range(12):
        scene = render_scene(seed, size_px=192, kind="bridge")
        for phrase, index in unique_relations(scene):
            named += 1
            label, target = scene.objects[index].label, phrase.rsplit(" the ", 1)[1]
            (anchor,) = (at for at, entry in enumerate(scene.objects) if entry.label == target)
            others = [
                at for at, entry in enumerate(scene.objects)
                if entry.label == label and at != index
                and shape_of(scene, at).distance(shape_of(scene, anchor)) * scene.gsd_m < CLEAR_M
            ]  # fmt: skip
            assert not others
    assert named


def test_annotations_hold_every_object_with_outline_box_and_colour() -> None:
    scene = render_scene(4, size_px=128, kind="medium residential")
    objects, *words = scene_facts(scene)
    read = sample_to_scene(objects)
    assert read is not None
    assert len(read.boxes) == len(read.obbs) == len(scene.objects)
    assert sorted(read.colours, key=str) == sorted((entry.colour or None for entry in scene.objects), key=str)
    assert {sample.task for sample in words} == {"classify", "caption"}
    asked = {name: list(RECIPES[name](objects, 0)) for name in ("ground", "count", "relate", "mask", "landcover")}
    assert all(asked.values())


def test_doubtful_classes_are_left_out_of_annotations() -> None:
    scene = render_scene(1, size_px=128, gsd_m=5.0, kind="dense residential")
    read = sample_to_scene(next(scene_facts(scene)))
    assert read is None or "building" not in read.classes
    assert read is None or "car" not in read.classes


def test_pairs_tell_change_mask_sentence_and_cover_without_the_jitter() -> None:
    for seed in range(6):
        pair = render_pair(seed, size_px=96, unchanged=0.5)
        (sample,) = pair_facts(pair)
        assert len(sample.images) == 2
        assert (sample.turns[0].answer.template == "none") == (not pair.changed)
        assert pair.after_land is not None
        if not pair.changed:
            assert (pair.after_land == pair.before.land).mean() > 0.999
        else:
            moved = (pair.after_land != pair.before.land) & np.isin(pair.after_land, [3])
            assert moved.sum() <= pair.change_mask.bits.sum() * 1.2 + 20
        assert list(RECIPES["cdvqa"](sample, 0)) or not pair.changed
