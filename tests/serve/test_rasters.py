"""Rasters over HTTP: sent in a stream, listed, asked about, shown as tiles, deleted; each key sees its own."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image as PILImage

from serve.settings import Limits
from serve.tiling import render_tile, rendering_of
from tests.serve.live import Live, live
from tests.vlm.made_rasters import UTM, checker, write_raster
from vlm.answer import Nadir
from vlm.geometry.shapes import Window
from vlm.raster import Raster

MERCATOR_M = 20037508.342789244


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """Four named bands over 600 x 500 m, with nodata in a corner."""
    bands = checker(4, 500, 600, dtype="uint16")
    bands[:, :50, :50] = 0
    names = ("blue", "green", "red", "nir")
    grid = {**UTM, "transform": rasterio.Affine(1, 0, 733_601, 0, -1, 3_725_139)}
    return write_raster(tmp_path / "wide.tif", bands, names=names, nodata=0, tiled=True, **grid)


def test_a_raster_comes_in_pieces_is_described_listed_and_deleted(server: Live, wide: Path) -> None:
    def pieces() -> Iterator[bytes]:
        data = wide.read_bytes()
        yield from (data[start : start + 10_000] for start in range(0, len(data), 10_000))

    sent = server.http.post("/v1/rasters", params={"name": "../wide.tif"}, content=pieces())
    assert sent.status_code == 201, sent.text
    raster = sent.json()
    assert (raster["name"], raster["width"], raster["height"]) == ("wide.tif", 600, 500)
    assert raster["bands"] == ["blue", "green", "red", "nir"] and raster["gsd_m"] == 1.0
    assert "owner" not in raster
    assert server.http.get(f"/v1/rasters/{raster['id']}").json() == raster
    assert raster in server.http.get("/v1/rasters").json()["data"]
    assert server.http.delete(f"/v1/rasters/{raster['id']}").status_code == 204
    for method in ("GET", "DELETE"):
        assert server.http.request(method, f"/v1/rasters/{raster['id']}").status_code == 404


def test_the_short_forms_ask_as_nadir_does(server: Live, nadir: Nadir, scene: Path, later: Path) -> None:
    first, second = server.send(scene, "first.tif"), server.send(later, "second.tif")
    options: Any = {"max_new_tokens": 6}
    window = {"window": [10, 10, 100, 90], "budget": 3}
    for path, body, expected in (
        ("ask", {"instruction": "How many?", "images": [first], **window},
         nadir.ask(scene, "How many?", window=Window(10, 10, 100, 90), budget=3, **options)),
        ("ground", {"phrase": "the car", "image": first},
         nadir.ask(scene, "Where is the car?", task="ground", **options)),
        ("segment", {"phrase": "cars", "image": first}, nadir.ask(scene, "Segment cars.", task="segment", **options)),
        ("change", {"images": [first, second]}, nadir.ask(scene, later, "What has changed?", task="change", **options)),
    ):  # fmt: skip
        given = server.http.post(f"/v1/{path}", json={**body, "max_tokens": 6})
        assert given.status_code == 200, given.text
        assert (given.json()["text"], given.json()["task"]) == (expected.text, expected.task)
        assert given.json()["geojson"]["type"] == "FeatureCollection"
    wrong = server.http.post("/v1/ground", json={"phrase": "a", "image": first, "task": "change"})
    assert wrong.status_code == 400


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"window": [900, 900, 10, 10]}, 422, "leaves the image"),
        ({"bbox": [0, 0, 1, 1]}, 422, "outside scene.tif"),
        ({"bands": "nope"}, 422, "does not exist in scene.tif"),
        ({"regions": ["box:900,900,950,950"]}, 422, "lies outside"),
        ({"regions": ["box:1,2,3,4@EPSG:999999"]}, 400, "unknown CRS"),
        ({"regions": [{"type": "Polygon", "coordinates": []}]}, 400, "GeoJSON"),
        ({"regions": [{"type": "Point", "crs": {"properties": {"name": "/etc/passwd"}}}]}, 400, "no code"),
        ({"dialect": "klingon"}, 422, "known are nadir"),
        ({"budget": 10_000}, 413, "at most 64"),
        ({"instruction": "x" * 9000}, 413, "at most 8,000"),
        ({"images": ["0" * 20] * 9}, 413, "at most 8"),
    ],
)
def test_refusals_name_the_file_and_no_folder(
    server: Live, scene: Path, body: dict[str, object], status: int, sentence: str
) -> None:
    given = {"instruction": "How many?", "images": [server.send(scene)], "max_tokens": 4, **body}
    response = server.http.post("/v1/ask", json=given)
    assert response.status_code == status, response.text
    message = response.json()["error"]["message"]
    assert sentence in message and str(server.settings.data) not in message


def test_broken_rasters_are_refused(server: Live, scene: Path) -> None:
    data = scene.read_bytes()
    for body, status in ((b"", 415), (data[:100], 422), (b"<VRTDataset>" + data, 415), (b"\0" * 1000, 415)):
        response = server.http.post("/v1/rasters", params={"name": "a.tif"}, content=body)
        assert response.status_code == status, response.text
    sent = server.http.post("/v1/rasters", params={"name": "half.tif"}, content=data[: len(data) // 2])
    if sent.status_code == 201:
        asked = {"instruction": "How many?", "images": [sent.json()["id"]]}
        response = server.http.post("/v1/ask", json=asked)
        assert response.status_code == 422 and "half.tif" in response.json()["error"]["message"]


def test_what_a_user_easily_gets_wrong_is_told(server: Live, scene: Path) -> None:
    form = server.http.post("/v1/rasters?name=a.tif", files={"file": scene.read_bytes()})
    assert form.status_code == 415 and "send the file itself" in form.text
    plain = server.http.post("/v1/ask", content=b'{"instruction": "a"}', headers={"Content-Type": "text/plain"})
    assert plain.status_code == 422 and "Content-Type: application/json" in plain.text
    for method, path, status in (("GET", "/v1/nothing", 404), ("PUT", "/v1/rasters", 405)):
        response = server.http.request(method, path)
        assert response.status_code == status and f"{method} {path}" in response.text and "/docs" in response.text


def test_an_upload_that_breaks_off_leaves_nothing(server: Live, scene: Path) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    before = len(server.http.get("/v1/rasters").json()["data"])
    with socket.create_connection((host, int(port))) as raw:
        head = f"POST /v1/rasters?name=a.tif HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n\r\n"
        raw.sendall(head.encode() + scene.read_bytes()[:20_000])
    ended = time.monotonic() + 10
    while list((server.settings.data / "incoming").iterdir()):
        assert time.monotonic() < ended, "what came is still there"
        time.sleep(0.02)
    assert len(server.http.get("/v1/rasters").json()["data"]) == before
    assert 'route="/v1/rasters",status="500"' not in server.http.get("/metrics").text


def tile_of(lon: float, lat: float, zoom: int) -> tuple[int, int]:
    """Give the tile that holds a place, by the formula of the slippy map."""
    north = np.arcsinh(np.tan(np.radians(lat)))
    return int((lon + 180) / 360 * 2**zoom), int((1 - north / np.pi) / 2 * 2**zoom)


def test_tiles_show_what_the_model_sees_where_it_is(server: Live, wide: Path) -> None:
    id = server.send(wide)
    about = server.http.get(f"/tiles/{id}").json()
    assert about["frame"] == "EPSG:3857" and about["minzoom"] <= about["maxzoom"]
    west, south, east, north = about["bounds"]
    zoom = about["maxzoom"]
    lon, lat = (west + east) / 2, (south + north) / 2
    x, y = tile_of(lon, lat, zoom)
    response = server.http.get(f"/tiles/{id}/{zoom}/{x}/{y}.png", params={"bands": "false"})
    assert response.status_code == 200 and response.headers["content-type"] == "image/png", response.text
    shown = np.asarray(PILImage.open(io.BytesIO(response.content)))
    with Raster.open(wide) as raster:
        how = raster.renderings("false", limit=1)[0]
        side = 2 * MERCATOR_M / 2**zoom
        errors = []
        for row in range(8, 256, 40):
            for col in range(8, 256, 40):
                if shown[row, col, 3]:
                    place_x, place_y = x * side - MERCATOR_M + (col + 0.5) / 256 * side, 0.0
                    place_y = MERCATOR_M - y * side - (row + 0.5) / 256 * side
                    lonlat = np.degrees([place_x / 6378137, np.arctan(np.sinh(place_y / 6378137))])
                    px, py = (int(value) for value in raster.grid.from_wgs84(*lonlat))
                    here = raster.read(Window(px - 2, py - 2, 5, 5), (1, 1), how).rgb[0, 0]
                    errors.append(np.abs(here.astype(int) - shown[row, col, :3]).max())
    assert len(errors) > 10 and np.median(errors) < 20, errors


def test_tiles_outside_and_bands_that_are_not_there(server: Live, wide: Path) -> None:
    id = server.send(wide)
    for path, status in ((f"{id}/3/0/0", 404), (f"{id}/3/9/0", 404), (f"{id}/99/0/0", 422), (f"{'0' * 20}/1/0/0", 404)):
        assert server.http.get(f"/tiles/{path}.png").status_code == status, path
    x, y = tile_of(-84.4, 33.6, 10)
    response = server.http.get(f"/tiles/{id}/10/{x}/{y}.png", params={"bands": "swir"})
    assert response.status_code in (404, 422)


def test_nodata_is_transparent_and_indices_have_colours(wide: Path) -> None:
    with Raster.open(wide) as raster:
        lon, lat = raster.grid.to_wgs84(300, 250)
    x, y = tile_of(lon, lat, 14)
    whole = np.asarray(PILImage.open(io.BytesIO(render_tile(wide, "wide.tif", 14, x, y, bands="ndvi"))))
    assert whole.shape == (256, 256, 4) and set(np.unique(whole[..., 3])) == {0, 255}
    assert rendering_of(wide, "ndvi").kind == "difference"


def test_a_picture_without_georeference_has_tiles_of_its_own_pixels(server: Live, tmp_path: Path) -> None:
    rgb = checker(3, 300, 700).transpose(1, 2, 0)
    PILImage.fromarray(rgb).save(tmp_path / "picture.png")
    id = server.send(tmp_path / "picture.png")
    about = server.http.get(f"/tiles/{id}").json()
    assert (about["frame"], about["minzoom"], about["maxzoom"], about["bounds"]) == ("pixels", 0, 2, None)
    tile = np.asarray(PILImage.open(io.BytesIO(server.http.get(f"/tiles/{id}/2/1/1.png").content)))
    assert np.array_equal(tile[:44, :, :3], rgb[256:300, 256:512]) and not tile[44:, :, 3].any()
    assert server.http.get(f"/tiles/{id}/0/0/0.png").status_code == 200
    assert server.http.get(f"/tiles/{id}/2/3/0.png").status_code == 404


def test_keys_rates_and_origins(nadir: Nadir, tmp_path: Path, scene: Path) -> None:
    limits = Limits(free_bytes=0, asks="3/minute", upload_bytes=200_000, body_bytes=5_000)
    with live(nadir, tmp_path, limits=limits, keys=("first-key", "second-key")) as own:
        id = own.send(scene)
        second = {"Authorization": "Bearer second-key"}
        assert own.http.get(f"/v1/rasters/{id}", headers=second).status_code == 404
        assert own.http.get("/v1/rasters", headers=second).json()["data"] == []
        body = {"instruction": "How many?", "images": [id], "max_tokens": 2}
        assert own.http.post("/v1/ask", json=body, headers=second).status_code == 404
        for wrong in ("Bearer nope", "Basic first-key", "", "Bearer", "first-key"):
            refused = own.http.post("/v1/ask", json=body, headers={"Authorization": wrong})
            assert refused.status_code == 401 and "no known key" in refused.json()["error"]["message"]
            assert own.http.get(f"/tiles/{id}/0/0/0.png", headers={"Authorization": wrong}).status_code == 401
        statuses = [own.http.post("/v1/ask", json=body).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        late = own.http.post("/v1/ask", json=body)
        assert int(late.headers["retry-after"]) > 0 and "ask again in" in late.json()["error"]["message"]
        large = own.http.post("/v1/ground", json={"phrase": "x" * 9_000}, headers=second)
        assert large.status_code == 413
        pieces = own.http.post("/v1/ground", content=iter([b" " * 4_000] * 3), headers=second)
        assert pieces.status_code == 413, pieces.text
        assert own.http.post("/v1/rasters", content=b"\0" * 300_000).status_code == 413
        asked = {"Origin": "https://map.example.org", "Access-Control-Request-Method": "POST"}
        allowed = own.http.options("/v1/ask", headers=asked | {"Access-Control-Request-Headers": "authorization"})
        assert allowed.headers["access-control-allow-origin"] == "https://map.example.org"
        other = own.http.options("/v1/ask", headers=asked | {"Origin": "https://evil.example.org"})
        assert "access-control-allow-origin" not in other.headers


def test_health_and_metrics_need_no_key_and_count(nadir: Nadir, tmp_path: Path, scene: Path) -> None:
    with live(nadir, tmp_path, keys=("first-key",)) as own:
        id = own.send(scene)
        body = {"instruction": "How many?", "images": [id], "max_tokens": 3}
        assert own.http.post("/v1/ask", json=body).status_code == 200
        own.http.get(f"/v1/rasters/{id}")
        own.http.get("/v1/rasters/nothing")
        own.http.headers.pop("Authorization")
        health = own.http.get("/health").json()
        assert health == {"status": "ok", "model": "tiny", "waiting": 0, "running": 0}
        text = own.http.get("/metrics").text
        for line in (
            'nadir_requests_total{route="/v1/ask",status="200"} 1.0',
            'nadir_requests_total{route="/v1/rasters/{raster}",status="200"} 1.0',
            'nadir_requests_total{route="/v1/rasters/{raster}",status="404"} 1.0',
            'nadir_tokens_total{kind="new"} 3.0',
            f"nadir_raster_bytes {float(scene.stat().st_size)}",
        ):
            assert line in text, text
