"""Recipe mask: the mask of one uniquely named object, of a class, of the object in a box; "none" for absent classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from data_engine import generate
from data_engine.annotations import sample_to_scene
from data_engine.cover import to_pixels
from data_engine.labels import join_masks
from data_engine.objects import Scene
from data_engine.recipes.recipe import MOST, derive, named_objects, present_and_absent, rng_of, slug
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import Mask, Polygon
from vlm.records import Region, Sample


def mask(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield masks of objects that are known by their outlines, and "none" where an image has no objects."""
    scene = sample_to_scene(sample)
    if scene is None or (scene.boxes and not are_outlined(scene.boxes)):
        return
    seen: set[int] = set()
    for unique in named_objects(scene):
        if unique.index not in seen and len(seen) < MOST:
            seen.add(unique.index)
            name = f"mask/{slug(unique.phrase)}"
            shape = replace(scene.boxes[unique.index], phrase=unique.phrase)
            yield derive(sample, name, generate.segment(unique.phrase, shape, rng_of(sample, name, seed)))
    present, absent = present_and_absent(scene)
    for label in present:
        yield from _of_class(sample, scene, label, seed)
        yield _in_box(sample, scene, label, seed)
    if absent:
        name = "mask-all/none"
        rng = rng_of(sample, name, seed)
        yield derive(sample, name, generate.segment_all(rng.choice(absent), None, rng))


def has_outline(region: Region) -> bool:
    """Tell whether a region has a shape that no box has: a mask, or a polygon of other than four corners."""
    shape = region.geometry
    return isinstance(shape, Mask) or (isinstance(shape, Polygon) and (len(shape.exterior) != 4 or bool(shape.holes)))


def are_outlined(regions: Sequence[Region]) -> bool:
    """Tell whether the objects of an image are known by their outlines.

    Four corners are the oriented box of a ship in one dataset and the outline of a house in another: they are an
    outline where the objects beside them have one.
    """
    shapes = all(isinstance(region.geometry, Mask | Polygon) for region in regions)
    return shapes and any(has_outline(region) for region in regions)


def _of_class(sample: Sample, scene: Scene, label: str, seed: int) -> Iterator[Sample]:
    masks = [to_pixels(region.geometry) for region in scene.of_class(label)]
    union = join_masks([found for found in masks if found is not None])
    if union is not None:
        name = f"mask-all/{slug(label)}"
        yield derive(sample, name, generate.segment_all(label, Region(union, label), rng_of(sample, name, seed)))


def _in_box(sample: Sample, scene: Scene, label: str, seed: int) -> Sample:
    name = f"mask-box/{slug(label)}"
    rng = rng_of(sample, name, seed)
    chosen = rng.choice(scene.of_class(label))
    given = (Region(to_hbb(chosen.geometry)),)
    turn = generate.locate(
        "refine_mask", "{seg:0}", (chosen,), rng, task="segment", words={"region": "{box:0}"}, given=given
    )
    return derive(sample, name, turn)
