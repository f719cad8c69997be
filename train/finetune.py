"""`nadir finetune IMAGES LABELS`: from a user's own rasters and labels to an adapted model, scored before and after.

    OUT/finetune.json     what was asked for; the same command on the same folder goes on where it stopped
    OUT/data/             windows, a store for each task, cases about the held-out windows (data_engine/own)
    OUT/before/, after/   what the benchmark runner leaves      OUT/rounds/   what training leaves (train/own_rounds.py)
    OUT/model/            the adapted model                     OUT/report.md, report.html, result.json, comparison.md

What takes long is imported when it is needed, so that a mistake is told at once.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from data_engine.own.classes import Naming
from data_engine.own.labels import OwnData, load_own
from data_engine.own.layers import LabelOptions
from data_engine.own.split import By, Split, check_apart, split_own
from data_engine.own.written import KINDS, write_cases, write_store, write_windows
from data_engine.store.manifest import open_store
from train.own_report import Facts, write_report
from train.own_scores import ask_model, compare
from vlm.errors import DataError, InputError
from vlm.geometry.convert import to_hbb
from vlm.model_dir import read_tile_sizes
from vlm.output import write_text

LOG = logging.getLogger("nadir.train")
SETTINGS: Final = "finetune.json"
BOXES: Final = ("detect", "ground", "count", "presence")
"""Tasks that are taught about boxes; about outlines masks too."""
TILES: Final = 2.25
"""Sides of a tile to a window: from 2 on an image is an overview and four tiles, at nearly its own pixels."""
OBJECTS: Final = 4.0
"""The least sides of the median object to a window."""
LEAST_WINDOW: Final = 32
STEPS: Final = 5


@dataclass(frozen=True, slots=True)
class FinetuneConfig:
    """Say what is tuned on what; a run with other settings needs another folder."""

    images: str
    labels: str
    minutes: float = 10.0
    """Wall-clock minutes of training, over all restarts."""
    model: str | None = None
    """Model directory to start from; None for the built-in one."""
    holdout: float = 0.2
    """Share of the objects that the model is scored on and never sees."""
    split: By = "auto"
    tasks: tuple[str, ...] = ()
    """Names of data_engine.own.written.KINDS; none for BOXES, and masks where the labels are outlines."""
    label_field: str | None = None
    label: str | None = None
    label_crs: str | None = None
    point_size: float | None = None
    window_px: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.05 <= self.holdout <= 0.5:
            raise InputError(f"--holdout {self.holdout} is no share to score on: expected 0.05 to 0.5")
        if self.minutes <= 0:
            raise InputError(f"--minutes {self.minutes:g} is no time to train: expected more than 0")
        if unknown := [task for task in self.tasks if task not in KINDS]:
            raise InputError(f"there is no task {unknown[0]!r}: known are {', '.join(KINDS)}")
        if self.window_px is not None and self.window_px < LEAST_WINDOW:
            raise InputError(f"--window-px {self.window_px} is too small: expected at least {LEAST_WINDOW}")
        if self.point_size is not None and self.point_size <= 0:
            raise InputError(f"--point-size {self.point_size:g} is no size: expected metres, more than 0")


def run_finetune(config: FinetuneConfig, out: Path, *, dry_run: bool = False, workers: int = 1) -> None:
    """Tune a model and report its scores before and after, in OUT; a stopped run goes on.

    Raises an error of vlm.errors for labels, images and settings that cannot be used, before anything is written.
    """
    started = time.monotonic()
    data = load_own(Path(config.images), Path(config.labels), read_options(config))
    window_px = config.window_px or choose_window(data, read_tile_sizes(config.model).tile_px)
    split = split_own(data, window_px=window_px, holdout=config.holdout, seed=config.seed, by=config.split)
    if shared := check_apart(split):
        raise DataError(f"{shared} pairs of windows show the same ground on both sides: this is a fault of the split")
    tasks = config.tasks or BOXES + (("mask",) if data.outlined else ())
    for line in describe(config, data, split, tasks, out):
        LOG.info("%s", line)
    if dry_run:
        LOG.info("a dry run: nothing was written")
        return
    claim(out, config)
    with going_on(out):
        taught, asked = prepare(data, split, tasks, out / "data", config)
        cases, model = out / "data" / "cases", None if config.model is None else Path(config.model)
        _say(2, f"scores before: {_list(asked)} questions about the held-out windows")
        before = ask_model(cases, out / "before", model, blind=False, name="before")
        _say(3, f"training for {config.minutes:g} minutes on {', '.join(taught)}")
        from train.own_rounds import Taught, train_rounds

        stores = Taught(out / "data" / "train", tuple(taught), split.window_px)
        tuned = train_rounds(stores, out, model, minutes=config.minutes, seed=config.seed, workers=workers)
        _say(4, "scores after, and of the tuned model without the images")
        after = ask_model(cases, out / "after", tuned, blind=True, name="after")
        compare(out / "before", out / "after", out / "comparison.md")
        facts = Facts(asdict(config), data, split, tuple(taught), time.monotonic() - started)
        _say(STEPS, f"the report is {write_report(out, facts, before, after)}")


def read_options(config: FinetuneConfig) -> LabelOptions:
    """Give what the settings say about the label files."""
    naming = Naming(config.label_field, config.label)
    return LabelOptions(naming, config.label_crs, config.point_size)


def choose_window(data: OwnData, tile_px: int) -> int:
    """Give a window's side: an overview and four tiles at nearly their own pixels, more for large objects."""
    boxes = [to_hbb(region.geometry) for image in data.images for region in image.objects]
    sides = sorted(max(box.w, box.h) for box in boxes)
    largest = max(max(image.grid.width, image.grid.height) for image in data.images)
    return min(largest, max(round(TILES * tile_px), round(OBJECTS * sides[len(sides) // 2])))


def describe(config: FinetuneConfig, data: OwnData, split: Split, tasks: Sequence[str], out: Path) -> Iterator[str]:
    """Yield the plan: what was read, what became of each feature, how the ground is parted, what is done."""
    dropped = "".join(f", {count} {reason}" for reason, count in sorted(data.dropped.items()))
    yield f"labels: {data.features} features, {data.used} used{dropped}"
    counts = dict.fromkeys(data.classes, 0)
    for image in data.images:
        for region in image.objects:
            counts[region.phrase] += 1
    yield f"objects: {', '.join(f'{label} {count}' for label, count in counts.items())}, in {len(data.images)} images"
    if data.unlabelled:
        yield f"left out: {len(data.unlabelled)} images without a label, such as {data.unlabelled[0]}"
    yield (
        f"windows: {len(split.train)} of {split.window_px} px with {split.train_objects} objects to train on, "
        f"{len(split.held)} with {split.held_objects} held out (by {split.by}, none shares ground); "
        f"{split.unseen} objects on the border are in none"
    )
    yield f"tasks: {', '.join(tasks)}; {config.minutes:g} minutes from {config.model or 'the built-in model'} to {out}"


def claim(out: Path, config: FinetuneConfig) -> None:
    """Take a folder for these settings; DataError where it holds a run of others, or anything else."""
    path, stated = out / SETTINGS, json.loads(json.dumps(asdict(config)))
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        names = [name for name in stated if found.get(name) != stated[name]]
        if names:
            told = "; ".join(f"{name} was {found.get(name)!r}, now {stated[name]!r}" for name in names)
            raise DataError(f"{out} holds a run of other settings ({told}): name another --out, or remove it")
    elif out.is_dir() and any(out.iterdir()):
        raise DataError(f"{out} is not empty and no run of nadir finetune: name a new folder with --out")
    else:
        write_text(path, json.dumps(stated, indent=1) + "\n")


def prepare(
    data: OwnData, split: Split, tasks: Sequence[str], folder: Path, config: FinetuneConfig
) -> tuple[list[str], dict[str, int]]:
    """Write windows, stores and cases; give the tasks that have samples, and the number of cases by suite."""
    _say(1, f"windows and samples in {folder}")
    write_windows(split, folder)
    for task in tasks:
        write_store(task, split, data.classes, folder, seed=config.seed)
    taught = [task for task in tasks if open_store(folder / "train" / task).samples]
    if not taught:
        raise DataError(f"nothing can be asked about the windows by {', '.join(tasks)}: name other --tasks")
    return taught, write_cases(split, data.classes, folder, masks="mask" in tasks and data.outlined, seed=config.seed)


@contextmanager
def going_on(out: Path) -> Iterator[None]:
    """Say of a run that is stopped that it goes on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        LOG.warning("stopped: what is done is kept in %s, and the same command goes on from there", out)
        raise SystemExit(130) from stop


def _say(step: int, words: str) -> None:
    LOG.info("[%d/%d] %s", step, STEPS, words)


def _list(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.removeprefix('labels-')}" for name, count in counts.items())


def start(out: Path | None, *, dry_run: bool, say: Callable[[str], Any], **settings: Any) -> None:
    """Run from the command line: settings by name, progress as plain lines, one line of JSON at the end."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("nadir").setLevel(logging.INFO)
    config = FinetuneConfig(**settings)
    folder = out or Path("out") / f"finetune-{Path(config.labels).stem}"
    run_finetune(config, folder, dry_run=dry_run)
    if not dry_run:
        say(json.dumps(json.loads((folder / "result.json").read_text(encoding="utf-8"))["headlines"]))
