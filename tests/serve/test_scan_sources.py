"""What is scanned: folders, VRTs, STAC files, rasters in several coordinate systems or in none, broken files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely

from serve.scan import scan
from serve.scan.dry import estimate_scan
from serve.scan.options import ScanOptions
from serve.scan.run import run_scan
from serve.scan.sources import find_sources
from serve.scan.stac import find_assets
from tests.serve.made_areas import BrightAsker, square, turned, write_area
from tests.vlm.made_rasters import sentinel2_folder, with_gcps
from vlm.errors import DataError, RasterError

SMALL: dict[str, Any] = {"window_px": 64, "overlap": 0.25}
NORTH = {"crs": "EPSG:32632", "transform": rasterio.Affine(0.5, 0, 970_000, 0, -0.5, 5_010_000)}


def item(name: str, assets: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "geometry": None,
        "properties": {},
        "assets": assets,
    }


def write_stac(path: Path, items: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"type": "FeatureCollection", "features": items, "links": [], "numberMatched": len(items)})
    )
    return path


def test_a_folder_is_scanned_with_all_its_folders_and_what_is_broken_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep" / "er").mkdir(parents=True)
    write_area(folder / "b.tif", (90, 70), [square(30, 30, 12)])
    write_area(folder / "deep" / "er" / "a.tif", (64, 130), [square(30, 64, 12), square(30, 100, 12)], **NORTH)
    (folder / "deep" / "broken.tif").write_bytes(b"II*\0 no")
    (folder / "notes.txt").write_text("no raster")
    (folder / ".hidden.tif").write_bytes(b"")
    told: list[str] = []
    out = tmp_path / "a.parquet"
    done = run_scan(
        folder, "Where?", out=out, asker=BrightAsker(), options=ScanOptions(**SMALL), say=told.append
    )  # fmt: skip
    assert done.features == 3 and done.ledger["planned"] == 4 + 3
    (reason,) = done.ledger["left_out"]
    assert "broken.tif cannot be opened" in reason and len(told) == 2
    assert "1 of 2 rasters lie in other coordinate systems (EPSG:32632)" in told[0] and "--crs" in told[0]
    table = gpd.read_parquet(out)
    assert table.crs.to_epsg() == 32633 and sorted(Path(name).name for name in table.source) == [
        "a.tif",
        "a.tif",
        "b.tif",
    ]
    far = table[table.source.str.endswith("a.tif")].to_crs(32632)
    expected = shapely.box(970_000 + 12, 5_010_000 - 35, 970_000 + 18, 5_010_000 - 29)
    assert min(shape.symmetric_difference(expected).area for shape in far.geometry) < 1.0


def test_the_crs_of_the_output_can_be_chosen(tmp_path: Path) -> None:
    area = write_area(tmp_path / "a.tif", (90, 70), [square(30, 30, 12)])
    done = scan(area, "Where?", out=tmp_path / "a.gpkg", asker=BrightAsker(), crs="EPSG:3857", **SMALL)
    table = gpd.read_file(done.path)
    assert table.crs.to_epsg() == 3857 and np.isclose(table.to_crs(32633).area[0], 36, rtol=1e-3)


def test_pictures_and_rasters_with_control_points_are_scanned_too(tmp_path: Path) -> None:
    flat = {"crs": None, "transform": None}
    plain = write_area(tmp_path / "plain.tif", (90, 70), [square(30, 30, 12)], **flat)
    for suffix in ("parquet", "gpkg", "geojson"):
        done = scan(plain, "Where?", out=tmp_path / f"plain.{suffix}", asker=BrightAsker(), **SMALL)
        table = gpd.read_parquet(done.path) if suffix == "parquet" else gpd.read_file(done.path)
        assert table.geometry[0].bounds == (24, 24, 36, 36) and table.area_m2.isna().all()
    assert '"coordinate_frame": "pixels' in done.path.read_text()
    points = with_gcps(tmp_path / "points.tif", bend=3.0)
    words = BrightAsker(words="a field")
    scan(points, "What?", out=tmp_path / "points.parquet", asker=words, task="caption", window_px=32, overlap=0)
    table = gpd.read_parquet(tmp_path / "points.parquet")
    assert table.crs.to_epsg() == 4326 and len(table) == 4 and table.geometry.is_valid.all()


def test_rasters_with_and_without_a_place_share_an_output(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_area(folder / "a.tif", (90, 70), [square(30, 30, 12)])
    write_area(folder / "b.tif", (90, 70), [square(30, 30, 12)], crs=None, transform=None)
    for suffix in ("parquet", "geojson", "gpkg"):
        done = scan(folder, "Where?", out=tmp_path / f"a.{suffix}", asker=BrightAsker(), **SMALL)
        table = gpd.read_parquet(done.path) if suffix == "parquet" else gpd.read_file(done.path)
        assert len(table) == 2 and sorted(table.geometry.isna()) == [False, True]
        assert set(table.box_px) == {"24.00,24.00,36.00,36.00"}


def _band(number: int, parts: tuple[tuple[Path, int], ...]) -> str:
    sources = "".join(
        f'<SimpleSource><SourceFilename relativeToVRT="1">{path.name}</SourceFilename><SourceBand>{number}</SourceBand>'
        '<SrcRect xOff="0" yOff="0" xSize="100" ySize="80"/>'
        f'<DstRect xOff="{x}" yOff="0" xSize="100" ySize="80"/></SimpleSource>'
        for path, x in parts
    )
    return f'<VRTRasterBand dataType="Byte" band="{number}">{sources}</VRTRasterBand>'


def test_a_vrt_joins_what_lies_side_by_side(tmp_path: Path) -> None:
    left = write_area(tmp_path / "left.tif", (100, 80), [square(96, 40, 8)])
    transform = turned()["transform"] @ rasterio.Affine.translation(100, 0)
    right = write_area(tmp_path / "right.tif", (100, 80), [square(4, 40, 8)], transform=transform)
    with rasterio.open(left) as dataset:
        wkt = dataset.crs.to_wkt().replace('"', "&quot;")
    bands = "".join(_band(number, ((left, 0), (right, 100))) for number in (1, 2, 3))
    vrt = tmp_path / "both.vrt"
    place = "<GeoTransform>500000,0.5,0,5000000,0,-0.5</GeoTransform>"
    vrt.write_text(f'<VRTDataset rasterXSize="200" rasterYSize="80"><SRS>{wkt}</SRS>{place}{bands}</VRTDataset>')
    done = scan(vrt, "Where?", out=tmp_path / "a.parquet", asker=BrightAsker(), window_px=50, overlap=10)
    table = gpd.read_parquet(done.path)
    assert table.box_px.tolist() == ["92.00,36.00,108.00,44.00"]


def test_a_stac_search_names_one_image_an_item(tmp_path: Path) -> None:
    (tmp_path / "data" / "one").mkdir(parents=True)
    write_area(tmp_path / "data" / "one" / "scene 1.tif", (90, 70), [square(30, 30, 12)])
    write_area(tmp_path / "data" / "two.tif", (90, 70), [square(30, 30, 12)] * 2)
    found = write_stac(
        tmp_path / "search" / "result.json",
        [
            item("one", {
                "thumbnail": {"href": "t.png", "type": "image/png", "roles": ["thumbnail"]},
                "visual": {"href": "../data/one/scene%201.tif", "type": "image/tiff; application=geotiff"},
                "B04": {"href": "b04.tif", "roles": ["data"]}, "B03": {"href": "b03.tif", "roles": ["data"]},
                "metadata": {"href": "m.xml", "type": "application/xml"},
            }),
            item("two", {"image": {"href": str(tmp_path / "data" / "two.tif"), "roles": ["data"]}}),
        ],
    )  # fmt: skip
    done = scan(found, "Where?", out=tmp_path / "a.parquet", asker=BrightAsker(), **SMALL)
    table = gpd.read_parquet(done.path)
    assert sorted(Path(name).name for name in table.source) == ["scene 1.tif", "two.tif"]
    one = write_stac(
        tmp_path / "one.json", [item("x", {"B04": {"href": "https://host/b4.tif"}, "B03": {"href": "a.tif"}})]
    )
    assert list(find_assets(one, asset="B04")) == ["https://host/b4.tif"]


@pytest.mark.parametrize(
    ("text", "asset", "sentence"),
    [
        ("{", None, "cannot be read as JSON"),
        ("[]", None, "no STAC file of items"),
        ('{"type": "Catalog"}', None, "a Catalog is searched first"),
        ('{"type": "FeatureCollection", "features": []}', None, "holds no items"),
        ('{"type": "FeatureCollection", "features": [3]}', None, "no STAC file of items"),
        (json.dumps(item("a", {})), None, "name one with --asset"),
        (json.dumps({"type": "Feature", "id": "a"}), None, "has no assets"),
        (json.dumps(item("a", {"b": {"href": "b.tif"}, "c": {"href": "c.tif"}})), None, r"2 images .*\(b, c\)"),
        (json.dumps(item("a", {"b": {"href": "b.tif"}})), "c", "has no asset 'c': it has b"),
        (json.dumps(item("a", {"b": {"href": 3}, "c": "x"})), None, "0 images"),
    ],
)
def test_stac_files_that_cannot_be_used_are_refused(
    tmp_path: Path, text: str, asset: str | None, sentence: str
) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=sentence):
        list(find_assets(tmp_path / "a.json", asset=asset))


def test_the_bands_of_a_scene_are_one_raster_and_nothing_is_refused(tmp_path: Path) -> None:
    scene = sentinel2_folder(tmp_path / "T31UDQ")
    assert list(find_sources(str(tmp_path))) == [str(scene)]
    (tmp_path / "empty").mkdir()
    with pytest.raises(RasterError, match="holds no rasters"):
        list(find_sources(str(tmp_path / "empty")))
    with pytest.raises(RasterError, match="does not exist"):
        list(find_sources(str(tmp_path / "nowhere.tif")))


def test_a_dry_run_tries_a_few_windows_and_leaves_nothing(tmp_path: Path) -> None:
    area = write_area(tmp_path / "a.tif", (400, 300), [square(30, 30, 12)])
    asker = BrightAsker(at_once=2)
    estimate = estimate_scan(str(area), "Where?", ScanOptions(**SMALL), asker)
    text = estimate.render(price=3.6)
    assert len(asker.asked) == 3 == len(set(asker.asked)) and estimate.plan.windows == 8 * 6
    assert "1 rasters, 48 windows, 0.03 km2, out in EPSG:32633" in text and "per km2" in text
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_real_imagery_is_scanned_in_place(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "georef" / "naip"
    if not source.is_dir():
        pytest.skip("needs ../shared/data/georef/naip")
    words = BrightAsker(words="fields")
    done = scan(
        source, "Describe it.", out=tmp_path / "a.parquet", asker=words, task="caption", gsd_m=8.0, window_px=256
    )
    table = gpd.read_parquet(done.path)
    assert len(table) == done.ledger["answered"] > 1 and done.ledger["planned"] == len(table) + done.ledger["empty"]
    assert np.isclose(table.dissolve("source").area.sum() / 1e6, done.ledger["km2"], rtol=0.02)
