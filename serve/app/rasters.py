"""/v1/rasters: send an image once, ask about it often. What is sent is streamed to disk as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from contextlib import aclosing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from serve.app.fetching import fetch, require_under
from serve.app.services import Owner, Served
from serve.errors import FormatError, RequestError, StoppedError
from serve.store.rasters import Incoming, StoredRaster

router = APIRouter(tags=["Rasters"])
_PIECE_BYTES = 1024**2
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
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise FormatError("the body is a form: send the file itself, as curl -T scene.tif does, and its name as ?name=")
    with services.store.receiving(owner, name or "raster") as incoming:
        await _receive(request, incoming)
        return describe(await asyncio.to_thread(incoming.keep))


class Registration(BaseModel):
    """Name a file that lies under a root of the server's, or an address that it may fetch."""

    model_config = ConfigDict(extra="forbid")

    path: str | None = Field(default=None, min_length=1, max_length=2000, examples=["2026/scene.tif"])
    url: str | None = Field(default=None, min_length=1, max_length=2000, examples=["https://host/cogs/scene.tif"])
    name: str = Field(default="", max_length=300, description="What the raster is called; the file's name by default.")


@router.post("/v1/rasters/register", status_code=201)
async def register_raster(body: Registration, services: Served, owner: Owner) -> dict[str, Any]:
    """Take a file that is there already: a `path` under a folder that the server was started with, or a `url`.

    A path is read where it lies, and no longer once the file changes. An address is fetched once and kept like a raster
    that was sent: what is asked about is what was looked at, whatever the address gives later.
    """
    if (body.path is None) == (body.url is None):
        raise RequestError("a raster is registered by its path or by its url: give one of them")
    store, settings = services.store, services.settings
    if body.path is not None:
        return describe(await asyncio.to_thread(store.register, body.path, owner, body.name))
    assert body.url is not None
    require_under(body.url, settings.prefixes)
    hosts = (*settings.image_hosts, *(urlsplit(prefix).netloc for prefix in settings.prefixes))
    name = body.name or urlsplit(body.url).path.rsplit("/", 1)[-1]
    with store.receiving(owner, name or "raster") as incoming:
        pieces = fetch(body.url, most_bytes=settings.limits.upload_bytes, hosts=hosts, within_s=settings.limits.fetch_s)
        async with aclosing(pieces):
            await _write(pieces, incoming)
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
    """Give a raster as JSON values, without its owner and where it lies."""
    fields = asdict(raster)
    del fields["owner"], fields["source"]
    times = {key: datetime.fromtimestamp(fields[key], UTC).isoformat() for key in ("created", "expires")}
    return {"object": "raster", **fields, **times}


async def _receive(request: Request, incoming: Incoming) -> None:
    """Write the body as it comes."""
    try:
        await _write(request.stream(), incoming)
    except ClientDisconnect as error:
        raise StoppedError("the client went away before the raster was whole: nothing was kept") from error


async def _write(pieces: AsyncIterable[bytes], incoming: Incoming) -> None:
    """Write bytes in pieces large enough for a thread each."""
    held = bytearray()
    async for piece in pieces:
        held += piece
        if len(held) >= _PIECE_BYTES:
            await asyncio.to_thread(incoming.write, bytes(held))
            held.clear()
    await asyncio.to_thread(incoming.write, bytes(held))
