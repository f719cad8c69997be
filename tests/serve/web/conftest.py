"""A built page, a server whose answers are known, and a real browser; what is missing is a reason to skip."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from serve.app.page import DIST
from serve.engines.engine import Prompt
from serve.settings import Settings
from tests.serve.live import FREE, Live, serving
from tests.serve.web.map_page import MapPage
from tests.serve.web.told import ToldEngine
from tests.vlm.made_rasters import UTM, write_raster

# The gate sets this, so that a machine that cannot run a browser fails there instead of passing without these tests.
MUST_RUN = "NADIR_WEB_TESTS"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
WIDTH, HEIGHT = 400, 300
TARGET = (120, 90, 240, 180)  # the bright field of every scene, x1, y1, x2, y2 in pixels


def told(prompt: Prompt) -> str:
    """Say what the tests expect: the field as a box, an oriented box or a mask, the region asked about, or words."""
    words = prompt.request.instruction.lower()
    x1, y1, x2, y2 = (round(1000 * value / side) for value, side in zip(TARGET, (WIDTH, HEIGHT) * 2, strict=True))
    if "region" in words:
        return "The <ref>region</ref>{asked} is here."
    if "segment" in words:
        return f"<ref>field</ref><seg>{x1},{y1},{x2},{y2}|4|0,4;0,4;0,4;0,4</seg>"
    if "changed" in words:
        return f"A new <ref>field</ref><box>[[{x1},{y1},{x2},{y2}]]</box> since the first date."
    if "where" in words:
        road = "<ref>road</ref><obb>[[750,800,300,40,0]]</obb>"
        return f"One <ref>field</ref><box>[[{x1},{y1},{x2},{y2}]]</box> and a {road}."
    return "A field."


def picture(seed: int = 0) -> np.ndarray:
    """Draw a dark ground with one bright field: (3, HEIGHT, WIDTH) uint8."""
    bands = np.random.default_rng(seed).integers(20, 60, (3, HEIGHT, WIDTH)).astype(np.uint8)
    bands[2] += np.uint8(60 * seed)
    x1, y1, x2, y2 = TARGET
    bands[:, y1:y2, x1:x2] = np.array([250, 250, 250], np.uint8)[:, None, None]
    return bands


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    from PIL import Image

    folder = tmp_path_factory.mktemp("scenes")
    Image.fromarray(np.moveaxis(picture(), 0, -1)).save(folder / "plain.png")
    (folder / "broken.tif").write_bytes(b"II*\0" + b"\x10" * 300)
    return {
        "plain": folder / "plain.png",
        "broken": folder / "broken.tif",
        "before": write_raster(folder / "before.tif", picture(), **UTM),
        "after": write_raster(folder / "later.tif", picture(1), **UTM),
    }


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start the browser, of this module alone: while it runs, no other event loop may run in this thread."""
    found = os.environ.get("NADIR_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    missing = []
    if not found:
        missing.append("chromium, which is not installed (apt-get install chromium)")
    if not (DIST / "index.html").is_file():
        missing.append("the built page under serve/web/dist (make web, which needs Node.js)")
    if missing:
        sentence = f"the page's tests need {' and '.join(missing)}"
        if os.environ.get(MUST_RUN):
            pytest.fail(sentence)
        pytest.skip(sentence)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def engine() -> ToldEngine:
    return ToldEngine(told)


@pytest.fixture(scope="module")
def server(engine: ToldEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Serve known answers to everybody."""
    with serving(engine, Settings(tmp_path_factory.mktemp("data"), limits=FREE)) as running:
        yield running


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    with chromium.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce") as context:
        context.set_default_timeout(120_000)
        yield context


@pytest.fixture
def page(context: BrowserContext, server: Live) -> Iterator[MapPage]:
    """Open the page; whatever the browser complains about, its policy included, fails the test."""
    opened = MapPage(context.new_page())
    opened.open(server.url)
    yield opened
    assert not opened.complaints, opened.complaints
