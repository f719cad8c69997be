"""Synthetic pairs and what is asked about scenes: change labels, turns, samples, GeoTIFFs, the demonstration."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import rasterio

from data_engine.synth import (
    describe_change,
    pair_samples,
    pair_turns,
    render_pair,
    render_scene,
    scene_feed_turns,
    scene_samples,
    scene_turns,
    write_geotiff,
)
from data_engine.synth.demo import CASES, render_demo
from vlm.codecs import render_text
from vlm.errors import OutputError
from vlm.geometry import to_hbb
from vlm.geometry.shapes import OBB
from vlm.records import TASKS


def test_an_unchanged_pair_has_an_empty_mask_and_still_differs() -> None:
    pair = render_pair(4, size_px=128, unchanged=1.0)
    assert not pair.changed
    assert not pair.change_mask.bits.any()
    assert describe_change(pair) is None
    assert np.abs(pair.before.rgb.astype(int) - pair.after.rgb).mean() > 2
    assert pair.before.transform == pair.after.transform
    assert pair.before.crs == pair.after.crs


@pytest.mark.parametrize("seed", range(4))
def test_a_changed_pair_shows_its_objects_on_the_right_date_only(seed: int) -> None:
    pair = render_pair(seed, size_px=192, kind="medium residential", unchanged=0.0)
    assert pair.changed
    assert pair.change_mask.bits.any()
    assert describe_change(pair)
    for entry in pair.appeared:
        assert entry in pair.after.objects
        assert entry not in pair.before.objects
    for entry in pair.vanished:
        assert entry in pair.before.objects
        assert entry not in pair.after.objects
    bits = np.zeros_like(pair.change_mask.bits)
    for box in [entry.hbb for entry in (*pair.appeared, *pair.vanished)] + [event.mask.box for event in pair.events]:
        bits[int(box.y1) : int(np.ceil(box.y2)), int(box.x1) : int(np.ceil(box.x2))] = True
    assert not (pair.change_mask.bits & ~bits).any()


def test_a_pair_that_must_change_changes() -> None:
    assert all(render_pair(seed, size_px=128, unchanged=0.0).changed for seed in range(8))


def test_pairs_are_the_same_for_the_same_seed() -> None:
    first, second = render_pair(6, size_px=96), render_pair(6, size_px=96)
    assert np.array_equal(first.after.rgb, second.after.rgb)
    assert first.change_mask == second.change_mask


@pytest.mark.parametrize("kind", ["port", "parking", "river", "meadow", "storage tanks"])
def test_turns_cover_the_tasks_and_render_as_text(kind: str) -> None:
    scene = render_scene(1, size_px=192, kind=kind)
    turns = scene_turns(scene, random.Random(0))
    assert {"caption", "classify"} <= {task for task, _ in turns} <= set(TASKS)
    for task, turn in turns:
        assert turn.answer.task == task
        text = render_text(turn.answer.template, turn.answer.regions, sizes=[(192, 192)])
        assert text
        assert "{" not in text.replace("{{", "")
        for region in turn.answer.regions:
            box = to_hbb(region.geometry)
            assert box.h > 0
            if not isinstance(region.geometry, OBB):
                assert -1e-6 <= box.x1 <= box.x2 <= 192 + 1e-6


def test_counts_are_the_objects_of_the_scene() -> None:
    scene = render_scene(1, size_px=192, kind="storage tanks")
    for task, turn in scene_turns(scene, random.Random(3)):
        if task == "count" and "tank" in turn.instruction:
            assert int(turn.answer.template) == sum(entry.label == "storage tank" for entry in scene.objects)


def test_pair_turns_say_no_where_nothing_changed() -> None:
    answers = [
        turn.answer.template for _, turn in pair_turns(render_pair(4, size_px=96, unchanged=1.0), random.Random(0))
    ]
    assert sorted(answers) == ["no", "no change has occurred", "none", "none"]


def test_samples_hold_decodable_images() -> None:
    samples = list(scene_samples(render_scene(2, size_px=96), random.Random(0)))
    samples += pair_samples(render_pair(2, size_px=96), random.Random(0))
    assert len({sample.id for sample in samples}) == len(samples)
    assert {len(sample.images) for sample in samples} == {1, 2}
    assert all((image.data or b"").startswith(b"\x89PNG") for sample in samples for image in sample.images)


def test_the_training_feed_is_decided_by_its_generator() -> None:
    first, second = scene_feed_turns(random.Random(5)), scene_feed_turns(random.Random(5))
    assert first.turns == second.turns
    assert all(map(np.array_equal, first.pictures, second.pictures))


def test_a_geotiff_has_the_pixels_and_the_georeference(tmp_path: Path) -> None:
    scene = render_scene(8, size_px=96, gsd_m=0.8)
    with rasterio.open(write_geotiff(scene, tmp_path / "deep" / "scene.tif")) as file:
        assert np.array_equal(file.read().transpose(1, 2, 0), scene.rgb)
        assert str(file.crs) == scene.crs
        assert file.res == (0.8, 0.8)
        assert file.xy(0, 0, offset="ul") == (scene.transform[2], scene.transform[5])
        assert file.profile["compress"] == "deflate"
        assert file.profile["tiled"]


def test_a_geotiff_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_geotiff(render_scene(8, size_px=64), tmp_path / "file" / "scene.tif")


def test_the_demonstration_has_eight_cases_and_their_images(tmp_path: Path) -> None:
    cases = render_demo(tmp_path)
    assert len(cases) == 8
    assert tuple(cases) == CASES
    rows = json.loads((tmp_path / "cases.json").read_text())
    assert [row["instruction"] for row in rows] == [case.instruction for case in cases]
    for name in {image for case in cases for image in case.images}:
        with rasterio.open(tmp_path / name) as file:
            assert file.crs is not None
            assert file.count == 3
    with rasterio.open(tmp_path / "before.tif") as before, rasterio.open(tmp_path / "after.tif") as after:
        assert before.bounds == after.bounds
