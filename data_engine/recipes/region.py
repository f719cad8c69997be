"""Recipe region: a region is given; what is it, is it a ship, how does one refer to it, what can be said about it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_engine import generate, templates
from data_engine.amounts import write_number
from data_engine.annotations import sample_to_scene
from data_engine.generate import BoxKind
from data_engine.objects import Scene
from data_engine.phrases import UniquePhrase
from data_engine.places import find_clear_place, say_place
from data_engine.recipes.recipe import MOST, clear_classes, derive, named_objects, question, rng_of, size_px, slug
from data_engine.recipes.size import MIN_SIDE_PX
from data_engine.templates import write_article
from vlm.geometry.convert import to_obb
from vlm.geometry.shapes import HBB
from vlm.records import Region, Sample


def region(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield the class, a yes/no question, a caption and a unique phrase for one region of each class."""
    scene = sample_to_scene(sample)
    if scene is None:
        return
    kinds: tuple[BoxKind, ...] = ("box", "obb") if scene.obbs else ("box",)
    for label in scene.present():
        for kind in kinds:
            name = f"region-{kind}/{slug(label)}"
            rng = rng_of(sample, name, seed)
            members = scene.of_class(label, kind)
            yield derive(sample, name, generate.describe_region(rng.choice(members), rng, kind=kind))
        yield from _yes_no(sample, scene, label, seed)
        yield from _caption(sample, scene, label, seed)
    seen: set[int] = set()
    for unique in named_objects(scene, bases=("position", "size", "order", "place", "relation", "colour")):
        if unique.index not in seen and len(seen) < MOST:
            seen.add(unique.index)
            yield _refer(sample, scene.boxes[unique.index], unique, seed)


def _refer(sample: Sample, shown: Region, unique: UniquePhrase, seed: int) -> Sample:
    name = f"region-refer/{slug(unique.phrase)}"
    words = {"region": "{box:0}"}
    return question(sample, name, "region_refer", unique.phrase, seed=seed, words=words, task="region", given=(shown,))


def _yes_no(sample: Sample, scene: Scene, label: str, seed: int) -> Iterator[Sample]:
    """Ask whether a region is what it is, and whether it is something else."""
    wrong = [other for other in clear_classes(scene) if not _akin(other, label)]
    for true in (True, False):
        name = f"region-yes/{slug(label)}/{'yes' if true else 'no'}"
        rng = rng_of(sample, name, seed)
        if true or wrong:
            words = {"phrase": label if true else rng.choice(wrong), "region": "{box:0}"}
            shown = rng.choice(scene.of_class(label))
            answer = templates.YES if true else templates.NO
            yield derive(sample, name, generate.ask("region_yes", answer, rng, words=words, given=(shown,)))


def _akin(one: str, other: str) -> bool:
    """Tell whether the name of one class ends in the other's, so that an object could be called either."""
    return one == other or one.endswith(f" {other}") or other.endswith(f" {one}")


def _caption(sample: Sample, scene: Scene, label: str, seed: int) -> Iterator[Sample]:
    """Describe a region by colour, class, length in metres and place, as far as each is known and certain."""
    name = f"region-caption/{slug(label)}"
    rng = rng_of(sample, name, seed)
    index = rng.choice([at for at, entry in enumerate(scene.boxes) if entry.phrase == label])
    text = describe_object(scene, index)
    if text != f"{write_article(label)} {label}":
        shown = (replace(scene.boxes[index], phrase=""),)
        turn = generate.ask("region_caption", text, rng, words={"region": "{box:0}"}, task="region", given=shown)
        yield derive(sample, name, turn)


def describe_object(scene: Scene, index: int) -> str:
    """Write what is known of an object: "a white ship in the top left of the image, about 41 m long"."""
    width, height = size_px(scene)
    label = scene.boxes[index].phrase
    colour = scene.colours[index] if scene.colours else None
    noun = f"{colour} {label}" if colour else label
    place = find_clear_place(scene.boxes[index].geometry, width=width, height=height)
    where = f" {say_place(place)} of the image" if place else ""
    return f"{write_article(noun)} {noun}{where}{_length(scene, index)}"


def _length(scene: Scene, index: int) -> str:
    gsd_m = scene.image.gsd_m
    if gsd_m is None or not scene.obbs or isinstance(scene.obbs[index].geometry, HBB):
        return ""
    length_px = to_obb(scene.obbs[index].geometry).w
    return f", about {write_number(length_px * gsd_m)} m long" if length_px >= MIN_SIDE_PX else ""
