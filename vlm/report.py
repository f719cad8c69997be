"""Answers as HTML: a fragment for notebooks and one self-contained page for a browser, with no request to anywhere.

The pictures are inlined as JPEG, the regions drawn over them as SVG (sharp at any zoom), and the page works by CSS:
pointing at a row of the table lights up its region, opening the trace shows the tiles that were read.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from vlm.overlay import Mark, Picture, load_answer_pictures, marks_of
from vlm.records import Answer, Cost, TraceStep
from vlm.summary import (
    RegionSummary,
    answer_parts,
    notes_of,
    render_area,
    render_box,
    render_length,
    render_lonlat,
    summarise_regions,
)

if TYPE_CHECKING:
    from jinja2 import Template

_SHOWN_PX, _BRIEF_PX = 640.0, 400.0
_NICE = (1, 2, 5)
_DATE_NAMES = ("first date", "second date")
_STAGE_COLOURS = ("#94a3b8", "#38bdf8", "#818cf8", "#34d399", "#fbbf24", "#f472b6", "#fb923c")
_JPEG_QUALITY = 88


@dataclass(frozen=True, slots=True)
class Entry:
    """Hold one answer to show: its images' paths, a title, and bands to show instead of those it was asked with."""

    answer: Answer
    images: tuple[str | Path, ...] = ()
    title: str = ""
    bands: str | None = None


@dataclass(frozen=True, slots=True)
class Outline:
    """Hold one SVG path in view pixels with its label's anchor."""

    mark: Mark
    path: str
    x: float
    y: float
    own: bool


@dataclass(frozen=True, slots=True)
class ScaleBar:
    """Hold a scale bar: a round length and the share of the picture's width (0..1) that it covers."""

    text: str
    share: float


@dataclass(frozen=True, slots=True)
class Figure:
    """Hold one picture of the report: data URI, view size in original pixels, outlines, tile rectangles, captions."""

    uri: str
    width: int
    height: int
    heading: str
    caption: str
    outlines: tuple[Outline, ...]
    tiles: tuple[tuple[float, float, float, float], ...]
    scale_bar: ScaleBar | None
    shown_px: float

    @property
    def unit(self) -> float:
        """Give the view pixels that one CSS pixel covers when the picture is shown at its usual width."""
        return max(self.width, self.height) / self.shown_px


@dataclass(frozen=True, slots=True)
class Row:
    """Hold one row of the regions table, ready to print."""

    number: int
    phrase: str
    kind: str
    colour: str
    place: str
    pixels: str
    size: str


@dataclass(frozen=True, slots=True)
class Stage:
    """Hold one stage of the time bar: name, milliseconds, share of the whole (0..1), colour."""

    name: str
    ms: float
    share: float
    colour: str


@dataclass(frozen=True, slots=True)
class Card:
    """Hold everything that the template prints about one answer."""

    entry: Entry
    parts: tuple[str | int, ...]
    figures: tuple[Figure, ...]
    rows: tuple[Row, ...]
    stages: tuple[Stage, ...]
    notes: tuple[str, ...]

    @property
    def layout(self) -> str:
        """Name the layout: `wide` for several dates, `bare` without a picture, `brief` for words alone, else `full`."""
        if len(self.figures) != 1:
            return "wide" if self.figures else "bare"
        return "full" if self.rows else "brief"

    @property
    def colours(self) -> tuple[str, ...]:
        """Give the colour of each region, by index."""
        return tuple(row.colour for row in self.rows)


def render_answer(answer: Answer, images: Sequence[str | Path] = (), *, bands: str | None = None) -> str:
    """Render one answer as an HTML fragment that carries its own style: words, overlay, regions, cost, trace."""
    return _template("answer.html.jinja").render(card=_card(Entry(answer, tuple(images), bands=bands)))


def render_report(entries: Sequence[Entry], *, title: str, model: str, note: str = "") -> str:
    """Render answers as one self-contained page; `model` and `note` are sentences for its head."""
    cards = tuple(_card(entry) for entry in entries)
    costs = [entry.answer.cost for entry in entries if entry.answer.cost is not None]
    return _template("report.html.jinja").render(
        cards=cards, title=title, model=model, note=note, totals=_totals(costs)
    )


def _totals(costs: Sequence[Cost]) -> dict[str, str]:
    if not costs:
        return {}
    seconds = sum(sum(cost.stage_ms.values()) for cost in costs) / 1000
    return {
        "tiles read": f"{sum(cost.tiles for cost in costs)}",
        "visual tokens": f"{sum(cost.visual_tokens for cost in costs):,}",
        "time in all": f"{seconds:.1f} s",
        "peak memory": f"{max(cost.peak_rss_mb for cost in costs):,.0f} MB",
    }


@lru_cache(maxsize=4)
def _template(name: str) -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).with_name("templates")
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _card(entry: Entry) -> Card:
    answer = entry.answer
    marks = marks_of(answer)
    summaries = summarise_regions(answer)
    rows = tuple(_row(summary, mark.colour) for summary, mark in zip(summaries, marks, strict=True))
    return Card(entry, answer_parts(answer), _figures(entry, marks), rows, _stages(answer.cost), notes_of(answer))


def _figures(entry: Entry, marks: Sequence[Mark]) -> tuple[Figure, ...]:
    pictures = load_answer_pictures(entry.answer, entry.images, bands=entry.bands)
    return tuple(_figure(index, pictures, marks, entry.answer.trace) for index in range(len(pictures)))


def _figure(index: int, pictures: Sequence[Picture], marks: Sequence[Mark], trace: Sequence[TraceStep]) -> Figure:
    picture = pictures[index]
    view = picture.view
    tiles = tuple(
        (step.tile.window.x - view.x, step.tile.window.y - view.y, step.tile.window.w, step.tile.window.h)
        for step in trace
        if step.image == index
    )
    heading = "" if len(pictures) == 1 else _DATE_NAMES[index] if index < len(_DATE_NAMES) else f"date {index + 1}"
    outlines = tuple(_outline(mark, picture, own=mark.image == index) for mark in marks if mark.rings)
    uri = _jpeg_uri(picture)
    shown_px = _SHOWN_PX if marks or len(pictures) > 1 else _BRIEF_PX
    return Figure(uri, view.w, view.h, heading, _caption(picture), outlines, tiles, _scale_bar(picture), shown_px)


def _outline(mark: Mark, picture: Picture, *, own: bool) -> Outline:
    view = picture.view
    rings = [[(x - view.x, y - view.y) for x, y in ring] for ring in mark.rings]
    path = " ".join("M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in ring) + " Z" for ring in rings)
    left, top = min(x for ring in rings for x, _ in ring), min(y for ring in rings for _, y in ring)
    return Outline(mark, path, min(max(0.0, left), view.w), min(max(0.0, top), view.h), own)


def _jpeg_uri(picture: Picture) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture.rgb).save(buffer, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _caption(picture: Picture) -> str:
    grid = picture.grid
    facts = [picture.name, f"{grid.width:,} × {grid.height:,} px"]
    if (picture.view.w, picture.view.h) != (grid.width, grid.height):
        facts.append(f"window {picture.view.w:,} × {picture.view.h:,} px at {picture.view.x:,}, {picture.view.y:,}")
    if grid.georeferenced and grid.gsd_m is not None:
        facts.append(f"{grid.gsd_m:.3g} m a pixel")
    if grid.georeferenced:
        crs = str(grid.crs)
        facts.append(crs if len(crs) < 16 else "own CRS")
    return " · ".join([*facts, picture.sentence])


def _scale_bar(picture: Picture) -> ScaleBar | None:
    gsd_m = picture.grid.gsd_m if picture.grid.georeferenced else None
    if not gsd_m:
        return None
    wish_m = picture.view.w * gsd_m / 4
    power = 10.0 ** math.floor(math.log10(wish_m))
    length_m = max(nice * power for nice in _NICE if nice * power <= wish_m)
    text = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    return ScaleBar(text, length_m / (picture.view.w * gsd_m))


def _row(region: RegionSummary, colour: str) -> Row:
    x1, y1, x2, y2 = render_box(region.box_px)
    image = f"image {region.image + 1}: " if region.image else ""
    size = f"{region.area_px:,.0f} px²" if region.area_m2 is None else render_area(region.area_m2)
    if region.length_m is not None:
        size += f"\n{render_length(region.length_m)} long"
    place = "" if region.lonlat is None else render_lonlat(region.lonlat)
    pixels = f"{image}{x1}, {y1}\nto {x2}, {y2}"
    return Row(region.number, region.phrase or "region", region.kind, colour, place, pixels, size)


def _stages(cost: Cost | None) -> tuple[Stage, ...]:
    if cost is None or not cost.stage_ms:
        return ()
    total = sum(cost.stage_ms.values()) or 1.0
    named = enumerate(cost.stage_ms.items())
    return tuple(Stage(name, ms, ms / total, _STAGE_COLOURS[i % len(_STAGE_COLOURS)]) for i, (name, ms) in named)
