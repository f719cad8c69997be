from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.warp
from PIL import Image

from tests.vlm.made_rasters import UTM, checker, sentinel2_folder, with_gcps, write_raster
from vlm.errors import NadirError, PairError, RasterError
from vlm.pair import open_dates
from vlm.raster import Pixels, Raster

Place = dict[str, object]


def place(crs: str, *, x: float, y: float, pixel: float, turn_deg: float = 0.0) -> Place:
    turn = rasterio.Affine.translation(x, y) * rasterio.Affine.rotation(turn_deg) * rasterio.Affine.scale(pixel, -pixel)
    return {"crs": crs, "transform": turn}


def ground(height: int, width: int, where: Place, *, dtype: str = "float32") -> np.ndarray:
    """Paint the same smooth ground, a function of longitude and latitude near 9 E 48 N, on any grid."""
    rows, cols = np.mgrid[0:height, 0:width] + 0.5
    x, y = where["transform"] * (cols, rows)  # type: ignore[operator]
    lon, lat = rasterio.warp.transform(where["crs"], "EPSG:4326", x.ravel(), y.ravel())
    east, north = (np.array(lon) - 9.0) * 74_600, (np.array(lat) - 48.0) * 111_200
    value = 1000 + 200 * np.sin(east / 60) + 200 * np.cos(north / 45)
    return value.reshape(1, height, width).astype(dtype)


def read_whole(raster: Raster) -> tuple[np.ndarray, np.ndarray]:
    values, valid = raster._values((1,), (0, 0, raster.width, raster.height), (raster.width, raster.height))
    return values[0], valid


def shown(raster: Raster) -> Pixels:
    return raster.read(raster.window, (raster.width, raster.height), raster.renderings()[0])


FIRST = place("EPSG:32632", x=499_900, y=5_316_700, pixel=2.0)
SECONDS = {
    "the same grid": (FIRST, 100, 110),
    "shifted by half a pixel": (place("EPSG:32632", x=499_901, y=5_316_701, pixel=2.0), 100, 110),
    "finer and larger": (place("EPSG:32632", x=499_700, y=5_316_900, pixel=0.8), 700, 800),
    "turned": (place("EPSG:32632", x=499_850, y=5_316_750, pixel=1.5, turn_deg=-20), 260, 280),
    "in degrees": (place("EPSG:4326", x=8.996, y=48.004, pixel=2e-5), 400, 500),
    "in web mercator": (place("EPSG:3857", x=1_001_500, y=6_107_500, pixel=3.0), 500, 500),
}


@pytest.mark.parametrize("name", SECONDS)
def test_the_second_date_lies_on_the_grid_of_the_first(tmp_path: Path, name: str) -> None:
    where, height, width = SECONDS[name]
    write_raster(tmp_path / "a.tif", ground(100, 110, FIRST), **FIRST)
    write_raster(tmp_path / "b.tif", ground(height, width, where), **where)
    first, second = open_dates(tmp_path / "a.tif", tmp_path / "b.tif")
    with first, second, Raster.open(tmp_path / "b.tif") as alone:
        assert second.grid == first.grid
        assert second.file_grid == alone.grid
        assert (second.width, second.height) == (110, 100)
        expected, _ = read_whole(first)
        values, valid = read_whole(second)
    assert valid.mean() > 0.9
    assert np.abs(values - expected)[valid].max() < 8, "half a pixel off would be 10 and more"


def test_what_the_second_date_does_not_cover_is_invalid(tmp_path: Path) -> None:
    aside = place("EPSG:32632", x=500_010, y=5_316_700, pixel=2.0)
    write_raster(tmp_path / "a.tif", ground(100, 110, FIRST), **FIRST)
    write_raster(tmp_path / "b.tif", ground(100, 110, aside), **aside)
    first, second = open_dates(tmp_path / "a.tif", tmp_path / "b.tif")
    with first, second:
        pixels = shown(second)
    assert not pixels.valid[:, :54].any()
    assert pixels.valid[:, 56:].all()
    assert not pixels.rgb[:, :54].any()


def test_a_palette_is_not_interpolated_when_it_is_warped(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).choice(np.array([1, 9], np.uint8), (1, 100, 110))
    where, height, width = SECONDS["finer and larger"]
    write_raster(tmp_path / "a.tif", ground(height, width, where), **where)
    path = write_raster(tmp_path / "b.tif", codes, photometric="palette", **FIRST)
    colours = {code: (28 * code, 255 - 28 * code, 0, 255) for code in range(10)}
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, colours)
    first, second = open_dates(tmp_path / "a.tif", path)
    with first, second:
        pixels = shown(second)
    seen = {tuple(colour) for colour in pixels.rgb[pixels.valid].tolist()}
    assert seen == {colours[1][:3], colours[9][:3]}


def test_a_third_date_lies_on_the_grid_of_the_first_too(tmp_path: Path) -> None:
    paths = []
    for number, name in enumerate(("the same grid", "finer and larger", "turned")):
        where, height, width = SECONDS[name]
        paths.append(write_raster(tmp_path / f"{number}.tif", ground(height, width, where), **where))
    dates = open_dates(*paths)
    assert [raster.grid for raster in dates] == [dates[0].grid] * 3
    assert len({raster.file_grid for raster in dates}) == 3
    expected, _ = read_whole(dates[0])
    for raster in dates[1:]:
        values, valid = read_whole(raster)
        assert np.abs(values - expected)[valid].max() < 8
        raster.close()
    assert open_dates() == ()


def test_control_points_are_aligned_both_ways(tmp_path: Path) -> None:
    with_gcps(tmp_path / "gcps.tif", bend=0.3)
    with Raster.open(tmp_path / "gcps.tif") as raster:
        lon, lat = raster.grid.to_wgs84(np.array([0, 60, 60, 0.0]), np.array([0, 0, 40, 40.0]))
        stored, _ = read_whole(raster)
        west, north, step = lon.min() - 0.0005, lat.max() + 0.0005, 2e-5
        cols, rows = int((lon.max() - west) / step) + 30, int((north - lat.min()) / step) + 30
        xs, ys = np.meshgrid(west + (np.arange(cols) + 0.5) * step, north - (np.arange(rows) + 0.5) * step)
        px, py = raster.grid.from_wgs84(xs, ys)
    painted = (50 + px + 2 * py).astype(np.float32)[None]
    write_raster(tmp_path / "map.tif", painted, **place("EPSG:4326", x=west, y=north, pixel=step))
    first, second = open_dates(tmp_path / "gcps.tif", tmp_path / "map.tif")
    with first, second:
        values, valid = read_whole(second)
    at_y, at_x = np.mgrid[0:40, 0:60] + 0.5
    assert valid.all()
    assert np.abs(values - (50 + at_x + 2 * at_y)).max() < 0.3

    first, second = open_dates(tmp_path / "map.tif", tmp_path / "gcps.tif")
    with first, second:
        values, valid = read_whole(second)
        assert shown(second).valid.sum() == valid.sum()
    inside = (px > 1) & (px < 59) & (py > 1) & (py < 39)
    assert np.array_equal(valid[inside], np.ones(inside.sum(), bool))
    assert not valid[(px < -1) | (px > 61) | (py < -1) | (py > 41)].any()
    nearest = stored.astype(float)[py[inside].astype(int), px[inside].astype(int)]
    assert np.abs(values[inside] - nearest).mean() < 4


def test_the_stretch_of_the_second_date_is_that_of_its_own_file(tmp_path: Path) -> None:
    write_raster(tmp_path / "a.tif", ground(100, 110, FIRST), **FIRST)
    where, height, width = SECONDS["finer and larger"]
    write_raster(tmp_path / "b.tif", ground(height, width, where, dtype="uint16"), **where)
    first, second = open_dates(tmp_path / "a.tif", tmp_path / "b.tif")
    with first, second, Raster.open(tmp_path / "b.tif") as alone:
        assert second.renderings() == alone.renderings()


def test_folders_of_bands_are_pairs_too(tmp_path: Path) -> None:
    first, second = open_dates(sentinel2_folder(tmp_path / "a"), sentinel2_folder(tmp_path / "b", shape=(60, 48)))
    with first, second:
        assert np.array_equal(shown(first).rgb, shown(second).rgb)


def test_pictures_of_one_size_pass_as_they_are(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(checker(3, 30, 40).transpose(1, 2, 0)).save(tmp_path / name)
    write_raster(tmp_path / "c.tif", checker(3, 30, 40), **UTM)
    first, second = open_dates(tmp_path / "a.png", tmp_path / "b.png")
    with first, second:
        assert np.array_equal(shown(first).rgb, shown(second).rgb)
    first, second = open_dates(tmp_path / "c.tif", tmp_path / "b.png")
    with first, second:
        assert second.grid == first.grid
        assert second.gsd_m == 0.5


@pytest.mark.parametrize(
    ("second", "kind", "says"),
    [
        (
            "small.png",
            PairError,
            r"a.tif is 110 x 100 pixels and .*small.png is 40 x 30, and .*small.png has no georeference",
        ),
        ("far.tif", PairError, r"a.tif and .*far.tif do not overlap: a.tif is centred at longitude 9.0"),
        ("none.tif", RasterError, r"none.tif does not exist"),
    ],
)
def test_a_pair_that_is_none_says_so(tmp_path: Path, second: str, kind: type[NadirError], says: str) -> None:
    write_raster(tmp_path / "a.tif", ground(100, 110, FIRST), **FIRST)
    Image.fromarray(checker(3, 30, 40).transpose(1, 2, 0)).save(tmp_path / "small.png")
    write_raster(tmp_path / "far.tif", checker(1, 30, 40), **UTM)
    with pytest.raises(kind, match=says):
        open_dates(tmp_path / "a.tif", tmp_path / second)
