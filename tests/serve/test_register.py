"""Files under a root, and addresses under a prefix, become rasters; nothing else does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import pytest

from serve.client import Client
from serve.engines.local import LocalEngine
from serve.errors import RequestError
from serve.settings import Settings
from tests.serve.live import FREE, Live, serving
from tests.vlm.made_rasters import UTM, checker, write_raster
from vlm.answer import Nadir

KEYS = ("first-key", "second-key")
OTHER = {"Authorization": "Bearer second-key"}


class Quiet(SimpleHTTPRequestHandler):
    """Serve a folder without a word."""

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a root with a scene in it, and a secret scene beside it."""
    folder = tmp_path_factory.mktemp("disk")
    for name in ("shelf/2026/scene.tif", "secret.tif"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_raster(folder / name, checker(3, 120, 160), **UTM)
    return folder


@pytest.fixture(scope="module")
def own(nadir: Nadir, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Serve with the root, and with a prefix on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as host:
        thread = Thread(target=host.serve_forever)
        thread.start()
        prefix = f"http://127.0.0.1:{host.server_port}/shelf/"
        data = tmp_path_factory.mktemp("data")
        settings = Settings(data, KEYS, limits=FREE, roots=(folder / "shelf",), prefixes=(prefix,))
        try:
            with serving(LocalEngine(nadir, name="tiny", limits=FREE), settings) as running:
                yield running
        finally:
            host.shutdown()
            thread.join()


def register(own: Live, **body: Any) -> httpx2.Response:
    return own.http.post("/v1/rasters/register", json=body)


def test_a_file_under_a_root_is_asked_about_where_it_lies(own: Live, nadir: Nadir, folder: Path) -> None:
    scene = folder / "shelf" / "2026" / "scene.tif"
    made = register(own, path="2026/scene.tif").json()
    assert (made["name"], made["width"], made["crs"]) == ("scene.tif", 160, "EPSG:32616")
    again = register(own, path=str(scene), name="mine").json()
    assert again["name"] == "mine.tif" and again["id"] != made["id"]
    assert str(folder) not in str(made) + str(again)
    body = {"instruction": "Where is the red car?", "images": [made["id"]], "max_tokens": 6}
    given = own.http.post("/v1/ask", json=body).json()
    assert given["text"] == nadir.ask(scene, "Where is the red car?", max_new_tokens=6).text
    assert str(folder) not in str(given)
    broken = own.http.post("/v1/ask", json=body | {"bands": "nope"})
    assert broken.status_code == 422 and "scene.tif" in broken.text and str(folder) not in broken.text
    assert own.http.get(f"/tiles/{made['id']}").status_code == 200
    assert own.http.get(f"/v1/rasters/{made['id']}", headers=OTHER).status_code == 404
    for id in (made["id"], again["id"]):
        assert own.http.delete(f"/v1/rasters/{id}").status_code == 204
    assert scene.exists(), "a registered file is its owner's"
    assert "nadir_raster_bytes 0.0" in own.http.get("/metrics").text, "it takes none of the server's disk"


def test_what_leads_out_of_the_roots_is_missing(own: Live, folder: Path) -> None:
    root = folder / "shelf"
    (root / "link.tif").symlink_to(folder / "secret.tif")
    (root / "up").symlink_to(folder)
    (root / "inside.tif").symlink_to(root / "2026" / "scene.tif")
    os.mkfifo(root / "pipe.tif")
    refusals = set()
    for path in (
        "link.tif", "up/secret.tif", "../secret.tif", "2026/../../secret.tif", str(folder / "secret.tif"),
        "/etc/passwd", "/proc/self/environ", "pipe.tif", "2026", ".", "nothing.tif", "a\0b", "/vsicurl/http://x/a.tif",
        "vrt://2026/scene.tif", "x" * 1999,
    ):  # fmt: skip
        response = register(own, path=path)
        assert response.status_code == 404, (path, response.text)
        refusals.add(response.json()["error"]["message"].replace(repr(path[:60]), "PATH"))
    assert len(refusals) == 1, "what is elsewhere and what is nowhere are refused alike"
    assert register(own, path="inside.tif").status_code == 201, "a link within a root leads nowhere else"


def test_a_file_that_changes_is_no_longer_served(own: Live, folder: Path) -> None:
    path = write_raster(folder / "shelf" / "changing.tif", checker(3, 60, 80), **UTM)
    id = register(own, path="changing.tif").json()["id"]
    assert own.http.get(f"/v1/rasters/{id}").status_code == 200
    path.unlink()
    path.symlink_to(folder / "secret.tif")
    for response in (
        own.http.get(f"/v1/rasters/{id}"),
        own.http.post("/v1/ask", json={"instruction": "What?", "images": [id], "max_tokens": 2}),
        own.http.get(f"/tiles/{id}"),
    ):
        assert response.status_code == 404 and "has changed" in response.text


def test_letters_under_a_root_are_no_images_either(own: Live, folder: Path) -> None:
    """A VRT of the operator's own could name any file: what it shows is sent as a COG instead."""
    root = folder / "shelf"
    (root / "letter.vrt").write_text(
        f"<VRTDataset><SourceFilename>{folder / 'secret.tif'}</SourceFilename></VRTDataset>"
    )
    (root / "letter.tif").write_text("<GDAL_WMS></GDAL_WMS>")
    (root / "archive.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    for name in ("letter.vrt", "letter.tif", "archive.zip"):
        assert register(own, path=name).status_code == 415


def test_an_address_is_fetched_once_and_kept(own: Live, folder: Path) -> None:
    (prefix,) = own.settings.prefixes
    made = register(own, url=f"{prefix}2026/scene.tif")
    assert made.status_code == 201, made.text
    kept = own.settings.data / "rasters" / made.json()["id"] / "scene.tif"
    assert kept.read_bytes() == (folder / "shelf" / "2026" / "scene.tif").read_bytes()
    outside = prefix.replace("/shelf/", "/secret.tif")
    for url in (
        outside,
        f"{prefix}../secret.tif",
        f"{prefix}%2e%2e/secret.tif",
        "file:///etc/passwd",
        "http://x/a.tif",
    ):
        assert register(own, url=url).status_code == 400, url
    missing = register(own, url=f"{prefix}nothing.tif")
    assert missing.status_code == 400 and "answers 404" in missing.text
    assert not list((own.settings.data / "incoming").iterdir())


def test_the_client_registers_both(own: Live) -> None:
    with Client(own.url, key=KEYS[1]) as nadir:
        ids = [nadir.register(path="2026/scene.tif"), nadir.register(url=f"{own.settings.prefixes[0]}2026/scene.tif")]
        assert {raster["id"] for raster in nadir.rasters()} == {*ids}
        with pytest.raises(RequestError, match="404: there is no file"):
            nadir.register(path="../secret.tif")


@pytest.mark.parametrize("body", [{}, {"path": "a", "url": "b"}, {"path": ""}, {"path": 1}, {"file": "a"}])
def test_a_registration_names_one_thing(own: Live, body: dict[str, Any]) -> None:
    assert register(own, **body).status_code in (400, 422)


def test_without_roots_and_prefixes_nothing_is_registered(server: Live, folder: Path) -> None:
    assert register(server, path=str(folder / "secret.tif")).status_code == 404
    refused = register(server, url="http://127.0.0.1/a.tif")
    assert refused.status_code == 400 and "no address is" in refused.text
