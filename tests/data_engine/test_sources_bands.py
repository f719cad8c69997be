"""Quirks and refusals of the radar, multispectral and building sources, on tiny copies."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data_engine.objects import Scene
from data_engine.sources import bigearthnet, eurosat, label_turns, mstar, sen12, so2sat, spacenet
from tests.data_engine.makers_text import footprints, make_of_test, write_raster
from vlm.errors import DataError
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import HBB
from vlm.records import Sample


@pytest.fixture
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make_of_test(request.node.name, tmp_path)


def answers(samples: list[Sample]) -> dict[str, str]:
    return {sample.id: sample.turns[0].answer.template for sample in samples}


def test_mstar_names_vehicles_and_clips_boxes(made):
    samples = list(mstar.load(made, split="train"))
    chips = [sample.turns[0].answer.template for sample in samples if "/chip/" in sample.id]
    assert chips == ["2S1 howitzer", "T-72 tank"]
    scene = next(mstar.load_scenes(made, split="train"))
    assert [(region.phrase, region.geometry) for region in scene.boxes] == [
        ("BTR-70 personnel carrier", HBB(10, 20, 60, 70)),
        ("T-72 tank", HBB(200, 210, 300, 300)),
    ]
    with pytest.raises(DataError, match=r"holds neither val\.txt of chips nor of scenes"):
        list(mstar.load(made, split="val"))


def test_sen12_simplifies_igbp_holds_scenes_out_and_skips_the_damaged_patch(made):
    samples = list(sen12.load(made, split="train"))
    said = answers(samples)
    key = "sen12/train/ROIs1158_spring_s2_1_p30"
    assert said[f"{key}/main"] == "grassland"
    assert said[f"{key}/classes"] == "grassland; urban and built-up areas"
    assert samples[0].images[0].bands[7:9] == ("B8", "B8A")
    assert "sen12/train/ROIs1868_summer_s2_146_p202/main" in said
    assert not any(f"_{name}_146_p202" in key for key in said for name in ("s1",))
    assert {sample.id.split("/")[2] for sample in sen12.load(made, split="test")} == {
        "ROIs1158_spring_s1_15_p3",
        "ROIs1158_spring_s2_15_p3",
    }
    sensors = {sample.images[0].sensor: len(sample.images[0].bands) for sample in samples}
    assert sensors == {"Sentinel-2": 13, "Sentinel-1": 2}


def test_sen12_shares():
    igbp = np.repeat(np.array([1, 2, 17, 9], np.int16), 25).reshape(10, 10)
    assert sen12.land_shares(igbp, where="x") == {"forest": 0.5, "savanna": 0.25, "water": 0.25}
    assert next(iter(sen12.land_shares(np.arange(1, 18), where="x"))) == "forest"
    for broken in (np.full((2, 2), 255), np.full((2, 2), -1), np.zeros((2, 2), int)):
        with pytest.raises(DataError, match="x "):
            sen12.land_shares(broken, where="x")


def test_sen12_refuses_a_patch_with_other_bands(made):
    write_raster(next((made / "ROIs1158_spring" / "s2_1").iterdir()), np.zeros((12, 8, 8), np.uint16))
    with pytest.raises(DataError, match=r"s2_1_p30\.tif has 12 bands: expected 13"):
        list(sen12.load(made, split="train"))


def test_so2sat_embeds_patches_without_loss(made):
    import h5py
    from rasterio.io import MemoryFile

    from vlm.dataset import quiet

    samples = list(so2sat.load(made, split="train"))
    zones = [sample.turns[0].answer.template for sample in samples if sample.id.endswith("/sen2")]
    assert zones == ["compact high-rise", "water", "open high-rise"]
    image = samples[0].images[0]
    with quiet(), MemoryFile(image.data) as memory, memory.open() as dataset, h5py.File(made / "training.h5") as file:
        assert dataset.descriptions == image.bands == so2sat.BANDS["sen2"]
        assert np.array_equal(np.moveaxis(dataset.read(), 0, -1), file["sen2"][0])


def test_so2sat_refuses_two_labels(made):
    import h5py

    with h5py.File(made / "training.h5", "a") as file:
        file["label"][1] = np.ones(17)
    with pytest.raises(DataError, match=r"training\.h5 patch 1 has the label"):
        list(so2sat.load(made, split="train"))


def test_bigearthnet_opens_a_folder_as_one_raster_and_leaves_snow_out(made):
    samples = list(bigearthnet.load(made, split="train"))
    assert {sample.turns[0].answer.template for sample in samples} == {"arable land; pastures; beaches, dunes, sands"}
    optical, radar = (sample.images[0] for sample in samples)
    assert (optical.width, optical.height, optical.crs, optical.date) == (120, 120, "EPSG:32616", "2017-06-13")
    assert optical.bands == ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B11", "B12")
    assert (radar.sensor, radar.bands) == ("Sentinel-1", ("vh", "vv"))


def test_bigearthnet_bands_are_in_the_order_in_which_the_folder_opens(made):
    from vlm.dataset import open_dataset

    for sample in bigearthnet.load(made, split="train"):
        image = sample.images[0]
        with open_dataset(str(image.path)) as dataset:
            assert [text.lower().replace("b0", "b") for text in dataset.descriptions] == [
                band.lower() for band in image.bands
            ]


def test_bigearthnet_refuses_a_lost_band(made):
    next((made / "BigEarthNet-S2").rglob("*_B05.tif")).unlink()
    with pytest.raises(DataError, match="has 11 bands: expected 12"):
        list(bigearthnet.load(made, split="train"))
    (made / "metadata.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        list(bigearthnet.load(made, split="train"))


def test_eurosat_reads_both_archives_and_b8a_comes_last(made):
    samples = list(eurosat.load(made, split="all"))
    assert Counter((sample.turns[0].answer.template, len(sample.images[0].bands)) for sample in samples) == {
        ("annual crop", 0): 2,
        ("sea or lake", 0): 1,
        ("annual crop", 13): 2,
        ("sea or lake", 13): 1,
    }
    assert samples[-1].images[0].bands[-1] == "B8A"
    listed = {sample.id.split("/", 2)[2] for sample in eurosat.load(made, split="val")}
    assert listed == {f"{kind}/{name}" for kind in ("rgb", "bands") for name in ("AnnualCrop_2", "SeaLake_1")}
    with pytest.raises(DataError, match=r"eurosat-test\.txt does not exist"):
        list(eurosat.load(made, split="test"))


# SpaceNet


def test_spacenet_places_footprints_on_pixels(made):
    samples = {sample.id: sample for sample in spacenet.load(made, split="train")}
    key = "spacenet/train/AOI_6_Atlanta/PAN_AOI_6_Atlanta_img1"
    assert samples[f"{key}/count/building"].turns[0].answer.template == "2"
    boxes = [to_hbb(region.geometry) for region in samples[f"{key}/detect-box/building"].turns[0].answer.regions]
    assert boxes == [HBB(10, 20, 40, 60), HBB(90, 70, 100, 95)]
    mask = samples[f"{key}/mask-all/building"].turns[0].answer.regions[0].geometry
    assert mask.area == 30 * 40 + 10 * 25
    empty = samples[f"{key.replace('img1', 'img2')}/detect-box/building"]
    assert empty.turns[0].answer.template == "none"
    image = empty.images[0]
    assert (image.bands, image.crs, image.path) == (("pan",), "EPSG:32616", str(image.path))


def spacenet_scene(root: Path, label: str) -> Scene:
    chip = root / "AOI_6_Atlanta" / "PAN" / "PAN_AOI_6_Atlanta_img1.tif"
    path = root / "label.geojson"
    path.write_text(label)
    return spacenet.load_scene((chip, path))


def test_spacenet_reads_wgs84_parts_slivers_and_empty_files(made):
    from pyproj import Transformer

    content = footprints((10, 20, 40, 60), (99, 10, 99.5, 12))
    to_wgs84 = Transformer.from_crs("EPSG:32616", "EPSG:4326", always_xy=True)
    parts = []
    for feature in content["features"]:
        ring = [list(to_wgs84.transform(x, y)) for x, y, _ in feature["geometry"]["coordinates"][0]]
        parts.append([ring])
    del content["crs"]
    content["features"] = [
        {"type": "Feature", "properties": {}, "geometry": {"type": "MultiPolygon", "coordinates": parts}}
    ]
    (region,) = spacenet_scene(made, json.dumps(content)).boxes
    box = to_hbb(region.geometry)
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx((10, 20, 40, 60), abs=0.01)
    assert spacenet_scene(made, "").boxes == ()
    with pytest.raises(DataError, match=r"label\.geojson cannot be read as GeoJSON"):
        spacenet_scene(made, "{")


def test_spacenet_refuses_a_chip_without_label_and_leaves_roads_out(made):
    labels = made / "AOI_6_Atlanta" / "geojson"
    (labels / "buildings" / "buildings_AOI_6_Atlanta_img2.geojson").unlink()
    (labels / "spacenetroads").mkdir()
    (labels / "spacenetroads" / "spacenetroads_AOI_6_Atlanta_img2.geojson").write_text(json.dumps(footprints()))
    with pytest.raises(DataError, match="label of img2 does not exist"):
        list(spacenet.load(made, split="train"))


@pytest.mark.parametrize("kind", sorted(label_turns.ASKED))
def test_label_questions_are_distinct_sentences(kind):
    texts = label_turns.ASKED[kind]
    assert 8 <= len(set(texts)) == len(texts)
    assert all(text[0].isupper() and "{" not in text for text in texts)
