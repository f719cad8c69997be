"""Windows -> what training and scoring read: pictures, a store of samples for each task, files of cases.

FOLDER/windows/train/*.png, FOLDER/windows/held-out/*.png
FOLDER/train/TASK/            a store of the samples of a task (python -m data_engine inspect FOLDER/train/detect)
FOLDER/cases/SUITE.jsonl      what the benchmark runner asks about the held-out windows
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from data_engine import templates
from data_engine.annotations import scene_to_sample, slot_kinds
from data_engine.cases import case_line
from data_engine.cover import to_pixels
from data_engine.labels import join_masks
from data_engine.objects import Scene, seeded
from data_engine.own.split import Cut, Split
from data_engine.phrases import find_unique_phrases
from data_engine.progress import Progress
from data_engine.recipes import RECIPES
from data_engine.stage import StageOptions, Unit, write_stage
from data_engine.store.ledger import Ledger
from vlm.errors import NadirError
from vlm.geometry.convert import to_hbb
from vlm.output import replacing, write_text
from vlm.records import Image, Region, Sample

SOURCE: Final = "own"
TRAIN: Final = "train"
HELD_OUT: Final = "held-out"
UNIT_WINDOWS: Final = 64
MOST_GROUNDED: Final = 4
"""The most objects of a held-out window that are asked for by a phrase that names them alone."""
PAINT: Final = 128
"""Grey of what a window for training does not show."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Name the recipe that asks a task's questions, and say whether its answers are oriented boxes."""

    recipe: str
    oriented: bool = False


KINDS: Final[dict[str, Kind]] = {
    "detect": Kind("detect"),
    "ground": Kind("ground"),
    "count": Kind("count"),
    "presence": Kind("presence"),
    "mask": Kind("mask"),
    "region": Kind("region"),
    "detect-obb": Kind("detect", oriented=True),
    "ground-obb": Kind("ground", oriented=True),
}
"""What a model can be taught about labelled objects."""


def write_windows(split: Split, folder: Path) -> None:
    """Write the picture of each window that is not there yet; raises RasterError where an image breaks."""
    from PIL import Image as Picture

    from vlm.raster import Raster

    cuts = [*split.train, *split.held]
    sides = {id(cut): TRAIN for cut in split.train} | {id(cut): HELD_OUT for cut in split.held}
    with Progress("windows", len(cuts)) as progress:
        for path, group in groupby(sorted(cuts, key=lambda cut: str(cut.image.path)), key=lambda cut: cut.image.path):
            with Raster.open(path) as raster:
                rendering = raster.renderings()[0]
                for cut in group:
                    target = picture_path(cut, folder, sides[id(cut)])
                    if not target.exists():
                        pixels = raster.read(cut.window, (cut.window.w, cut.window.h), rendering).rgb.copy()
                        for part in cut.painted:
                            pixels[part.y : part.y + part.h, part.x : part.x + part.w] = PAINT
                        with replacing(target) as new:
                            Picture.fromarray(pixels).save(new, format="PNG")
                    progress.advance()


def picture_path(cut: Cut, folder: Path, side: str) -> Path:
    """Name the picture of a window."""
    window = cut.window
    return folder / "windows" / side / f"{cut.image.path.stem}-{window.x}-{window.y}-{window.w}.png"


def scene_of(cut: Cut, folder: Path, side: str, classes: tuple[str, ...]) -> Scene:
    """Give a window with its objects as the data engine's recipes know them."""
    path = picture_path(cut, folder, side)
    image = Image(path=str(path.resolve()), width=cut.window.w, height=cut.window.h, gsd_m=cut.image.gsd_m)
    return Scene(f"{SOURCE}/{side}/{path.stem}", image, cut.objects, (), classes, SOURCE, "train", "unknown")


def write_store(task: str, split: Split, classes: tuple[str, ...], folder: Path, *, seed: int) -> Ledger:
    """Write the store of a task's samples about the training windows; a finished one is left as it is."""
    cuts = split.train
    units = [
        Unit(f"windows {first}", len(part), (tuple(part), folder, classes))
        for first in range(0, len(cuts), UNIT_WINDOWS)
        if (part := cuts[first : first + UNIT_WINDOWS])
    ]
    config = {"task": task, "windows": len(cuts), "objects": split.train_objects, "classes": classes}
    work, options = AskAbout(KINDS[task], seed), StageOptions(seed=seed)
    return write_stage(task, units, work, folder / TRAIN / task, options=options, config=config)


@dataclass(frozen=True, slots=True)
class AskAbout:
    """Make the samples of a unit of windows by a recipe."""

    kind: Kind
    seed: int

    def __call__(self, unit: Unit, ledger: Ledger) -> Iterator[Sample]:
        cuts, folder, classes = unit.payload
        for cut in cuts:
            ledger.read += 1
            known = scene_to_sample(scene_of(cut, folder, TRAIN, classes))
            given = 0
            for made in self._ask(known, ledger):
                given += 1
                yield made
            ledger.made += given - 1
            if not given:
                ledger.drop("nothing to ask", f"{self.kind.recipe} finds nothing to ask", known.id, fault=False)
                ledger.made += 1
            ledger.tick(1)

    def _ask(self, known: Sample, ledger: Ledger) -> Iterator[Sample]:
        """Yield the recipe's samples with upright or with oriented boxes; what is refused is written down."""
        try:
            for made in RECIPES[self.kind.recipe](known, self.seed):
                if ("obb" in slot_kinds(made.turns[0].answer)) == self.kind.oriented:
                    yield made
        except NadirError as error:
            ledger.drop("failed", str(error), known.id)
            ledger.made += 1


def write_cases(split: Split, classes: tuple[str, ...], folder: Path, *, masks: bool, seed: int) -> dict[str, int]:
    """Write the cases about the held-out windows, a file a suite; give the number of each suite that has some."""
    training: dict[str, Counter[str]] = {label: Counter() for label in classes}
    for cut in split.train:
        for label in classes:
            training[label][str(sum(region.phrase == label for region in cut.objects))] += 1
    scenes = [(cut, scene_of(cut, folder, HELD_OUT, classes)) for cut in split.held]
    lines = {
        "labels-detect": [line for cut, scene in scenes for line in _detect_lines(cut, scene)],
        "labels-ground": [line for cut, scene in scenes for line in _ground_lines(cut, scene, seed)],
        "labels-count": [line for cut, scene in scenes for line in _count_lines(cut, scene)],
        "labels-mask": [line for cut, scene in scenes for line in _mask_lines(cut, scene)] if masks else [],
    }
    for suite, found in lines.items():
        counts = {label: dict(counted.most_common()) for label, counted in training.items()}
        head = {"suite": suite, "split": "held-out windows", "cases": len(found), "training": counts}
        if found:
            text = "".join(json.dumps(line) + "\n" for line in [head, *found])
            write_text(folder / "cases" / f"{suite}.jsonl", text)
    return {suite: len(found) for suite, found in lines.items() if found}


def _asked(scene: Scene) -> tuple[str, ...]:
    """Give the classes that a window is asked about: those that it shows, and one that it does not."""
    absent = scene.absent()
    return (*scene.present(), *((seeded(0, scene.key).choice(absent),) if absent else ()))


def _detect_lines(cut: Cut, scene: Scene) -> Iterator[dict[str, Any]]:
    for label in _asked(scene):
        regions = [(label, to_hbb(region.geometry)) for region in scene.of_class(label)]
        instruction = templates.INSTRUCTIONS["detect_box"][0].format(plural=templates.write_plural(label))
        yield case_line(
            f"{scene.key}/detect/{label}", [scene.image], instruction, label, regions=regions, group=cut.group,
            answers=[] if regions else [templates.NONE],
        )  # fmt: skip


def _ground_lines(cut: Cut, scene: Scene, seed: int) -> Iterator[dict[str, Any]]:
    """Ask for objects by a phrase that fits one object alone, by class, position or size."""
    boxes = [Region(to_hbb(region.geometry), region.phrase) for region in scene.boxes]
    width, height = cut.window.w, cut.window.h
    unique = find_unique_phrases(boxes, width=width, height=height)
    rng = seeded(seed, f"{scene.key}/ground")
    by_object = {found.index: found for found in sorted(unique, key=lambda found: rng.random())}
    for index in sorted(by_object, key=lambda found: rng.random())[:MOST_GROUNDED]:
        found = by_object[index]
        instruction = templates.INSTRUCTIONS["ground_box"][0].format(phrase=found.phrase)
        category = "class" if found.basis == "single" else "position or size"
        yield case_line(
            f"{scene.key}/ground/{found.phrase}", [scene.image], instruction, category, group=cut.group,
            regions=[(found.phrase, boxes[index].geometry)],
        )  # fmt: skip


def _count_lines(cut: Cut, scene: Scene) -> Iterator[dict[str, Any]]:
    for label in _asked(scene):
        instruction = templates.INSTRUCTIONS["count"][0].format(plural=templates.write_plural(label))
        number = str(len(scene.of_class(label)))
        case_id = f"{scene.key}/count/{label}"
        yield case_line(case_id, [scene.image], instruction, label, answers=[number], group=cut.group)


def _mask_lines(cut: Cut, scene: Scene) -> Iterator[dict[str, Any]]:
    for label in scene.present():
        masks = [mask for region in scene.of_class(label) if (mask := to_pixels(region.geometry)) is not None]
        union = join_masks(masks)
        if union is not None:
            words = {"phrase": label, "plural": templates.write_plural(label)}
            instruction = templates.INSTRUCTIONS["segment_all"][0].format(**words)
            case_id = f"{scene.key}/mask/{label}"
            yield case_line(case_id, [scene.image], instruction, label, regions=[(label, union)], group=cut.group)
