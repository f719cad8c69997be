"""Maps and land cover: features land on their pixels, and what is said about them is what the labels hold."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import rasterio
from PIL import Image as Picture
from rasterio.features import rasterize
from rasterio.transform import from_origin

from data_engine.annotations import cover_to_turn, sample_to_scene
from data_engine.cover import Cover, cover_to_regions, draw, sample_to_cover
from data_engine.map_tags import classify_tags
from data_engine.maps import WORLDCOVER, load_land_cover, load_map, read_layers
from data_engine.recipes import RECIPES
from data_engine.recipes.landcover import find_places, write_description
from data_engine.recipes.maps import find_land, view_map
from tests.data_engine.makers import block
from vlm.errors import DataError
from vlm.geometry.convert import to_hbb
from vlm.geometry.iou import iou
from vlm.geometry.shapes import HBB, Polygon
from vlm.records import Image, Sample

WEST, NORTH = 500000.0, 4000000.0
FACTS = {"key": "maps/site", "source": "maps", "licence": "l"}


def write_raster(path, values, *, gsd_m=2.0, crs="EPSG:32616", west=WEST, north=NORTH):
    bands = values[None] if values.ndim == 2 else values
    with rasterio.open(
        path, "w", driver="GTiff", width=bands.shape[2], height=bands.shape[1], count=bands.shape[0],
        dtype=bands.dtype, crs=crs, transform=from_origin(west, north, gsd_m, gsd_m),
    ) as file:  # fmt: skip
        file.write(bands)


def write_bare(path, values):
    Picture.fromarray(np.asarray(values, np.uint8)).save(path)


def read(samples, prefix):
    return {made.id.removeprefix(prefix): made.turns[0].answer.template for made in samples}


def ring(x1, y1, x2, y2, gsd_m=2.0):
    points = ((x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1))
    return [[WEST + x * gsd_m, NORTH - y * gsd_m] for x, y in points]


def write_layer(path, features, crs="EPSG:32616"):
    collection = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": f"urn:ogc:def:crs:{crs.replace(':', '::')}"}},
        "features": [{"type": "Feature", "properties": tags, "geometry": shape} for tags, shape in features],
    }
    path.write_text(json.dumps(collection))


def polygon(*corners):
    return {"type": "Polygon", "coordinates": [ring(*corners)]}


FEATURES = [
    ({"building": "yes"}, polygon(10, 10, 30, 20)),
    ({"building": "house"}, polygon(60, 40, 70, 60)),
    ({"building": "yes"}, polygon(190, 10, 240, 30)),
    ({"natural": "water"}, polygon(0, 70, 100, 100)),
    ({"highway": "residential"}, {"type": "LineString", "coordinates": [ring(0, 50, 1, 1)[0], ring(200, 50, 1, 1)[0]]}),
    ({"highway": "footway"}, {"type": "LineString", "coordinates": [ring(0, 5, 1, 1)[0], ring(200, 5, 1, 1)[0]]}),
    ({"amenity": "parking"}, polygon(300, 300, 320, 320)),
    ({"name": "nothing"}, polygon(1, 1, 5, 5)),
]


@pytest.fixture
def site(tmp_path):
    write_raster(tmp_path / "site.tif", np.zeros((3, 100, 200), np.uint8) + 90)
    write_layer(tmp_path / "site.geojson", FEATURES)
    return tmp_path


def test_features_land_on_their_pixels(site):
    (sample,) = load_map(site / "site.tif", [site / "site.geojson"], **FACTS)
    scene = sample_to_scene(sample)
    assert scene.classes == ("building", "parking lot")
    assert scene.absent() == ("parking lot",)
    boxes = [region.geometry for region in scene.boxes]
    for wanted in (HBB(10, 10, 30, 20), HBB(60, 40, 70, 60), HBB(190, 10, 200, 30)):
        assert max(iou(wanted, box) for box in boxes) == pytest.approx(1, abs=1e-6)
    assert sample.images[0].gsd_m == pytest.approx(2.0)
    masks = {region.phrase: region.geometry for region in sample.turns[-1].answer.regions}
    assert masks["water"].area == 100 * 30
    assert masks["road"].area == pytest.approx(200 * 3, rel=0.4)
    assert "path" not in masks


def test_layers_in_degrees_and_several_files_agree_with_those_in_metres(site):
    import geopandas

    frame = geopandas.read_file(site / "site.geojson")
    frame.to_crs("EPSG:4326").to_file(site / "all.gpkg", layer="osm")
    (metres,) = load_map(site / "site.tif", [site / "site.geojson"], **FACTS)
    (degrees,) = load_map(site / "site.tif", [site / "all.gpkg"], **FACTS)
    for one, other in zip(metres.turns[0].answer.regions, degrees.turns[0].answer.regions, strict=True):
        assert iou(one.geometry, other.geometry) > 0.999


def test_windows_cover_the_raster_and_cut_features(site):
    windows = list(load_map(site / "site.tif", [site / "site.geojson"], window_px=64, **FACTS))
    assert [s.id for s in windows][:2] == ["maps/site/0-0/map", "maps/site/64-0/map"]
    assert len(windows) == 4 * 2
    assert {(s.images[0].width, s.images[0].height) for s in windows} == {(64, 64)}
    assert all(s.images[0].data for s in windows)
    first = sample_to_scene(windows[0])
    assert [to_hbb(region.geometry) for region in first.boxes] == [HBB(10, 10, 30, 20), HBB(60, 40, 64, 60)]


def test_the_map_answers_rsvqa_questions(site):
    (sample,) = load_map(site / "site.tif", [site / "site.geojson"], **FACTS)
    said = read(RECIPES["maps"](sample, 0), "maps/site/map/")
    assert said["count/building"] == "3"
    assert said["count/parking-lot"] == "0"
    assert said["presence/parking-lot"] == "no"
    assert said["map-presence/water"] == said["map-presence/road"] == "yes"
    assert said["map-area/building"] == "more than 1000m2"
    assert said["map-area-m2/water"] == "12000 m2"
    more = {name: answer for name, answer in said.items() if name.startswith("map-area-more")}
    areas = {"water": 3000, "road": 600, "building": 600}
    assert more
    for name, answer in more.items():
        _, one, other = name.split("/")
        assert answer == ("yes" if areas[one] > areas[other] else "no")
    assert all(word in said["map-caption/0"] + said["map-caption/1"] for word in ("building", "water"))
    assert "map-land" not in said


def test_rural_and_urban_are_told_by_buildings_and_not_in_between(site):
    for count, land in ((0, "rural"), (3, None), (12, "urban")):
        features = [({"building": "yes"}, polygon(16 * n, 10, 16 * n + 14, 30)) for n in range(count)]
        write_layer(site / "town.geojson", [*features, ({"building": "yes"}, polygon(900, 900, 950, 950))])
        (sample,) = load_map(site / "site.tif", [site / "town.geojson"], **FACTS)
        assert find_land(view_map(sample)) == land


def test_tags_become_classes():
    assert classify_tags({"building": "yes", "name": ""}, area=True).label == "building"
    assert classify_tags({"natural": "wood"}, area=True).kind == "surface"
    assert classify_tags({"highway": "primary", "width": "7.5 m"}, area=False).width_m == 7.5
    assert classify_tags({"highway": "primary", "width": "wide"}, area=False).width_m == 12
    assert classify_tags({"highway": "footway"}, area=False) is None
    assert classify_tags({"building": "no"}, area=True) is None
    assert classify_tags({"class": "Solar_Panel"}, area=True).label == "solar panel"


def test_maps_that_cannot_be_laid_are_refused(site):
    write_bare(site / "bare.tif", np.zeros((8, 8)))
    with pytest.raises(DataError, match="no georeference"):
        list(load_map(site / "bare.tif", [site / "site.geojson"], **FACTS))
    write_layer(site / "empty.geojson", [({"name": "x"}, polygon(1, 1, 5, 5))])
    with pytest.raises(DataError, match="no known class"):
        list(load_map(site / "site.tif", [site / "empty.geojson"], **FACTS))
    (site / "broken.geojson").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        read_layers(site / "broken.geojson")


def test_spacenet_footprints_are_where_gdal_burns_them(shared_data):
    folder = shared_data / "spacenet_solaris"
    (sample,) = load_map(folder / "sample_geotiff.tif", [folder / "geotiff_labels.geojson"], **FACTS)
    scene = sample_to_scene(sample)
    assert len(scene.boxes) == 43
    drawn = draw([region.geometry for region in scene.boxes], width=900, height=900)
    shapes = json.loads((folder / "geotiff_labels.geojson").read_text())["features"]
    with rasterio.open(folder / "sample_geotiff.tif") as file:
        mask = rasterize([shape["geometry"] for shape in shapes], out_shape=(900, 900), transform=file.transform) > 0
    assert (drawn & mask).sum() / (drawn | mask).sum() > 0.999
    said = {made.id.removeprefix("maps/site/map/"): made for made in RECIPES["maps"](sample, 0)}
    assert said["count/building"].turns[0].answer.template == "43"
    windows = list(load_map(folder / "sample_geotiff.tif", [folder / "geotiff_labels.geojson"], window_px=450, **FACTS))
    assert len(windows) == 4
    assert sum(len(sample_to_scene(window).boxes) for window in windows) >= 43
    assert sum(len(list(RECIPES["ground"](window, 0))) for window in windows) > 20


# Land cover


def land(values, names=("tree cover", "grassland", "water")):
    found = Cover(np.asarray(values, np.int16), names)
    height, width = found.labels.shape
    turn = cover_to_turn(cover_to_regions(found), names, seed=0, key="l")
    return Sample("l/1", (Image(path="a.tif", width=width, height=height),), (turn,), "segment", "s")


def quarters():
    values = np.zeros((30, 30), np.int16)
    values[:10, :10] = 2
    values[20:, :] = 1
    return values


def test_land_cover_is_described_by_share_and_place():
    said = read(RECIPES["landcover"](land(quarters()), 0), "l/1/")
    assert said["land-main"] == "tree cover"
    assert said["land-share/grassland"] == "33%"
    assert said["land-share/water"] == "11%"
    assert said["land-where/water"] == "top left"
    assert said["land-place/bottom"] == "grassland"
    assert said["land-present/water"] == "yes"
    for number in range(3):
        text = said[f"land-describe/{number}"].lower()
        assert text.index("tree cover") < text.index("grassland") < text.index("water")
        assert all(share in text for share in ("56%", "33%", "11%"))
        assert "in the top left" in text


def test_descriptions_hold_for_random_land():
    """Read every share and every place of many descriptions back and measure them on the labels."""
    source = np.random.default_rng(3)
    for number in range(20):
        coarse = source.integers(0, 3, (3, 3))
        found = Cover(np.kron(coarse, np.ones((7, 7))).astype(np.int16), ("tree cover", "grassland", "water"))
        text = write_description(found, random.Random(number)).lower()
        for index, label in enumerate(found.classes):
            share = (coarse == index).mean()
            assert (f"{round(100 * share)}%" in text) == bool(share), text
            if share:
                assert label in text
                assert len(find_places(found, label)) <= (coarse == index).sum()


def test_images_that_are_mostly_unlabelled_are_not_described():
    values = quarters()
    values[5:25] = -1
    assert not list(RECIPES["landcover"](land(values), 0))


def test_worldcover_is_laid_over_a_finer_raster(tmp_path):
    write_raster(tmp_path / "site.tif", np.zeros((3, 60, 60), np.uint8) + 9, gsd_m=10.0)
    codes = np.full((9, 9), 10, np.uint8)
    codes[:, 5:] = 80
    codes[8, 8] = 0
    write_raster(tmp_path / "labels.tif", codes, gsd_m=100.0, west=WEST - 100, north=NORTH + 100)
    (sample,) = load_land_cover(tmp_path / "site.tif", tmp_path / "labels.tif", **FACTS)
    found = sample_to_cover(sample)
    assert found.classes == tuple(WORLDCOVER.values())
    assert found.shares()["tree cover"] == pytest.approx(40 / 60)
    assert found.shares()["water"] == pytest.approx(20 / 60)
    assert not found.bits("water")[:, :40].any()
    windows = list(load_land_cover(tmp_path / "site.tif", tmp_path / "labels.tif", window_px=32, **FACTS))
    assert len(windows) == 4


def test_labels_without_place_need_the_same_size(tmp_path):
    write_bare(tmp_path / "site.tif", np.zeros((6, 6)))
    write_bare(tmp_path / "same.tif", block((6, 6), (0, 0, 3, 3), value=10))
    write_bare(tmp_path / "other.tif", np.zeros((5, 6)))
    (sample,) = load_land_cover(tmp_path / "site.tif", tmp_path / "same.tif", **FACTS)
    assert sample.turns[0].answer.regions[0].geometry.area == 9
    with pytest.raises(DataError, match="the sizes differ"):
        list(load_land_cover(tmp_path / "site.tif", tmp_path / "other.tif", **FACTS))


def test_triangles_are_drawn():
    bits = draw([Polygon(((0, 0), (20, 0), (0, 20)))], width=30, height=30)
    assert abs(int(bits.sum()) - 200) <= 20
