"""Pixels of 0.1 to 10 metres: what is too small has no label and is never asked about as if it were known."""

from __future__ import annotations

import random

import numpy as np
import pytest

from data_engine.synth import KINDS, LAND, render_scene, scene_turns
from data_engine.synth.builder import Builder
from data_engine.synth.kinds import choose_kind, lay_out, shown_kinds
from data_engine.synth.labels import LARGE_M, WIDTH_M, too_small
from data_engine.synth.outlines import blob
from data_engine.synth.records import Look
from data_engine.synth.render import photograph
from data_engine.synth.towns import inside, lay_town
from data_engine.synth.turns import absent_labels, counted_labels
from vlm.errors import DataError


def test_every_class_has_a_width() -> None:
    assert set(WIDTH_M) == set(LARGE_M)


@pytest.mark.parametrize("gsd_m", [0.1, 1.5, 2.5, 10.0])
def test_labels_are_never_finer_than_pixels(gsd_m: float) -> None:
    for seed, kind in enumerate(shown_kinds(gsd_m)):
        scene = render_scene(seed, size_px=128, gsd_m=gsd_m, kind=kind)
        assert scene.rgb.std() > 3
        assert all(entry.obb.w >= 1.9 and entry.length_m >= 2 * gsd_m for entry in scene.objects)
        assert not set(absent_labels(scene)) & too_small(gsd_m)


def test_kinds_whose_objects_vanish_are_refused_and_never_drawn() -> None:
    with pytest.raises(DataError, match="'tennis court' shows nothing at 5"):
        render_scene(0, size_px=64, gsd_m=5.0, kind="tennis court")
    assert shown_kinds(0.5) == tuple(KINDS)
    rng = np.random.default_rng(0)
    assert {choose_kind(rng, 10.0) for _ in range(200)} <= set(shown_kinds(10.0))
    with pytest.raises(DataError, match=r"0.05-10 m"):
        render_scene(0, size_px=64, gsd_m=11.0)


def test_cars_that_are_dots_are_not_counted_nor_called_absent() -> None:
    scene = render_scene(3, size_px=192, gsd_m=1.2, kind="intersection")
    fine = render_scene(3, size_px=192, gsd_m=0.3, kind="parking")
    assert "car" in scene.unsure.small
    assert "car" not in counted_labels(scene)
    assert "car" not in absent_labels(scene)
    assert counted_labels(fine)["car"] == sum(entry.label == "car" for entry in fine.objects)


def test_houses_of_a_town_are_seen_and_not_counted() -> None:
    scene = render_scene(1, size_px=192, gsd_m=5.0, kind="dense residential")
    assert "building" in scene.unsure.small
    share = (scene.land == LAND.index("building")).mean()
    assert 0.1 < share < 0.8
    asked = [turn for task, turn in scene_turns(scene, random.Random(0)) if task == "count"]
    assert not any("building" in turn.instruction for turn in asked)


def test_things_cut_off_by_the_edge_are_not_called_absent() -> None:
    only_cut = 0
    for seed in range(12):
        scene = render_scene(seed, size_px=64, gsd_m=0.5, kind="railway station")
        assert not set(scene.unsure.partial) & set(absent_labels(scene))
        only_cut += bool(set(scene.unsure.partial) - {entry.label for entry in scene.objects})
    assert only_cut


def test_villages_stay_off_the_water() -> None:
    for seed in range(4):
        layout = lay_out("river", np.random.default_rng(seed), size_px=256, gsd_m=5.0).finish("river")
        scene = photograph(layout, Look(-90, 0.5), seed=seed)
        water = scene.land == LAND.index("water")
        assert water.mean() > 0.01
        houses = [crowd.poses[:, :2].astype(int) for crowd in layout.crowds if crowd.label == "building"]
        for at in houses:
            seen = at[((at >= 0) & (at < 256)).all(axis=1)]
            assert not water[seen[:, 1], seen[:, 0]].any()


def test_a_town_fills_its_ring() -> None:
    builder = Builder(np.random.default_rng(0), size_px=256, gsd_m=5.0)
    ring = blob(builder.rng, 350.0)
    lay_town(builder, "medium residential", ring)
    houses = next(crowd for crowd in builder.crowds if crowd.label == "building")
    metres = (houses.poses[:, :2] - 128) * 5.0
    assert len(houses.poses) > 100
    assert inside(ring * 1.02, metres).mean() > 0.99
    assert not inside(ring, np.array([(5000.0, 0.0), (0.0, -5000.0)])).any()
