"""Test cases of the public datasets as JSON lines, the form that the benchmark runner reads.

    python -m data_engine.cases rsicd-scene DATA out/eval/cases
    python -m data_engine.cases all DATA out/eval/cases

`DATA` holds the datasets in their official layouts. The first line of a file says what it is: suite, split, and how
often each answer occurs in the training split by category, which the majority baselines are made of. Every other line
is a case: id, group (what a bootstrap must draw together), image paths with their sizes in pixels, an optional window
[x, y, w, h], the instruction (always the same wording in a suite), category, the accepted answers, and regions in
pixels of the image.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from data_engine import templates
from data_engine.changes import MIN_COMPONENT_PX, ChangeScene
from data_engine.generate import BoxKind
from data_engine.labels import crop_mask, split_components
from data_engine.sources import hit_uav, levir_cd, rsicd, rsvqa
from vlm.errors import DataError, NadirError
from vlm.geometry.cells import run_lengths
from vlm.geometry.shapes import HBB, OBB, Geometry, Mask, Window
from vlm.output import write_text
from vlm.records import Image, Sample

LOG = logging.getLogger("nadir.cases")
Answers = dict[str, Counter[str]]
Line = dict[str, Any]
CAPTION: Final = "Describe the image in one sentence."
WINDOW_PX: Final = 64
"""Side of the windows in which change cases look for places where nothing changed."""
CHANGED_SHARE: Final = 0.1
"""Least share of changed pixels in a window that counts as changed; windows between none and this are left out."""


@dataclass(frozen=True, slots=True)
class CaseSet:
    """Say how a suite's cases are made: folder below DATA, split, lines, and training answers by category."""

    folder: str
    split: str
    lines: Callable[[Path], Iterator[Line]]
    training: Callable[[Path], Answers]


def write_cases(suite: str, data: Path, folder: Path) -> Path:
    """Write the cases of one suite to `folder`/`suite`.jsonl; raises DataError for an unknown suite or missing data."""
    if suite not in CASE_SETS:
        raise DataError(f"no cases for suite {suite!r}: known are {', '.join(CASE_SETS)}")
    chosen = CASE_SETS[suite]
    root = Path(data) / chosen.folder
    lines = list(chosen.lines(root))
    training = {category: dict(counter.most_common()) for category, counter in chosen.training(root).items()}
    head = {"suite": suite, "split": chosen.split, "cases": len(lines), "training": training}
    return write_text(folder / f"{suite}.jsonl", "".join(json.dumps(line) + "\n" for line in [head, *lines]))


def render_geometry(geometry: Geometry) -> dict[str, Any]:
    """Give a geometry as plain JSON in pixels: a box, an oriented box (le90 degrees), or a mask as run lengths."""
    if isinstance(geometry, HBB):
        return {"kind": "box", "values": [geometry.x1, geometry.y1, geometry.x2, geometry.y2]}
    if isinstance(geometry, OBB):
        return {"kind": "obb", "values": [geometry.cx, geometry.cy, geometry.w, geometry.h, geometry.angle_deg]}
    if isinstance(geometry, Mask):
        box = [geometry.box.x1, geometry.box.y1, geometry.box.x2, geometry.box.y2]
        return {"kind": "mask", "values": box, "shape": list(geometry.bits.shape), "runs": run_lengths(geometry.bits)}
    raise DataError(f"cases hold boxes, oriented boxes and masks, not {type(geometry).__name__}")


def case_line(
    case_id: str,
    images: Iterable[Image],
    instruction: str,
    category: str,
    *,
    answers: Iterable[str] = (),
    regions: Iterable[tuple[str, Geometry]] = (),
    group: str | None = None,
    window: Window | None = None,
) -> Line:
    """Give one case as a line of a file: a question about images, its answers, its regions in pixels."""
    shown = list(images)
    paths = [str(Path(image.path or "").resolve()) for image in shown]
    return {
        "id": case_id,
        "group": group or "+".join(Path(path).name for path in paths),
        "images": paths,
        "sizes": [[image.width, image.height] for image in shown],
        "window": [window.x, window.y, window.w, window.h] if window else None,
        "instruction": instruction,
        "category": category,
        "answers": list(answers),
        "regions": [{"phrase": phrase, **render_geometry(geometry)} for phrase, geometry in regions],
    }


def _rsicd_images(root: Path) -> Iterator[tuple[str, Image]]:
    seen: set[str] = set()
    for sample in rsicd.load(root, split="val"):
        image = sample.images[0]
        name = Path(image.path or "").name
        if name not in seen:
            seen.add(name)
            yield name, image


def _scene_lines(root: Path) -> Iterator[Line]:
    themes = rsicd.themes(root, split="val")
    for name, image in _rsicd_images(root):
        if name in themes:
            instruction = templates.INSTRUCTIONS["theme"][0]
            yield case_line(f"rsicd/val/{name}", [image], instruction, "scene", answers=[themes[name]])


def _scene_training(root: Path) -> Answers:
    return {"scene": Counter(rsicd.themes(root, split="train").values())}


def _caption_lines(root: Path) -> Iterator[Line]:
    references = rsicd.references(root, split="val")
    for name, image in _rsicd_images(root):
        yield case_line(f"rsicd/val/{name}", [image], CAPTION, "caption", answers=references[name])


def _caption_training(root: Path) -> Answers:
    counted = Counter(
        sentence for sentences in rsicd.references(root, split="train").values() for sentence in sentences
    )
    return {"caption": Counter(dict(counted.most_common(1)))}


def _ground_lines(root: Path, *, kind: BoxKind, unique: bool) -> Iterator[Line]:
    load = hit_uav.unique_object_samples if unique else hit_uav.single_object_samples
    for sample in load(root, split="val", kind=kind):
        region = sample.turns[0].answer.regions[0]
        instruction = templates.INSTRUCTIONS[f"ground_{kind}"][0].format(phrase=region.phrase)
        category = "class" if region.phrase in hit_uav.CLASSES else "position or size"
        yield case_line(sample.id, sample.images, instruction, category, regions=[(region.phrase, region.geometry)])


def _no_training(root: Path) -> Answers:
    del root
    return {}


def _count_lines(root: Path) -> Iterator[Line]:
    for sample in hit_uav.count_samples(root, split="val"):
        label = _counted_class(sample)
        instruction = templates.INSTRUCTIONS["count"][0].format(plural=templates.write_plural(label))
        yield case_line(sample.id, sample.images, instruction, label, answers=[sample.turns[0].answer.template])


def _count_training(root: Path) -> Answers:
    return _tally((_counted_class(sample), sample) for sample in hit_uav.count_samples(root, split="train"))


def _counted_class(sample: Sample) -> str:
    slug = sample.id.rpartition("/")[2]
    return next(label for label in hit_uav.CLASSES if label.replace(" ", "-") == slug)


def _rsvqa_samples(root: Path, variant: str, split: str) -> Iterator[tuple[str, Sample]]:
    for sample in rsvqa.load(root / variant, split=split):
        yield rsvqa.question_type(sample.id), sample


def _rsvqa_lines(root: Path, *, variant: str) -> Iterator[Line]:
    for category, sample in _rsvqa_samples(root, variant, "val"):
        turn = sample.turns[0]
        yield case_line(sample.id, sample.images, turn.instruction, category, answers=[turn.answer.template])


def _rsvqa_training(root: Path, *, variant: str) -> Answers:
    return _tally(_rsvqa_samples(root, variant, "train"))


def _tally(samples: Iterable[tuple[str, Sample]]) -> Answers:
    counted: Answers = {}
    for category, sample in samples:
        counted.setdefault(category, Counter())[sample.turns[0].answer.template] += 1
    return counted


def _change_scenes(root: Path) -> Iterator[ChangeScene]:
    for split in ("val", "test"):
        yield from levir_cd.load_scenes(root, split=split)


def _change_lines(root: Path) -> Iterator[Line]:
    """Ask about each pair, its swapped dates, each date twice, and as many changed as unchanged windows."""
    instruction = templates.INSTRUCTIONS["change_presence"][0]
    scenes = list(_change_scenes(root))
    for scene in scenes:
        shown = {
            "changed": (scene.before, scene.after),
            "swapped": (scene.after, scene.before),
            "first date twice": (scene.before, scene.before),
            "second date twice": (scene.after, scene.after),
        }
        for category, images in shown.items():
            answer = templates.NO if "twice" in category else templates.YES
            case_id = f"{scene.key}/{category.replace(' ', '-')}"
            yield case_line(case_id, images, instruction, category, answers=[answer], group=scene.key)
    found = [(scene, window, share) for scene in scenes for window, share in _window_shares(scene)]
    still = [(scene, window) for scene, window, share in found if share == 0]
    ranked = sorted(found, key=lambda item: -item[2])
    moved = [(scene, window) for scene, window, share in ranked if share >= CHANGED_SHARE]
    count = min(len(still), len(moved))
    for category, chosen, answer in (
        ("unchanged window", still, templates.NO),
        ("changed window", moved, templates.YES),
    ):
        for scene, window in chosen[:count]:
            case_id = f"{scene.key}/window-{window.x}-{window.y}"
            images = (scene.before, scene.after)
            yield case_line(case_id, images, instruction, category, answers=[answer], group=scene.key, window=window)


def _window_shares(scene: ChangeScene) -> Iterator[tuple[Window, float]]:
    height, width = scene.changed.shape
    for y in range(0, height - WINDOW_PX + 1, WINDOW_PX):
        for x in range(0, width - WINDOW_PX + 1, WINDOW_PX):
            yield Window(x, y, WINDOW_PX, WINDOW_PX), float(scene.changed[y : y + WINDOW_PX, x : x + WINDOW_PX].mean())


def _change_mask_lines(root: Path) -> Iterator[Line]:
    instruction = templates.INSTRUCTIONS["change_mask"][0]
    for scene in _change_scenes(root):
        mask = crop_mask(scene.changed)
        if mask is not None and split_components(scene.changed, min_px=MIN_COMPONENT_PX):
            regions = [("changed area", mask)]
            images = (scene.before, scene.after)
            yield case_line(f"{scene.key}/mask", images, instruction, "changed", regions=regions, group=scene.key)


CASE_SETS: Final[dict[str, CaseSet]] = {
    "rsicd-scene": CaseSet("rsicd", "val", _scene_lines, _scene_training),
    "rsicd-caption": CaseSet("rsicd", "val", _caption_lines, _caption_training),
    "hit-uav-ground": CaseSet(
        "hit_uav", "val", lambda root: _ground_lines(root, kind="box", unique=False), _no_training
    ),
    "hit-uav-unique": CaseSet(
        "hit_uav", "val", lambda root: _ground_lines(root, kind="box", unique=True), _no_training
    ),
    "hit-uav-obb": CaseSet("hit_uav", "val", lambda root: _ground_lines(root, kind="obb", unique=False), _no_training),
    "hit-uav-count": CaseSet("hit_uav", "val", _count_lines, _count_training),
    "rsvqa-lr": CaseSet(
        "rsvqa", "val", lambda root: _rsvqa_lines(root, variant="LR"), lambda root: _rsvqa_training(root, variant="LR")
    ),
    "rsvqa-hr": CaseSet(
        "rsvqa", "val", lambda root: _rsvqa_lines(root, variant="HR"), lambda root: _rsvqa_training(root, variant="HR")
    ),
    "levir-change": CaseSet("levir_dsifn_samples/LEVIR", "val and test", _change_lines, _no_training),
    "levir-change-mask": CaseSet("levir_dsifn_samples/LEVIR", "val and test", _change_mask_lines, _no_training),
}


def main(arguments: list[str] | None = None) -> None:
    """Write the cases of one suite or of all whose data are there; ends with a line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m data_engine.cases", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("suite", metavar="SUITE", help=f"all, or one of {', '.join(CASE_SETS)}")
    parser.add_argument("data", type=Path, metavar="DATA", help="folder that holds the datasets")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where SUITE.jsonl is written")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        written = _write_all(given.data, given.folder) if given.suite == "all" else [
            write_cases(given.suite, given.data, given.folder)
        ]  # fmt: skip
    except NadirError as error:
        LOG.error("%s", error)
        raise SystemExit(2) from error
    sys.stdout.write(json.dumps({"cases": [str(path) for path in written]}) + "\n")


def _write_all(data: Path, folder: Path) -> list[Path]:
    """Write every suite whose folder is below `data`; say which are not, and raise DataError when none is."""
    there = [suite for suite, chosen in CASE_SETS.items() if (data / chosen.folder).is_dir()]
    for suite in CASE_SETS.keys() - there:
        LOG.warning("%s is left out: %s does not exist", suite, data / CASE_SETS[suite].folder)
    if not there:
        wanted = ", ".join(sorted({chosen.folder for chosen in CASE_SETS.values()}))
        raise DataError(f"{data} holds none of the datasets {wanted}: give the folder that holds them")
    return [write_cases(suite, data, folder) for suite in there]


if __name__ == "__main__":
    main()
