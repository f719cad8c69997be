"""/tiles: a raster as map tiles, in any rendering that its bands allow, and the TileJSON that a map library reads."""

from __future__ import annotations

import asyncio
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from serve.app.services import Owner, Served
from serve.store.inspect import sound
from serve.tiling import MOST_ZOOM, plan_tile_set, render_tile
from vlm.bands import plan_renderings
from vlm.raster import Raster

router = APIRouter(tags=["Tiles"])
_PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "256 x 256 pixels."}}
_Bands = Annotated[
    str | None,
    Query(max_length=200, description="Which bands to show: numbers or a preset.", examples=["true", "ndvi", "4,3,2"]),
]
_At = Annotated[int, Path(ge=0, lt=2**MOST_ZOOM)]
_MOST_RENDERINGS = 8


@router.get("/tiles/{raster}")
async def describe_tiles(raster: str, services: Served, owner: Owner) -> dict[str, Any]:
    """Describe the tiles of a raster as TileJSON 3.0; `frame` says whether x and y are the map's or the image's own.

    `renderings` are the ways of showing it that its bands allow: the usual one, which needs no `bands`, and then those
    whose names `bands` takes.
    """
    found = services.store.get(raster, owner)
    path = services.store.path_of(found)
    tiles = await asyncio.to_thread(plan_tile_set, path, found.name)
    return {
        "tilejson": "3.0.0",
        "name": found.name,
        "tiles": [f"/tiles/{raster}/{{z}}/{{x}}/{{y}}.png"],
        "minzoom": tiles.minzoom,
        "maxzoom": tiles.maxzoom,
        "bounds": found.bounds,
        "frame": "EPSG:3857" if tiles.on_map else "pixels",
        "size": [found.width, found.height],
        "renderings": await asyncio.to_thread(_renderings, path, found.name),
    }


@router.get("/tiles/{raster}/{z}/{x}/{y}.png", response_class=Response, responses=_PNG)
async def get_tile(
    raster: str,
    z: Annotated[int, Path(ge=0, le=MOST_ZOOM)],
    x: _At,
    y: _At,
    services: Served,
    owner: Owner,
    bands: _Bands = None,
) -> Response:
    """Render one tile as a PNG; what is no data is transparent."""
    found = services.store.get(raster, owner)
    png = await asyncio.to_thread(render_tile, services.store.path_of(found), found.name, z, x, y, bands=bands)
    return Response(png, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


def _renderings(path: FilePath, name: str) -> list[dict[str, str]]:
    """List the ways of showing a raster that its bands allow, without measuring their stretch."""
    with sound(name), Raster.open(path) as raster:
        planned = plan_renderings(None, raster.bands, limit=_MOST_RENDERINGS, where=name)
        if "palette" in raster.colours and raster.dtype == "uint8":
            planned = raster.renderings()
    return [{"name": rendering.name, "sentence": rendering.sentence} for rendering in planned]
