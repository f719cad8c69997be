"""GeoPackage and GeoParquet keep the native CRS and every attribute."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest

from vlm.errors import OutputError
from vlm.geometry import HBB, OBB, Mask
from vlm.grid import Grid
from vlm.records import Answer, Region
from vlm.vector import write_answers

UTM = Grid(2000, 1500, "EPSG:32631", (0.5, 0, 450_000, 0, -0.5, 5_400_000))
SHAPES = (
    Region(HBB(0, 0, 20, 10), "shed"),
    Region(OBB(50, 50, 20, 10, 30), "ship"),
    Region(Mask(np.eye(3, dtype=bool), HBB(0, 0, 30, 30)), "diagonal"),
)
ANSWER = Answer("{box:0}", SHAPES, text="three", grids=(UTM,), instruction="What?")


def read(path: Path) -> geopandas.GeoDataFrame:
    return geopandas.read_parquet(path) if path.suffix == ".parquet" else geopandas.read_file(path)


@pytest.mark.parametrize("format", ["gpkg", "parquet"])
def test_table_has_native_crs_and_exact_corners(tmp_path: Path, format: str) -> None:
    path = write_answers((ANSWER,), tmp_path / f"regions.{format}", format=format)
    table = read(path)
    assert table.crs.to_epsg() == 32631
    assert table.geometry[0].bounds == (450_000, 5_399_995, 450_010, 5_400_000)
    assert list(table.phrase) == ["shed", "ship", "diagonal"]
    assert list(table.kind) == ["box", "obb", "mask"]
    assert table.area_m2[0] == pytest.approx(50, rel=1e-3)
    assert table.box_px[0] == "[0, 0, 20, 10]"
    assert table.geometry[2].area == pytest.approx(300 * 0.25)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("format", ["gpkg", "parquet"])
def test_pixels_have_no_crs(tmp_path: Path, format: str) -> None:
    plain = Answer("", SHAPES, grids=(Grid(100, 100),))
    table = read(write_answers((plain,), tmp_path / f"regions.{format}", format=format))
    assert table.crs is None or not table.crs.to_authority()
    assert table.geometry[0].bounds == (0, 0, 20, 10)


@pytest.mark.parametrize("format", ["gpkg", "parquet"])
def test_no_regions_still_make_a_table(tmp_path: Path, format: str) -> None:
    assert len(read(write_answers((Answer("nothing"),), tmp_path / f"none.{format}", format=format))) == 0


@pytest.mark.parametrize("format", ["gpkg", "parquet"])
def test_a_table_without_regions_has_the_crs_of_the_image(tmp_path: Path, format: str) -> None:
    table = read(write_answers((Answer("nothing", grids=(UTM,)),), tmp_path / f"none.{format}", format=format))
    assert len(table) == 0 and table.crs.to_epsg() == 32631


@pytest.mark.parametrize("format", ["gpkg", "parquet"])
def test_two_crs_are_refused_with_a_sentence(tmp_path: Path, format: str) -> None:
    other = Answer("", SHAPES, grids=(Grid(10, 10, "EPSG:3857", (1, 0, 0, 0, -1, 0)),))
    with pytest.raises(OutputError, match="2 coordinate systems"):
        write_answers((ANSWER, other), tmp_path / f"regions.{format}", format=format)


@pytest.mark.parametrize("format", ["gpkg", "parquet", "geojson", "coco", "dota", "yolo"])
def test_folder_in_the_way_is_a_sentence(tmp_path: Path, format: str) -> None:
    (tmp_path / "regions.txt").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_answers((ANSWER,), tmp_path / "regions.txt", format=format)


def test_geopackage_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "regions.gpkg"
    write_answers((ANSWER, ANSWER), path, format="gpkg")
    write_answers((ANSWER,), path, format="gpkg")
    assert [str(layer[0]) for layer in pyogrio.list_layers(path)] == ["regions"]
    assert len(read(path)) == 3


def test_unknown_format_lists_the_known() -> None:
    with pytest.raises(OutputError, match="known are geojson, gpkg"):
        write_answers((ANSWER,), Path("x.shp"), format="shp")
