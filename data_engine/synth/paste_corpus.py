"""A corpus of pasted images: instances and backgrounds come from stores, or from datasets in their official layout."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby, islice
from pathlib import Path
from typing import Final

import numpy as np

from data_engine.annotations import merge_samples, sample_to_scene, scene_to_sample
from data_engine.cover import to_pixels
from data_engine.generation import load_annotations
from data_engine.labels import crop_mask
from data_engine.objects import Scene, all_samples, mask_samples
from data_engine.stage import Unit
from data_engine.store.ledger import Ledger
from data_engine.store.shards import read_samples
from data_engine.synth.paste import LEAST_PX, LEAST_SHOWN, Instance, cut_instances, paste_instances
from vlm.errors import DataError
from vlm.geometry.convert import to_obb
from vlm.geometry.shapes import HBB, Mask, Polygon
from vlm.records import Image, Region, Sample

MOST_INSTANCES: Final = 3000
"""Instances that a process holds."""
MOST_PASTED: Final = 8
WINDOWS_TRIED: Final = 4
UNIT_IMAGES: Final = 16


@dataclass(frozen=True, slots=True)
class PasteCorpus:
    """Say what to paste: `images` of `size_px`, instances and backgrounds each a store or SOURCE:FOLDER."""

    images: int
    instances: str
    backgrounds: str
    size_px: int = 512
    seed: int = 0
    facts: bool = False

    def units(self) -> list[Unit]:
        """Cut the corpus into units of UNIT_IMAGES images."""
        spans = (range(first, min(first + UNIT_IMAGES, self.images)) for first in range(0, self.images, UNIT_IMAGES))
        return [Unit(f"pasted {span.start}-{span.stop - 1}", len(span), span) for span in spans]


@dataclass(frozen=True, slots=True)
class PasteImages:
    """Do the work of one unit of a corpus of pasted images."""

    corpus: PasteCorpus

    def __call__(self, unit: Unit, ledger: Ledger) -> Iterator[Sample]:
        bank = load_bank(self.corpus.instances)
        scenes = load_backgrounds(self.corpus.backgrounds)
        for number in unit.payload:
            scene = pasted_scene(self.corpus, number, bank, scenes)
            if scene is None:
                ledger.drop("no room", "no instance of the background's classes found room", str(number), fault=False)
            elif self.corpus.facts:
                yield scene_to_sample(scene)
            else:
                yield from all_samples(scene)
                yield from mask_samples(scene)
            ledger.tick(1)


def read_scenes(entry: str) -> Iterator[Scene]:
    """Read the annotated images of a store or of SOURCE:FOLDER; DataError where it has none."""
    name, colon, folder = entry.partition(":")
    if colon and not Path(entry).exists():
        samples = load_annotations(name, Path(folder).expanduser())
    else:
        stored = groupby(read_samples(Path(entry)), key=lambda sample: sample.images)
        samples = (merge_samples(list(group)) for _, group in stored)
    found = 0
    for sample in samples:
        scene = sample_to_scene(sample)
        if scene is not None:
            found += 1
            yield scene
    if not found:
        raise DataError(f"{entry} holds no annotated objects: write it with synth --facts, or name SOURCE:FOLDER")


@lru_cache(maxsize=2)
def load_bank(entry: str) -> tuple[Instance, ...]:
    """Cut up to MOST_INSTANCES instances from a store or dataset; DataError where none has an outline."""
    cut = (
        instance for scene in read_scenes(entry)
        for instance in cut_instances(load_pixels(scene.image), scene.boxes, gsd_m=scene.image.gsd_m)
    )  # fmt: skip
    bank = tuple(islice(cut, MOST_INSTANCES))
    if not bank:
        raise DataError(f"{entry} holds no object with an outline: instances need masks or polygons")
    return bank


@lru_cache(maxsize=2)
def load_backgrounds(entry: str) -> tuple[Scene, ...]:
    """Read the backgrounds of a store or dataset, pixels left where they are."""
    return tuple(read_scenes(entry))


@lru_cache(maxsize=4)
def load_pixels(image: Image) -> np.ndarray:
    """Read an image as uint8 (H, W, 3)."""
    from PIL import Image as Picture

    with Picture.open(image.path if image.path is not None else io.BytesIO(image.data or b"")) as picture:
        return np.asarray(picture.convert("RGB"))


def pasted_scene(
    corpus: PasteCorpus, number: int, bank: tuple[Instance, ...], scenes: tuple[Scene, ...]
) -> Scene | None:
    """Make one image: a window of a background, with instances of classes that its annotators looked for."""
    rng = np.random.default_rng([corpus.seed, 23, number])
    scene = scenes[int(rng.integers(len(scenes)))]
    fitting = [instance for instance in bank if instance.label in scene.classes]
    if not fitting:
        return None
    for _ in range(WINDOWS_TRIED):
        pixels, known, doubtful = cut_window(load_pixels(scene.image), scene, rng, corpus.size_px)
        chosen = [fitting[int(at)] for at in rng.integers(0, len(fitting), int(rng.integers(1, MOST_PASTED + 1)))]
        rgb, regions = paste_instances(pixels, known, chosen, rng, gsd_m=scene.image.gsd_m)
        if len(regions) > len(known):
            break
    else:
        return None
    obbs = tuple(replace(region, geometry=to_obb(region.geometry)) for region in regions)
    image = Image(data=_encode(rgb), width=rgb.shape[1], height=rgb.shape[0], sensor=scene.image.sensor,
                  gsd_m=scene.image.gsd_m)  # fmt: skip
    boxes_only = any(not isinstance(region.geometry, Mask) for region in regions)
    shapes = tuple(replace(region, geometry=_as_mask(region)) for region in regions) if boxes_only else regions
    return Scene(f"pasted/{corpus.seed}/{number}", image, shapes, obbs, scene.classes, scene.source, scene.split,
                 scene.licence, tuple(sorted({*scene.doubtful, *doubtful})))  # fmt: skip


def cut_window(
    pixels: np.ndarray, scene: Scene, rng: np.random.Generator, size_px: int
) -> tuple[np.ndarray, list[Region], set[str]]:
    """Cut a window of at most size_px; give its pixels, the objects in it, and classes that are cut by its edge.

    An object keeps its label while LEAST_SHOWN of it lies inside.
    """
    rows, cols = min(size_px, pixels.shape[0]), min(size_px, pixels.shape[1])
    x = int(rng.integers(0, pixels.shape[1] - cols + 1))
    y = int(rng.integers(0, pixels.shape[0] - rows + 1))
    kept, doubtful = [], set()
    for region in scene.boxes:
        mask = to_pixels(_as_mask(region))
        if mask is None:
            continue
        inside, box = _clip(mask, x, y, cols, rows)
        found = crop_mask(inside) if inside.size else None
        if found is None:
            continue
        if found.bits.sum() < max(LEAST_PX / 2, LEAST_SHOWN * mask.bits.sum()):
            doubtful.add(region.phrase)
            continue
        shape = HBB(found.box.x1 + box[0], found.box.y1 + box[1], found.box.x2 + box[0], found.box.y2 + box[1])
        exact = isinstance(region.geometry, Mask | Polygon)
        kept.append(Region(Mask(found.bits, shape) if exact else shape, region.phrase))
    return pixels[y : y + rows, x : x + cols], kept, doubtful


def _clip(mask: Mask, x: int, y: int, cols: int, rows: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Cut a mask to a window; give its bits there and their upper left corner in the window."""
    left, top = int(mask.box.x1) - x, int(mask.box.y1) - y
    from_x, from_y = max(0, -left), max(0, -top)
    bits = mask.bits[from_y : max(0, rows - top), from_x : max(0, cols - left)]
    return bits, (left + from_x, top + from_y)


def _as_mask(region: Region) -> Mask | Polygon:
    """Give an outline, or a box as a mask of one cell."""
    shape = region.geometry
    if isinstance(shape, Mask | Polygon):
        return shape
    if isinstance(shape, HBB):
        return Mask(np.ones((1, 1), bool), shape)
    return Polygon(tuple(to_obb(shape).corners()))


def _encode(rgb: np.ndarray) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_PNG_COMPRESSION, 1))[1])
