"""/v1/exports: shapes of every kind come out of the files where they went in, and what is no shape is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
from PIL import Image as PILImage

from tests.serve.live import Live

SHAPES: list[dict[str, Any]] = [
    {"kind": "box", "xyxy": [10, 20, 50, 60]},
    {"kind": "obb", "cxcywh": [80, 60, 40, 10], "angle_deg": 30},
    {"kind": "polygon", "rings": [[[0, 0], [40, 0], [40, 40]], [[20, 5], [35, 5], [35, 20]]]},
    {"kind": "mask", "box": [100, 0, 140, 40], "rows": 2, "cols": 2, "runs": [1, 2, 1]},
]
AREAS_PX = [1600, 400, 800 - 112.5, 800]


@pytest.fixture(scope="module")
def raster(server: Live, scene: Path) -> str:
    return server.send(scene)


def body(raster: str, format: str, shapes: list[dict[str, Any]] = SHAPES, **more: Any) -> dict[str, Any]:
    regions = [{"geometry_px": shape, "phrase": shape["kind"], "number": 1} for shape in shapes]
    return {"format": format, "images": [raster], "regions": regions, "instruction": "Where?", **more}


@pytest.mark.parametrize("format", ["gpkg", "parquet"])
def test_a_table_holds_the_shapes_in_the_crs_of_the_raster(
    server: Live, raster: str, format: str, tmp_path: Path
) -> None:
    response = server.http.post("/v1/exports", json=body(raster, format))
    assert response.status_code == 200, response.text
    assert f'filename="scene-regions.{format}"' in response.headers["content-disposition"]
    path = tmp_path / f"regions.{format}"
    path.write_bytes(response.content)
    table = geopandas.read_file(path) if format == "gpkg" else geopandas.read_parquet(path)
    assert table.crs == "EPSG:32616" and list(table["phrase"]) == ["box", "obb", "polygon", "mask"]
    np.testing.assert_allclose(table.geometry.area, np.array(AREAS_PX) * 0.25, rtol=1e-6)
    np.testing.assert_allclose(table.geometry.iloc[0].bounds, [733_606, 3_725_109, 733_626, 3_725_129])


def test_geojson_is_the_one_that_answers_carry(server: Live, raster: str) -> None:
    found = server.http.post("/v1/exports", json=body(raster, "geojson")).json()
    assert [feature["properties"]["kind"] for feature in found["features"]] == ["box", "obb", "polygon", "mask"]
    assert found["features"][3]["geometry"]["type"] == "MultiPolygon"


def test_an_image_without_georeference_gives_pixels(server: Live, tmp_path: Path) -> None:
    PILImage.new("RGB", (64, 48)).save(tmp_path / "plain.png")
    id = server.send(tmp_path / "plain.png", name="plain.png")
    found = server.http.post("/v1/exports", json=body(id, "geojson", SHAPES[:1])).json()
    assert found["features"][0]["geometry"]["coordinates"][0][0] in ([10, 20], [50, 20], [50, 60], [10, 60])
    coco = server.http.post("/v1/exports", json=body(id, "coco", SHAPES[:1])).json()
    assert coco["annotations"][0]["bbox"] == [10, 20, 40, 40]


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"images": ["0" * 20]}, 404, "there is no raster"),
        ({"images": ["file.tif"]}, 400, "is none"),
        ({"images": []}, 422, "images"),
        ({"format": "shp"}, 422, "format"),
        ({"regions": [{"geometry_px": {"kind": "box", "xyxy": [9, 0, 1, 5]}}]}, 422, "inside out"),
        ({"regions": [{"geometry_px": SHAPES[0], "image": 1}]}, 400, "count from 0"),
        ({"regions": [{"geometry_px": {**SHAPES[3], "runs": [1, 2]}}]}, 422, "expected 2 x 2"),
        ({"regions": [{"geometry_px": {**SHAPES[0], "xyxy": [0, 0, 1e300, 1]}}]}, 422, "less than"),
        ({"regions": [{"geometry_px": {**SHAPES[3], "rows": 2048, "cols": 2048, "runs": [2**22]}}] * 2}, 413, "cells"),
    ],
)
def test_what_is_no_shape_is_refused(
    server: Live, raster: str, changed: dict[str, Any], status: int, said: str
) -> None:
    response = server.http.post("/v1/exports", json={**body(raster, "gpkg"), **changed})
    assert response.status_code == status and said in response.json()["error"]["message"], response.text


def test_shapes_far_outside_and_without_area_are_no_fault(server: Live, raster: str) -> None:
    odd = [
        {"kind": "box", "xyxy": [5, 5, 5, 5]},
        {"kind": "box", "xyxy": [-(2**31), -(2**31), 2**31, 2**31]},
        {"kind": "obb", "cxcywh": [1, 1, 0, 0], "angle_deg": -360},
        {"kind": "polygon", "rings": [[[0, 0], [9, 9], [0, 9], [9, 0]]]},
        {"kind": "polygon", "rings": [[[1, 1], [1, 1], [1, 1]], [[50, 50], [60, 50], [60, 60]]]},
        {"kind": "mask", "box": [0, 0, 0, 0], "rows": 1, "cols": 1, "runs": [0, 1]},
        {"kind": "mask", "box": [9, 9, 0, 20], "rows": 1, "cols": 1, "runs": [1]},
    ]
    for shape in odd:
        for format in ("geojson", "gpkg", "coco"):
            response = server.http.post("/v1/exports", json=body(raster, format, [shape]))
            assert response.status_code in (200, 422), (shape, format, response.text)
            assert response.status_code == 200 or len(json.loads(response.text)["error"]["message"]) > 10
