"""What may come in, what may not, and that nothing fills the disk or reaches another file."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image as PILImage

from serve.errors import BusyError, FormatError, MissingError, ServeError, TooLargeError
from serve.settings import Limits
from serve.store.inspect import inspect_file
from serve.store.rasters import RasterStore, StoredRaster, clean_name
from tests.vlm.made_rasters import UTM, checker, with_gcps, write_raster
from vlm.errors import RasterError

SMALL = Limits(upload_bytes=200_000, quota_bytes=300_000, free_bytes=0)


def keep(store: RasterStore, path: Path, owner: str = "me", name: str = "scene.tif") -> StoredRaster:
    with store.receiving(owner, name) as incoming:
        data = path.read_bytes()
        for start in range(0, len(data), 1000):
            incoming.write(data[start : start + 1000])
        return incoming.keep()


def test_a_raster_is_kept_described_and_its_owners_alone(tmp_path: Path, scene: Path) -> None:
    store = RasterStore(tmp_path / "data", SMALL)
    raster = keep(store, scene)
    assert (raster.width, raster.height, raster.crs, raster.driver) == (160, 120, "EPSG:32616", "GTiff")
    assert raster.bounds is not None and raster.bounds[0] < raster.bounds[2] < -84
    assert store.path_of(raster).read_bytes() == scene.read_bytes()
    assert store.list("me") == [raster] == RasterStore(tmp_path / "data", SMALL).list("me"), "a restart keeps it"
    for id, owner in ((raster.id, "you"), ("0" * 20, "me"), ("../../etc", "me")):
        with pytest.raises(MissingError, match="there is no raster"):
            store.get(id, owner)
    store.delete(raster.id, "me")
    assert store.list("me") == [] and not list((tmp_path / "data" / "rasters").iterdir())


def test_formats_are_told_from_their_bytes(tmp_path: Path) -> None:
    store = RasterStore(tmp_path / "data", Limits())
    rgb = checker(3, 40, 50).transpose(1, 2, 0)
    for suffix in ("png", "jpg", "webp", "bmp"):
        PILImage.fromarray(rgb).save(tmp_path / f"a.{suffix}")
        raster = keep(store, tmp_path / f"a.{suffix}", name="whatever.xyz")
        assert raster.name == f"whatever.xyz.{suffix}" and (raster.width, raster.height) == (50, 40)
    placed = keep(store, with_gcps(tmp_path / "points.tif"))
    assert placed.bounds is not None and placed.bounds[1] > 47


@pytest.mark.parametrize(
    ("crs", "transform", "bounds"),
    [
        ("EPSG:4326", (9.0, 0, -180, 0, -9.0, 90), (-180, -90, 180, 90)),
        ("EPSG:4326", (9.0, 0, 0, 0, -9.0, 90), (-180, -90, 180, 90)),
        ("EPSG:4326", (0.5, 0, 170, 0, -0.5, 10), (170, 0, -170, 10)),
        ("EPSG:4326", (0.5, 0, 190, 0, -0.5, 10), (-170, 0, -150, 10)),
        ("EPSG:3857", (250_000, 0, 0, 0, -250_000, 5_000_000), (0, 0, 89.83, 40.92)),
        ("EPSG:3995", (100_000, 0, -2e6, 0, -100_000, 1e6), (-180, 69.63, 180, 90)),
        ("EPSG:3031", (100_000, 0, -2e6, 0, -100_000, 1e6), (-180, -90, 180, -69.63)),
    ],
)
def test_bounds_cross_the_antimeridian_and_go_round_the_world_and_the_poles(
    tmp_path: Path, crs: str, transform: tuple[float, ...], bounds: tuple[float, ...]
) -> None:
    path = write_raster(tmp_path / "a.tif", checker(1, 20, 40), crs=crs, transform=rasterio.Affine(*transform))
    raster = keep(RasterStore(tmp_path / "data", Limits(free_bytes=0)), path)
    assert raster.bounds == pytest.approx(bounds, abs=0.3)


def test_rasters_expire(tmp_path: Path, scene: Path) -> None:
    clock = [1000.0]
    store = RasterStore(tmp_path, Limits(keep_s=60, free_bytes=0), now=lambda: clock[0])
    raster = keep(store, scene)
    clock[0] = 1061.0
    with pytest.raises(MissingError):
        store.get(raster.id, "me")
    assert store.list("me") == [] and store.sweep() == 1 and not store.path_of(raster).exists()


def test_bounds_of_upload_quota_and_disk(tmp_path: Path, scene: Path) -> None:
    store = RasterStore(tmp_path / "data", SMALL)
    big = write_raster(tmp_path / "big.tif", checker(3, 300, 300), **UTM)
    with pytest.raises(TooLargeError, match="more than 200,000 bytes"):
        keep(store, big)
    for _ in range(5):
        keep(store, scene)
    with pytest.raises(TooLargeError, match="delete some first"):
        keep(store, scene)
    keep(store, scene, owner="you")
    full = RasterStore(tmp_path / "full", Limits(free_bytes=2**60))
    with pytest.raises(BusyError, match="disk is full"):
        keep(full, scene)
    for folder in (store.folder, full.folder):
        assert not list((folder / "incoming").iterdir()), "what was refused is gone"
    assert store.coming.total() == 0


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("../../etc/passwd", "passwd.tif"),
        ("C:\\images\\scene one.TIFF", "scene_one.tif"),
        ("a.vrt", "a.vrt.tif"),
        ("raster.json", "raster.json.tif"),
        ("\0\n..", "raster.tif"),
        ("", "raster.tif"),
        ("x" * 500, "x" * 60 + ".tif"),
    ],
)
def test_names_become_safe(name: str, cleaned: str) -> None:
    assert clean_name(name, ".tif") == cleaned


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


VRT = b"<VRTDataset rasterXSize='9' rasterYSize='9'><VRTRasterBand dataType='Byte' band='1'><SimpleSource>" + (
    b"<SourceFilename>/etc/passwd</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
)
LETTERS = {
    "vrt": VRT,
    "vrt after spaces": b" \n" + VRT,
    "wms": b"<GDAL_WMS><Service name='TMS'><ServerUrl>http://127.0.0.1/x</ServerUrl></Service></GDAL_WMS>",
    "tile index in a JPEG": b"\xff\xd8\xff\xfeAA<GDALTileIndexDataset><IndexDataset>x.gpkg</IndexDataset>",
    "vrt in a BMP": b"BM<VRT\0\0\0\0" + VRT,
    "zip": b"PK\x03\x04" + b"\0" * 60,
    "text": b"P3 1 1 255 0 0 0",
    "sqlite": b"SQLite format 3\0" + b"\0" * 100,
    "netCDF": b"CDF\x01" + b"\0" * 100,
    "a path": b"/vsicurl/http://127.0.0.1/x.tif",
    "nothing": b"",
}


@pytest.mark.parametrize("name", LETTERS)
def test_files_that_name_other_files_are_no_images(tmp_path: Path, name: str) -> None:
    with pytest.raises(FormatError, match="no image format that is served"):
        inspect_file(write(tmp_path / "file", LETTERS[name]), "scene.tif", Limits())


@pytest.mark.parametrize("target", ["{folder}/secret.tif", "/vsicurl/http://127.0.0.1:9/secret.tif"])
def test_a_tiff_whose_overviews_are_another_file_is_refused(tmp_path: Path, target: str) -> None:
    write_raster(tmp_path / "secret.tif", np.full((3, 60, 80), 77, np.uint8), **UTM)
    path = write_raster(tmp_path / "scene.tif", checker(3, 120, 160), **UTM)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=target.format(folder=tmp_path))
    with pytest.raises(FormatError, match="refers to another file"):
        inspect_file(path, "scene.tif", Limits())


def tiff(width: int, height: int, *, strip_rows: int = 1, tile: int = 0, bands: int = 1) -> bytes:
    """Write the header of a TIFF that claims sizes and holds no pixel."""
    tags = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 277: bands}
    tags |= {322: tile, 323: tile, 324: 200, 325: 8} if tile else {273: 200, 278: strip_rows, 279: 8}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + b"\0" * 200


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (tiff(2_000_000, 2_000_000, strip_rows=1), TooLargeError),
        (tiff(60_000, 60_000, strip_rows=1), TooLargeError),
        (tiff(30_000, 30_000, tile=30_000), TooLargeError),
        (tiff(64, 64, strip_rows=64, bands=60_000), TooLargeError),
        (tiff(2**31 - 1, 2**31 - 1, strip_rows=2**31 - 1), (TooLargeError, RasterError)),
        (tiff(0, 0, strip_rows=1), RasterError),
    ],
)
def test_absurd_sizes_are_refused_from_the_header(tmp_path: Path, data: bytes, kind: type[ServeError]) -> None:
    with pytest.raises(kind) as refused:
        inspect_file(write(tmp_path / "file", data), "scene.tif", Limits())
    assert str(refused.value).startswith("scene.tif ") and str(tmp_path) not in str(refused.value).split("(")[0]


def test_a_picture_that_decodes_to_too_much_is_refused(tmp_path: Path) -> None:
    PILImage.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 100_000
    with pytest.raises(TooLargeError, match="decoded as a whole"):
        inspect_file(tmp_path / "bomb.png", "bomb.png", Limits())


def test_a_folder_that_a_crash_left_is_cleared(tmp_path: Path, scene: Path) -> None:
    store = RasterStore(tmp_path, Limits(free_bytes=0))
    raster = keep(store, scene)
    (tmp_path / "incoming" / "half").mkdir()
    (tmp_path / "rasters" / "broken").mkdir()
    again = RasterStore(tmp_path, Limits(free_bytes=0))
    assert [found.id for found in again.list("me")] == [raster.id]
    assert json.loads((tmp_path / "rasters" / raster.id / "raster.json").read_text())["owner"] == "me"
    assert not (tmp_path / "rasters" / "broken").exists() and not list((tmp_path / "incoming").iterdir())
