"""The image of a sample says its bands and its sensor: they count where the file says nothing, or something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_engine.sources.eurosat import BANDS as EUROSAT
from data_engine.store.pixels import load_rgb
from tests.vlm.made_rasters import checker, write_raster
from vlm.errors import RasterError
from vlm.geometry.shapes import Window
from vlm.overlay import load_pictures
from vlm.raster import Raster
from vlm.records import Image
from vlm.sensors import SENSORS

USUAL = SENSORS["sentinel2"].codes
WHOLE = Window(0, 0, 48, 32)


@pytest.fixture
def bands() -> np.ndarray:
    """Make 13 bands that all look different, in the usual order of Sentinel-2."""
    rng = np.random.default_rng(5)
    return np.stack([checker(1, 32, 48, seed=k)[0].astype("uint16") * (20 + k) + rng.integers(900) for k in range(13)])


def write_as(path: Path, bands: np.ndarray, order: tuple[str, ...]) -> Path:
    """Write the bands in another order, without a word about it in the file."""
    return write_raster(path, bands[[USUAL.index(code) for code in order]])


def shown(image: Path | Image, spec: str | None) -> np.ndarray:
    """Render a whole image."""
    with Raster.open(image) as raster:
        return raster.read(WHOLE, (48, 32), raster.renderings(spec)[0]).rgb


@pytest.mark.parametrize("order", [EUROSAT, USUAL[::-1]])
@pytest.mark.parametrize("embedded", [False, True])
def test_bands_in_any_order_give_the_same_pictures(
    tmp_path: Path, bands: np.ndarray, order: tuple[str, ...], embedded: bool
) -> None:
    usual = write_raster(tmp_path / "usual.tif", bands, names=USUAL)
    path = write_as(tmp_path / "other.tif", bands, order)
    source = {"data": path.read_bytes()} if embedded else {"path": str(path)}
    image = Image(**source, sensor="Sentinel-2", bands=order)
    for spec in (None, "true", "swir", "ndvi", "B8A,B12,B1"):
        assert np.array_equal(shown(image, spec), shown(usual, spec)), spec
    assert not np.array_equal(shown(path, "swir"), shown(usual, "swir"))


def test_the_picture_of_a_sample_heeds_its_bands_wherever_it_is_read(tmp_path: Path, bands: np.ndarray) -> None:
    usual = shown(write_raster(tmp_path / "usual.tif", bands, names=USUAL), None)
    path = write_as(tmp_path / "other.tif", bands, USUAL[::-1])
    for image in (Image(path=str(path), bands=USUAL[::-1]), Image(data=path.read_bytes(), bands=USUAL[::-1])):
        assert np.array_equal(load_rgb(image), usual)
        assert np.array_equal(load_pictures([image], size_px=48)[0].rgb, usual)
    assert not np.array_equal(load_rgb(Image(path=str(path))), usual)


def test_what_the_sample_says_stands_in_the_sentence(tmp_path: Path, bands: np.ndarray) -> None:
    path = write_as(tmp_path / "other.tif", bands, EUROSAT)
    with Raster.open(path) as raster:
        assert "is assumed" in raster.renderings("swir")[0].sentence
    with Raster.open(Image(path=str(path), bands=EUROSAT)) as raster:
        (rendering,) = raster.renderings("swir")
        assert rendering.bands == (12, 8, 4)
        assert "is assumed" not in rendering.sentence


@pytest.mark.parametrize(
    ("sensor", "infrared"), [("Landsat 8", 5), ("Landsat-9 OLI", 5), ("LANDSAT 5", 4), ("Sentinel-2A", 8), (None, 8)]
)
def test_the_sensor_tells_whose_codes_they_are(tmp_path: Path, sensor: str | None, infrared: int) -> None:
    path = write_raster(tmp_path / "eight.tif", checker(8, 32, 48, dtype="uint16"))
    image = Image(path=str(path), sensor=sensor, bands=tuple(f"B{k}" for k in range(1, 9)))
    with Raster.open(image) as raster:
        assert raster.bands.band("nir") == infrared


def test_names_for_another_number_of_bands_are_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "three.tif", checker(3, 32, 48))
    with pytest.raises(RasterError, match="has 3 bands and its sample names 4"):
        Raster.open(Image(path=str(path), bands=("red", "green", "blue", "nir")))
    with pytest.raises(RasterError, match="has 3 bands and its sample names 2"):
        Raster.open(Image(path=str(path), bands=("vv", "vh")))


def test_an_alpha_band_needs_no_name(tmp_path: Path) -> None:
    pixels = np.concatenate([checker(3, 32, 48), np.full((1, 32, 48), 255, "uint8")])
    path = write_raster(tmp_path / "alpha.tif", pixels, photometric="rgb", alpha="yes")
    with Raster.open(Image(path=str(path), bands=("nir", "red", "green"))) as raster:
        assert raster.renderings("false")[0].bands == (1, 2, 3)


def test_bytes_that_are_no_image_are_refused() -> None:
    with pytest.raises(RasterError):
        Raster.open(Image(data=b"no image"))
