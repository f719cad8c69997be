"""What `nadir ask` and `nadir chat` do: words of the command line -> Nadir.ask -> one answer in one format.

Everything that can be refused without a model is refused before the model is loaded.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vlm.errors import InstructionError, OutputError, WindowError
from vlm.output import write_bytes, write_text
from vlm.records import Answer, Task

if TYPE_CHECKING:
    from vlm.answer import Nadir
    from vlm.geometry.shapes import Window
    from vlm.raster import Raster

_SUFFIXES = {
    ".txt": "text", ".json": "json", ".geojson": "geojson", ".gpkg": "gpkg", ".parquet": "parquet",
    ".png": "png", ".html": "html", ".htm": "html",
}  # fmt: skip
_LIKE_A_PATH = re.compile(r"[./\\:]")
_PRINTED = ("text", "json", "geojson", "html")
_FOLDERS = ("dota", "yolo", "yolo-obb", "yolo-seg")


@dataclass(frozen=True, slots=True)
class Question:
    """Hold one question as typed: image paths, instruction and the options of `nadir ask`, not yet parsed."""

    images: tuple[str, ...]
    instruction: str
    task: Task | None = None
    budget: int | None = None
    window: str | None = None
    bbox: str | None = None
    bands: str | None = None
    regions: tuple[str, ...] = ()
    dialect: str | None = None


def parse_words(words: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Split the words of `nadir ask` into image paths and the instruction, which is last.

    Raises InstructionError when an image or the instruction is missing or empty, or the instruction is not quoted.
    """
    *images, instruction = words
    if not images or os.path.exists(instruction):
        raise InstructionError(
            f"nadir ask got {' '.join(words)!r}: expected an image and then an instruction in quotation marks, "
            'such as nadir ask scene.tif "Where are the ships?"'
        )
    if not instruction.strip():
        raise InstructionError('the instruction is empty: say what you want to know, such as "Where are the ships?"')
    if len(images) > 2 and not all(os.path.exists(image) or _LIKE_A_PATH.search(image) for image in images):
        raise InstructionError(
            f"nadir ask got {len(images)} words before {instruction!r}, and not all are images: expected one image or "
            "several dates, and the whole instruction in one pair of quotation marks"
        )
    return tuple(images), instruction


def choose_format(format: str | None, out: Path | None) -> str:
    """Choose the format: as asked for, else by the suffix of `out`, else text.

    Raises OutputError for a file format without a file and for a suffix that names no format.
    """
    if format is None and out is not None and out.suffix.lower() not in _SUFFIXES:
        raise OutputError(
            f"{out} has the suffix {out.suffix!r}, which names no format: expected {', '.join(_SUFFIXES)}, "
            "or give --format"
        )
    chosen = format or ("text" if out is None else _SUFFIXES[out.suffix.lower()])
    if out is None and chosen not in _PRINTED:
        raise OutputError(f"the format {chosen} is written to files, not to the terminal: name one with --out FILE")
    return chosen


def check_writable(out: Path, *, folder: bool = False) -> None:
    """Raise OutputError when a file (or a folder to be created) cannot be written at `out`; writes nothing itself."""
    if out.is_dir() and not folder:
        raise OutputError(f"{out} cannot be written: it is a folder; name a file in it")
    if folder and out.exists() and not out.is_dir():
        raise OutputError(f"{out} cannot be written: it is a file where a folder is expected; choose another name")
    parent = out if out.exists() else out.parent
    while folder and not parent.exists():
        parent = parent.parent
    if not parent.exists():
        raise OutputError(
            f"{out} cannot be written: the folder {out.parent} does not exist; create it or choose another"
        )
    if not os.access(parent, os.W_OK) or not (parent.is_dir() or parent == out):
        raise OutputError(f"{out} cannot be written: {parent} is read-only or no folder; choose another place")


def run_ask(question: Question, *, format: str | None, out: Path | None, model: Path | None) -> None:
    """Ask and print or write the answer; refusals that need no model come first."""
    chosen = choose_format(format, out)
    if out is not None:
        check_writable(out, folder=chosen in _FOLDERS and out.suffix != ".txt")
    check_dates(question.images, model)
    options = parse_options(question)
    nadir = load_nadir(model)
    answer = nadir.ask(*question.images, question.instruction, **options)
    if out is None:
        typer.echo(render_as(answer, chosen, question))
    else:
        write_as(answer, chosen, question, out)
        typer.echo(f"wrote {out}", err=True)


def check_dates(images: Sequence[str], model: Path | None) -> None:
    """Raise InstructionError when the model of a directory takes fewer dates than there are images."""
    if len(images) <= 2:
        return
    from vlm.model_dir import read_most_dates

    most = read_most_dates(model)
    if len(images) > most:
        raise InstructionError(f"got {len(images)} images: this model takes {most} dates at most; name fewer")


def load_nadir(model: Path | None) -> Nadir:
    """Load the model of a directory, the built-in one for None; CheckpointError as Nadir.from_pretrained."""
    from vlm.model_dir import model_dir

    folder = model_dir(model)
    from transformers.utils import logging

    from vlm.answer import Nadir

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    return Nadir.from_pretrained(folder)


def parse_options(question: Question) -> dict[str, Any]:
    """Parse the options of a question against its first image; refuses what does not fit it, and unreadable images."""
    from vlm.dialects import get_dialect
    from vlm.pair import open_dates
    from vlm.raster import Raster
    from vlm.region_input import parse_region

    if question.dialect is not None:
        get_dialect(question.dialect)
    count = len(question.images)
    with Raster.open(question.images[0]) as raster:
        raster.renderings(question.bands, limit=1)
        regions = tuple(region for text in question.regions for region in parse_region(text, raster.grid, images=count))
        window = parse_view(question.window, question.bbox, raster)
    for opened in open_dates(*question.images):
        opened.close()
    return {
        "task": question.task,
        "budget": question.budget,
        "window": window,
        "bands": question.bands,
        "regions": regions,
        "dialect": question.dialect,
    }


def render_as(answer: Answer, format: str, question: Question) -> str:
    """Render an answer as text, JSON, GeoJSON or HTML."""
    from vlm.summary import answer_to_dict, render_text

    if format == "text":
        return render_text(answer)
    if format == "html":
        return render_page(answer, question)
    if format == "geojson":
        from vlm.vector import answer_to_geojson

        return json.dumps(answer_to_geojson(answer), ensure_ascii=False)
    return json.dumps(answer_to_dict(answer), ensure_ascii=False)


def render_page(answer: Answer, question: Question) -> str:
    """Render an answer as a self-contained page."""
    from vlm.report import Entry, render_report

    entry = Entry(answer, question.images, bands=question.bands)
    return render_report([entry], title=Path(question.images[0]).name, model="One answer of Nadir.")


def write_as(answer: Answer, format: str, question: Question, out: Path) -> None:
    """Write an answer to a file in any format, whole or not at all; OutputError when it cannot be written."""
    if format == "png":
        write_bytes(out, _overlay_png(answer, question))
    elif format != "geojson" and format in _PRINTED:
        write_text(out, render_as(answer, format, question) + "\n")
    else:
        from vlm.vector import write_answers

        write_answers((answer,), out, format=format)


def _overlay_png(answer: Answer, question: Question) -> bytes:
    from vlm.overlay import encode_png, load_answer_pictures, render_overlay

    return encode_png(render_overlay(answer, load_answer_pictures(answer, question.images, bands=question.bands)))


def parse_view(window: str | None, bbox: str | None, raster: Raster) -> Window | None:
    """Parse --window (pixels) or --bbox (degrees) into a window of the raster, None for the whole image.

    Raises WindowError when both are given, when one is no list of four numbers, or when it leaves the image.
    """
    from vlm.window import window_from_bbox, window_from_text

    if window is not None and bbox is not None:
        raise WindowError(f"got both --window {window} and --bbox {bbox}: give one of them")
    if window is not None:
        return window_from_text(window, raster=raster)
    if bbox is None:
        return None
    return window_from_bbox(raster, parse_bbox(bbox))


def parse_bbox(text: str) -> tuple[float, float, float, float]:
    """Parse west,south,east,north in degrees; WindowError when it is not four numbers."""
    try:
        west, south, east, north = (float(number) for number in text.split(","))
    except ValueError as error:
        raise WindowError(
            f"bbox {text!r} is not four numbers: expected west,south,east,north in degrees, "
            "such as 2.29,48.85,2.30,48.86"
        ) from error
    return west, south, east, north


def run_chat(images: Sequence[str], *, model: Path | None, budget: int | None, bands: str | None) -> None:
    """Read one question a line from standard input and answer each, keeping the images and the turns."""
    from vlm.pair import open_dates
    from vlm.summary import render_text

    check_dates(images, model)
    for raster in open_dates(*images):
        raster.close()
    talk = load_nadir(model).chat(*images, budget=budget, bands=bands)
    for question in read_questions():
        typer.echo(render_text(talk.ask(question)))


def read_questions() -> Iterator[str]:
    """Yield the lines of standard input up to an empty one, with a prompt sign on a terminal."""
    while True:
        if sys.stdin.isatty():
            typer.secho("? ", fg="cyan", nl=False, err=True)
        line = sys.stdin.readline().strip()
        if not line:
            return
        yield line
