"""Two dates and a change mask -> change samples: yes/no, boxes, mask, caption; and pairs in which nothing changed.

Geometry is measured on the first date's grid (image 0), which the second shares. Negatives are the same picture shown
twice and, in training, crops in which no pixel changed; crops are kept in the sample as PNG bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from data_engine import generate
from data_engine.labels import crop_mask, split_components
from data_engine.objects import seeded
from vlm.errors import DataError
from vlm.geometry.shapes import Window
from vlm.records import Image, Region, Sample, Turn

PHRASE: Final = "changed area"
MIN_COMPONENT_PX: Final = 16
MAX_BOXES: Final = 20
"""The most boxes that one answer lists; for more components no box sample is made."""


@dataclass(frozen=True, slots=True)
class ChangeScene:
    """Hold two images of one size, the boolean change mask (rows, cols) on their grid, and sentences for the change.

    `forward` says what happened from the first to the second date, `backward` what it looks like with the dates swapped
    (None: no sample with swapped dates).
    """

    key: str
    before: Image
    after: Image
    changed: np.ndarray
    forward: str
    backward: str | None
    source: str
    split: str
    licence: str

    def __post_init__(self) -> None:
        shape = (self.before.height, self.before.width)
        if self.changed.shape != shape or (self.after.height, self.after.width) != shape:
            raise DataError(
                f"change pair {self.key}: the first image is {self.before.width} x {self.before.height}, the second "
                f"{self.after.width} x {self.after.height}, the label {self.changed.shape[::-1]}: all must be equal"
            )


def change_samples(scene: ChangeScene, *, seed: int = 0, same_twice: bool = True) -> Iterator[Sample]:
    """Yield the samples of a pair, of the pair with swapped dates, and of each date shown twice (no change)."""
    yield from _pair_samples(scene, seed)
    if scene.backward is not None:
        swapped = replace(
            scene, key=f"{scene.key}/swapped", before=scene.after, after=scene.before, forward=scene.backward
        )
        yield from _pair_samples(swapped, seed)
    if not same_twice:
        return
    nothing = np.zeros_like(scene.changed)
    for name, image in (("first-twice", scene.before), ("second-twice", scene.after)):
        same = replace(scene, key=f"{scene.key}/{name}", before=image, after=image, changed=nothing)
        yield from _pair_samples(same, seed)


def all_samples(scenes: Iterable[ChangeScene], *, crop_px: int, seed: int = 0) -> Iterator[Sample]:
    """Yield the samples of each pair, of its swapped dates, of each date twice, and of its crops of `crop_px`."""
    for scene in scenes:
        yield from change_samples(scene, seed=seed)
        for crop in crop_scenes(scene, size_px=crop_px):
            yield from change_samples(crop, seed=seed, same_twice=False)


def crop_scenes(scene: ChangeScene, *, size_px: int) -> Iterator[ChangeScene]:
    """Cut a pair into a grid of `size_px` crops that cover it; the last row and column are shifted inwards."""
    height, width = scene.changed.shape
    if min(height, width) < size_px or max(height, width) == size_px:
        return
    before, after = _load_pixels(scene.before), _load_pixels(scene.after)
    for y in _offsets(height, size_px):
        for x in _offsets(width, size_px):
            window = Window(x, y, size_px, size_px)
            yield replace(
                scene,
                key=f"{scene.key}/crop-{x}-{y}",
                before=_crop(scene.before, before, window),
                after=_crop(scene.after, after, window),
                changed=scene.changed[y : y + size_px, x : x + size_px],
            )


def _pair_samples(scene: ChangeScene, seed: int) -> Iterator[Sample]:
    regions = tuple(Region(mask, PHRASE) for mask in split_components(scene.changed, min_px=MIN_COMPONENT_PX))
    whole = crop_mask(scene.changed)
    if whole is not None and not regions:
        return
    rngs = {name: seeded(seed, f"{scene.key}/{name}") for name in ("presence", "box", "mask", "caption")}
    yield _sample(scene, "presence", generate.change_presence(bool(regions), rngs["presence"]))
    if len(regions) <= MAX_BOXES:
        yield _sample(scene, "box", generate.change_boxes(regions, rngs["box"]))
    mask = Region(whole, PHRASE) if whole is not None else None
    yield _sample(scene, "mask", generate.change_mask(mask, rngs["mask"]))
    sentence = scene.forward if regions else None
    yield _sample(scene, "caption", generate.change_caption(sentence, rngs["caption"]))


def _offsets(length: int, size_px: int) -> list[int]:
    starts = list(range(0, length - size_px + 1, size_px))
    return starts if starts[-1] + size_px == length else [*starts, length - size_px]


def _load_pixels(image: Image) -> np.ndarray:
    from PIL import Image as Picture

    with Picture.open(image.path if image.path is not None else io.BytesIO(image.data or b"")) as picture:
        return np.asarray(picture.convert("RGB"))


def _crop(image: Image, pixels: np.ndarray, window: Window) -> Image:
    from PIL import Image as Picture

    stream = io.BytesIO()
    cut = pixels[window.y : window.y + window.h, window.x : window.x + window.w]
    Picture.fromarray(cut).save(stream, format="PNG")
    return replace(image, path=None, data=stream.getvalue(), width=window.w, height=window.h)


def _sample(scene: ChangeScene, name: str, turn: Turn) -> Sample:
    images = (scene.before, scene.after)
    return Sample(f"{scene.key}/{name}", images, (turn,), "change", scene.source, scene.split, scene.licence)
