"""Real rasters: a region of each lands on the map and comes back to its pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from vlm.errors import RasterError
from vlm.geometry import HBB, OBB, to_shapely
from vlm.grid import Grid
from vlm.raster import Raster
from vlm.records import Answer, Region
from vlm.vector import answer_to_geojson

FOLDERS = ("georef", "spacenet_solaris", "neontree", "oscd")


def real_grids(data: Path) -> dict[str, Grid]:
    """Give the grids of the readable, georeferenced rasters, one of each kind of place."""
    grids: dict[tuple[object, ...], tuple[str, Grid]] = {}
    for path in sorted(path for folder in FOLDERS for path in (data / folder).rglob("*.tif*")):
        try:
            with Raster.open(path) as raster:
                grid = raster.grid
        except RasterError:
            continue
        if grid.georeferenced:
            grids.setdefault((grid.crs, grid.transform is None, path.parent), (path.name, grid))
    return dict(grids.values())


def test_regions_of_real_rasters_come_back_to_their_pixels(shared_data: Path) -> None:
    grids = real_grids(shared_data)
    assert len(grids) >= 4
    for name, grid in grids.items():
        w, h = grid.width, grid.height
        shapes = (HBB(w * 0.2, h * 0.3, w * 0.6, h * 0.5), OBB(w / 2, h / 2, w / 4, h / 6, 25.0))
        answer = Answer("", tuple(Region(shape) for shape in shapes), grids=(grid,))
        for shape, feature in zip(shapes, answer_to_geojson(answer)["features"], strict=True):
            (ring,) = feature["geometry"]["coordinates"]
            back = np.stack(grid.from_wgs84(*np.array(ring).T), axis=1)
            assert shapely.distance(to_shapely(shape).exterior, shapely.points(back)).max() < 0.1, name
            nominal = to_shapely(shape).area * (grid.gsd_m or 0) ** 2
            if w * (grid.gsd_m or 0) < 100_000:
                assert feature["properties"]["area_m2"] == pytest.approx(nominal, rel=0.02), name
