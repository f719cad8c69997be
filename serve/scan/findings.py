"""What was found in one window, as a record and as the line of JSON that the journal keeps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from vlm.geometry.shapes import HBB, OBB, Geometry, Mask, Polygon
from vlm.records import Answer, Region
from vlm.summary import geometry_to_dict, render_words

State = Literal["answered", "empty", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Hold what came of one window: words and regions (pixels of the raster), or why there are none.

    `issues` counts what did not parse, `ms` is the time the answer took, tokens are those of the model.
    """

    number: int
    state: State
    words: str = ""
    regions: tuple[Region, ...] = ()
    reason: str = ""
    issues: int = 0
    ms: float = 0.0
    prompt_tokens: int = 0
    new_tokens: int = 0


def finding_of(number: int, answer: Answer, *, ms: float) -> Finding:
    """Give the finding of an answer whose regions are in pixels of the raster."""
    cost = answer.cost
    return Finding(
        number,
        "answered",
        sound_text(render_words(answer)),
        tuple(replace(region, phrase=sound_text(region.phrase)) for region in answer.regions),
        issues=len(answer.issues),
        ms=ms,
        prompt_tokens=0 if cost is None else cost.prompt_tokens,
        new_tokens=0 if cost is None else cost.new_tokens,
    )


def sound_text(text: str) -> str:
    """Give text that every file holds: half a character, as a broken answer has it, becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def finding_to_dict(finding: Finding) -> dict[str, Any]:
    """Give a finding as JSON values; what is usual is left out."""
    values: dict[str, Any] = {"w": finding.number, "s": finding.state}
    if finding.state == "answered":
        regions = [[region.phrase, geometry_to_dict(region.geometry)] for region in finding.regions]
        tokens = [finding.prompt_tokens, finding.new_tokens]
        values |= {"words": finding.words, "regions": regions, "ms": round(finding.ms, 1), "tokens": tokens}
    if finding.issues:
        values["issues"] = finding.issues
    return values | ({"reason": finding.reason} if finding.reason else {})


def finding_from_dict(values: dict[str, Any]) -> Finding:
    """Read a finding back; inverse of finding_to_dict."""
    prompt, new = values.get("tokens", (0, 0))
    return Finding(
        values["w"],
        values["s"],
        values.get("words", ""),
        tuple(Region(geometry_from_dict(shape), phrase) for phrase, shape in values.get("regions", ())),
        values.get("reason", ""),
        values.get("issues", 0),
        values.get("ms", 0.0),
        prompt,
        new,
    )


def geometry_from_dict(values: dict[str, Any]) -> Geometry:
    """Read a geometry as vlm.summary.geometry_to_dict writes it; GeometryError for what is none."""
    if values["kind"] == "box":
        return HBB(*values["xyxy"])
    if values["kind"] == "obb":
        cx, cy, w, h = values["cxcywh"]
        return OBB(cx, cy, w, h, values["angle_deg"])
    if values["kind"] == "polygon":
        exterior, *holes = (tuple((x, y) for x, y in ring) for ring in values["rings"])
        return Polygon(exterior, tuple(holes))
    runs = np.array(values["runs"], dtype=np.int64)
    bits = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(values["rows"], values["cols"])
    return Mask(bits, HBB(*values["box"]))
