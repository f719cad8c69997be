"""Bad input is a refusal, never a fault: damaged uploads, and requests that the schema allows but nobody would send.

NADIR_UPLOADS=2000 mutates that many files; the gate takes a few dozen.
"""

from __future__ import annotations

import base64
import io
import os
import tempfile
from pathlib import Path

import httpx2
import numpy as np
import pytest
import rasterio
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from PIL import Image as PILImage

from serve.app.build import build_app
from serve.settings import Limits, Settings
from tests.serve.live import Live
from tests.vlm.made_rasters import UTM, checker, with_gcps, write_raster

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
UPLOADS = int(os.environ.get("NADIR_UPLOADS", "60"))
HEADER = 600


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Give sound files of several kinds: tiled, compressed, with overviews, with points, with a palette, pictures."""
    folder = tmp_path_factory.mktemp("originals")
    tiled = {"tiled": True, "blockxsize": 64, "blockysize": 64}
    paths = [
        write_raster(folder / "plain.tif", checker(3, 90, 80), **UTM),
        write_raster(folder / "deflate.tif", checker(4, 150, 160, dtype="uint16"), compress="deflate", **tiled, **UTM),
        write_raster(folder / "float.tif", checker(2, 70, 70, dtype="float32"), nodata=-1, compress="lzw", **UTM),
        with_gcps(folder / "points.tif"),
    ]
    with rasterio.open(paths[1], "r+") as dataset:
        dataset.build_overviews([2, 4])
    rgb = checker(3, 80, 90).transpose(1, 2, 0)
    for suffix, options in (("png", {}), ("jpg", {"quality": 80}), ("webp", {}), ("bmp", {})):
        PILImage.fromarray(rgb).save(folder / f"a.{suffix}", **options)
        paths.append(folder / f"a.{suffix}")
    PILImage.fromarray(rgb).quantize(8).save(folder / "palette.png")
    return [path.read_bytes() for path in (*paths, folder / "palette.png")]


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip bytes (mostly of the header), cut, repeat, or put in large numbers."""
    changed, kind = bytearray(data), rng.integers(5)
    reach = len(changed) if rng.random() < 0.3 else min(HEADER, len(changed))
    if kind == 0:
        return bytes(changed[: rng.integers(len(changed))])
    if kind == 1:
        at = int(rng.integers(reach))
        return bytes(changed[:at] + changed[at // 2 :])
    for _ in range(int(rng.integers(1, 12))):
        at = int(rng.integers(4, reach))
        if kind == 2:
            changed[at] = int(rng.integers(256))
        else:
            word = int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFF, 2**20, len(data)]))
            changed[at : at + 4] = word.to_bytes(4, "little")
    return bytes(changed)


def other_ways(server: Live, id: str, number: int) -> httpx2.Response:
    """Ask about a damaged raster in another way, a different one each time."""
    region = {"image": 0, "phrase": "", "geometry_px": {"kind": "box", "xyxy": [1, 1, 9, 9]}}
    ways: list[tuple[str, dict[str, object]]] = [
        ("change", {"images": [id, id], "max_tokens": 2}),
        ("segment", {"phrase": "ships", "image": id, "max_tokens": 2, "bands": "1"}),
        ("ground", {"phrase": "ships", "image": id, "max_tokens": 2, "bbox": [-85, 33, -84, 34]}),
        ("exports", {"images": [id], "regions": [region], "format": ("geojson", "gpkg", "coco")[number % 3]}),
        ("ask", {"instruction": "What?", "images": [id], "max_tokens": 2, "window": [5, 5, 20, 20], "strict": True}),
    ]
    path, body = ways[number % len(ways)]
    return server.http.post(f"/v1/{path}", json=body)


def test_damaged_uploads_are_refused_or_answered(server: Live, originals: list[bytes]) -> None:
    seen: dict[int, int] = {}
    for number in range(UPLOADS):
        rng = np.random.default_rng(number)
        data = mutate(originals[number % len(originals)], rng)
        sent = server.http.post("/v1/rasters", params={"name": "fuzz.tif"}, content=data)
        responses = [sent]
        if sent.status_code == 201:
            id = sent.json()["id"]
            asked = {"instruction": "How many?", "images": [id], "max_tokens": 2}
            responses += [server.http.post("/v1/ask", json=asked), server.http.get(f"/tiles/{id}")]
            zoom = responses[-1].json().get("minzoom", 0)
            responses.append(server.http.get(f"/tiles/{id}/{zoom}/0/0.png"))
            responses.append(other_ways(server, id, number))
            server.http.delete(f"/v1/rasters/{id}")
        for response in responses:
            assert response.status_code in (200, 201, 400, 404, 413, 415, 422), (number, response.url, response.text)
            seen[response.status_code] = seen.get(response.status_code, 0) + 1
    assert seen[200] and seen[422], f"the mutations are too gentle or too rough: {seen}"
    assert not list((server.settings.data / "incoming").iterdir())


def test_a_damaged_picture_in_a_request_is_refused(server: Live, originals: list[bytes]) -> None:
    for number in range(UPLOADS // 3):
        data = mutate(originals[number % len(originals)], np.random.default_rng(10_000 + number))
        image = "data:image/png;base64," + base64.b64encode(data).decode()
        response = server.http.post("/v1/ask", json={"instruction": "How many?", "images": [image], "max_tokens": 2})
        assert response.status_code in (200, 413, 415, 422), (number, response.text)


def document() -> dict[str, object]:
    """Give the OpenAPI document, which no engine is needed for."""

    class Nobody:
        name = "tiny"

    with tempfile.TemporaryDirectory() as folder:
        return build_app(Nobody(), Settings(Path(folder), limits=Limits())).openapi()  # type: ignore[arg-type]


ASKING = ("/v1/ask", "/v1/ground", "/v1/segment", "/v1/change", "/v1/chat/completions")
schema = schemathesis.openapi.from_dict(document())


def tame(case: schemathesis.Case) -> None:
    """Ask for short answers where a request asks for any."""
    if isinstance(case.body, dict) and ("max_tokens" in case.body or case.path in ASKING):
        case.body.pop("max_completion_tokens", None)
        case.body["max_tokens"] = 2


def lead_to(case: schemathesis.Case, id: str) -> None:
    """Let a request name a raster that is there: one that is not is refused before much else is looked at."""
    if "raster" in case.path_parameters:
        case.path_parameters["raster"] = id
    if isinstance(case.body, dict):
        for name, real in (("image", id), ("images", [id] * min(2, len(str(case.body.get("images", "")))))):
            if name in case.body:
                case.body[name] = real


def kept_raster(server: Live, scene: Path) -> str:
    """Give the id of a raster that is there."""
    kept = [raster["id"] for raster in server.http.get("/v1/rasters").json()["data"] if raster["name"] == "kept.tif"]
    return str(kept[0]) if kept else server.send(scene, "kept.tif")


@pytest.mark.slow
@schema.parametrize()
@settings(
    max_examples=int(os.environ.get("NADIR_UPLOADS", "12")),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_request_that_the_schema_allows_is_a_fault(server: Live, scene: Path, case: schemathesis.Case) -> None:
    """Statuses are those of the table; a body that is no object, a raster that is not there: refusals in a sentence."""
    tame(case)
    if len(str(case.body)) % 2 and case.method != "DELETE" and "jobs" not in case.path:
        lead_to(case, kept_raster(server, scene))
    response = case.call(base_url=server.url)
    assert response.status_code in (200, 201, 204, 400, 404, 405, 413, 415, 422), response.text
    if response.status_code >= 400:
        assert len(response.json()["error"]["message"]) > 10


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'"a"', b"\xff\xfe", b"[" * 100_000, b'{"a": NaN}', b""])
def test_bodies_that_are_no_json_are_refused(server: Live, body: bytes) -> None:
    for path in ("/v1/ask", "/v1/chat/completions"):
        response = server.http.post(path, content=body, headers={"Content-Type": "application/json"})
        assert response.status_code in (400, 422), response.text


def test_surrogates_and_controls_in_words_are_no_fault(server: Live) -> None:
    for words in ("\\ud800", "\\u0000 a", "\\u202e\\ufeff", "{{{", "{box:0}", "%s %d", "a" * 8000):
        body = f'{{"instruction": "{words}", "max_tokens": 2}}'
        response = server.http.post("/v1/ask", content=body.encode(), headers={"Content-Type": "application/json"})
        assert response.status_code in (200, 400, 422), (words, response.text)
    for body in ('{"instruction": "a", "\\ud800": 1}', '{"instruction": "a", "images": ["\\ud800"]}'):
        response = server.http.post("/v1/ask", content=body.encode(), headers={"Content-Type": "application/json"})
        assert response.status_code in (400, 422), (body, response.text)


def test_a_png_whose_pixels_are_cut_off_says_so(server: Live) -> None:
    buffer = io.BytesIO()
    PILImage.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)).save(buffer, "PNG")
    sent = server.http.post("/v1/rasters", params={"name": "cut.png"}, content=buffer.getvalue()[:5000])
    assert sent.status_code in (201, 422)
    if sent.status_code == 201:
        asked = {"instruction": "How many?", "images": [sent.json()["id"]]}
        response = server.http.post("/v1/ask", json=asked)
        assert response.status_code == 422 and "cut.png" in response.json()["error"]["message"]
