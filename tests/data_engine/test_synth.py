"""Synthetic scenes: the same everywhere, labels that match pixels, land cover that agrees with outlines."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_engine.synth import KINDS, LAND, render_scene
from data_engine.synth.canvas import exact_mask
from data_engine.synth.labels import OBJECT_LABELS, clip_ring, ring_area
from data_engine.synth.outlines import place, ribbon, strip
from vlm.errors import DataError
from vlm.geometry import iou, to_mask, to_obb
from vlm.geometry.shapes import HBB, Polygon

ROOT = Path(__file__).parents[2]
DIGEST = """
import hashlib
from data_engine.synth import render_scene
scene = render_scene(5, size_px=96, kind="port")
print(hashlib.sha256(scene.rgb.tobytes() + repr(scene.objects).encode()).hexdigest())
"""


def outline_of(polygon: Polygon) -> np.ndarray:
    return np.array(polygon.exterior)


def test_the_same_seed_gives_the_same_scene_in_another_process() -> None:
    done = subprocess.run([sys.executable, "-c", DIGEST], cwd=ROOT, capture_output=True, text=True, check=True)
    scene = render_scene(5, size_px=96, kind="port")
    here = hashlib.sha256(scene.rgb.tobytes() + repr(scene.objects).encode()).hexdigest()
    assert done.stdout.strip() == here


def test_another_seed_gives_another_scene() -> None:
    assert not np.array_equal(render_scene(1, size_px=64).rgb, render_scene(2, size_px=64).rgb)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_renders_with_sound_labels(kind: str) -> None:
    scene = render_scene(3, size_px=160, kind=kind)
    assert scene.rgb.shape == (160, 160, 3)
    assert scene.rgb.dtype == np.uint8
    assert scene.rgb.std() > 3
    assert scene.scene_class == kind
    assert len(scene.captions) == 3
    assert scene.caption in scene.captions
    assert scene.land.shape == (160, 160)
    assert scene.land.max() < len(LAND)
    for entry in scene.objects:
        ring = outline_of(entry.polygon)
        assert entry.label in OBJECT_LABELS
        assert ring.min() >= -1e-6
        assert ring.max() <= 160 + 1e-6
        assert entry.obb.w >= entry.obb.h
        assert -90 <= entry.obb.angle_deg < 90
        corners = np.array(entry.obb.corners())
        assert ring_area(clip_to(ring, corners)) == pytest.approx(ring_area(ring), rel=1e-6)


def clip_to(ring: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Clip a ring to an oriented box by turning the box upright and using clip_ring on the unit square of side 1."""
    origin, along, across = corners[0], corners[1] - corners[0], corners[3] - corners[0]
    frame = np.stack([along, across])
    local = (ring - origin) @ np.linalg.inv(frame)
    return clip_ring(local * (1 - 1e-9), 1) @ frame + origin


def test_whole_objects_have_the_box_of_their_outline() -> None:
    scene = render_scene(3, size_px=256, kind="parking")
    whole = [
        entry for entry in scene.objects if entry.label == "car" and 8 < entry.obb.cx < 248 and 8 < entry.obb.cy < 248
    ]
    assert len(whole) > 10
    for entry in whole[:40]:
        assert iou(entry.obb, to_obb(entry.polygon)) > 0.97


def test_objects_differ_from_the_ground_around_them() -> None:
    scene = render_scene(1, size_px=256, kind="airport")
    planes = [entry for entry in scene.objects if entry.label == "plane"]
    assert planes
    for entry in planes:
        found = exact_mask((256, 256), outline_of(entry.polygon))
        assert found is not None
        (x1, y1, x2, y2), inside = found[1], found[0]
        block = scene.rgb[y1:y2, x1:x2].astype(float)
        assert np.abs(block[inside].mean(axis=0) - np.median(block[~inside], axis=0)).max() > 8


def test_land_cover_agrees_with_the_outlines_of_buildings() -> None:
    scene = render_scene(2, size_px=256, kind="medium residential")
    drawn = np.zeros((256, 256), bool)
    for entry in scene.objects:
        if entry.label == "building":
            drawn |= to_mask(entry.polygon, box=HBB(0, 0, 256, 256), rows=256, cols=256).bits
    mask = scene.mask("building").bits
    assert drawn.sum() > 2000
    assert (drawn & mask).sum() / drawn.sum() > 0.98
    assert (drawn & mask).sum() / mask.sum() > 0.85


def test_water_is_where_the_picture_is_water() -> None:
    scene = render_scene(4, size_px=256, kind="port")
    water = scene.mask("water").bits
    assert 0.1 < water.mean() < 0.95
    red, blue = scene.rgb[..., 0][water].mean(), scene.rgb[..., 2][water].mean()
    assert red < scene.rgb[..., 0][~water].mean()
    assert red < blue + 40


def test_objects_keep_their_metres_when_the_gsd_changes() -> None:
    for gsd_m in (0.25, 0.5):
        cars = [
            entry for entry in render_scene(3, size_px=256, gsd_m=gsd_m, kind="parking").objects if entry.label == "car"
        ]
        assert cars
        assert all(4.0 <= entry.length_m <= 5.2 for entry in cars)


def test_unknown_kinds_land_and_impossible_sizes_are_refused() -> None:
    with pytest.raises(DataError, match="kind 'moon' is unknown"):
        render_scene(0, kind="moon")
    with pytest.raises(DataError, match="16 px"):
        render_scene(0, size_px=16)
    with pytest.raises(DataError, match="land cover 'lava'"):
        render_scene(0, size_px=64).mask("lava")


def test_a_ring_is_clipped_to_the_image() -> None:
    ring = place(
        np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]),
        cx=0,
        cy=50,
        length_px=20,
        width_px=10,
        angle_deg=0,
    )
    assert ring_area(clip_ring(ring, 100)) == pytest.approx(100)
    assert len(clip_ring(ring - (500, 0), 100)) == 0


def test_a_strip_covers_what_its_ribbon_covers() -> None:
    path = np.stack([np.linspace(0, 100, 11), np.full(11, 20.0)], axis=1)
    assert sum(map(ring_area, strip(path, 8.0))) == pytest.approx(ring_area(ribbon(path, 8.0))) == pytest.approx(800)
