"""Pictures of an answer: what was shown of each image, and the regions drawn over it.

Pixels are read decimated through `vlm.raster`, so a picture of a 100,000 px image costs what a picture of a small one
costs. `Mark` is a region ready to draw, in original-image pixels; the report draws the same marks as SVG.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vlm.geometry.convert import ring_area, to_polygons
from vlm.geometry.shapes import Point, Window
from vlm.records import Answer, Image, TraceStep
from vlm.summary import kind_of

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage
    from PIL.ImageDraw import ImageDraw

    from vlm.grid import Grid
    from vlm.raster import Raster

PALETTE = ("#ff5a5f", "#2dd4bf", "#fbbf24", "#a78bfa", "#60a5fa", "#a3e635", "#f472b6", "#fb923c")
PICTURE_PX = 960
_INVALID = np.array([226, 230, 235], np.uint8)
_SUPERSAMPLE = 2
_GAP_PX = 8
_TINT = 90


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Hold what is shown of one image: `rgb` uint8 (h, w, 3) covering the `view` window of original pixels."""

    rgb: np.ndarray
    view: Window
    grid: Grid
    sentence: str
    name: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Hold one region to draw: number (from 1), label, kind, colour, image index and closed rings in image pixels.

    `holes` says of each ring whether it is one.
    """

    number: int
    label: str
    kind: str
    colour: str
    image: int
    rings: tuple[tuple[Point, ...], ...]
    holes: tuple[bool, ...]

    @property
    def filled(self) -> bool:
        """Say whether the inside is tinted, as it is for masks and polygons."""
        return self.kind in ("mask", "polygon")


def load_pictures(
    images: Sequence[str | Path | Image],
    *,
    bands: str | None = None,
    view: Window | None = None,
    size_px: int = PICTURE_PX,
) -> tuple[Picture, ...]:
    """Read one image or several dates (on the first one's grid) as pictures of at most `size_px` on the longer side.

    Raises RasterError and PairError as vlm.raster does.
    """
    from vlm.pair import open_dates

    rasters = open_dates(*images)
    try:
        return tuple(_read_picture(raster, bands, view, size_px) for raster in rasters)
    finally:
        for raster in rasters:
            raster.close()


def _read_picture(raster: Raster, bands: str | None, view: Window | None, size_px: int) -> Picture:
    window = view or Window(0, 0, raster.width, raster.height)
    scale = min(1.0, size_px / max(window.w, window.h))
    size = (max(1, round(window.w * scale)), max(1, round(window.h * scale)))
    rendering = raster.renderings(bands, limit=1)[0]
    pixels = raster.read(window, size, rendering)
    rgb = np.where(pixels.valid[..., None], pixels.rgb, _INVALID)
    return Picture(rgb, window, raster.grid, rendering.sentence, Path(raster.path).name)


def load_answer_pictures(
    answer: Answer, images: Sequence[str | Path], *, bands: str | None = None
) -> tuple[Picture, ...]:
    """Read the pictures of an answer's images, cut to the window that was asked about, or to what its tiles cover.

    `bands` are those that the answer was asked with, unless others are named.
    """
    first = [step for step in answer.trace if step.image == 0]
    view = answer.window
    if view is None and answer.grids:
        view = view_of(first, answer.grids[0].width, answer.grids[0].height)
    return load_pictures(images, bands=bands or answer.bands, view=view)


def view_of(trace: Sequence[TraceStep], width: int, height: int) -> Window:
    """Give the part of a `width` x `height` image that the traced tiles cover: what there is to show."""
    boxes = [step.tile.window.box for step in trace]
    if not boxes:
        return Window(0, 0, width, height)
    x1, y1 = max(0, min(int(box.x1) for box in boxes)), max(0, min(int(box.y1) for box in boxes))
    x2, y2 = min(width, max(int(box.x2) for box in boxes)), min(height, max(int(box.y2) for box in boxes))
    return Window(x1, y1, x2 - x1, y2 - y1)


def marks_of(answer: Answer) -> tuple[Mark, ...]:
    """Make the marks of an answer's regions; regions with the same phrase share a colour."""
    phrases = list(dict.fromkeys(region.phrase for region in answer.regions))
    marks = []
    for number, region in enumerate(answer.regions, start=1):
        polygons = to_polygons(region.geometry)
        rings = tuple(ring for polygon in polygons for ring in (polygon.exterior, *polygon.holes))
        holes = tuple(hole for polygon in polygons for hole in (False, *[True] * len(polygon.holes)))
        colour = PALETTE[phrases.index(region.phrase) % len(PALETTE)]
        marks.append(Mark(number, region.phrase, kind_of(region.geometry), colour, region.image, rings, holes))
    return tuple(marks)


def render_overlay(answer: Answer, pictures: Sequence[Picture]) -> PilImage:
    """Draw the answer's regions over the pictures, side by side when there are several dates."""
    from PIL import Image

    marks = marks_of(answer)
    drawn = [draw_marks(picture, marks, image=index) for index, picture in enumerate(pictures)]
    width = sum(image.width for image in drawn) + _GAP_PX * (len(drawn) - 1)
    canvas = Image.new("RGB", (width, max(image.height for image in drawn)), "white")
    left = 0
    for image in drawn:
        canvas.paste(image, (left, 0))
        left += image.width + _GAP_PX
    return canvas


def draw_marks(picture: Picture, marks: Sequence[Mark], *, image: int = 0) -> PilImage:
    """Draw marks over the picture of one image, smooth; those of another date without fill and tag.

    Small pictures are enlarged to stay legible.
    """
    from PIL import Image
    from PIL.ImageDraw import Draw

    height, width = picture.rgb.shape[:2]
    enlarge = max(1, round(PICTURE_PX / 2 / max(width, height)))
    size = (width * enlarge, height * enlarge)
    fine = (size[0] * _SUPERSAMPLE, size[1] * _SUPERSAMPLE)
    base = Image.fromarray(picture.rgb).resize(fine, Image.Resampling.BICUBIC).convert("RGBA")
    shade = Image.new("RGBA", fine)
    for mark in marks:
        if mark.filled and mark.image == image:
            _fill(shade, mark, list(_to_canvas(mark, picture.view, fine)))
    for mark in marks:
        _draw_lines(Draw(shade), mark, list(_to_canvas(mark, picture.view, fine)))
    base.alpha_composite(shade)
    drawn = base.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    for mark in (mark for mark in marks if mark.image == image):
        _draw_tag(Draw(drawn), mark, list(_to_canvas(mark, picture.view, size)))
    return drawn


def _to_canvas(mark: Mark, view: Window, size: tuple[int, int]) -> Iterator[list[Point]]:
    for ring in mark.rings:
        yield [((x - view.x) * size[0] / view.w, (y - view.y) * size[1] / view.h) for x, y in ring]


def _fill(shade: PilImage, mark: Mark, rings: Sequence[list[Point]]) -> None:
    """Tint the inside of a mark: exteriors before the holes in them, and holes before the parts that lie in them."""
    from PIL import Image
    from PIL.ImageDraw import Draw

    inside = Image.new("1", shade.size)
    for ring, hole in sorted(zip(rings, mark.holes, strict=True), key=lambda pair: -abs(ring_area(pair[0]))):
        Draw(inside).polygon(ring, fill=0 if hole else 1)
    shade.paste((*_rgb(mark), _TINT), mask=inside)


def _rgb(mark: Mark) -> tuple[int, int, int]:
    red, green, blue = (int(mark.colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue


def _draw_lines(draw: ImageDraw, mark: Mark, rings: Sequence[list[Point]]) -> None:
    red, green, blue = _rgb(mark)
    width = 3 * _SUPERSAMPLE
    for ring in rings:
        closed = [*ring, ring[0], ring[1]]
        draw.line(closed, fill=(0, 0, 0, 110), width=width + 2 * _SUPERSAMPLE, joint="curve")
        draw.line(closed, fill=(red, green, blue, 255), width=width, joint="curve")


def _draw_tag(draw: ImageDraw, mark: Mark, rings: Sequence[list[Point]]) -> None:
    from PIL import ImageFont

    if not rings:
        return
    font = ImageFont.load_default(13)
    text = f"{mark.number} {mark.label}".strip()
    left, top = min(x for ring in rings for x, _ in ring), min(y for ring in rings for _, y in ring)
    box = draw.textbbox((0, 0), text, font=font)
    width, height = box[2] - box[0] + 8, box[3] - box[1] + 6
    left = min(max(0, left - 2), max(0, draw.im.size[0] - width))
    top = top - height if top >= height else top
    draw.rectangle((left, top, left + width, top + height), fill=mark.colour)
    draw.text((left + 4 - box[0], top + 3 - box[1]), text, font=font, fill="#10151c")


def encode_png(image: PilImage) -> bytes:
    """Encode a picture as PNG bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
