"""/v1/rasters: send an image once, ask about it often. What is sent is streamed to disk as it comes."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.requests import ClientDisconnect

from serve.app.services import Owner, Served
from serve.errors import StoppedError
from serve.store.rasters import Incoming, StoredRaster

router = APIRouter(tags=["Rasters"])
_PIECE_BYTES = 4 * 1024**2
_BODY = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"format": "binary"}}}}}


@router.post("/v1/rasters", status_code=201, openapi_extra=_BODY)
async def send_raster(
    request: Request,
    services: Served,
    owner: Owner,
    name: Annotated[str, Query(max_length=300, description="What the file is called.", examples=["scene.tif"])] = "",
) -> dict[str, Any]:
    """Send a GeoTIFF, COG, PNG, JPEG, JP2, WebP or BMP as the body, of any size up to the server's limit.

    curl -T scene.tif -X POST "http://127.0.0.1:8000/v1/rasters?name=scene.tif"
    """
    with services.store.receiving(owner, name or "raster") as incoming:
        await _receive(request, incoming)
        return describe(await asyncio.to_thread(incoming.keep))


@router.get("/v1/rasters")
async def list_rasters(services: Served, owner: Owner) -> dict[str, Any]:
    """List the rasters of this key, the newest first."""
    return {"object": "list", "data": [describe(raster) for raster in services.store.list(owner)]}


@router.get("/v1/rasters/{raster}")
async def get_raster(raster: str, services: Served, owner: Owner) -> dict[str, Any]:
    """Say what a raster is: size, bands, place, when it goes."""
    return describe(services.store.get(raster, owner))


@router.delete("/v1/rasters/{raster}", status_code=204)
async def delete_raster(raster: str, services: Served, owner: Owner) -> Response:
    """Delete a raster."""
    await asyncio.to_thread(services.store.delete, raster, owner)
    return Response(status_code=204)


def describe(raster: StoredRaster) -> dict[str, Any]:
    """Give a raster as JSON values, without its owner."""
    fields = asdict(raster)
    del fields["owner"]
    times = {key: datetime.fromtimestamp(fields[key], UTC).isoformat() for key in ("created", "expires")}
    return {"object": "raster", **fields, **times}


async def _receive(request: Request, incoming: Incoming) -> None:
    """Write the body as it comes, in pieces large enough for a thread each."""
    held = bytearray()
    try:
        async for piece in request.stream():
            held += piece
            if len(held) >= _PIECE_BYTES:
                await asyncio.to_thread(incoming.write, bytes(held))
                held.clear()
    except ClientDisconnect as error:
        raise StoppedError("the client went away before the raster was whole: nothing was kept") from error
    await asyncio.to_thread(incoming.write, bytes(held))
