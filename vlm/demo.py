"""The demonstration: a list of cases is asked one by one and becomes report.html, answers.json and answers.geojson.

The cases come from a JSON file, `[{"images": ["a.tif"], "instruction": "...", "task": "ground", "title": "..."}]` with
paths relative to the file, or are a sensible set of instructions for the user's own imagery.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from vlm.cli_ask import check_writable, load_nadir
from vlm.errors import DataError, InstructionError
from vlm.output import write_text
from vlm.records import TASKS, Answer, Task
from vlm.report import Entry, render_report
from vlm.summary import answer_to_dict, render_words

if TYPE_CHECKING:
    from vlm.answer import Nadir

SINGLE_DATE: tuple[tuple[str, Task, str], ...] = (
    ("In a sentence", "caption", "Describe the image."),
    ("Kind of scene", "classify", "What kind of scene is this?"),
    ("A question", "vqa", "Is there a building in the image?"),
    ("How many", "count", "How many vehicles are there?"),
    ("Every one of them", "detect", "Find all buildings."),
    ("Its outline", "segment", "Segment the largest building."),
)
TWO_DATES: tuple[tuple[str, Task, str], ...] = (
    ("What is new", "change", "What has changed between the two dates?"),
    ("Where it changed", "change", "Where are the changes?"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """Hold one instruction of a demonstration: image paths, the instruction, its task and a title."""

    images: tuple[str, ...]
    instruction: str
    task: Task | None = None
    title: str = ""


def select_cases(*, cases_file: Path | None, images: Sequence[str], instructions: Sequence[str]) -> tuple[Case, ...]:
    """Choose the cases: those of a file, or instructions (given, or a sensible set) over one image or two dates.

    Instructions beside a file are asked of each of its scenes. Raises InstructionError when neither a file nor images
    are given, or both.
    """
    if (cases_file is None) == (not images):
        raise InstructionError("nadir demo needs either --cases FILE or --image IMAGE: give one of them")
    if cases_file is not None:
        cases = load_cases(cases_file)
        scenes = dict.fromkeys(case.images for case in cases)
        return tuple(Case(scene, each, None, "Your instruction") for each in instructions for scene in scenes) or cases
    if instructions:
        return tuple(Case(tuple(images), instruction, None, "Your instruction") for instruction in instructions)
    first = [Case((images[0],), instruction, task, title) for title, task, instruction in SINGLE_DATE]
    both = [Case(tuple(images), instruction, task, title) for title, task, instruction in TWO_DATES]
    return (*first, *(both if len(images) == 2 else ()))


def load_cases(path: Path) -> tuple[Case, ...]:
    """Load the cases of a JSON file; image paths are relative to it.

    Raises DataError when the file is missing or is not such a list.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return tuple(_case(row, path.parent) for row in rows)
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"cases file {path} cannot be used ({type(error).__name__}: {error}): expected a JSON list of objects with "
            '"images" and "instruction"'
        ) from error


def _case(row: dict[str, Any], folder: Path) -> Case:
    task = row.get("task")
    if task is not None and task not in TASKS:
        raise DataError(f"case {row['instruction']!r} has the unknown task {task!r}: known are {', '.join(TASKS)}")
    if not isinstance(row["images"], list):
        raise TypeError(f"images is {row['images']!r}, not a list")
    images = tuple(str(folder / image) for image in row["images"])
    return Case(images, str(row["instruction"]), cast("Task | None", task), str(row.get("title", "")))


def run_demo(
    cases: Sequence[Case],
    *,
    out: Path,
    model: Path | None,
    budget: int | None,
    bands: str | None,
    say: Callable[[str], object],
) -> Path:
    """Ask every case and write the three files into `out`; `say` gets a line per answer and a last one of JSON.

    Raises OutputError when the folder cannot be written, and whatever Nadir.ask refuses.
    """
    check_writable(out, folder=True)
    nadir = load_nadir(model)
    entries = []
    for number, case in enumerate(cases, start=1):
        answer = ask_case(nadir, case, budget=budget, bands=bands)
        entries.append(Entry(answer, case.images, case.title, bands))
        say(f"{number}/{len(cases)}  {case.instruction}\n     {render_words(answer)}")
    name = model.name if model is not None else "nadir-nano, the built-in model"
    report = write_demo(entries, out, model=f"{len(entries)} instructions, answered by {name}.")
    say(
        json.dumps({"report": str(report), "model": name.split(",")[0], **_totals([entry.answer for entry in entries])})
    )
    return report


def ask_case(nadir: Nadir, case: Case, *, budget: int | None, bands: str | None) -> Answer:
    """Ask one case."""
    return nadir.ask(*case.images, case.instruction, task=case.task, budget=budget, bands=bands)


def write_demo(entries: Sequence[Entry], out: Path, *, model: str) -> Path:
    """Write report.html, answers.json and answers.geojson into a folder, made when missing; give the report's path."""
    from vlm.vector import write_answers

    rows = [{"title": entry.title, **answer_to_dict(entry.answer)} for entry in entries]
    note = "Areas and lengths are measured on the ellipsoid from the geometry of the answers. This page works offline."
    page = render_report(entries, title="Asked from above", model=model, note=note)
    write_text(out / "answers.json", json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
    write_answers([entry.answer for entry in entries], out / "answers.geojson", format="geojson")
    return write_text(out / "report.html", page)


def _totals(answers: Sequence[Answer]) -> dict[str, float]:
    costs = [answer.cost for answer in answers if answer.cost is not None]
    return {
        "answers": len(answers),
        "regions": sum(len(answer.regions) for answer in answers),
        "issues": sum(len(answer.issues) for answer in answers),
        "tiles": sum(cost.tiles for cost in costs),
        "visual_tokens": sum(cost.visual_tokens for cost in costs),
        "seconds": round(sum(sum(cost.stage_ms.values()) for cost in costs) / 1000, 2),
        "peak_rss_mb": max((cost.peak_rss_mb for cost in costs), default=0.0),
    }
