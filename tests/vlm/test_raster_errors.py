from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import netcdf_file

from tests.vlm.made_rasters import UTM, checker, sentinel2_folder, write_raster
from vlm.errors import RasterError
from vlm.raster import Raster


def _missing(path: Path) -> None:
    path.unlink()


def _zero(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("band,red,green\n1,2,3\n")


def _stub(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_missing, "scene.tif does not exist: expected an image file"),
        (_zero, r"scene.tif is empty \(0 bytes\): expected a GeoTIFF"),
        (_text, "scene.tif cannot be opened as an image: .* expected a GeoTIFF.*check that the file"),
        (_stub, "scene.tif cannot be opened as an image"),
    ],
)
def test_a_file_that_is_no_image_says_so(tmp_path: Path, spoil: Callable[[Path], None], says: str) -> None:
    path = write_raster(tmp_path / "scene.tif", checker(3, 90, 130))
    spoil(path)
    with pytest.raises(RasterError, match=says) as refused:
        Raster.open(path)
    assert "\n" not in str(refused.value)


def test_a_truncated_file_breaks_off_with_a_sentence(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (3, 600, 600), np.uint8)
    path = write_raster(tmp_path / "cut.tif", noise, compress="deflate")
    path.write_bytes(path.read_bytes()[:300_000])
    with Raster.open(path) as raster:
        rendering = raster.renderings()[0]
        with pytest.raises(
            RasterError, match=r"cut.tif broke off while it was read: .*; the file seems truncated"
        ) as refused:
            raster.read(raster.window, (600, 600), rendering)
    assert "\n" not in str(refused.value)


def test_a_folder_that_is_no_scene_says_so(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(RasterError, match="holds no band files: expected single-band"):
        Raster.open(empty)
    write_raster(empty / "rgb.tif", checker(3, 9, 9))
    with pytest.raises(RasterError, match=r"rgb.tif has 3 bands: expected single-band files"):
        Raster.open(empty)
    mixed = sentinel2_folder(tmp_path / "mixed")
    moved = UTM | {"crs": "EPSG:32631"}
    write_raster(mixed / "X_B02.tif", checker(1, 60, 48).astype(np.uint16), **moved)
    with pytest.raises(RasterError, match=r"mixes images: .* do not cover the same ground"):
        Raster.open(mixed)


def test_a_container_of_several_images_names_them(tmp_path: Path) -> None:
    with netcdf_file(tmp_path / "two.nc", "w") as container:
        for name, size in (("wind", 4), ("rain", 5)):
            container.createDimension(f"{name}_y", size)
            container.createDimension(f"{name}_x", size)
            container.createVariable(name, "f4", (f"{name}_y", f"{name}_x"))[:] = np.eye(size)
    with pytest.raises(RasterError, match=r"two.nc has no bands of its own: .*two.nc:rain, .*two.nc:wind"):
        Raster.open(tmp_path / "two.nc")
    with Raster.open(f"netcdf:{tmp_path / 'two.nc'}:rain") as raster:
        assert (raster.width, raster.height) == (5, 5)
