"""Write docs/formats.md from the tables of the code: `make docs`. A test fails when the page is not what this gives."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from vlm.codecs import render_text
from vlm.dialects import DIALECTS, Dialect, quantum
from vlm.geometry import CONVENTIONS, HBB, OBB, Mask, Polygon
from vlm.records import Region
from vlm.vector import FORMATS

SIZE = (800, 600)
DISC = np.hypot(*np.mgrid[-1:1:8j, -1:1:8j]) < 0.95
SHAPES = (
    ("box", Region(HBB(80, 60, 240, 180), "ship")),
    ("obb", Region(OBB(400, 300, 160, 60, 30), "ship")),
    ("poly", Region(Polygon(((480, 60), (560, 90), (640, 60), (600, 180))), "pier")),
    ("seg", Region(Mask(DISC, HBB(80, 360, 160, 440)), "tank")),
)
HEAD = f"""# Formats

This page is made by `make docs` from the tables in `vlm/dialects.py`, `vlm/geometry/angles.py` and `vlm/vector.py`.

Geometry is stored in pixels of the original image: continuous, origin at the top-left corner of the top-left pixel, x
to the right, y down. Text is rendered from it at the last moment, in a dialect, and read back to the same geometry.
All examples below are the same four shapes in an image of {SIZE[0]} x {SIZE[1]} pixels.

## The nadir dialect

- Coordinates are integers from 0 to 1000: x by the image's width, y by its height.
- `<box>[[x1,y1,x2,y2],...]</box>`: horizontal boxes. `<quad>` has four corners, `<poly>` any number of points.
- `<obb>[[cx,cy,w,h,a],...]</obb>`: oriented boxes; `w` and `h` by the longer side of the image, so that a square stays
  a square, and `a` in degrees, long edge, clockwise on the screen, from -90 up to 90.
- `<seg>x1,y1,x2,y2|N|rows</seg>`: a mask as run lengths on an N x N grid over the region's own box, row by row, zeros
  first; `;` ends a row, the last zeros of a row are left out, and `*k` repeats a row k times.
- `<ref>phrase</ref>` before a region names it. With several images a region says which one; the first is the default.
- Braces in templates (`{{box:0}}`, `{{ref obb:0,1}}`) are slots for regions; a doubled brace is a brace.
"""


def render_formats() -> str:
    """Render the whole page as Markdown."""
    parts = [HEAD, "## The nine dialects", _table(("dialect", "follows", "numbers", "one unit here"), _dialects())]
    for dialect in DIALECTS.values():
        parts += [f"### {dialect.name}", _examples(dialect), _remarks(dialect)]
    conventions = [(f"`{c.name}`", c.meaning) for c in CONVENTIONS.values()]
    parts += ["## Angles of oriented boxes", _table(("name", "meaning"), conventions)]
    formats = [(f"`{name}`", _first_sentence(writer.__doc__)) for name, writer in FORMATS.items()]
    parts += ["## Files", "`nadir ask ... --format NAME --out FILE`, or `write_answers` in Python."]
    parts += [_table(("format", "what it holds"), formats), GEOJSON]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


GEOJSON = """
A GeoJSON feature has the properties `phrase`, `kind` (box, obb, polygon, mask), `image` (0 is the first), `image_name`,
`box_px`, for oriented boxes `obb_px` (cx, cy, w, h, angle in degrees), the `instruction` and the `text` of the answer.
On the map it also has `area_m2`, `area_ha`, `perimeter_m`, `length_m` and `width_m`, measured on the WGS84 ellipsoid.
Files follow RFC 7946: longitude before latitude, exteriors counter-clockwise, regions that cross 180 degrees cut there.
Images without georeference give pixel coordinates, and the member `coordinate_frame` says so.
"""


def _dialects() -> Iterable[Sequence[str]]:
    for dialect in DIALECTS.values():
        step = quantum(dialect.name, SIZE)
        grid = "pixels of the resized image" if dialect.grid is None else f"0-{dialect.top}"
        yield f"`{dialect.name}`", dialect.source, grid, f"{step.x_px:.2f} x {step.y_px:.2f} px"


def _examples(dialect: Dialect) -> str:
    lines = []
    for kind, region in SHAPES:
        text = render_text(f"{{ref {kind}:0}}", (region,), sizes=(SIZE,), dialect=dialect.name)
        lines.append(f"{kind:5}{text if len(text) <= 300 else text[:280] + ' ...'}")
    return "\n".join(["````text", *lines, "````"])


def _remarks(dialect: Dialect) -> str:
    remarks = [f"Angles: `{dialect.angle}`. Corners: {dialect.corners[0]}, from the {dialect.corners[1]} one."]
    if dialect.fallback:
        pairs = ", ".join(f"{kind} as {written}" for kind, written in dialect.fallback)
        remarks.append(f"It has no form of its own for some kinds, which it writes as others: {pairs}.")
    return " ".join(remarks)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _first_sentence(docstring: str | None) -> str:
    return " ".join((docstring or "").split("\n\n")[0].split())


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("formats.md"))
    parser.parse_args().out.write_text(render_formats(), encoding="utf-8")


if __name__ == "__main__":
    main()
