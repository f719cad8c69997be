"""Answers in words and plain values: what the command line prints, the report shows and `answers.json` holds.

Knows nothing about drawing. Coordinates are pixels of the original image; map coordinates come from the answer's grids.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vlm.codecs.template import split_template
from vlm.geometry.cells import run_lengths
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import HBB, OBB, Geometry, Mask, Polygon
from vlm.records import Answer, Cost, Region

if TYPE_CHECKING:
    from vlm.grid import Grid

_MOST_NAMED = 12
_SMALL_PX = 5
_KINDS: dict[type, str] = {HBB: "box", OBB: "oriented box", Polygon: "polygon", Mask: "mask"}


@dataclass(frozen=True, slots=True)
class RegionSummary:
    """Hold one region as plain values: pixel box and area, and on a map centre (lon, lat), m2 and longest side in m."""

    number: int
    image: int
    phrase: str
    kind: str
    box_px: tuple[float, float, float, float]
    area_px: float
    lonlat: tuple[float, float] | None = None
    area_m2: float | None = None
    length_m: float | None = None


def kind_of(geometry: Geometry) -> str:
    """Name a geometry's kind in words: box, oriented box, polygon or mask."""
    return _KINDS[type(geometry)]


def grid_of(answer: Answer, image: int) -> Grid | None:
    """Give the georeferenced grid of an image of the answer, None when it has none."""
    if image >= len(answer.grids) or not answer.grids[image].georeferenced:
        return None
    return answer.grids[image]


def notes_of(answer: Answer) -> tuple[str, ...]:
    """Say of each image whose georeference has a flaw what it is, and that its answers come in pixels."""
    flaws = [grid.flaw for grid in answer.file_grids or answer.grids]
    names = [image.path for image in answer.images] or [f"image {number + 1}" for number in range(len(flaws))]
    return tuple(
        f"{name} is not on the map: {flaw}; answers come in pixels"
        for name, flaw in zip(names, flaws, strict=False)
        if flaw is not None
    )


def summarise_regions(answer: Answer) -> tuple[RegionSummary, ...]:
    """Summarise every region of the answer in order; numbers start at 1 and are those of the words and the overlay."""
    return tuple(_summarise(number, region, answer) for number, region in enumerate(answer.regions, start=1))


def _summarise(number: int, region: Region, answer: Answer) -> RegionSummary:
    from vlm.geometry.convert import to_shapely

    box = to_hbb(region.geometry)
    area = to_shapely(region.geometry).area
    corners = (box.x1, box.y1, box.x2, box.y2)
    plain = RegionSummary(number, region.image, region.phrase, kind_of(region.geometry), corners, float(area))
    grid = grid_of(answer, region.image)
    return plain if grid is None else _place(plain, region.geometry, grid)


def _place(region: RegionSummary, geometry: Geometry, grid: Grid) -> RegionSummary:
    from vlm.measure import measure

    x1, y1, x2, y2 = region.box_px
    measured = measure(geometry, grid)
    lon, lat = grid.to_wgs84((x1 + x2) / 2, (y1 + y2) / 2)
    lonlat = (lon, lat) if math.isfinite(lon) and math.isfinite(lat) else None
    return replace(region, lonlat=lonlat, area_m2=measured.get("area_m2"), length_m=measured.get("length_m"))


def answer_parts(answer: Answer) -> tuple[str | int, ...]:
    """Cut the answer's template into text and region indices, in reading order; a `ref` slot gives the phrase first.

    A template of slots alone begins with what was found; a slot of many regions names its first and its last one.
    """
    parts = tuple(_parts(answer.template, answer.regions))
    text = "".join(part for part in parts if isinstance(part, str))
    if re.search(r"\w", text) or (text.strip() and not answer.regions):
        return parts
    phrases = {region.phrase for region in answer.regions if region.phrase}
    what = phrases.pop() if len(phrases) == 1 else ("region" if len(answer.regions) == 1 else "regions")
    return (f"{len(answer.regions)} × {what}: " if answer.regions else "nothing", *parts)


def _parts(template: str, regions: Sequence[Region]) -> Iterator[str | int]:
    for piece in split_template(template):
        if isinstance(piece, str):
            yield piece
            continue
        if piece.ref and regions[piece.indices[0]].phrase:
            yield f"{regions[piece.indices[0]].phrase} "
        if len(piece.indices) > _MOST_NAMED:
            yield from (piece.indices[0], " … ", piece.indices[-1])
        else:
            yield from piece.indices


def render_words(answer: Answer) -> str:
    """Render the answer as a sentence in which `[1]` stands for the first region, as in the overlay and the table."""
    words = "".join(part if isinstance(part, str) else f"[{part + 1}]" for part in answer_parts(answer))
    return words.replace("][", "] [").strip()


def render_region_line(region: RegionSummary) -> str:
    """Render one region as a line: number, phrase, kind, pixel box, and on a map its centre, area and length."""
    x1, y1, x2, y2 = render_box(region.box_px)
    image = f"image {region.image + 1}, " if region.image else ""
    place = f"{image}x {x1} to {x2}, y {y1} to {y2} px"
    line = f"[{region.number}] {region.phrase or 'region'}: {region.kind}, {place}"
    if region.lonlat is not None:
        line += f"; {render_lonlat(region.lonlat)}"
    if region.area_m2 is not None:
        line += f"; {render_area(region.area_m2)}"
    if region.length_m is not None:
        line += f", {render_length(region.length_m)} long"
    return line


def render_box(box_px: tuple[float, float, float, float]) -> tuple[str, str, str, str]:
    """Render a pixel box's numbers: whole, or with two decimals where a side is shorter than five pixels."""
    x1, y1, x2, y2 = box_px
    decimals = 0 if min(x2 - x1, y2 - y1) >= _SMALL_PX else 2
    a, b, c, d = (f"{value:.{decimals}f}" for value in box_px)
    return a, b, c, d


def render_lonlat(lonlat: tuple[float, float]) -> str:
    """Render a position as `48.85837° N 2.29448° E` (five decimals are about a metre)."""
    lon, lat = lonlat
    return f"{abs(lat):.5f}° {'N' if lat >= 0 else 'S'} {abs(lon):.5f}° {'E' if lon >= 0 else 'W'}"


def render_area(area_m2: float) -> str:
    """Render an area in the unit a reader expects: m², ha from one hectare on, km² from one square kilometre on."""
    for unit, size in (("km²", 1e6), ("ha", 1e4)):
        if area_m2 >= size:
            return f"{area_m2 / size:,.2f} {unit}"
    return f"{area_m2:,.1f} m²" if area_m2 < 100 else f"{area_m2:,.0f} m²"


def render_length(length_m: float) -> str:
    """Render a length in m, or km from ten kilometres on."""
    if length_m >= 1e4:
        return f"{length_m / 1e3:,.1f} km"
    return f"{length_m:,.1f} m" if length_m < 100 else f"{length_m:,.0f} m"


def render_cost(cost: Cost) -> str:
    """Render the cost card as one line: tiles, visual tokens, ms in all and per stage, peak memory."""
    stages = ", ".join(f"{name} {ms:.0f}" for name, ms in cost.stage_ms.items())
    total = f"{sum(cost.stage_ms.values()):.0f} ms" + (f" ({stages})" if stages else "")
    tokens = f"{cost.visual_tokens} visual tokens, {cost.prompt_tokens} prompt tokens, {cost.new_tokens} new tokens"
    tiles = f"{cost.tiles} {'tile' if cost.tiles == 1 else 'tiles'}"
    return f"{tiles}, {tokens}, {total}, peak memory {cost.peak_rss_mb:.0f} MB"


def render_text(answer: Answer) -> str:
    """Render the whole answer for a terminal: the words, a line per region, what did not parse, the cost card."""
    lines = [render_words(answer)]
    lines += [f"  {render_region_line(region)}" for region in summarise_regions(answer)]
    lines += [f"  note: {issue.kind}: {issue.detail}" for issue in answer.issues]
    lines += [f"  note: {note}" for note in notes_of(answer)]
    if answer.cost is not None:
        lines.append(f"cost: {render_cost(answer.cost)}")
    return "\n".join(lines)


def answer_to_dict(answer: Answer) -> dict[str, Any]:
    """Give the answer as JSON values: images, window, words, raw text, regions with measures, issues, cost, trace."""
    window, summaries = answer.window, summarise_regions(answer)
    return {
        "instruction": answer.instruction,
        "task": answer.task,
        "images": [image.path for image in answer.images],
        "window_px": None if window is None else [window.x, window.y, window.w, window.h],
        "bands": answer.bands,
        "words": render_words(answer),
        "template": answer.template,
        "text": answer.text,
        "regions": [_region_dict(*pair) for pair in zip(summaries, answer.regions, strict=True)],
        "notes": notes_of(answer),
        "issues": [{"kind": issue.kind, "text": issue.text, "detail": issue.detail} for issue in answer.issues],
        "cost": None if answer.cost is None else _cost_dict(answer.cost),
        "trace": [
            {
                "image": step.image,
                "level": step.tile.level,
                "window_px": [step.tile.window.x, step.tile.window.y, step.tile.window.w, step.tile.window.h],
                "rendering": step.rendering,
                "reason": step.reason,
            }
            for step in answer.trace
        ],
    }


def _region_dict(summary: RegionSummary, region: Region) -> dict[str, Any]:
    return {
        "number": summary.number,
        "image": summary.image,
        "phrase": summary.phrase,
        "geometry_px": geometry_to_dict(region.geometry),
        "area_px": round(summary.area_px, 2),
        "lonlat": summary.lonlat,
        "area_m2": summary.area_m2,
        "length_m": summary.length_m,
    }


def _cost_dict(cost: Cost) -> dict[str, Any]:
    return {
        "tiles": cost.tiles,
        "visual_tokens": cost.visual_tokens,
        "prompt_tokens": cost.prompt_tokens,
        "new_tokens": cost.new_tokens,
        "stage_ms": {name: round(ms, 1) for name, ms in cost.stage_ms.items()},
        "peak_rss_mb": round(cost.peak_rss_mb, 1),
    }


def geometry_to_dict(geometry: Geometry) -> dict[str, Any]:
    """Give a geometry as JSON values in pixels; a mask as row-wise run lengths that begin with an uncovered run."""
    if isinstance(geometry, HBB):
        return {"kind": "box", "xyxy": [geometry.x1, geometry.y1, geometry.x2, geometry.y2]}
    if isinstance(geometry, OBB):
        side = [geometry.cx, geometry.cy, geometry.w, geometry.h]
        return {"kind": "obb", "cxcywh": side, "angle_deg": geometry.angle_deg}
    if isinstance(geometry, Polygon):
        return {"kind": "polygon", "rings": [geometry.exterior, *geometry.holes]}
    rows, cols = geometry.bits.shape
    box = geometry_to_dict(geometry.box)["xyxy"]
    return {"kind": "mask", "box": box, "rows": rows, "cols": cols, "runs": run_lengths(geometry.bits)}
