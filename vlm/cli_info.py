"""What `nadir info` says: the image, how it would be shown, the tile plan and its cost. Loads no model, no torch."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from vlm.bands import BandTable, Rendering, plan_renderings
from vlm.cli_ask import parse_view
from vlm.dataset import reading
from vlm.model_dir import read_tile_sizes
from vlm.raster import Raster
from vlm.tiling import TilePlan, TokenBudget, plan_tiles

_MOST_RENDERINGS = 8


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Hold what is known of an image and its plan before a model is run; `corners`: (lon, lat) of two opposite ones."""

    path: str
    driver: str
    width: int
    height: int
    dtype: str
    bands: BandTable
    crs: str | None
    gsd_m: float | None
    flaw: str | None
    corners: tuple[tuple[float, float], tuple[float, float]] | None
    gcp_rms_px: float | None
    nodata: float | None
    masked_by: str | None
    exif_orientation: int
    overviews: tuple[int, ...]
    renderings: tuple[Rendering, ...]
    other_renderings: tuple[str, ...]
    plan: TilePlan


def describe_image(
    image: str, *, budget: int | None, window: str | None, bbox: str | None, bands: str | None, model: Path | None
) -> ImageFacts:
    """Open an image lazily and plan its tiles as a model would; raises as Raster.open and read_tile_sizes."""
    with Raster.open(image) as raster:
        sizes = read_tile_sizes(model)
        plan = plan_tiles(
            raster.width,
            raster.height,
            tile_px=sizes.tile_px,
            tokens_per_tile=sizes.tokens_per_tile,
            budget=TokenBudget(budget or sizes.default_tiles),
            fit_factor=sizes.fit_factor,
            window=parse_view(window, bbox, raster),
        )
        return ImageFacts(
            image, raster.driver, raster.width, raster.height, raster.dtype, raster.bands,
            raster.crs, raster.gsd_m, raster.grid.flaw, _corners(raster), raster.grid.gcp_rms_px,
            raster.nodata, _masked_by(raster), _exif_orientation(raster), tuple(raster.overviews),
            raster.renderings(bands, limit=1), _other_renderings(raster), plan,
        )  # fmt: skip


def _other_renderings(raster: Raster) -> tuple[str, ...]:
    planned = plan_renderings(None, raster.bands, limit=_MOST_RENDERINGS, where=raster.path)
    return tuple(rendering.name for rendering in planned[1:])


def _masked_by(raster: Raster) -> str | None:
    """Name what else than a nodata value says which pixels hold data: alpha, a mask of the file, or NaN."""
    if "alpha" in raster.colours:
        return "alpha"
    flags = {flag.name for band in raster.dataset.mask_flag_enums for flag in band}
    if "per_dataset" in flags:
        return "mask"
    return "NaN" if raster.dtype.startswith(("float", "complex")) else None


def _exif_orientation(raster: Raster) -> int:
    """Give how a photograph asks viewers to turn it (EXIF 2.3, 4.6.4 A): 1 is not at all."""
    with reading(raster.path):
        text = raster.dataset.tags().get("EXIF_Orientation", "1")
    return int(text) if text.isdecimal() else 1


def _corners(raster: Raster) -> tuple[tuple[float, float], tuple[float, float]] | None:
    if not raster.grid.georeferenced:
        return None
    corners = raster.grid.to_wgs84(0.0, 0.0), raster.grid.to_wgs84(float(raster.width), float(raster.height))
    return corners if all(math.isfinite(value) for corner in corners for value in corner) else None


def render_info(facts: ImageFacts) -> str:
    """Render the facts as lines for a terminal."""
    from vlm.summary import render_lonlat

    lines = {
        "image": facts.path,
        "size": f"{facts.width:,} x {facts.height:,} px, {facts.driver}{_turning(facts)}",
        "bands": f"{len(facts.bands.roles)} of {facts.dtype}: {_bands(facts.bands)}",
        "CRS": _crs_line(facts),
        "GSD": "unknown" if facts.gsd_m is None else f"{facts.gsd_m:.4g} m a pixel",
    }
    if facts.corners is not None:
        lines["placed by"] = _placing(facts)
        lines["corners"] = " to ".join(render_lonlat(corner) for corner in facts.corners)
    lines |= {
        "nodata": _nodata_line(facts),
        "overviews": ", ".join(f"1:{factor}" for factor in facts.overviews) or _overview_advice(facts),
        "shown as": "; ".join(f"{rendering.name}: {rendering.sentence}" for rendering in facts.renderings),
        "or as": ", ".join(facts.other_renderings) + " (--bands)" if facts.other_renderings else "nothing else",
        "plan": _plan_line(facts.plan),
        "cost": _cost_line(facts.plan),
    }
    return "\n".join(f"{name:<10}{text}" for name, text in lines.items())


def _turning(facts: ImageFacts) -> str:
    if facts.exif_orientation == 1:
        return ""
    return (
        f" (EXIF orientation {facts.exif_orientation} asks viewers to turn it: pixels are counted as they are stored)"
    )


def _nodata_line(facts: ImageFacts) -> str:
    value = "none" if facts.nodata is None else f"{facts.nodata:g}"
    if facts.masked_by is None:
        return value
    beside = {"alpha": "what alpha makes transparent", "mask": "what the file's own mask leaves out", "NaN": "NaN"}
    return f"{beside[facts.masked_by]}{'' if facts.nodata is None else f', and {value}'}"


def _crs_line(facts: ImageFacts) -> str:
    named = "none" if facts.crs is None else facts.crs[:60]
    if facts.flaw is not None:
        return f"{named} ({facts.flaw}, so answers come in pixels)"
    return f"{named} (answers come in pixels)" if facts.crs is None else named


def _placing(facts: ImageFacts) -> str:
    if facts.gcp_rms_px is None:
        return "a transform"
    return f"ground control points, which fit within {facts.gcp_rms_px:.2g} px (root mean square)"


def _bands(table: BandTable) -> str:
    pairs = zip(table.labels, table.roles, strict=True)
    named = ", ".join(f"{label} = {role}" if role and role != label.lower() else label for label, role in pairs)
    return f"{named} ({table.sensor}{', assumed from the number of bands' if table.assumed else ''})"


def _overview_advice(facts: ImageFacts) -> str:
    large = max(facts.width, facts.height) > 8192
    return "none" + ("; gdaladdo -r average FILE 2 4 8 16 32 makes reading it fast" if large else "")


def _cost_line(plan: TilePlan) -> str:
    tiles = "1 tile" if len(plan.tiles) == 1 else f"{len(plan.tiles)} tiles"
    return f"{tiles}, {plan.visual_tokens} visual tokens for each rendering and date"


def _plan_line(plan: TilePlan) -> str:
    counts = Counter((tile.level, tile.window.w) for tile in plan.tiles)
    parts = [
        f"level {level}: {count} of {side:,} px read as {plan.tile_px} px (1:{side / plan.tile_px:.3g})"
        for (level, side), count in sorted(counts.items())
    ]
    return "; ".join(parts)


def render_info_json(facts: ImageFacts) -> str:
    """Render the facts as one line of JSON."""
    shown = [{"name": each.name, "bands": each.bands, "sentence": each.sentence} for each in facts.renderings]
    fields = {
        "path": facts.path, "driver": facts.driver, "width": facts.width, "height": facts.height, "dtype": facts.dtype,
        "bands": facts.bands.labels, "roles": facts.bands.roles, "sensor": facts.bands.sensor,
        "crs": facts.crs, "flaw": facts.flaw, "gsd_m": facts.gsd_m,
        "corners_lonlat": facts.corners, "gcp_rms_px": facts.gcp_rms_px,
        "nodata": _plain(facts.nodata), "masked_by": facts.masked_by, "exif_orientation": facts.exif_orientation,
        "overviews": facts.overviews,
        "renderings": shown, "other_renderings": facts.other_renderings,
        "tile_px": facts.plan.tile_px, "tiles": len(facts.plan.tiles), "visual_tokens": facts.plan.visual_tokens,
        "windows": [[tile.level, tile.window.x, tile.window.y, tile.window.w] for tile in facts.plan.tiles],
    }  # fmt: skip
    return json.dumps(fields, ensure_ascii=False)


def _plain(value: float | None) -> float | str | None:
    """Give a value that JSON knows: NaN and infinities as text."""
    return value if value is None or abs(value) < float("inf") else str(value)
