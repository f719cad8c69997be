"""/v1/exports: the regions of an answer as a file for a GIS or a training set, placed by the rasters' own grids."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from serve.app.images import gathered
from serve.app.services import Owner, Served
from serve.errors import RequestError, TooLargeError
from serve.store.inspect import sound
from vlm.errors import GeometryError, OutputError
from vlm.geometry.shapes import HBB, OBB, Geometry, Mask, Polygon
from vlm.pair import open_dates
from vlm.records import Answer, Image, Region
from vlm.vector import write_answers

router = APIRouter(tags=["Ask"])
FileFormat = Literal["geojson", "gpkg", "parquet", "coco"]
_SUFFIXES = {"geojson": ".geojson", "gpkg": ".gpkg", "parquet": ".parquet", "coco": ".json"}
_MEDIA = {
    "geojson": "application/geo+json",
    "gpkg": "application/geopackage+sqlite3",
    "parquet": "application/vnd.apache.parquet",
    "coco": "application/json",
}
_MOST_REGIONS, _MOST_POINTS, _MOST_CELLS = 5_000, 20_000, 4 * 1024**2
_FAR = 2.0**31
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "The file, with its name."}
}
Px = Annotated[FiniteFloat, Field(ge=-_FAR, le=_FAR)]
Side = Annotated[FiniteFloat, Field(ge=0, le=_FAR)]


class BoxShape(BaseModel):
    """Hold a box: x1, y1, x2, y2 in pixels."""

    kind: Literal["box"]
    xyxy: tuple[Px, Px, Px, Px]

    def to_geometry(self) -> Geometry:
        """Give the box."""
        return HBB(*self.xyxy)


class ObbShape(BaseModel):
    """Hold an oriented box: centre and sides in pixels, and its angle."""

    kind: Literal["obb"]
    cxcywh: tuple[Px, Px, Side, Side]
    angle_deg: Annotated[FiniteFloat, Field(ge=-360, le=360)]

    def to_geometry(self) -> Geometry:
        """Give the oriented box."""
        return OBB(*self.cxcywh, self.angle_deg)


class PolygonShape(BaseModel):
    """Hold a polygon: its exterior and then its holes, open rings in pixels."""

    kind: Literal["polygon"]
    rings: list[Annotated[list[tuple[Px, Px]], Field(min_length=3, max_length=_MOST_POINTS)]] = Field(
        min_length=1, max_length=1_000
    )

    def to_geometry(self) -> Geometry:
        """Give the polygon."""
        exterior, *holes = (tuple(ring) for ring in self.rings)
        return Polygon(exterior, tuple(holes))


class MaskShape(BaseModel):
    """Hold a mask: row-wise run lengths of a grid over a box in pixels, beginning with an uncovered run."""

    kind: Literal["mask"]
    box: tuple[Px, Px, Px, Px]
    rows: int = Field(ge=1, le=4096)
    cols: int = Field(ge=1, le=4096)
    runs: list[Annotated[int, Field(ge=0, le=_MOST_CELLS)]] = Field(min_length=1, max_length=_MOST_CELLS)

    @model_validator(mode="after")
    def _require_whole(self) -> Self:
        if sum(self.runs) != self.rows * self.cols:
            raise ValueError(f"the runs cover {sum(self.runs)} cells: expected {self.rows} x {self.cols}")
        return self

    def to_geometry(self) -> Geometry:
        """Give the mask."""
        bits = np.zeros(self.rows * self.cols, bool)
        ends = [*accumulate(self.runs)]
        for begin, end in zip(ends[::2], ends[1::2], strict=False):
            bits[begin:end] = True
        return Mask(bits.reshape(self.rows, self.cols), HBB(*self.box))


Shape = Annotated[BoxShape | ObbShape | PolygonShape | MaskShape, Field(discriminator="kind")]


class ExportRegion(BaseModel):
    """Hold one region as answers give it; what else an answer says of it is measured again."""

    geometry_px: Shape
    phrase: str = Field(default="", max_length=1_000)
    image: int = Field(default=0, ge=0, le=100)


class ExportBody(BaseModel):
    """Hold the regions of an answer, the images that they lie in, and the format that is wanted."""

    model_config = ConfigDict(extra="forbid")

    format: FileFormat
    images: list[str] = Field(min_length=1, max_length=8, description="The images of the answer, in its order.")
    regions: list[ExportRegion] = Field(max_length=_MOST_REGIONS)
    instruction: str = Field(default="", max_length=8_000)
    text: str = Field(default="", max_length=100_000)


@router.post("/v1/exports", response_class=Response, responses=_FILE)
async def export_regions(body: ExportBody, services: Served, owner: Owner) -> Response:
    """Write regions as GeoJSON, GeoPackage, GeoParquet or COCO, in the coordinate system that `nadir ask` writes."""
    _require_few_cells(body)
    async with gathered(body.images, services, owner) as paths:
        data = await asyncio.to_thread(_write, body, paths, services.store.folder / "incoming")
    name = f"{paths[0].stem}-regions{_SUFFIXES[body.format]}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return Response(data, media_type=_MEDIA[body.format], headers=headers)


def _require_few_cells(body: ExportBody) -> None:
    shapes = [region.geometry_px for region in body.regions]
    cells = sum(shape.rows * shape.cols for shape in shapes if isinstance(shape, MaskShape))
    if cells > _MOST_CELLS:
        raise TooLargeError(f"the masks have {cells:,} cells in all: at most {_MOST_CELLS:,} are written at once")
    beyond = [region.image for region in body.regions if region.image >= len(body.images)]
    if beyond:
        raise RequestError(f"a region lies in image {beyond[0]}, but {len(body.images)} are named: count from 0")


def _write(body: ExportBody, paths: tuple[Path, ...], incoming: Path) -> bytes:
    """Place the regions on the rasters' grids and write the file; raises RequestError, GeometryError, PairError."""
    from shapely.errors import ShapelyError

    regions = tuple(Region(one.geometry_px.to_geometry(), one.phrase, one.image) for one in body.regions)
    with ExitStack() as stack, sound(paths[0].name):
        rasters = [stack.enter_context(raster) for raster in open_dates(*paths)]
        answer = Answer(
            "",
            regions,
            body.text,
            grids=tuple(raster.grid for raster in rasters),
            instruction=body.instruction,
            images=tuple(Image(path=path.name) for path in paths),
            file_grids=tuple(raster.file_grid for raster in rasters),
        )
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=incoming))
        path = Path(folder) / f"regions{_SUFFIXES[body.format]}"
        try:
            return write_answers([answer], path, format=body.format).read_bytes()
        except OutputError as error:
            raise RequestError(f"these regions are no {body.format} file: {error}") from error
        except ShapelyError as error:
            raise GeometryError(f"a region is no shape ({error}): expected rings that enclose an area") from error
