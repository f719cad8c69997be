"""Every real raster of the sample imagery: what is known of each, and what must hold for all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vlm.pair import open_dates
from vlm.raster import Raster, check_valid, window_from_bbox

FOLDERS = ("georef", "spacenet_solaris", "oscd", "neontree", "sar_ottawa")
SUFFIXES = (".tif", ".png", ".bmp")
OSCD = "oscd/Onera Satellite Change Detection dataset - Images"

# path: width, height, bands, dtype, crs, metres per pixel, first rendering, least valid share
KNOWN: dict[str, tuple[int, int, int, str, str | None, float | None, str, float]] = {
    "georef/naip/m_4709963_se_14_1_20100629.tif": (934, 723, 4, "uint8", "EPSG:26914", 5.0, "true", 0.99),
    "georef/landsat/1985.tif": (697, 377, 4, "uint8", "EPSG:4326", 89.2, "1,2,3", 0.99),
    "georef/rio_tiler/cog_gcps.tif": (1280, 837, 1, "uint16", "EPSG:4326", 201.8, "gray", 1.0),
    "georef/rio_tiler/cog_world.tif": (36_000, 18_000, 1, "uint8", "EPSG:4326", 1109.5, "gray", 0.3),
    "georef/rio_tiler/pix4d_alpha_nodata.tif": (686, 758, 4, "uint8", "EPSG:32750", 0.35272, "true", 0.85),
    "georef/rio_tiler/mosaic_cog3.tif": (400, 200, 3, "uint16", "EPSG:4326", 844.2, "true", 0.6),
    "georef/rasterio/RGB.byte.tif": (791, 718, 3, "uint8", "EPSG:32618", 300.04, "true", 0.6),
    "georef/rasterio/RGBA.uint16.tif": (634, 411, 4, "uint16", "EPSG:32612", 1.3797, "true", 0.45),
    "georef/rasterio/cogeo.tif": (1024, 1024, 3, "uint8", "EPSG:3857", 0.4723, "true", 1.0),
    "georef/blue_marble/world.topo.bathy.200412.3x5400x2700.cog.tif": (
        5400, 2700, 3, "uint8", "EPSG:4326", 7396.4, "true", 1.0,
    ),
    "spacenet_solaris/sample_geotiff.tif": (900, 900, 1, "uint16", "EPSG:32616", 0.5, "gray", 0.99),
    "spacenet_solaris/sample_fp_mask.tif": (900, 900, 1, "uint8", None, None, "gray", 1.0),
    "spacenet_solaris/preproc_tutorial/ms1.tif": (300, 300, 4, "float64", "EPSG:32631", 1.0, "true", 1.0),
    "spacenet_solaris/preproc_tutorial/sar_vv.tif": (200, 200, 1, "complex64", "EPSG:32631", 2.5, "sar", 0.99),
    "spacenet_solaris/preproc_tutorial/sar_masked.tif": (200, 200, 4, "float32", "EPSG:32631", 4.5, "1,2,3", 0.6),
    "neontree/HARV_022.tif": (400, 400, 3, "uint8", "EPSG:32618", 0.1, "true", 0.95),
    "neontree/2019_YELL_2_541000_4977000_image_crop.png": (1249, 1035, 3, "uint8", None, None, "true", 1.0),
    "sar_ottawa/ottawa_1.bmp": (290, 350, 3, "uint8", None, None, "true", 1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_known_facts_of_real_rasters(shared_data: Path, name: str) -> None:
    width, height, count, dtype, crs, gsd_m, first, valid = KNOWN[name]
    with Raster.open(shared_data / name) as raster:
        assert (raster.width, raster.height, raster.count, raster.dtype) == (width, height, count, dtype)
        assert raster.crs == crs
        assert raster.gsd_m == (None if gsd_m is None else pytest.approx(gsd_m, rel=1e-3))
        rendering = raster.renderings()[0]
        assert rendering.name == first
        pixels = raster.read(raster.window, (200, 200), rendering)
        assert pixels.valid.mean() >= valid


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_real_raster_opens_renders_and_returns_from_the_map(shared_data: Path, folder: str) -> None:
    paths = sorted(path for path in (shared_data / folder).rglob("*") if path.suffix in SUFFIXES)
    assert paths
    for path in paths:
        with Raster.open(path) as raster:
            for rendering in raster.renderings():
                pixels = raster.read(raster.window, (96, 64), rendering)
                check_valid(pixels, raster.window, path)
                assert pixels.rgb.shape == (64, 96, 3)
                assert rendering.sentence.endswith(".")
            if raster.grid.georeferenced:
                x, y = np.array([0.5, raster.width - 0.5]), np.array([0.5, raster.height - 0.5])
                back_x, back_y = raster.grid.from_wgs84(*raster.grid.to_wgs84(x, y))
                assert max(np.abs(back_x - x).max(), np.abs(back_y - y).max()) < 0.1, path


def test_a_sentinel_1_scene_with_control_points_only(shared_data: Path) -> None:
    with Raster.open(shared_data / "georef/rio_tiler/cog_gcps.tif") as raster:
        assert raster.grid.transform is None
        assert len(raster.grid.gcps) == 210
        assert raster.grid.gcp_rms_px is not None
        assert raster.grid.gcp_rms_px < 1.0
        lon, lat = raster.grid.to_wgs84(640.0, 418.0)
        assert (75 < lon < 79, 9 < lat < 12) == (True, True)
        window = window_from_bbox(raster, (76.9, 10.0, 77.0, 10.1))
        assert 30 < window.w < 90
        assert 30 < window.h < 90


@pytest.mark.parametrize("city", ["bercy", "bordeaux", "rennes"])
def test_a_sentinel_2_folder_is_shown_like_its_registered_picture(shared_data: Path, city: str) -> None:
    first, second = open_dates(shared_data / OSCD / city / "imgs_1", shared_data / OSCD / city / "imgs_2")
    picture = Raster.open(shared_data / OSCD / city / "pair" / "img1.png")
    with first, second, picture:
        assert (first.count, first.bands.sensor) == (13, "sentinel2")
        assert (first.width, first.height) == (picture.width, picture.height)
        assert first.gsd_m == pytest.approx(10, rel=0.06)
        assert [rendering.name for rendering in first.renderings()] == ["true", "false", "ndvi"]
        size = first.width // 2, first.height // 2
        ours = first.read(first.window, size, first.renderings("true")[0]).rgb[..., 1].ravel()
        theirs = picture.read(picture.window, size, picture.renderings()[0]).rgb[..., 1].ravel()
        later = second.read(first.window, size, second.renderings("true")[0])
    assert np.corrcoef(ours, theirs)[0, 1] > 0.9
    assert later.valid.mean() > 0.98


# first, second, share of the first that the second covers, least correlation where both are seen (None: other content)
PAIRS = [
    ("georef/naip/m_4709963_se_14_1_20100629.tif", "georef/naip/m_4709963_se_14_1_20200831.tif", 0.99, 0.0),
    ("georef/landsat/1985.tif", "georef/landsat/2020.tif", 0.99, 0.2),
    ("sar_ottawa/ottawa_1.bmp", "sar_ottawa/ottawa_2.bmp", 1.0, 0.4),
    ("georef/blue_marble/world.topo.bathy.200412.3x5400x2700.cog.tif", "georef/rio_tiler/cog_world.tif", 0.3, None),
    ("georef/rio_tiler/cog_gcps.tif", "georef/blue_marble/world.topo.bathy.200412.3x5400x2700.cog.tif", 1.0, None),
    ("spacenet_solaris/preproc_tutorial/rgb_unmasked.tif", "spacenet_solaris/preproc_tutorial/sar_hh.tif", 0.25, None),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "covered", "alike"), PAIRS, ids=[Path(pair[1]).stem for pair in PAIRS])
def test_real_pairs_are_aligned(
    shared_data: Path, before: str, after: str, covered: float, alike: float | None
) -> None:
    first, second = open_dates(shared_data / before, shared_data / after)
    with first, second:
        one = first.read(first.window, (150, 150), first.renderings()[0])
        two = second.read(first.window, (150, 150), second.renderings()[0])
    assert two.valid.mean() >= covered
    both = one.valid & two.valid
    if alike is not None:
        assert np.corrcoef(one.rgb[both].ravel(), two.rgb[both].ravel())[0, 1] > alike
