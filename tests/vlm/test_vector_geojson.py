"""Laws of GeoJSON: RFC 7946's own demands, and pixels that come back to where they were."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm.geometry import HBB, OBB, Geometry, Mask, Polygon, to_hbb, to_shapely
from vlm.grid import Grid
from vlm.records import Answer, Image, Region
from vlm.vector import answer_to_geojson, answers_to_geojson

GRIDS = {
    "utm": Grid(2000, 1500, "EPSG:32631", (0.5, 0, 450_000, 0, -0.5, 5_400_000)),
    "utm turned": Grid(2000, 1500, "EPSG:32631", (0.4, 0.3, 450_000, 0.3, -0.4, 5_400_000)),
    "utm far north": Grid(20_000, 20_000, "EPSG:32633", (10, 0, 300_000, 0, -10, 8_900_000)),
    "degrees": Grid(3600, 1800, "EPSG:4326", (0.1, 0, -180, 0, -0.1, 90)),
    "web mercator": Grid(5000, 5000, "EPSG:3857", (10, 0, 500_000, 0, -10, 6_000_000)),
    "equal area": Grid(50_000, 40_000, "EPSG:3035", (100, 0, 2_500_000, 0, -100, 5_400_000)),
    "control points": Grid(
        1000, 800, "EPSG:32631", None,
        tuple(
            (x, y, 450_000 + x + x * y / 2e4, 5_400_000 - y + x * x / 3e4)
            for x in (0, 250, 500, 750, 1000) for y in (0, 200, 400, 600, 800)
        ),
    ),
}  # fmt: skip
FIJI = Grid(4000, 4000, "EPSG:32760", (100, 0, 700_000, 0, -100, 8_200_000))
ANTARCTICA = Grid(1000, 1000, "EPSG:3031", (5000, 0, -2_400_000, 0, -5000, 2_500_000))


def answer(*geometries: Geometry, grid: Grid | None, text: str = "two ships") -> Answer:
    regions = tuple(Region(geometry, "ship") for geometry in geometries)
    return Answer("{box:0}", regions, text=text, grids=(grid,) if grid else (), instruction="Where are the ships?")


def feature(geometry: Geometry, grid: Grid | None) -> dict:
    return answer_to_geojson(answer(geometry, grid=grid))["features"][0]


class OffTheEarth(Grid):
    """Stands in for a full-disc image whose corners see space."""

    def to_wgs84(self, x: Any, y: Any) -> tuple[Any, Any]:
        return np.full(np.shape(x), np.inf), np.full(np.shape(y), np.inf)


def part_of(grid: Grid, fractions: tuple[float, float, float, float]) -> HBB:
    x, y = sorted(fractions[:2]), sorted(fractions[2:])
    return HBB(x[0] * grid.width, y[0] * grid.height, x[1] * grid.width, y[1] * grid.height)


def walk(ring: list[list[float]], per_edge: int = 4) -> np.ndarray:
    points = np.array(ring)
    steps = np.arange(per_edge)[None, :, None] / per_edge
    return np.concatenate([(points[:-1, None] + steps * np.diff(points, axis=0)[:, None]).reshape(-1, 2), points[-1:]])


@pytest.mark.parametrize("name", GRIDS)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_edges_come_back_to_the_pixels_within_a_tenth(name: str, data: st.DataObject) -> None:
    grid = GRIDS[name]
    unit = st.floats(0, 1)
    box = part_of(grid, data.draw(st.tuples(unit, unit, unit, unit)))
    if min(box.w, box.h) < 1:
        return
    turned = OBB((box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2, box.w / 3, box.h / 3, data.draw(st.floats(-90, 89)))
    around = to_hbb(turned)
    inside = around.x1 >= 0 and around.y1 >= 0 and around.x2 <= grid.width and around.y2 <= grid.height
    for shape in (box, turned) if inside else (box,):
        ring = feature(shape, grid)["geometry"]["coordinates"][0]
        points = walk(ring)
        back = np.stack(grid.from_wgs84(points[:, 0], points[:, 1]), axis=1)
        outline = to_shapely(shape).exterior
        assert shapely.distance(outline, shapely.points(back)).max() < 0.1
        assert shapely.distance(shapely.LineString(back), shapely.points(np.array(outline.coords))).max() < 0.1


def test_small_box_keeps_four_corners() -> None:
    assert len(feature(HBB(10, 10, 60, 40), GRIDS["utm"])["geometry"]["coordinates"][0]) == 5


@pytest.mark.parametrize("grid", [*GRIDS.values(), FIJI], ids=[*GRIDS, "fiji"])
def test_exterior_runs_counter_clockwise_and_holes_clockwise(grid: Grid) -> None:
    hole = ((40.0, 40.0), (60.0, 40.0), (60.0, 60.0), (40.0, 60.0))
    for outer in (((10.0, 10.0), (90.0, 10.0), (90.0, 90.0), (10.0, 90.0)), ((10, 90), (90, 90), (90, 10), (10, 10))):
        exterior, inner = feature(Polygon(outer, (hole,)), grid)["geometry"]["coordinates"]
        assert exterior[0] == exterior[-1]
        assert shapely.LinearRing(exterior).is_ccw
        assert not shapely.LinearRing(inner).is_ccw


def test_region_across_180_degrees_is_cut_there() -> None:
    box = HBB(500, 500, 3500, 1500)
    whole = feature(box, FIJI)
    assert whole["geometry"]["type"] == "MultiPolygon"
    west, east = (shapely.Polygon(part[0]) for part in whole["geometry"]["coordinates"])
    assert {west.bounds[2], east.bounds[0]} == {180.0, -180.0}
    assert all(-180 <= lon <= 180 for part in whole["geometry"]["coordinates"] for lon, _ in part[0])
    assert whole["properties"]["area_m2"] == pytest.approx(box.area * 1e4, rel=5e-3)


def test_region_touching_180_degrees_is_not_cut() -> None:
    grid = GRIDS["degrees"]
    assert feature(HBB(0, 0, 3600, 1800), grid)["geometry"]["type"] == "Polygon"
    assert feature(HBB(3000, 100, 3600, 200), grid)["geometry"]["type"] == "Polygon"
    beyond = Grid(200, 100, "EPSG:4326", (0.1, 0, 180, 0, -0.1, 10))
    lons = [lon for lon, _ in feature(HBB(0, 0, 200, 100), beyond)["geometry"]["coordinates"][0]]
    assert (min(lons), max(lons)) == (-180, -160)


def test_region_around_a_pole_reaches_the_pole() -> None:
    geometry = shapely.geometry.shape(feature(HBB(300, 300, 700, 700), ANTARCTICA)["geometry"])
    assert geometry.is_valid
    assert geometry.bounds[:2] == (-180, -90)
    assert geometry.bounds[2] == 180
    assert geometry.contains(shapely.Point(12, -89))


def test_hole_across_180_degrees_stays_a_hole() -> None:
    outer = ((500, 500), (3500, 500), (3500, 1500), (500, 1500))
    lon, lat = FIJI.to_pixel(*FIJI.to_map(0, 0))
    assert (lon, lat) == pytest.approx((0, 0), abs=1e-6)
    x, y = FIJI.from_wgs84(180.0, FIJI.to_wgs84(2000, 1000)[1])
    hole = ((x - 50, y - 50), (x + 50, y - 50), (x + 50, y + 50), (x - 50, y + 50))
    shape = shapely.geometry.shape(feature(Polygon(outer, (hole,)), FIJI)["geometry"])
    assert shape.is_valid
    assert not shape.contains(shapely.Point(179.999, FIJI.to_wgs84(x, y)[1]))
    assert not shape.contains(shapely.Point(-179.999, FIJI.to_wgs84(x, y)[1]))


def test_image_without_georeference_gives_pixels_and_says_so() -> None:
    for grid in (Grid(100, 80), None):
        collection = answer_to_geojson(answer(HBB(1, 2, 30, 40), grid=grid))
        assert "pixels of the original image" in collection["coordinate_frame"]
        assert collection["crs"] is None
        xs = {x for x, _ in collection["features"][0]["geometry"]["coordinates"][0]}
        assert xs == {1, 30}
        assert "area_m2" not in collection["features"][0]["properties"]


def test_properties_say_what_the_region_is() -> None:
    box, turned = answer_to_geojson(answer(HBB(0, 0, 20, 20), OBB(50, 50, 20, 10, 30), grid=GRIDS["utm"]))["features"]
    assert box["properties"]["box_px"] == [0, 0, 20, 20]
    assert box["properties"]["kind"] == "box"
    assert box["properties"]["area_m2"] == pytest.approx(100, rel=1e-3)
    assert box["properties"]["area_ha"] == pytest.approx(0.01, rel=1e-3)
    assert turned["properties"]["obb_px"] == [50, 50, 20, 10, 30]
    assert turned["properties"]["instruction"] == "Where are the ships?"
    assert turned["properties"]["text"] == "two ships"


def test_mask_becomes_the_polygons_of_its_cells() -> None:
    bits = np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]], bool)
    mask = Mask(bits, HBB(100, 100, 140, 140))
    placed = feature(mask, GRIDS["utm"])
    assert placed["geometry"]["type"] == "MultiPolygon"
    assert sorted(len(part) for part in placed["geometry"]["coordinates"]) == [1, 2]
    assert placed["properties"]["area_m2"] == pytest.approx(9 * 100 * 0.25, rel=1e-3)


def test_empty_mask_and_region_off_the_earth_keep_their_row() -> None:
    assert feature(Mask(np.zeros((2, 2), bool), HBB(0, 0, 4, 4)), GRIDS["utm"])["geometry"] is None
    disc = OffTheEarth(1000, 1000, "EPSG:32631", (0.5, 0, 0, 0, -0.5, 0))
    corner = feature(HBB(0, 0, 50, 50), disc)
    assert corner["geometry"] is None
    assert corner["properties"]["polygons_px"] == [[[[0, 0], [50, 0], [50, 50], [0, 50], [0, 0]]]]


def test_crossing_polygon_is_repaired() -> None:
    bow = Polygon(((0, 0), (40, 40), (40, 0), (0, 40)))
    assert shapely.geometry.shape(feature(bow, GRIDS["utm"])["geometry"]).is_valid


def test_words_survive_without_regions_and_the_second_image_has_its_own_grid() -> None:
    words = Answer("A harbour.", grids=(GRIDS["utm"],), instruction="Describe the image.")
    region, images = Region(HBB(0, 0, 9, 9), image=1), (Image(path="d/b.tif"), Image(path="d/c.tif"))
    pair = Answer("", (region,), grids=(Grid(50, 50), GRIDS["utm"]), images=images)
    collection = answers_to_geojson([words, pair])
    assert collection["answers"][0]["text"] == "A harbour."
    assert collection["features"][0]["properties"]["image_name"] == "c.tif"
    assert collection["features"][0]["geometry"]["type"] == "Polygon"
    json.dumps(collection, allow_nan=False)
    assert collection["features"][0]["geometry"]["coordinates"][0][0][0] == pytest.approx(2.31, abs=0.05)
