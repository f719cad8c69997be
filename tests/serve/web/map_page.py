"""The page as a user sees it: what can be done on it, and where colours are on its screen."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import ConsoleMessage, FloatRect, Locator, Page

RED = (0xFF, 0x5A, 0x5F)  # the first colour of regions
TEAL = (0x2D, 0xD4, 0xBF)
EXPECTED_COMPLAINTS = ("the server responded with a status of 4", "willReadFrequently", "No map visible")
OVER_THE_MAP = ".tools, .zoom, .foot, .date, .swipe"
Box = tuple[int, int, int, int]


class MapPage:
    """Drive one page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, url: str, *, ready: str = "body[aria-busy=false]") -> None:
        self.page.goto(url)
        self.page.wait_for_selector(ready)

    def add(self, *paths: Path) -> None:
        """Send files and wait until the map shows them."""
        before = self.page.locator(".raster").count()
        self.page.set_input_files("#file", [str(path) for path in paths])
        self.page.wait_for_function(
            "count => document.querySelectorAll('.raster').length === count", arg=before + len(paths)
        )
        self.page.wait_for_selector("#question:enabled")
        self.settle()

    def ask(self, words: str) -> Locator:
        """Ask, wait for the whole answer and give its element."""
        turns = self.page.locator(".turn").count()
        self.page.fill("#question", words)
        self.page.press("#question", "Enter")
        self.page.wait_for_function("count => document.querySelectorAll('.turn').length === count", arg=turns + 1)
        turn = self.page.locator(".turn").last
        self.page.wait_for_selector(".turn:last-child:not([data-state=asking])")
        self.settle()
        return turn

    def settle(self) -> None:
        """Wait until two pictures of the map, a moment apart, are the same."""
        self.page.wait_for_selector("#map[aria-busy=false]")
        last = b""
        for _ in range(60):
            now = self.page.screenshot()
            if now == last:
                return
            last = now
            self.page.wait_for_timeout(120)
        raise AssertionError("the page does not come to rest")

    def map_point(self, x: float, y: float) -> tuple[float, float]:
        """Give the point of the screen at a share of the map's width and height."""
        box = self.page.locator("#map").bounding_box()
        assert box is not None
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def pixels(self) -> np.ndarray:
        """Give the map's part of the screen, (height, width, 3) uint8, in the window's frame; all else is black."""
        box = self.page.locator("#map").bounding_box()
        assert box is not None
        shown = np.array(Image.open(io.BytesIO(self.page.screenshot())).convert("RGB"))
        only = np.zeros_like(shown)
        only[span(box)] = shown[span(box)]
        for over in self.page.locator(OVER_THE_MAP).all():
            covered = over.bounding_box()
            if covered is not None:
                only[span(covered)] = 0
        return only

    def colour_at(self, x: float, y: float) -> tuple[int, int, int]:
        red, green, blue = self.pixels()[int(y), int(x)]
        return int(red), int(green), int(blue)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(known in message.text for known in EXPECTED_COMPLAINTS):
            self.complaints.append(message.text)


def span(box: FloatRect) -> tuple[slice, slice]:
    """Give the rows and columns of a rectangle of the page."""
    y, x = int(box["y"]), int(box["x"])
    return slice(y, y + int(box["height"]) + 1), slice(x, x + int(box["width"]) + 1)


def extent_of(where: np.ndarray) -> Box | None:
    """Give the smallest box around the true pixels, x1, y1, x2, y2."""
    rows, cols = np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))
    return (int(cols[0]), int(rows[0]), int(cols[-1]) + 1, int(rows[-1]) + 1) if rows.size else None


def coloured(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Say where the pixels have a colour."""
    return np.asarray((np.abs(pixels.astype(int) - colour) < 14).all(axis=2))


def bright(pixels: np.ndarray) -> np.ndarray:
    """Say where the white field of a scene is."""
    return np.asarray((pixels > 225).all(axis=2))


def farthest_px(field: np.ndarray, line: np.ndarray) -> float:
    """Measure how far a line strays from the outline of a field, or leaves some of it out, in pixels of the screen.

    The label above the field is not looked at.
    """
    from scipy.ndimage import binary_erosion, distance_transform_edt

    box = extent_of(field)
    if box is None or not line.any():
        return float("inf")
    line = line.copy()
    line[: box[1] - 2] = False
    outline = field & ~binary_erosion(field)
    left_out = distance_transform_edt(~line)[outline].max()
    astray = distance_transform_edt(~outline)[line].max()
    return float(max(left_out, astray))
