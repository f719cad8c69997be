from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.vlm.made_rasters import UTM, checker, with_gcps, write_raster
from vlm.errors import RasterError, WindowError
from vlm.geometry.shapes import Window
from vlm.raster import Raster, window_from_bbox, window_from_text


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Raster]:
    path = write_raster(tmp_path / "scene.tif", checker(3, 90, 130), **UTM)
    with Raster.open(path) as raster:
        yield raster


def test_windows_are_named_in_pixels(scene: Raster) -> None:
    assert window_from_text(" 5, 6,7,8") == Window(5, 6, 7, 8)
    assert window_from_text("100,80,999,999", raster=scene) == Window(100, 80, 30, 10)
    assert window_from_text("-5,-5,10,10", raster=scene) == Window(0, 0, 5, 5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,2,3", "expected four whole numbers x,y,w,h"),
        ("a,b,c,d", "window 'a,b,c,d' cannot be read"),
        ("1.5,2,3,4", "expected four whole numbers"),
        ("", "cannot be read"),
        ("1,2,0,4", "is empty"),
        ("1,2,4,-4", "is empty"),
        ("130,0,10,10", "window '130,0,10,10' lies outside .*scene.tif: the image is 130 x 90 pixels, longitude -84.4"),
    ],
)
def test_a_window_that_is_none_says_so(scene: Raster, text: str, says: str) -> None:
    with pytest.raises(WindowError, match=says):
        window_from_text(text, raster=scene)


def test_windows_are_named_in_degrees(scene: Raster) -> None:
    lon, lat = scene.grid.to_wgs84(np.array([20.2, 60.7]), np.array([70.4, 30.3]))
    window = window_from_bbox(scene, (lon[0], lat[0], lon[1], lat[1]))
    assert (window.x, window.y) in {(20, 29), (19, 29), (19, 30), (20, 30)}
    assert window.x + window.w in (61, 62)
    assert window.y + window.h in (71, 72)
    assert window_from_bbox(scene, (-85, 33, -84, 34)) == scene.window


def test_a_bbox_crosses_the_antimeridian(tmp_path: Path) -> None:
    place = {"crs": "EPSG:4326", "transform": rasterio.Affine(0.01, 0, 179.0, 0, -0.01, 1.0)}
    with Raster.open(write_raster(tmp_path / "fiji.tif", checker(3, 200, 200), **place)) as raster:
        assert window_from_bbox(raster, (179.5, -0.5, -179.5, 0.5)) == Window(50, 50, 100, 100)
        assert window_from_bbox(raster, (-179.6, -0.5, -179.5, 0.5)) == Window(140, 50, 10, 100)


@pytest.mark.parametrize(
    ("bbox", "says"),
    [
        ((10, 50, 11, 51), "bbox 10,50,11,51 lies outside .*scene.tif: the image is 130 x 90 pixels, longitude -84.4"),
        ((33.6401, -84.4813, 33.6406, -84.4807), "lies outside"),
        ((1, 2, 1, 3), "is empty"),
        ((1, 2, float("nan"), 3), "is not four numbers"),
        ((1, 2, 3), "is not four numbers"),
        ((1, 200, 2, 300), "is not on the earth"),
    ],
)
def test_a_bbox_that_is_none_says_so(scene: Raster, bbox: tuple[float, ...], says: str) -> None:
    with pytest.raises(WindowError, match=says):
        window_from_bbox(scene, bbox)


def test_a_bbox_needs_a_georeference(tmp_path: Path) -> None:
    with Raster.open(write_raster(tmp_path / "plain.tif", checker(3, 9, 9))) as raster:
        with pytest.raises(RasterError, match="has no georeference"):
            window_from_bbox(raster, (1, 2, 3, 4))
        with pytest.raises(WindowError, match="without georeference"):
            window_from_text("50,50,5,5", raster=raster)


def test_a_bbox_far_from_control_points_is_outside(tmp_path: Path) -> None:
    with Raster.open(with_gcps(tmp_path / "gcps.tif", bend=0.5)) as raster:
        with pytest.raises(WindowError, match="lies outside"):
            window_from_bbox(raster, (20, 40, 21, 41))
        assert window_from_bbox(raster, (11, 47, 13, 49)) == raster.window
