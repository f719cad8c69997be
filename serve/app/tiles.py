"""/tiles: a raster as map tiles, in any rendering that its bands allow, and the TileJSON that a map library reads."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from serve.app.services import Owner, Served
from serve.tiling import MOST_ZOOM, plan_tile_set, render_tile

router = APIRouter(tags=["Tiles"])
_PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "256 x 256 pixels."}}
_Bands = Annotated[
    str | None,
    Query(max_length=200, description="Which bands to show: numbers or a preset.", examples=["true", "ndvi", "4,3,2"]),
]
_At = Annotated[int, Path(ge=0, lt=2**MOST_ZOOM)]


@router.get("/tiles/{raster}")
async def describe_tiles(raster: str, services: Served, owner: Owner) -> dict[str, Any]:
    """Describe the tiles of a raster as TileJSON 3.0; `frame` says whether x and y are the map's or the image's own."""
    found = services.store.get(raster, owner)
    tiles = await asyncio.to_thread(plan_tile_set, services.store.path_of(found), found.name)
    return {
        "tilejson": "3.0.0",
        "name": found.name,
        "tiles": [f"/tiles/{raster}/{{z}}/{{x}}/{{y}}.png"],
        "minzoom": tiles.minzoom,
        "maxzoom": tiles.maxzoom,
        "bounds": found.bounds,
        "frame": "EPSG:3857" if tiles.on_map else "pixels",
        "size": [found.width, found.height],
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
