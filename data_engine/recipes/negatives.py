"""Recipe negatives: things that are not there but might be, with "none" or "no" as the answer.

The hard ones are classes that resemble a present one ("large vehicle" among small vehicles), objects in a part of the
image that has none, and objects of a colour that none of their class has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from data_engine import generate, templates
from data_engine.annotations import sample_to_scene
from data_engine.objects import Scene
from data_engine.places import PLACES, may_lie_in, say_place
from data_engine.recipes.recipe import derive, present_and_absent, question, rng_of, size_px, slug
from vlm.records import Sample

CONFUSED: Final = (
    {"car", "bus", "truck", "van", "vehicle", "other vehicle", "small vehicle", "large vehicle", "train"},
    {"plane", "airplane", "aircraft", "helicopter", "helipad"},
    {"ship", "boat", "harbor", "dock"},
    {"tennis court", "basketball court", "badminton court", "volleyball court"},
    {"baseball diamond", "baseball field", "soccer ball field", "soccer field", "football field", "ground track field"},
    {"storage tank", "silo", "roundabout", "swimming pool", "pond"},
    {"bridge", "overpass", "dam", "road", "railway"},
    {"person", "bicycle", "motorcycle"},
    {"tree", "shrub", "grass", "vegetation"},
    {"building", "house", "warehouse", "greenhouse"},
)
"""Classes that a hasty reader takes for each other."""

PLAIN_COLOURS: Final = ("white", "black", "red", "green", "blue", "yellow", "orange", "brown")
NEAR_GREY: Final = ("white", "black", "brown", "blue")
VAGUE_COLOURS: Final = frozenset({"grey", "gray", "silver", "beige", "dark", "light"})


def negatives(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield grounding, detection, segmentation and presence of what is not there."""
    scene = sample_to_scene(sample)
    if scene is None:
        return
    present, absent = present_and_absent(scene)
    for label in sorted(absent, key=lambda label: (not is_confusing(label, present), label))[:2]:
        yield from _none(sample, scene, label, label, seed)
    for label in present:
        yield from _elsewhere(sample, scene, label, seed)
        yield from _colour(sample, scene, label, seed)


def is_confusing(label: str, present: tuple[str, ...]) -> bool:
    """Tell whether an absent class ends in the word of a present one or stands beside it in CONFUSED."""
    for other in present:
        if other.split()[-1] == label.split()[-1] or any(label in group and other in group for group in CONFUSED):
            return True
    return False


def _none(sample: Sample, scene: Scene, phrase: str, label: str, seed: int) -> Iterator[Sample]:
    """Ask for the boxes (oriented ones where the scene has them), the mask and the presence of what is not there."""
    name = f"negatives-box/{slug(phrase)}"
    yield derive(sample, name, generate.detect(phrase, (), rng_of(sample, name, seed)))
    if scene.obbs:
        name = f"negatives-obb/{slug(phrase)}"
        yield derive(sample, name, generate.detect(phrase, (), rng_of(sample, name, seed), kind="obb"))
    name = f"negatives-ground/{slug(phrase)}"
    words = {"phrase": phrase}
    turn = generate.locate("ground_box", templates.NONE, (), rng_of(sample, name, seed), task="ground", words=words)
    yield derive(sample, name, turn)
    name = f"negatives-presence/{slug(phrase)}"
    yield derive(sample, name, generate.presence(phrase, False, rng_of(sample, name, seed)))


def _elsewhere(sample: Sample, scene: Scene, label: str, seed: int) -> Iterator[Sample]:
    width, height = size_px(scene)
    shapes = [region.geometry for region in scene.of_class(label)]
    empty = [
        place for place in PLACES if not any(may_lie_in(place, shape, width=width, height=height) for shape in shapes)
    ]
    name = f"negatives-place/{slug(label)}"
    rng = rng_of(sample, name, seed)
    if empty:
        phrase = f"{label} {say_place(rng.choice(empty))} of the image"
        turn = generate.locate("ground_box", templates.NONE, (), rng, task="ground", words={"phrase": phrase})
        yield derive(sample, name, turn)


def _colour(sample: Sample, scene: Scene, label: str, seed: int) -> Iterator[Sample]:
    """Ask for a colour that no object of the class has, where the colours of all are known."""
    seen = [colour for colour, region in zip(scene.colours, scene.boxes, strict=False) if region.phrase == label]
    if not seen or None in seen:
        return
    name = f"negatives-colour/{slug(label)}"
    rng = rng_of(sample, name, seed)
    unseen = unlike_colours([str(known) for known in seen])
    if unseen:
        phrase = f"{rng.choice(unseen)} {label}"
        yield question(sample, name, "presence", templates.NO, seed=seed, words={"phrase": phrase})
        name = f"negatives-colour-ground/{slug(label)}"
        turn = generate.locate("ground_box", templates.NONE, (), rng, task="ground", words={"phrase": phrase})
        yield derive(sample, name, turn)


def unlike_colours(seen: list[str]) -> list[str]:
    """Give plain colours that nobody would call any of the seen ones; grey, dark and the like fit many."""
    vague = bool(VAGUE_COLOURS & set(seen))
    return [colour for colour in PLAIN_COLOURS if colour not in seen and not (vague and colour in NEAR_GREY)]
