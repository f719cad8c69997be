"""Write docs/formats.md from the tables: `python -m vlm.codecs.formats > docs/formats.md`."""

from __future__ import annotations

import sys

from vlm.codecs.render import render_text
from vlm.dialects import DIALECTS, KINDS, Dialect, Kind, quantum
from vlm.geometry.angles import CONVENTIONS, to_convention
from vlm.geometry.shapes import HBB, OBB, Geometry, Polygon
from vlm.records import Region

SIZE = (1200, 800)
_OBB = OBB(600, 400, 200, 60, -30)
_EXAMPLES: dict[Kind, Geometry] = {
    "box": HBB(120, 80, 360, 240),
    "obb": _OBB,
    "quad": Polygon(_OBB.corners()),
    "poly": Polygon(((120, 80), (360, 80), (360, 240), (240, 160))),
    "seg": Polygon(((120, 80), (360, 80), (360, 240), (240, 160))),
}
_TITLES: dict[Kind, str] = {
    "box": "A horizontal box",
    "obb": "An oriented box",
    "quad": "Four corners",
    "poly": "A polygon",
    "seg": "A mask",
}
_INTRODUCTION = f"""# Formats: how geometry is written as text

Generated from `vlm/dialects.py` by `python -m vlm.codecs.formats > docs/formats.md`; a test keeps it current.

Every region lives in pixels of the original image (float64, origin at the top-left corner of the top-left pixel,
x right, y down). Text is only a rendering of it: `vlm.codecs.render_text` writes a template and its regions in a
dialect, `vlm.codecs.parse_text` reads any dialect back to the same pixels. The dialects below are data; one
implementation reads them.

Templates hold slots: `{{box:0}}` writes region 0 as a box, `{{obb:0,2}}` regions 0 and 2 as oriented boxes,
`{{ref box:0}}` the phrase as well. The kinds are {", ".join(f"`{kind}`" for kind in KINDS)}. A literal brace is
doubled. Within a slot, consecutive regions that share phrase and image stand in one list; in JSON all stand in
one list.

Polygons that leave the image are cut at its edge, other numbers outside it are moved there when text is written.
When text is read, the same is done and counted; swapped corners are put in order and counted; lists that were cut
off keep their complete items; an image that is not there, or text that cannot be read, stays text with an issue.
`<think>` parts are taken out of the template and kept beside it, `<answer>` tags taken off; `keep_reasoning` leaves
both where they are, as data to train on need them.

## The nadir dialect

- `<box>[[x1,y1,x2,y2],...]</box>`: integers 0-1000, x by the image's width, y by its height.
- `<obb>[[cx,cy,w,h,a],...]</obb>`: the centre as above; `w` and `h` in thousandths of the *longer* image side;
  `a` whole degrees in pixel space, clockwise on the screen, of the long side `w`, in [-90, 90). So a non-square
  image shears nothing.
- `<quad>[[x1,y1,...,x4,y4],...]</quad>`: clockwise on the screen from the topmost corner.
- `<poly>[[x1,y1,x2,y2,...],...]</poly>`: one ring; holes follow after `;` within the same brackets. A mask
  becomes its largest part.
- `<seg>x1,y1,x2,y2|N|rows</seg>`: the region's own box, rounded outwards, the number N of cells a side, and N
  rows. A row is its run lengths, zeros first, with the zeros at its end left out: `3,5` is three zeros, five
  ones, zeros to the end; an empty row is empty. `;` stands between rows, `*k` repeats a row k times, `/`
  separates masks. N is 32 by default (16 and 64 are usual, any N up to 1,024 is read); benchmarks/text_mask.md
  says why.
- `<ref>phrase</ref>` stands before the list that it names. `<` in a phrase is written `&lt;`.
- A region of the second image is written `<box image=2>`; without the attribute the first image is meant.
"""


def formats_page() -> str:
    """Give the whole of docs/formats.md."""
    parts = [_INTRODUCTION, "## All dialects\n", *_overview(), "", *_conventions()]
    for dialect in DIALECTS.values():
        parts += ["", *_dialect(dialect)]
    return "\n".join(parts) + "\n"


def _overview() -> list[str]:
    """Compare the dialects in one table; the quantum is that of the example image."""
    lines = [
        f"The quantum is for an image of {SIZE[0]} x {SIZE[1]} pixels: no coordinate that is written lies further",
        "from the truth than this (angles: 1 degree). What a dialect lacks is written as the kind after the arrow.\n",
        "| dialect | numbers | rounding | quantum x, y, length (px) | writes | instead |",
        "|---|---|---|---|---|---|",
    ]
    for dialect in DIALECTS.values():
        step = quantum(dialect.name, SIZE)
        written = ", ".join(dict.fromkeys(form.kind for form in dialect.forms if not form.read_only))
        instead = ", ".join(f"{kind} -> {other}" for kind, other in dialect.fallback) or "-"
        steps = f"{step.x_px:.2f}, {step.y_px:.2f}, {step.length_px:.2f}"
        lines.append(
            f"| {dialect.name} | {_numbers(dialect)} | {_rounding(dialect)} | {steps} | {written} | {instead} |"
        )
    return lines


def _numbers(dialect: Dialect) -> str:
    """Say what the numbers of a dialect count."""
    if dialect.grid is None:
        return f"pixels of the image resized to multiples of {dialect.factor}"
    return f"0-{dialect.top}"


def _rounding(dialect: Dialect) -> str:
    """Say how numbers are rounded and read."""
    return "down, read at the bin's centre" if dialect.offset else "down" if dialect.rounding == "floor" else "nearest"


def _conventions() -> list[str]:
    """List the angle conventions with one box in each."""
    lines = [
        "## Angle conventions\n",
        f"The same box in each (`vlm.geometry.to_convention`, `from_convention`): centre ({_OBB.cx:g}, {_OBB.cy:g}),",
        f"sides {_OBB.w:g} x {_OBB.h:g}, the long side rising to the right at 30 degrees on the screen.\n",
        "| name | meaning | cx, cy, w, h, angle |",
        "|---|---|---|",
    ]
    for name, convention in CONVENTIONS.items():
        values = ", ".join(f"{value:.4g}" for value in to_convention(_OBB, name))
        lines.append(f"| {name} | {convention.meaning} | {values} |")
    corners = ", ".join(f"{value:.4g}" for point in _OBB.corners() for value in point)
    return [*lines, f"| dota | four corners (`to_dota`, `from_dota`) | {corners} |"]


def _dialect(dialect: Dialect) -> list[str]:
    """Describe one dialect with an example of each kind that it writes."""
    lines = [f"## {dialect.name}\n", f"{dialect.source}.\n"]
    for kind in KINDS:
        if kind in dict(dialect.fallback):
            continue
        region = Region(_EXAMPLES[kind], "white ship")
        text = render_text(f"{{ref {kind}:0}}", [region], sizes=[SIZE], dialect=dialect.name)
        lines += [f"{_TITLES[kind]}:\n", "````text", text, "````", ""]
    if dialect.phrase is None and all(form.layout != "json" for form in dialect.forms):
        lines.append("It has no place for the phrase.")
    only_read = [f"{form.kind} ({form.layout})" for form in dialect.forms if form.read_only]
    if only_read:
        lines.append(f"Also read: {', '.join(only_read)}.")
    while lines[-1] == "":
        lines.pop()
    return lines


if __name__ == "__main__":
    sys.stdout.write(formats_page())
