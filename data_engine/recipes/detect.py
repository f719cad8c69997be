"""Recipe detect: all objects of one class or of all classes, in LMMRotate's order; images without objects included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from data_engine import generate
from data_engine.annotations import sample_to_scene
from data_engine.generate import BoxKind
from data_engine.objects import MAX_DETECTED, Scene
from data_engine.recipes.recipe import clear_classes, derive, present_and_absent, rng_of, slug
from vlm.records import Sample

MAX_ALL: Final = 60
"""The most objects that an answer about several classes lists."""


def detect(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield the objects of each class, of all, of a few that may be absent, and "none" for an absent class."""
    scene = sample_to_scene(sample)
    if scene is None:
        return
    present, absent = present_and_absent(scene)
    kinds: tuple[BoxKind, ...] = ("box", "obb") if scene.obbs else ("box",)
    for kind in kinds:
        empty = (rng_of(sample, f"detect-{kind}", seed).choice(absent),) if absent else ()
        for label in (*present, *empty):
            regions = scene.of_class(label, kind)
            if len(regions) <= MAX_DETECTED:
                name = f"detect-{kind}/{slug(label)}"
                turn = generate.detect(label, regions, rng_of(sample, name, seed), kind=kind)
                yield derive(sample, name, turn)
        yield from _several(sample, scene, "all", clear_classes(scene), kind, seed)
        rng = rng_of(sample, f"detect-{kind}/some", seed)
        few = [*rng.sample(present, min(2, len(present))), *rng.sample(absent, min(2, len(absent)))]
        rng.shuffle(few)
        if 1 < len(few) < len(scene.classes):
            yield from _several(sample, scene, "some", few, kind, seed)


def _several(
    sample: Sample, scene: Scene, which: str, classes: Sequence[str], kind: BoxKind, seed: int
) -> Iterator[Sample]:
    """Ask for the objects of a list of classes, each written after its class."""
    regions = generate.sort_regions([region for region in scene.regions(kind) if region.phrase in classes])
    if len(regions) <= MAX_ALL and len(classes) > 1:
        name = f"detect-{kind}/{which}-classes"
        words = {"classes": ", ".join(classes)}
        template = generate.write_slot(f"ref {kind}", len(regions))
        rng = rng_of(sample, name, seed)
        turn = generate.locate(f"detect_classes_{kind}", template, regions, rng, task="detect", words=words)
        yield derive(sample, name, turn)
