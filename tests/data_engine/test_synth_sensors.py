"""Other sensors on the same places: band names, the order of NDVI, speckle and corners of radar, one sun in a scene."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile

from data_engine.synth import LAND, Scene, render_scene, write_geotiff
from data_engine.synth.builder import Builder
from data_engine.synth.geotiff import encode_geotiff
from data_engine.synth.paint import paint_surfaces
from data_engine.synth.paint_buildings import lit
from data_engine.synth.parts import add_building, add_ship
from data_engine.synth.radar import Beam, backscatter, sense_radar, speckle_tile
from data_engine.synth.records import Layout, Look
from data_engine.synth.render import SENSORS
from data_engine.synth.shadows import shadow_layer
from vlm.bands import band_table
from vlm.errors import DataError


def ndvi(scene: Scene) -> dict[str, float]:
    assert scene.bands is not None
    names = [name.replace("B4", "red").replace("B8A", "").replace("B8", "nir") for name in scene.band_names]
    red, nir = (scene.bands[..., names.index(name)].astype(float) for name in ("red", "nir"))
    index = (nir - red) / (nir + red)
    return {name: float(index[scene.land == at].mean()) for at, name in enumerate(LAND) if (scene.land == at).any()}


@pytest.mark.parametrize("sensor", ["ms4", "ms13"])
def test_vegetation_is_high_in_ndvi_soil_low_and_water_lowest(sensor: str) -> None:
    river = ndvi(render_scene(3, size_px=192, gsd_m=1.0, kind="river", sensor=sensor))
    houses = ndvi(render_scene(3, size_px=192, kind="medium residential", sensor=sensor))
    bare = ndvi(render_scene(3, size_px=192, kind="bare land", sensor=sensor))
    assert river["water"] < -0.1 < 0.0 < bare["bare"] < 0.35 < 0.5 < houses["grass"]
    assert houses["road"] < 0.15
    assert river["water"] < houses["building"] < houses["grass"]


def test_the_seasons_show_in_ndvi() -> None:
    values = [ndvi(render_scene(seed, size_px=96, kind="meadow", sensor="ms4"))["grass"] for seed in range(12)]
    assert max(values) > 0.55
    assert min(values) < max(values) - 0.1


@pytest.mark.parametrize("sensor", SENSORS)
def test_geotiffs_name_their_bands_and_the_model_reads_them(sensor: str, tmp_path: object) -> None:
    scene = render_scene(2, size_px=64, kind="port", sensor=sensor)
    assert scene.data.shape == (64, 64, len(SENSORS[sensor]))
    with MemoryFile(encode_geotiff(scene)) as memory, memory.open() as file:
        assert file.descriptions == SENSORS[sensor]
        assert np.array_equal(file.read().transpose(1, 2, 0), scene.data)
        assert (str(file.crs), file.res) == (scene.crs, (0.5, 0.5))
        table = band_table(file.descriptions, [], file.dtypes[0])
        assert not table.assumed
        assert all(table.roles)
    with rasterio.open(write_geotiff(scene, f"{tmp_path}/scene.tif")) as file:
        assert file.profile["tiled"]
        assert np.array_equal(file.read().transpose(1, 2, 0), scene.data)


def test_the_same_seed_is_the_same_place_for_all_sensors() -> None:
    scenes = [render_scene(5, size_px=96, kind="parking", sensor=sensor) for sensor in SENSORS]
    assert all(np.array_equal(scene.land, scenes[0].land) for scene in scenes)
    assert all(scene.transform == scenes[0].transform for scene in scenes)
    boxes = [[entry.obb for entry in scene.objects] for scene in scenes]
    assert all(found == boxes[0] for found in boxes)
    again = render_scene(5, size_px=96, kind="parking", sensor="sar")
    assert np.array_equal(again.data, scenes[-1].data)


def test_radar_says_nothing_about_colours() -> None:
    scene = render_scene(5, size_px=96, kind="beach", sensor="sar")
    assert not {"yellow", "green", "white"} & set(" ".join(scene.captions).split())
    assert all(entry.colour == "" for entry in render_scene(5, size_px=96, kind="parking", sensor="sar").objects)


def test_an_unknown_sensor_is_refused() -> None:
    with pytest.raises(DataError, match="sensor 'lidar' is unknown"):
        render_scene(0, size_px=64, sensor="lidar")


def water_with_a_ship(length: float = 60.0) -> Layout:
    builder = Builder(np.random.default_rng(0), size_px=256, gsd_m=1.0, ground="sea")
    assert add_ship(builder, 0, 0, 75, length)
    return builder.finish("port")


@pytest.mark.parametrize("looks", [1, 4, 16])
def test_speckle_multiplies_with_the_variance_of_its_looks(looks: int) -> None:
    tile = speckle_tile(looks, 0)[:1024, :1024].astype(float)
    assert tile.mean() == pytest.approx(1, abs=0.01)
    assert tile.mean() ** 2 / tile.var() == pytest.approx(looks, rel=0.05)
    layout = Builder(np.random.default_rng(0), size_px=256, gsd_m=1.0, ground="sea").finish("port")
    beam = Beam(0.0, looks=looks)
    intensity = (sense_radar(layout, Look(0, 1), beam, seed=3)[..., 0] / 1000.0) ** 2
    still = backscatter(layout, beam, np.random.default_rng([3, 17]))[..., 0]
    ratio = intensity / still
    assert ratio.mean() ** 2 / ratio.var() == pytest.approx(looks, rel=0.2)


def test_ships_shine_on_dark_water_in_radar() -> None:
    layout = water_with_a_ship()
    amplitude = sense_radar(layout, Look(0, 1), Beam(0.0), seed=1)[..., 0].astype(float)
    inside = np.zeros((256, 256), bool)
    inside[108:148, 118:138] = True
    ship, water = (amplitude[inside] ** 2).mean(), (amplitude[~inside] ** 2).mean()
    assert 10 * np.log10(ship / water) > 10
    assert (amplitude**2).max() > 300 * water


def house(angle: float = 20.0) -> Layout:
    builder = Builder(np.random.default_rng(0), size_px=128, gsd_m=0.5, ground="concrete")
    assert add_building(builder, 0, 0, 16, 16, angle=angle, height=10, variant="gable")
    return builder.finish("pond")


@pytest.mark.parametrize("shadow_deg", [-160.0, -120.0, -75.0, -30.0, 10.0])
def test_shadows_fall_away_from_the_sun(shadow_deg: float) -> None:
    look, layout = Look(shadow_deg, 0.9), house()
    rows, cols = np.nonzero(shadow_layer(layout, layout.things, look) > 128)
    direction = np.degrees(np.arctan2(rows.mean() - 63.5, cols.mean() - 63.5))
    assert (direction - shadow_deg + 180) % 360 - 180 == pytest.approx(0, abs=3)
    painted = paint_surfaces(layout, look).mean(axis=2)
    step = np.array([np.cos(np.radians(shadow_deg)), np.sin(np.radians(shadow_deg))]) * 26
    behind, before = (painted[int(64 + sign * step[1]), int(64 + sign * step[0])] for sign in (1, -1))
    assert behind < 0.7 * before
    away, towards = (lit(layout.things[0], look, shadow_deg - layout.things[0].angle_deg + turn) for turn in (0, 180))
    assert towards > 1 > away


def test_a_low_sun_casts_longer_shadows() -> None:
    layout = house()
    areas = [np.count_nonzero(shadow_layer(layout, layout.things, Look(-90, ratio)) > 128) for ratio in (0.3, 0.6, 1.2)]
    assert areas == sorted(areas)
    assert areas[2] > 1.5 * areas[0]
