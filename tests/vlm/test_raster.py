from __future__ import annotations

import http.server
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.vlm.made_rasters import UTM, checker, sentinel2_folder, write_raster
from vlm.errors import RasterError
from vlm.geometry.shapes import Window
from vlm.raster import Raster, check_valid
from vlm.valid import check_seen, find_valid


def read_all(raster: Raster, spec: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    pixels = raster.read(raster.window, (raster.width, raster.height), raster.renderings(spec)[0])
    return pixels.rgb, pixels.valid


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Raster]:
    path = write_raster(tmp_path / "scene.tif", checker(3, 90, 130), **UTM)
    with Raster.open(path) as raster:
        yield raster


def test_a_raster_says_what_it_is(scene: Raster) -> None:
    assert (scene.width, scene.height, scene.count, scene.dtype, scene.driver) == (130, 90, 3, "uint8", "GTiff")
    assert (scene.crs, scene.gsd_m, scene.nodata, scene.overviews) == ("EPSG:32616", 0.5, None, [])
    assert scene.descriptions == (None, None, None)
    assert scene.advice is None


def test_eight_bit_colour_is_shown_as_stored(scene: Raster) -> None:
    rgb, valid = read_all(scene)
    assert np.array_equal(rgb, checker(3, 90, 130).transpose(1, 2, 0))
    assert valid.all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_plain_pictures_open_without_a_warning(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    stored = checker(3, 40, 56).transpose(1, 2, 0)
    Image.fromarray(stored).save(path, quality=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Raster.open(path) as raster:
            rgb, valid = read_all(raster)
            assert (raster.crs, raster.gsd_m, raster.grid.georeferenced) == (None, None, False)
    assert np.abs(rgb.astype(int) - stored).mean() < 4
    assert valid.all()


def test_jpeg_2000_and_vrt_open(tmp_path: Path, scene: Raster) -> None:
    write_raster(tmp_path / "scene.jp2", checker(3, 90, 130), driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES")
    rasterio.shutil.copy(scene.path, tmp_path / "scene.vrt", driver="VRT")
    for name in ("scene.jp2", "scene.vrt"):
        with Raster.open(tmp_path / name) as raster:
            assert np.array_equal(read_all(raster)[0], checker(3, 90, 130).transpose(1, 2, 0))


def test_a_palette_becomes_its_colours(tmp_path: Path) -> None:
    picture = Image.fromarray(np.repeat([[0, 1, 2]], 3, axis=0).astype(np.uint8), mode="P")
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    picture.save(tmp_path / "palette.png")
    with Raster.open(tmp_path / "palette.png") as raster:
        assert read_all(raster)[0][0].tolist() == [[10, 20, 30], [40, 50, 60], [70, 80, 90]]


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64", "uint32", "int32"])
def test_other_types_are_stretched_band_by_band(tmp_path: Path, dtype: str) -> None:
    bands = checker(3, 60, 60).astype(np.float64) * 37 + 100
    path = write_raster(tmp_path / "deep.tif", bands.astype(dtype))
    with Raster.open(path) as raster:
        rendering = raster.renderings()[0]
        rgb, valid = read_all(raster)
    low, high = np.percentile(bands, (2, 98), axis=(1, 2))
    assert np.allclose(rendering.limits, np.stack([low, high], axis=1), atol=1)
    expected = np.clip((bands - low[:, None, None]) / (high - low)[:, None, None], 0, 1) * 255
    assert np.abs(rgb.transpose(2, 0, 1) - expected).max() <= 1
    assert valid.all()


def test_complex_values_become_decibels_of_the_amplitude(tmp_path: Path) -> None:
    power_db = np.linspace(-20, 20, 64 * 64).reshape(1, 64, 64)
    phase = np.random.default_rng(1).uniform(0, 2 * np.pi, power_db.shape)
    values = (10 ** (power_db / 20) * np.exp(1j * phase)).astype(np.complex64)
    with Raster.open(write_raster(tmp_path / "slc.tif", values)) as raster:
        (rendering,) = raster.renderings()
        assert rendering.sentence == "Radar in decibels: amplitude (band 1)."
        assert np.allclose(rendering.limits, [(-19.2, 19.2)], atol=0.1)
        rgb, valid = read_all(raster)
        small = raster.read(raster.window, (16, 16), rendering).rgb[..., 0]
    assert valid.all()
    assert np.abs(rgb[..., 0] - np.clip((power_db[0] + 19.2) / 38.4, 0, 1) * 255).max() < 2
    assert (np.diff(small[:, 8].astype(int)) > 0).all(), "averaging amplitudes must survive random phases"


@pytest.mark.parametrize(("linear", "low"), [(True, -17.0), (False, -17.0)])
def test_radar_in_decibels_is_not_taken_to_decibels_again(tmp_path: Path, linear: bool, low: float) -> None:
    level = np.stack([np.linspace(-17, -3, 2500), np.linspace(-24, -9, 2500)]).reshape(2, 50, 50)
    values = (10 ** (level / 20) if linear else level).astype(np.float32)
    with Raster.open(write_raster(tmp_path / "s1.tif", values, names=("VV", "VH"))) as raster:
        (rendering,) = raster.renderings()
        assert rendering.decibel is linear
        assert rendering.limits[0][0] == pytest.approx(low, abs=0.4)
        assert len(rendering.limits) == 3
        assert read_all(raster)[1].all()


def test_negative_values_contradict_an_assumed_band_order(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(-12, 3, (4, 40, 40)).astype(np.float32)
    with Raster.open(write_raster(tmp_path / "quad.tif", values)) as raster:
        (rendering,) = raster.renderings()
    assert rendering.sentence == "Bands 1, 2, 3 as red, green and blue; the file does not say what they show."


def test_a_label_raster_of_small_numbers_is_made_visible(tmp_path: Path) -> None:
    bits = np.zeros((1, 20, 20), np.uint8)
    bits[:, 5:9, 5:9] = 1
    with Raster.open(write_raster(tmp_path / "mask.tif", bits)) as raster:
        rgb, _ = read_all(raster)
    assert set(np.unique(rgb)) == {0, 255}


def test_nodata_alpha_masks_and_nan_are_invalid_and_black(tmp_path: Path) -> None:
    hole = np.s_[10:20, 30:40]
    deep = checker(3, 50, 60).astype(np.float32) + 1
    deep[:, *hole] = np.nan
    flat = checker(3, 50, 60).astype(np.int16)
    flat[:, *hole] = -9999
    alpha = np.concatenate([checker(3, 50, 60), np.full((1, 50, 60), 255, np.uint8)])
    alpha[3][hole] = 0
    files = [
        write_raster(tmp_path / "nan.tif", deep),
        write_raster(tmp_path / "nodata.tif", flat, nodata=-9999),
        write_raster(tmp_path / "alpha.tif", alpha, photometric="RGB", alpha="YES"),
    ]
    masked = write_raster(tmp_path / "mask.tif", checker(3, 50, 60), **UTM)
    with rasterio.open(masked, "r+") as dataset:
        dataset.write_mask(alpha[3])
    for path in [*files, masked]:
        with Raster.open(path) as raster:
            rgb, valid = read_all(raster)
        assert not valid[hole].any(), path.name
        assert valid.sum() == 50 * 60 - 100, path.name
        assert not rgb[hole].any(), path.name


def test_a_pixel_is_valid_when_any_band_holds_data_and_stored_white_stays_white(tmp_path: Path) -> None:
    bands = checker(3, 8, 8)
    bands[:, 0, 0] = 255
    bands[0, 1, 1] = 255
    with Raster.open(write_raster(tmp_path / "white.tif", bands, nodata=255)) as raster:
        rgb, valid = read_all(raster)
    assert not valid[0, 0]
    assert valid[1, 1]
    assert rgb[0, 0].tolist() == [255, 255, 255]


def test_a_window_that_sticks_out_is_padded_with_invalid_black(scene: Raster) -> None:
    rendering = scene.renderings()[0]
    pixels = scene.read(Window(-20, -10, 170, 120), (170, 120), rendering)
    stored = checker(3, 90, 130).transpose(1, 2, 0)
    assert np.array_equal(pixels.rgb[10:100, 20:150], stored)
    assert pixels.valid.sum() == 90 * 130
    assert not pixels.rgb[~pixels.valid].any()


@pytest.mark.parametrize("window", [Window(130, 0, 5, 5), Window(-9, -9, 9, 9), Window(0, 5000, 64, 64)])
def test_a_window_outside_holds_nothing_and_the_checker_says_so(scene: Raster, window: Window) -> None:
    pixels = scene.read(window, (32, 32), scene.renderings()[0])
    assert not pixels.valid.any()
    with pytest.raises(RasterError, match=rf"window {window.x},{window.y},.* of .*scene.tif holds no valid pixel"):
        check_valid(pixels, window, scene.path)
    inside = scene.read(scene.window, (8, 8), scene.renderings()[0])
    assert check_valid(inside, scene.window, scene.path) is inside


def island(path: Path, *, dtype: str, nodata: float, side: int = 3000) -> Path:
    """Write nodata with 4 x 3 pixels of data at (1001, 2503), which no overview of 512 px shows."""
    values = np.full((1, side, side), nodata, dtype)
    values[0, 2503:2506, 1001:1005] = np.arange(12).reshape(3, 4) * 10 + 200
    return write_raster(path, values, nodata=nodata, compress="deflate")


@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 0), ("uint16", 0), ("float32", float("nan"))])
def test_a_tiny_island_of_data_is_found_and_stretched_by_itself(tmp_path: Path, dtype: str, nodata: float) -> None:
    with Raster.open(island(tmp_path / "island.tif", dtype=dtype, nodata=nodata)) as raster:
        assert not raster.read(raster.window, (64, 64), raster.renderings()[0]).valid.any()
        assert find_valid(raster, raster.window, (1,)) == Window(1001, 2503, 4, 3)
        assert find_valid(raster, Window(0, 0, 1000, 3000), (1,)) is None
        shown = raster.read(Window(1001, 2503, 4, 3), (4, 3), raster.renderings()[0])
        assert shown.valid.all()
        assert len(np.unique(shown.rgb)) >= (12 if dtype != "uint8" else 10)


def test_tiles_that_show_data_pass_and_others_name_its_place(tmp_path: Path) -> None:
    with Raster.open(island(tmp_path / "island.tif", dtype="uint16", nodata=0)) as raster:
        how = raster.renderings()[0]
        check_seen(raster, raster.window, [raster.window, Window(960, 2480, 64, 64)], how, tile_px=64)
        with pytest.raises(
            RasterError, match=r"island.tif \(1\) show no valid pixel: its data lie within 1001,2503,4,3"
        ):
            check_seen(raster, raster.window, [raster.window], how, tile_px=64)
        with pytest.raises(RasterError, match="holds no valid pixel"):
            check_seen(raster, Window(0, 0, 900, 900), [Window(0, 0, 900, 900)], how, tile_px=64)
        with pytest.raises(RasterError, match="holds no valid pixel"):
            check_seen(raster, Window(960, 2480, 20, 20), [Window(960, 2480, 64, 64)], how, tile_px=64)


def test_bands_that_share_no_valid_pixel_are_named(tmp_path: Path) -> None:
    values = np.ones((3, 40, 40), np.float32)
    values[2] = np.nan
    with Raster.open(write_raster(tmp_path / "gone.tif", values)) as raster:
        how = raster.renderings()[0]
        with pytest.raises(RasterError, match=r"no pixel where all the bands .* only 1, 2 do; name other bands"):
            check_seen(raster, raster.window, [raster.window], how, tile_px=64)
        check_seen(raster, raster.window, [raster.window], raster.renderings("1,2,1")[0], tile_px=64)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(-200, 200), st.integers(-200, 200), st.integers(1, 400), st.integers(1, 400),
    st.integers(1, 64), st.integers(1, 64),
)  # fmt: skip
def test_any_window_at_any_size_holds_the_right_ground(
    tmp_path_factory: pytest.TempPathFactory, x: int, y: int, w: int, h: int, cols: int, rows: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "ramp.tif"
    if not path.exists():
        ys, xs = np.mgrid[0:200, 0:160].astype(np.float32)
        write_raster(path, np.stack([xs + 0.5, ys + 0.5, xs * 0 + 7]))
    with Raster.open(path) as raster:
        values, _ = raster._values((1, 2), (0, 0, 160, 200), (160, 200))
        assert values[0, 3, 9] == 9.5
        rendering = raster.renderings("1,2,3")[0]
        pixels = raster.read(Window(x, y, w, h), (cols, rows), rendering)
    at_x, at_y = x + (np.arange(cols) + 0.5) * w / cols, y + (np.arange(rows) + 0.5) * h / rows
    half_w, half_h = w / cols / 2 - 1e-9, h / rows / 2 - 1e-9
    inside_x, inside_y = (at_x - half_w >= 0) & (at_x + half_w <= 160), (at_y - half_h >= 0) & (at_y + half_h <= 200)
    assert np.array_equal(pixels.valid, inside_y[:, None] & inside_x[None, :])
    for channel, at in ((0, at_x[None, :]), (1, at_y[:, None])):
        low, high = rendering.limits[channel]
        expected = np.clip((at - low) / (high - low), 0, 1) * 255
        off = np.abs(pixels.rgb[..., channel] - expected)[pixels.valid]
        assert (off <= 255 / (high - low) + 1).all(), "expected the ground under each cell, to one pixel"


def test_small_bright_objects_survive_strong_decimation(tmp_path: Path) -> None:
    sea = np.zeros((3, 1024, 1024), np.uint8)
    sea[:, 500:508, 700:708] = 255
    with Raster.open(write_raster(tmp_path / "ship.tif", sea)) as raster:
        pixels = raster.read(raster.window, (64, 64), raster.renderings()[0])
    assert pixels.rgb[31, 43:45].max() > 30


def test_overviews_are_used_and_agree_with_the_full_read(tmp_path: Path) -> None:
    ys, xs = np.mgrid[0:1024, 0:1024]
    smooth = np.stack([xs / 5, ys / 5, (xs + ys) / 10]).astype(np.uint8)
    path = write_raster(tmp_path / "plain.tif", smooth, tiled=True, blockxsize=256, blockysize=256, **UTM)
    with Raster.open(path) as raster:
        full = raster.read(raster.window, (100, 100), raster.renderings()[0])
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4, 8], rasterio.enums.Resampling.average)
    with Raster.open(path) as raster:
        assert raster.overviews == [2, 4, 8]
        pyramid = raster.read(raster.window, (100, 100), raster.renderings()[0])
    assert np.abs(full.rgb.astype(int) - pyramid.rgb).max() <= 2


def test_a_giant_without_overviews_is_measured_on_blocks(tmp_path: Path) -> None:
    path = tmp_path / "giant.tif"
    profile = {"driver": "GTiff", "width": 20_000, "height": 16_000, "count": 1, "dtype": "uint16"}
    with rasterio.open(path, "w", tiled=True, SPARSE_OK=True, nodata=0, **UTM, **profile) as dataset:
        block = np.arange(1, 256 * 256 + 1, dtype=np.uint16).reshape(256, 256)
        dataset.write(block, 1, window=rasterio.windows.Window(0, 0, 256, 256))
    with Raster.open(path) as raster:
        assert raster.advice is not None
        assert "has no overviews" in raster.advice
        assert raster.renderings()[0].limits[0][1] > 1


def test_the_stretch_is_deterministic(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "deep.tif", checker(4, 300, 700).astype(np.uint16) * 11)
    with Raster.open(path) as one, Raster.open(path) as two:
        assert one.renderings() == two.renderings()


def test_a_folder_of_band_files_is_one_raster(tmp_path: Path) -> None:
    folder = sentinel2_folder(tmp_path / "a <scene> & more")
    with Raster.open(folder) as raster:
        assert (raster.width, raster.height, raster.count, raster.gsd_m) == (48, 60, 13, 10.0)
        assert raster.descriptions[:3] == ("B01", "B02", "B03")
        assert raster.descriptions[7:10] == ("B08", "B8A", "B09")
        assert [rendering.bands for rendering in raster.renderings()] == [(4, 3, 2), (8, 4, 3), (8, 4)]
        values, valid = raster._values((2, 5, 1), (0, 0, 48, 60), (48, 60))
        whole, _ = raster._values((1,), (0, 0, 48, 60), (8, 10))
    assert valid.all()
    assert np.array_equal(values[0, 0], 200 + np.arange(48))
    assert np.allclose(values[1, 0, 2:-2], 500 + (np.arange(48) / 2 - 0.25)[2:-2], atol=0.51)
    assert np.allclose(values[2, 0, 6:-6], 100 + (np.arange(48) / 6 - 5 / 12)[6:-6], atol=0.51)
    assert np.array_equal(whole[0, 0], 100 + np.arange(8))


def test_a_raster_is_read_over_http(scene: Raster) -> None:
    serve = partial(_Quiet, directory=str(Path(scene.path).parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_port}"
            with Raster.open(f"{address}/scene.tif") as raster:
                assert np.array_equal(read_all(raster)[0], read_all(scene)[0])
            with pytest.raises(RasterError, match="cannot be opened as an image"):
                Raster.open(f"/vsicurl/{address}/none.tif")
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
