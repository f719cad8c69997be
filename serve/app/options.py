"""What may be said about a question beside its words: the options of vlm.answer.Request, checked as input of strangers.

Regions are text that vlm.region_input reads, which also reads files: what could name one is refused here, and so is a
coordinate system that is more than a code.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from serve.errors import RequestError, TooLargeError
from serve.settings import Limits
from vlm.answer import Request
from vlm.dialects import get_dialect
from vlm.records import Task

_REGION = re.compile(
    r"(?:[1-9]:)?\s*(?:(?:box|obb|polygon):)?[-+0-9.eE,;\s]+(?:@\s*(?:EPSG:\d{1,6}|OGC:CRS84|CRS84)\s*)?", re.IGNORECASE
)
_CRS_NAME = re.compile(r"(?:urn:ogc:def:crs:)?(?:EPSG::?\d{1,6}|OGC:[\d.]*:?CRS84)", re.IGNORECASE)
_REGION_CHARACTERS, _REGION_DEPTH = 1_000_000, 32

Pixel = Annotated[int, Field(ge=-(2**31), le=2**31)]


class Options(BaseModel):
    """Say what kind of answer is wanted, and how the images are looked at."""

    model_config = ConfigDict(extra="forbid")

    task: Task | None = Field(default=None, description="The kind of answer that is wanted.")
    budget: int | None = Field(default=None, ge=1, description="The most tiles that may be read of an image.")
    window: tuple[Pixel, Pixel, Pixel, Pixel] | None = Field(
        default=None, description="Look at this part only: x, y, width, height in pixels.", examples=[[0, 0, 512, 512]]
    )
    bbox: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat] | None = Field(
        default=None, description="Look at this part only: west, south, east, north in degrees."
    )
    bands: str | None = Field(
        default=None,
        max_length=200,
        description="Which bands to show: numbers or a preset.",
        examples=["true", "ndvi", "4,3,2"],
    )
    regions: list[str | dict[str, Any]] = Field(
        default=[],
        max_length=50,
        description="What the question speaks about: GeoJSON, or text such as box:10,20,110,90 in pixels of the first "
        "image (2:box:... of the second), box:2.29,48.85,2.30,48.86@EPSG:4326 on the map.",
    )
    dialect: str | None = Field(
        default=None, max_length=40, description="The dialect of the model's text; its own by default."
    )

    strict: bool = Field(
        default=False,
        description="Hold the answer to the form of its task, so that every region of it parses: lists of boxes, of "
        "oriented boxes or of masks, or the word none; a number for count; words with well-formed regions otherwise.",
    )

    def to_request(self, words: str, images: tuple[Path, ...], *, new_tokens: int, limits: Limits) -> Request:
        """Build the question; TooLargeError for what a limit forbids, RequestError for a region that is none."""
        if len(words) > limits.words:
            raise TooLargeError(f"the instruction has {len(words):,} characters: at most {limits.words:,} are read")
        if self.budget is not None and self.budget > limits.tiles:
            raise TooLargeError(f"the budget is {self.budget} tiles: this server reads at most {limits.tiles} an image")
        if new_tokens > limits.new_tokens:
            raise TooLargeError(f"{new_tokens} new tokens are asked for: at most {limits.new_tokens} are given")
        if self.dialect is not None:
            get_dialect(self.dialect)
        return Request(
            words,
            images,
            task=self.task,
            budget=self.budget,
            window=self.window,
            bbox=self.bbox,
            bands=self.bands,
            regions=[require_safe_region(region) for region in self.regions],
            dialect=self.dialect,
            max_new_tokens=new_tokens,
        )


def require_safe_region(region: str | dict[str, Any]) -> str:
    """Give a region as text that names no file and no more of a CRS than its code; RequestError for any other."""
    if isinstance(region, str):
        if len(region) > _REGION_CHARACTERS or not _REGION.fullmatch(region.strip()):
            raise RequestError(
                f"region {region[:60]!r} is not one: expected box:x1,y1,x2,y2, obb:cx,cy,w,h,angle or "
                "polygon:x,y,x,y,x,y, each optionally @EPSG:CODE, or a GeoJSON object"
            )
        return region.strip()
    if _depth(region) > _REGION_DEPTH:
        raise RequestError(f"a GeoJSON region is nested more than {_REGION_DEPTH} deep: give polygons")
    crs = region.get("crs")
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if crs is not None and not (isinstance(name, str) and _CRS_NAME.fullmatch(name)):
        raise RequestError("a GeoJSON region names a crs that is no code: expected EPSG:CODE, or none for degrees")
    text = json.dumps(region)
    if len(text) > _REGION_CHARACTERS:
        raise TooLargeError(f"a GeoJSON region has {len(text):,} characters: at most {_REGION_CHARACTERS:,} are read")
    return text


def _depth(value: Any) -> int:
    """Count how deep lists and objects are nested, without recursion."""
    depth, level = 0, [value]
    while level and depth <= _REGION_DEPTH:
        nested = [item for item in level if isinstance(item, (dict, list))]
        level = [inner for item in nested for inner in (item.values() if isinstance(item, dict) else item)]
        depth += bool(nested)
    return depth
