"""The page of one run: scores beside baselines, and its best, worst and median cases with what was said drawn in.

One self-contained file. True regions are drawn in the first colour, predicted ones in the second; pictures are read
decimated, so that a page about very large images is as quick as any.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from eval_suites.cases import Case, CaseFile
from eval_suites.images import frames
from eval_suites.leaderboard import HEAD, leaderboard_line, write_tie, write_value
from eval_suites.masks import FILES, target_regions
from vlm.codecs import parse_text
from vlm.errors import RasterError
from vlm.geometry import shift
from vlm.output import write_text
from vlm.overlay import PALETTE, Mark, draw_marks, load_pictures, marks_of
from vlm.records import Answer, Region

EACH: Final = 6
PICTURE_PX: Final = 480
QUALITY: Final = 82
MOST_TEXT: Final = 600
MOST_TAGS: Final = 12


@dataclass(frozen=True, slots=True)
class Card:
    """Hold what the page shows of one case: pictures as data URIs, its score and why, and the words."""

    id: str
    pictures: tuple[str, ...]
    score: float
    explanation: str
    asked: str
    said: str
    target: str


def write_page(folder: Path, result: dict[str, Any], file: CaseFile, *, dialect: str) -> Path:
    """Write report.html and leaderboard.md into the folder of a run, and give the page's path."""
    from jinja2 import Environment, PackageLoader

    rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    known = {case.id: case for case in file.cases}
    picked = pick_rows(rows, lower_is_better=result["lower_is_better"])
    sections = [(title, [_card(known[row["id"]], row, dialect) for row in some]) for title, some in picked.items()]
    environment = Environment(loader=PackageLoader("eval_suites", "."), autoescape=True, trim_blocks=True)
    page = environment.get_template("report.html.jinja").render(
        result=result, sections=sections, write=write_value, write_tie=write_tie, colours=PALETTE[:2]
    )
    write_text(folder / "leaderboard.md", f"{HEAD}\n{leaderboard_line(result)}\n")
    return write_text(folder / "report.html", page)


def pick_rows(
    rows: Sequence[dict[str, Any]], *, lower_is_better: bool, each: int = EACH
) -> dict[str, list[dict[str, Any]]]:
    """Pick the best, worst and median rows, no image twice in a section and no row twice on the page."""
    ordered = sorted(rows, key=lambda row: (row["score"] if lower_is_better else -row["score"], row["id"]))
    middle = sorted(range(len(ordered)), key=lambda place: (abs(place - len(ordered) // 2), place))
    orders = {
        "Worst": ordered[::-1],
        "Best": ordered,
        "In the middle": [ordered[place] for place in middle],
    }
    taken: set[str] = set()
    picked = {}
    for title, order in orders.items():
        groups: set[str] = set()
        some: list[dict[str, Any]] = []
        for row in order:
            if row["id"] in taken or row.get("group") in groups or len(some) == each:
                continue
            some.append(row)
            taken.add(row["id"])
            groups.add(str(row.get("group")))
        picked[title] = some
    return {title: picked[title] for title in ("Best", "Worst", "In the middle") if picked[title]}


def read_said(case: Case, output: str, dialect: str) -> tuple[Region, ...]:
    """Read the regions of an answer in pixels of the image; none where no geometry was asked for or files answer."""
    if dialect == FILES or not (case.form or case.regions):
        return ()
    found = parse_text(output, sizes=frames(case), dialect=dialect).regions
    if case.window is None:
        return found
    return tuple(Region(shift(one.geometry, case.window.x, case.window.y), one.phrase, one.image) for one in found)


def _card(case: Case, row: dict[str, Any], dialect: str) -> Card:
    output = row["output"] or ""
    return Card(
        case.id,
        tuple(_pictures(case, output, dialect)),
        float(row["score"]),
        row["explanation"],
        f"{case.instruction} {case.phrase if case.phrase not in case.instruction else ''}".strip()[:MOST_TEXT],
        output[:MOST_TEXT] or "nothing",
        row["target"][:MOST_TEXT],
    )


def _marks(regions: Sequence[Region], label: str, colour: str) -> list[Mark]:
    """Make marks of one colour and label."""
    plain = tuple(Region(region.geometry, label) for region in regions)
    return [replace(mark, colour=colour) for mark in marks_of(Answer("", plain))]


def _pictures(case: Case, output: str, dialect: str) -> Iterator[str]:
    from PIL import Image

    marks = [
        *_marks(target_regions(case), "target", PALETTE[0]),
        *_marks(read_said(case, output, dialect), "said", PALETTE[1]),
    ]
    if len(marks) > MOST_TAGS:  # a picture draws marks of no image of its own without tags
        marks = [replace(mark, image=-1) for mark in marks]
    for path in case.images:
        try:
            (picture,) = load_pictures([path], view=case.window, size_px=PICTURE_PX)
        except RasterError:
            continue
        drawn = draw_marks(picture, marks) if marks else Image.fromarray(picture.rgb)
        buffer = io.BytesIO()
        drawn.convert("RGB").save(buffer, "JPEG", quality=QUALITY)
        yield f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
