"""Labelled images of the common detection formats -> all the questions that their objects answer.

Objects are asked for as boxes; as oriented boxes where every object has four corners of its own; and as masks where
every object has an outline or a mask. The reading itself is that of data_engine.formats.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from data_engine import objects
from data_engine.objects import Scene
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.object_scenes import annotate
from vlm.geometry.convert import to_hbb, to_mask
from vlm.geometry.shapes import HBB, OBB, Geometry, Mask
from vlm.records import Sample

if TYPE_CHECKING:
    from data_engine.formats.labelled import Labelled


def label_samples(
    labels: Iterable[Labelled],
    classes: Sequence[str],
    *,
    source: str,
    split: str,
    licence: str,
    seed: int,
    reject: Reject | None,
    annotations: bool,
) -> Iterator[Sample]:
    """Yield every kind of sample of each labelled image; `classes` are all that the annotators looked for."""
    from data_engine.formats.labelled import to_scene

    def convert(labelled: Labelled) -> Iterator[Sample]:
        scene = to_scene(labelled, classes, source=source, split=split, licence=licence)
        yield from annotate(scene, wanted=annotations, seed=seed)
        yield from scene_samples(scene, seed=seed)

    return convert_each(labels, convert, name=source, reject=reject)


def scene_samples(scene: Scene, *, seed: int = 0) -> Iterator[Sample]:
    """Yield every kind of sample of a scene whose regions have geometry of any kind."""
    boxes = tuple(replace(region, geometry=to_hbb(region.geometry)) for region in scene.boxes)
    yield from objects.all_samples(replace(scene, boxes=boxes), seed=seed)
    if scene.boxes and not scene.obbs and all(not isinstance(r.geometry, HBB | OBB) for r in scene.boxes):
        size = (scene.image.width or 0, scene.image.height or 0)
        masks = tuple(replace(region, geometry=full_mask(region.geometry, size)) for region in scene.boxes)
        yield from objects.mask_samples(replace(scene, boxes=masks), seed=seed)


def full_mask(geometry: Geometry, size: tuple[int, int]) -> Mask:
    """Give a shape as a mask of one cell a pixel over its whole pixels inside the image of (width, height)."""
    if isinstance(geometry, Mask) and geometry.bits.shape == (geometry.box.h, geometry.box.w):
        return geometry
    box = to_hbb(geometry)
    x1, y1 = max(0, math.floor(box.x1)), max(0, math.floor(box.y1))
    x2, y2 = min(size[0], max(x1 + 1, math.ceil(box.x2))), min(size[1], max(y1 + 1, math.ceil(box.y2)))
    return to_mask(geometry, box=HBB(x1, y1, x2, y2), rows=y2 - y1, cols=x2 - x1)
