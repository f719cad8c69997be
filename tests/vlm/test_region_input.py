"""A region as a user types it becomes the same place in the image, or a sentence."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from vlm.errors import GeometryError, InstructionError, NadirError, WindowError
from vlm.geometry.convert import to_hbb, to_shapely
from vlm.geometry.shapes import HBB, OBB, Polygon
from vlm.grid import Grid
from vlm.region_input import parse_region

PLAIN = Grid(200, 100)
# 10 m pixels, north up, in UTM 33 N, near Berlin.
UTM = Grid(200, 100, "EPSG:32633", (10.0, 0.0, 390000.0, 0.0, -10.0, 5820000.0))


@pytest.mark.parametrize(
    ("text", "geometry"),
    [
        ("box:10,20,110,90", HBB(10, 20, 110, 90)),
        ("10,20,110,90", HBB(10, 20, 110, 90)),
        (" box: 110, 90, 10, 20 ", HBB(10, 20, 110, 90)),
        ("obb:60,55,100,40,-30", OBB(60, 55, 100, 40, -30)),
        ("60,55,100,40,-30", OBB(60, 55, 100, 40, -30)),
        ("polygon:10,20,110,20,60,90", Polygon(((10, 20), (110, 20), (60, 90)))),
        ("10,20,110,20,60,90,10,20", Polygon(((10, 20), (110, 20), (60, 90)))),
    ],
)
def test_pixels_are_taken_as_they_are(text: str, geometry: object) -> None:
    (region,) = parse_region(text, PLAIN)
    assert region.geometry == geometry


def test_a_box_in_the_images_own_crs_lands_on_its_pixels() -> None:
    (region,) = parse_region("box:390100,5819500,390600,5819900@EPSG:32633", UTM)
    box = to_hbb(region.geometry)
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx((10, 10, 60, 50), abs=1e-3)


def test_an_oriented_box_on_the_map_turns_the_other_way_on_the_screen() -> None:
    (region,) = parse_region("obb:390500,5819500,400,100,30@EPSG:32633", UTM)
    assert isinstance(region.geometry, OBB)
    assert region.geometry.angle_deg == pytest.approx(-30, abs=1e-3)
    assert (region.geometry.w, region.geometry.h) == pytest.approx((40, 10), abs=1e-3)


@pytest.mark.parametrize("name", ["EPSG:4326", "epsg:4326", "OGC:CRS84"])
def test_longitude_comes_before_latitude(name: str) -> None:
    corners = [UTM.to_wgs84(x, y) for x, y in ((20, 30), (80, 30), (80, 70), (20, 70))]
    text = ",".join(f"{value:.9f}" for corner in corners for value in corner)
    (region,) = parse_region(f"polygon:{text}@{name}", UTM)
    assert to_shapely(region.geometry).symmetric_difference(to_shapely(HBB(20, 30, 80, 70))).area < 0.01


def test_a_region_may_lie_in_the_second_image() -> None:
    (region,) = parse_region("2:box:10,20,110,90", PLAIN, images=2)
    assert (region.image, region.geometry) == (1, HBB(10, 20, 110, 90))
    assert parse_region("1: 10,20,110,90", PLAIN, images=2)[0].image == 0
    with pytest.raises(InstructionError, match="lies in image 2, but 1 are given"):
        parse_region("2:box:10,20,110,90", PLAIN)


def _square(grid: Grid) -> list[list[float]]:
    return [[float(v) for v in grid.to_wgs84(x, y)] for x, y in ((20, 30), (20, 70), (80, 70), (80, 30), (20, 30))]


def test_a_geojson_file_gives_every_polygon_with_its_phrase(tmp_path: Path) -> None:
    square = _square(UTM)
    collection = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"phrase": "field"},
                "geometry": {"type": "Polygon", "coordinates": [square]},
            },
            {
                "type": "Feature",
                "properties": None,
                "geometry": {"type": "MultiPolygon", "coordinates": [[square]] * 2},
            },
            {"type": "Feature", "properties": {}, "geometry": None},
        ],
    }
    path = tmp_path / "field.geojson"
    path.write_text(json.dumps(collection))
    regions = parse_region(str(path), UTM)
    assert [region.phrase for region in regions] == ["field", "", ""]
    box = to_hbb(regions[0].geometry)
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx((20, 30, 80, 70), abs=1e-3)


def test_a_crs_member_is_honoured_and_holes_are_kept() -> None:
    outer = [[390100, 5819900], [390100, 5819500], [390600, 5819500], [390600, 5819900], [390100, 5819900]]
    hole = [[390200, 5819800], [390300, 5819800], [390300, 5819700], [390200, 5819800]]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    text = json.dumps({"type": "Polygon", "coordinates": [outer, hole], "crs": crs})
    (region,) = parse_region(text, UTM)
    assert isinstance(region.geometry, Polygon)
    assert len(region.geometry.holes) == 1
    assert to_hbb(region.geometry).x1 == pytest.approx(10, abs=1e-3)


def test_without_georeference_geojson_is_in_pixels() -> None:
    text = json.dumps({"type": "Polygon", "coordinates": [[[10, 20], [60, 20], [60, 80], [10, 20]]]})
    (region,) = parse_region(text, PLAIN)
    assert region.geometry == Polygon(((10, 20), (60, 20), (60, 80)))


@pytest.mark.parametrize(
    ("text", "grid", "error", "words"),
    [
        ("", PLAIN, InstructionError, "not a list of numbers"),
        ("a ship", PLAIN, InstructionError, "expected box:"),
        ("1,2,3", PLAIN, InstructionError, "3 numbers"),
        ("box:1,2,3,4,5", PLAIN, InstructionError, "5 numbers"),
        ("circle:1,2,3,4", PLAIN, InstructionError, "circle"),
        ("1,2,nan,4", PLAIN, InstructionError, "expected box:"),
        ("polygon:1,2,3,4,5,6,7", PLAIN, InstructionError, "7 numbers"),
        ("300,10,400,50", PLAIN, WindowError, "outside the image"),
        ("10,10,10,50", PLAIN, WindowError, "no area"),
        ("1,2,3,4@EPSG:4326", PLAIN, InstructionError, "no georeference"),
        ("1,2,3,4@EPSG:99999999", UTM, InstructionError, "unknown CRS"),
        ('1,2,3,4@LOCAL_CS["Site",UNIT["metre",1]]', UTM, InstructionError, "without a place on the earth"),
        ("2,48,3,49@EPSG:4326", UTM, WindowError, "outside the image"),
        ("obb:1,2,-3,4,0", PLAIN, GeometryError, "negative"),
        ("nowhere.geojson", UTM, InstructionError, "cannot be read"),
        ("{", UTM, InstructionError, "not JSON"),
        ("{}", UTM, InstructionError, "not GeoJSON"),
        ('{"type": "Point", "coordinates": [1, 2]}', UTM, InstructionError, "no Polygon"),
        ('{"type": "Polygon", "coordinates": [[[1]]]}', UTM, InstructionError, "not GeoJSON"),
        ('{"type": "Polygon", "coordinates": []}', UTM, InstructionError, "not GeoJSON"),
        ('{"type": "Polygon", "coordinates": [], "crs": {"properties": null}}', UTM, InstructionError, "not GeoJSON"),
        ('{"type": "FeatureCollection", "features": 3}', UTM, InstructionError, "not GeoJSON"),
        ('{"type": "Polygon", "coordinates": [[[1, 2], [3, 4]]]}', PLAIN, GeometryError, "at least 3"),
    ],
)
def test_what_is_no_region_is_refused_in_words(text: str, grid: Grid, error: type[NadirError], words: str) -> None:
    with pytest.raises(error, match=words):
        parse_region(text, grid)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.geojson"
    path.write_text('{"type": "Polygon", "coordinates": [[[1, 2')
    with pytest.raises(InstructionError, match=r"broken\.geojson is not JSON"):
        parse_region(str(path), UTM)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InstructionError, match="cannot be read"):
        parse_region(str(path), UTM)


@pytest.mark.parametrize("text", ["box:10,89,11,123@EPSG:4326", "box:1e9,1e9,2e9,2e9@EPSG:32633", "1,2,1e400,4"])
def test_a_position_off_the_earth_is_refused(text: str) -> None:
    with pytest.raises((GeometryError, WindowError, InstructionError)):
        parse_region(text, UTM)


# 500 m pixels in polar stereographic: parallels are circles there, and the image reaches 1,000 km.
POLAR = Grid(2000, 2000, "EPSG:3413", (500.0, 0.0, -500_000.0, 0.0, -500.0, 500_000.0))
LAMBERT = Grid(4000, 4000, "EPSG:3035", (1000.0, 0.0, 2_500_000.0, 0.0, -1000.0, 5_500_000.0))
FIJI = Grid(400, 400, "EPSG:32701", (1000.0, 0.0, 0.0, 0.0, -1000.0, 8_300_000.0))
WORLD = Grid(360, 180, "EPSG:4326", (1.0, 0.0, -180.0, 0.0, -1.0, 90.0))


def _densely(corners: list[tuple[float, float]], crs: str, grid: Grid) -> shapely.Polygon:
    """Project 2,000 points an edge straight to the image's CRS with pyproj."""
    ring = np.array([*corners, corners[0]])
    along = np.linspace(0, 1, 2000, endpoint=False)[:, None]
    points = np.concatenate([a + along * (b - a) for a, b in pairwise(ring)])
    x, y = Transformer.from_crs(crs, grid.crs, always_xy=True).transform(points[:, 0], points[:, 1])
    return shapely.Polygon(np.stack(grid.to_pixel(np.array(x), np.array(y)), axis=1))


@pytest.mark.parametrize(
    ("corners", "crs", "grid"),
    [
        ([(-40, 86), (50, 86), (50, 88), (-40, 88)], "EPSG:4326", POLAR),
        ([(-5, 40), (25, 40), (25, 60), (-5, 60)], "EPSG:4326", LAMBERT),
        ([(0, 5_000_000), (3_000_000, 5_000_000), (3_000_000, 8_000_000)], "EPSG:3857", LAMBERT),
        ([(0, 42), (10, 55), (20, 42)], "EPSG:4326", UTM),
    ],
)
def test_long_edges_bend_as_the_map_bends_them(corners: list[tuple[float, float]], crs: str, grid: Grid) -> None:
    numbers = ",".join(f"{value}" for point in corners for value in point)
    (region,) = parse_region(f"polygon:{numbers}@{crs}", grid)
    expected = _densely(corners, crs, grid)
    shape = shapely.Polygon(region.geometry.exterior)  # type: ignore[union-attr]
    assert shape.hausdorff_distance(expected) < 0.06 + 1e-5 * expected.length
    assert shape.symmetric_difference(expected).area < 0.05 * expected.length
    assert len(shape.exterior.coords) < 4000


def test_a_map_box_is_the_box_around_its_bent_edges() -> None:
    (region,) = parse_region("box:-5,40,25,60@EPSG:4326", LAMBERT)
    expected = _densely([(-5, 40), (25, 40), (25, 60), (-5, 60)], "EPSG:4326", LAMBERT).bounds
    box = to_hbb(region.geometry)
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx(expected, abs=0.05)


def test_short_edges_get_no_points() -> None:
    (region,) = parse_region("polygon:390100,5819900,390500,5819900,390300,5819500@EPSG:32633", UTM)
    assert isinstance(region.geometry, Polygon) and len(region.geometry.exterior) == 3


@pytest.mark.parametrize(
    "text",
    [
        "polygon:179.5,-17,-179.5,-17,-179.5,-16,179.5,-16@EPSG:4326",
        "polygon:-179.5,-16,179.5,-16,179.5,-17,-179.5,-17@EPSG:4326",
        "box:179.5,-17,-179.5,-16@EPSG:4326",
        "polygon:179.5,-17,180.5,-17,180.5,-16,179.5,-16@EPSG:4326",
    ],
)
def test_a_region_across_the_antimeridian_goes_the_short_way(text: str) -> None:
    (region,) = parse_region(text, FIJI)
    box = to_hbb(region.geometry)
    west, _ = FIJI.from_wgs84(179.5, -16.5)
    east, _ = FIJI.from_wgs84(-179.5, -16.5)
    assert (box.x1, box.x2) == pytest.approx((west, east), abs=2)
    assert box.h < 130


def test_a_region_around_the_world_stays_one() -> None:
    for text in ("polygon:-180,-20,180,-20,180,20,-180,20@EPSG:4326", "box:-180,-20,180,20@EPSG:4326"):
        (region,) = parse_region(text, WORLD)
        box = to_hbb(region.geometry)
        assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx((0, 70, 360, 110))
    (region,) = parse_region("box:-170,-20,175,20@EPSG:4326", WORLD)
    assert to_hbb(region.geometry).w == pytest.approx(345)
