"""A sheet of samples: one self-contained HTML page with pictures, their geometry drawn as SVG, questions and answers.

Pictures are read decimated through vlm.raster, each image in its own frame, so an image of 100,000 px costs what a
small one costs. What cannot be read is said in place of the picture.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from data_engine.store.manifest import Manifest
from vlm.codecs import render_text
from vlm.errors import NadirError
from vlm.overlay import Mark, load_pictures, marks_of
from vlm.records import Answer, Image, Region, Sample
from vlm.summary import answer_parts

if TYPE_CHECKING:
    from jinja2 import Template

PICTURE_PX: Final = 448
_QUALITY: Final = 84
_MOST_POINTS: Final = 120
"""Rings with more points are simplified to a pixel of the page."""
_MOST_TEXT: Final = 1200
Parts = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """Hold one region as an SVG path in image pixels, where its number stands, and whether it is of this image."""

    mark: Mark
    path: str
    x: float
    y: float
    own: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """Hold one image of a sample: its data URI and size in its own pixels, outlines and facts, or why there is none."""

    uri: str
    width: int
    height: int
    facts: str
    outlines: tuple[Outline, ...] = ()
    problem: str = ""

    @property
    def unit(self) -> float:
        """Give the image pixels that one pixel of the page covers."""
        return max(self.width, self.height) / PICTURE_PX


@dataclass(frozen=True, slots=True)
class Exchange:
    """Hold one turn: what was asked and answered as words and region numbers, and the answer's text in a dialect."""

    asked: Parts
    answered: Parts
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    """Hold what the page shows of one sample."""

    sample: Sample
    figures: tuple[Figure, ...]
    exchanges: tuple[Exchange, ...]
    colours: tuple[str, ...]


def render_sheet(
    manifest: Manifest, samples: Sequence[Sample], *, ledger: dict[str, Any] | None, dialect: str = "nadir"
) -> str:
    """Render a page about a store: its counts, its ledger, and a card for each of the samples."""
    cards = [make_card(sample, dialect=dialect) for sample in samples]
    return _template().render(
        manifest=manifest, name=manifest.folder.resolve().name, cards=cards, ledger=ledger, dialect=dialect
    )


def make_card(sample: Sample, *, dialect: str = "nadir") -> Card:
    """Make the card of one sample; regions are numbered through all of its turns."""
    regions = tuple(region for turn in sample.turns for region in (*turn.regions, *turn.answer.regions))
    marks = marks_of(Answer("", regions))
    figures = tuple(_figure(number, sample.images, marks) for number in range(len(sample.images)))
    return Card(sample, figures, tuple(_exchanges(sample, dialect)), tuple(mark.colour for mark in marks))


def _exchanges(sample: Sample, dialect: str) -> Iterator[Exchange]:
    number = 0
    for turn in sample.turns:
        asked = _shift(_parts(turn.instruction, turn.regions), number)
        number += len(turn.regions)
        answered = _shift(_parts(turn.answer.template, turn.answer.regions), number)
        number += len(turn.answer.regions)
        yield Exchange(asked, answered, _text(sample, turn.answer, dialect))


def _parts(template: str, regions: tuple[Region, ...]) -> Parts:
    try:
        return answer_parts(Answer(template, regions))
    except (NadirError, IndexError) as error:
        return (f"{template} (no template: {error})",)


def _shift(parts: Parts, number: int) -> Parts:
    return tuple(part if isinstance(part, str) else part + number for part in parts)


def _text(sample: Sample, answer: Answer, dialect: str) -> str:
    """Write the answer as a model would, shortened; or say why that cannot be done."""
    sizes = [(image.width or 1000, image.height or 1000) for image in sample.images]
    try:
        text = render_text(answer.template, answer.regions, sizes=sizes, dialect=dialect)
    except NadirError as error:
        return f"cannot be written in {dialect}: {error}"
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]} ... ({len(text):,} characters)"


def _figure(number: int, images: Sequence[Image], marks: Sequence[Mark]) -> Figure:
    """Draw one image with its regions, and dashed those of another date of the same size."""
    image = images[number]
    try:
        (picture,) = load_pictures([image], size_px=PICTURE_PX)
    except NadirError as error:
        return Figure("", image.width or PICTURE_PX, image.height or PICTURE_PX, _facts(image), problem=str(error))
    view = picture.view
    unit = max(view.w, view.h) / PICTURE_PX
    same = {n for n, other in enumerate(images) if n == number or (other.width, other.height) == (view.w, view.h)}
    shown = (mark for mark in marks if mark.rings and mark.image in same)
    outlines = tuple(_outline(mark, unit, own=mark.image == number) for mark in shown)
    return Figure(_jpeg_uri(picture.rgb), view.w, view.h, _facts(image), outlines)


def _outline(mark: Mark, unit: float, *, own: bool) -> Outline:
    rings = [_simplify(ring, unit) for ring in mark.rings]
    path = " ".join("M" + " ".join(f"{x:.1f},{y:.1f}" for x, y in ring) + "Z" for ring in rings)
    left, top = min(x for ring in rings for x, _ in ring), min(y for ring in rings for _, y in ring)
    return Outline(mark, path, left, top, own)


def _simplify(ring: Sequence[tuple[float, float]], tolerance_px: float) -> Sequence[tuple[float, float]]:
    if len(ring) <= _MOST_POINTS:
        return ring
    from shapely import LinearRing, simplify

    kept = simplify(LinearRing(ring), tolerance_px, preserve_topology=False).coords[:-1]
    return kept if len(kept) > 2 else ring


def _jpeg_uri(rgb: Any) -> str:
    from PIL import Image as Pixels

    buffer = io.BytesIO()
    Pixels.fromarray(rgb).save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _facts(image: Image) -> str:
    size = f"{image.width:,} × {image.height:,} px" if image.width and image.height else ""
    gsd = f"{image.gsd_m:g} m a pixel" if image.gsd_m else ""
    bands = f"{len(image.bands)} bands" if image.bands else ""
    name = Path(image.path).name if image.path else f"embedded, {len(image.data or b'') / 1024:,.0f} KB"
    return " · ".join(fact for fact in (name, size, gsd, image.date, image.sensor, bands, image.crs) if fact)


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    import vlm

    folders = [Path(__file__).parent, Path(vlm.__file__).parent / "templates"]
    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("sheet.html.jinja")
