"""The nine ways of writing geometry as text, as data: grids, rounding, angle conventions, corner orders, tags.

A dialect says what the numbers mean; `vlm.codecs` holds the one implementation that reads this table. Where a published
system leaves a detail open, `source` says which choice was made here. docs/formats.md is generated from this file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from vlm.errors import GeometryError

Kind = Literal["box", "obb", "quad", "poly", "seg"]
KINDS: tuple[Kind, ...] = ("box", "obb", "quad", "poly", "seg")
Field = Literal["x", "y", "l", "a"]
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Form:
    """State how one kind of geometry is written.

    `layout`: "tag" is `<name>...</name>`, "run" a bare run of number tokens, "json" an object with the key `name`,
    "line" a plain line `numbers label`. `fields`: what each number is (x, y, a length, an angle); empty means any
    number of x y pairs. An oriented box with the fields x y x y a is the unturned box and the angle that turns it
    about its centre.
    """

    kind: Kind
    layout: Literal["tag", "run", "json", "line"]
    name: str
    fields: tuple[Field, ...] = ()
    holes: bool = False
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Style:
    """State the punctuation: how a list, an item of it, a number and an angle begin and end."""

    list_open: str = "["
    list_close: str = "]"
    item_open: str = "["
    item_close: str = "]"
    item_separator: str = ","
    number_open: str = ""
    number_close: str = ""
    number_separator: str = ","
    before_angle: str = ""


@dataclass(frozen=True, slots=True)
class MaskStyle:
    """State how a mask is laid on a grid and how the grid is written.

    `frame` "own" lays cells x cells over the mask's own box, written first; "image" lays them over the whole image;
    "patches" takes one cell a patch of `factor` pixels of the resized image. `syntax` "runs" writes alternating run
    lengths, zeros first, the last zeros left out; "pairs" writes value*count. `pooling` decides a cell: "best"
    maximises the IoU, "any" sets every touched cell.
    """

    frame: Literal["own", "image", "patches"]
    syntax: Literal["runs", "pairs"]
    cells: int = 32
    pooling: Literal["best", "any"] = "best"
    last_separator: bool = False


@dataclass(frozen=True, slots=True)
class Dialect:
    """Describe one dialect completely.

    `grid`: numbers per image side (x by width, y by height); None means absolute pixels of the resized image, whose
    sides are multiples of `factor` and whose area lies within `min_pixels` and `max_pixels`. `top` is the largest
    number; `offset` is added when a number is read (0.5: the centre of a bin). Lengths of oriented boxes are measured
    by the longer image side ("longer") or by the mean scale of both sides ("mean"). `corners` is the direction on the
    screen and the extreme corner that comes first. `fallback` names the kind that is written for one the dialect does
    not have.
    """

    name: str
    source: str
    forms: tuple[Form, ...]
    style: Style = Style()
    grid: int | None = 1000
    top: int | None = 1000
    factor: int = 28
    min_pixels: int = 56 * 56
    max_pixels: int = 16384 * 28 * 28
    rounding: Literal["nearest", "floor"] = "nearest"
    offset: float = 0.0
    lengths: Literal["longer", "mean"] = "longer"
    angle: str = "le90"
    corners: tuple[Literal["clockwise", "counter-clockwise"], Literal["topmost", "bottommost"]] = (
        "clockwise",
        "topmost",
    )
    mask: MaskStyle | None = None
    phrase: tuple[str, str] | None = ("<ref>", "</ref>")
    names_images: bool = False
    fallback: tuple[tuple[Kind, Kind], ...] = ()

    def form(self, kind: Kind) -> Form:
        """Give the form in which a kind is written, by way of the fallback table; GeometryError when there is none."""
        target = dict(self.fallback).get(kind, kind)
        for form in self.forms:
            if form.kind == target and not form.read_only:
                return form
        written = ", ".join(form.kind for form in self.forms if not form.read_only)
        raise GeometryError(f"the dialect {self.name} cannot write {kind!r}: it writes {written}")


_XYXY: tuple[Field, ...] = ("x", "y", "x", "y")
_XYXYA: tuple[Field, ...] = ("x", "y", "x", "y", "a")
_XYLLA: tuple[Field, ...] = ("x", "y", "l", "l", "a")
_QUAD: tuple[Field, ...] = ("x", "y") * 4
_TOKENS = Style("", "", "", "", "<sep>", "<", ">", "")
_BRACES = Style("", "", "{", "}", "<delim>", "<", ">", "", "|")
_JSON_BOX = Form("box", "json", "bbox_2d", _XYXY)

_ALL = (
    Dialect(
        name="nadir",
        source="Nadir's own; the default",
        forms=(
            Form("box", "tag", "box", _XYXY),
            Form("obb", "tag", "obb", _XYLLA),
            Form("quad", "tag", "quad", _QUAD),
            Form("poly", "tag", "poly", holes=True),
            Form("seg", "tag", "seg"),
            Form("box", "json", "bbox_2d", _XYXY, read_only=True),
        ),
        mask=MaskStyle("own", "runs"),
        names_images=True,
    ),
    Dialect(
        name="geochat",
        source="GeoChat (demo and data); angles as in its data, 0 to 90; box corners may lie outside the image",
        forms=(Form("box", "run", "", _XYXY), Form("obb", "run", "", _XYXYA)),
        style=_BRACES,
        grid=100,
        top=100,
        angle="geochat",
        phrase=("<p>", "</p> "),
        fallback=(("quad", "obb"), ("poly", "obb"), ("seg", "obb")),
    ),
    Dialect(
        name="geoground",
        source="GeoGround (paper and figures; no code): 0-1000 for both boxes, lengths by the longer side",
        forms=(Form("box", "tag", "box", _XYXY), Form("obb", "tag", "obb", _XYLLA), Form("seg", "tag", "seg")),
        mask=MaskStyle("image", "pairs"),
        fallback=(("quad", "obb"), ("poly", "seg")),
    ),
    Dialect(
        name="qwen2.5",
        source="Qwen2.5-VL: JSON, absolute pixels of the image resized to multiples of 28",
        forms=(_JSON_BOX,),
        grid=None,
        top=None,
        phrase=None,
        fallback=(("obb", "box"), ("quad", "box"), ("poly", "box"), ("seg", "box")),
    ),
    Dialect(
        name="qwen3",
        source="Qwen3-VL: JSON, 0-1000",
        forms=(_JSON_BOX,),
        phrase=None,
        fallback=(("obb", "box"), ("quad", "box"), ("poly", "box"), ("seg", "box")),
    ),
    Dialect(
        name="falcon",
        source="Falcon (TianHuiLab), prompts of its README; it has no phrase tag",
        forms=(
            Form("box", "tag", "box", _XYXY),
            Form("quad", "tag", "quad", _QUAD),
            Form("poly", "tag", "poly"),
        ),
        style=_TOKENS,
        corners=("counter-clockwise", "bottommost"),
        phrase=None,
        fallback=(("obb", "quad"), ("seg", "poly")),
    ),
    Dialect(
        name="lmmrotate",
        source="LMMRotate (Florence-2 bins): the class name, then corners; 1,000 bins read at their centre",
        forms=(Form("quad", "run", "", _QUAD),),
        style=Style("", "", "", "", "<sep>", "<loc_", ">", ""),
        top=999,
        rounding="floor",
        offset=0.5,
        corners=("counter-clockwise", "topmost"),
        phrase=("", ""),
        fallback=(("box", "quad"), ("obb", "quad"), ("poly", "quad"), ("seg", "quad")),
    ),
    Dialect(
        name="rscovlm",
        source="RSCoVLM: JSON in absolute pixels of the image resized to multiples of 28, masks on its patches",
        forms=(
            _JSON_BOX,
            Form("obb", "json", "oriented bbox", _XYLLA),
            Form("quad", "json", "quadrant bbox", _QUAD),
            Form("seg", "tag", "seg"),
            Form("box", "line", "", _XYXY, read_only=True),
            Form("obb", "line", "", _XYLLA, read_only=True),
            Form("quad", "line", "", _QUAD, read_only=True),
        ),
        grid=None,
        top=None,
        rounding="floor",
        lengths="mean",
        mask=MaskStyle("patches", "pairs", pooling="any", last_separator=True),
        phrase=None,
        fallback=(("poly", "seg"),),
    ),
    Dialect(
        name="vrsbench",
        source="VRSBench referring: int(100 x), horizontal boxes only",
        forms=(Form("box", "run", "", _XYXY),),
        style=_BRACES,
        grid=100,
        top=100,
        rounding="floor",
        phrase=("<p>", "</p> "),
        fallback=(("obb", "box"), ("quad", "box"), ("poly", "box"), ("seg", "box")),
    ),
)
DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in _ALL}


@dataclass(frozen=True, slots=True)
class Frame:
    """Hold what one step of the numbers means in one image: original pixels a unit along x, y and for lengths."""

    width: int
    height: int
    unit_x: float
    unit_y: float
    unit_l: float
    top_x: int
    top_y: int
    resized: Size | None


@dataclass(frozen=True, slots=True)
class Quantum:
    """State the resolution of a dialect in one image: no coordinate that it writes is further than this from the truth.

    Pixels of the original image and degrees; `cell_px` is the size of a mask cell for masks that lie over the whole
    image (masks over their own box have cells of the box's size divided by the number of cells).
    """

    x_px: float
    y_px: float
    length_px: float
    angle_deg: float
    cell_px: tuple[float, float] | None


def get_dialect(name: str) -> Dialect:
    """Look a dialect up by name; GeometryError lists the known ones."""
    if name not in DIALECTS:
        raise GeometryError(f"no dialect is called {name!r}: known are {', '.join(DIALECTS)}")
    return DIALECTS[name]


def smart_resize(size: Size, *, factor: int = 28, min_pixels: int = 56 * 56, max_pixels: int = 16384 * 28 * 28) -> Size:
    """Give the (width, height) to which Qwen2.5-VL resizes: multiples of `factor`, area within the two bounds."""
    width, height = size
    w, h = max(factor, round(width / factor) * factor), max(factor, round(height / factor) * factor)
    if w * h > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        w = max(factor, math.floor(width / shrink / factor) * factor)
        h = max(factor, math.floor(height / shrink / factor) * factor)
    elif w * h < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        w, h = math.ceil(width * grow / factor) * factor, math.ceil(height * grow / factor) * factor
    return w, h


def frame(dialect: Dialect, size: Size, resized: Size | None = None) -> Frame:
    """Resolve a dialect for one image of (width, height) pixels, shown to the model as `resized` where that matters."""
    width, height = size
    if width <= 0 or height <= 0:
        raise GeometryError(f"an image of {width} x {height} pixels has no grid: both sides must be positive")
    if dialect.grid is None:
        resized = resized or smart_resize(
            size, factor=dialect.factor, min_pixels=dialect.min_pixels, max_pixels=dialect.max_pixels
        )
        unit_x, unit_y, (top_x, top_y) = width / resized[0], height / resized[1], resized
    else:
        resized = None
        unit_x, unit_y = width / dialect.grid, height / dialect.grid
        top_x = top_y = dialect.top or dialect.grid
    unit_l = max(unit_x, unit_y) if dialect.lengths == "longer" else math.sqrt(unit_x * unit_y)
    return Frame(width, height, unit_x, unit_y, unit_l, top_x, top_y, resized)


def quantum(dialect: str, size: Size, *, resized: Size | None = None) -> Quantum:
    """State the resolution of a dialect in an image of (width, height) pixels."""
    entry = get_dialect(dialect)
    resolved = frame(entry, size, resized)
    cell = None
    if entry.mask is not None and entry.mask.frame != "own":
        cols, rows = mask_grid(entry, resolved)
        cell = (size[0] / cols, size[1] / rows)
    return Quantum(resolved.unit_x, resolved.unit_y, resolved.unit_l, 1.0, cell)


def mask_grid(dialect: Dialect, resolved: Frame) -> Size:
    """Give (columns, rows) of the grid on which a dialect writes a mask of this image."""
    style = dialect.mask
    if style is None:
        raise GeometryError(f"the dialect {dialect.name} has no masks")
    if style.frame != "patches":
        return style.cells, style.cells
    width, height = resolved.resized or (resolved.width, resolved.height)
    return max(1, math.ceil(width / dialect.factor)), max(1, math.ceil(height / dialect.factor))
