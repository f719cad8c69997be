"""Recipe count: how many objects there are of a class, of several together, in a part of the image, inside a box."""

from __future__ import annotations

from collections.abc import Iterator

from data_engine import generate
from data_engine.annotations import sample_to_scene
from data_engine.objects import Scene
from data_engine.places import PLACES, find_clear_place, say_place
from data_engine.recipes.recipe import derive, present_and_absent, question, rng_of, size_px, slug
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import HBB
from vlm.records import Region, Sample

INSIDE_PX = 1.0
"""How far inside a box, or outside of it, every object must lie as a whole to be counted."""


AROUND = 0.7
"""How often the box is drawn around an object."""


def count(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield counts by class (one zero among them), by part of the image, inside a box, and of all classes together."""
    scene = sample_to_scene(sample)
    if scene is None:
        return
    present, absent = present_and_absent(scene)
    zero = (rng_of(sample, "count", seed).choice(absent),) if absent else ()
    for label in (*present, *zero):
        name = f"count/{slug(label)}"
        yield derive(sample, name, generate.count(label, len(scene.of_class(label)), rng_of(sample, name, seed)))
    for label in present:
        yield from _by_place(sample, scene, label, seed)
        yield from _inside(sample, scene, label, seed)
    if len(present) > 1:
        name = "count/together"
        total = sum(len(scene.of_class(label)) for label in present)
        words = {"classes": ", ".join(present)}
        yield question(sample, name, "count_classes", str(total), seed=seed, words=words, task="count")


def _by_place(sample: Sample, scene: Scene, label: str, seed: int) -> Iterator[Sample]:
    """Count in one part that holds some and in one that holds none, where no object lies between two parts."""
    width, height = size_px(scene)
    places = [find_clear_place(region.geometry, width=width, height=height) for region in scene.of_class(label)]
    if None in places or len(places) < 2:
        return
    for filled in (True, False):
        name = f"count-place/{slug(label)}/{'some' if filled else 'none'}"
        rng = rng_of(sample, name, seed)
        choices = [place for place in PLACES if (place in places) is filled]
        if choices:
            place = rng.choice(choices)
            number = str(places.count(place))
            words = {"phrase": label, "place": say_place(place)}
            yield derive(sample, name, generate.ask("count_place", number, rng, task="count", words=words))


def _inside(sample: Sample, scene: Scene, label: str, seed: int) -> Iterator[Sample]:
    """Count inside a random box that cuts no object of the class, most often one around a member of it."""
    name = f"count-inside/{slug(label)}"
    rng = rng_of(sample, name, seed)
    width, height = size_px(scene)
    boxes = [to_hbb(region.geometry) for region in scene.of_class(label)]
    for _ in range(8):
        w, h = rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.7) * height
        x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
        if rng.random() < AROUND:
            near = rng.choice(boxes)
            x = min(max(0.0, (near.x1 + near.x2 - w) / 2), width - w)
            y = min(max(0.0, (near.y1 + near.y2 - h) / 2), height - h)
        window = HBB(round(x), round(y), round(x + w), round(y + h))
        inside = [lies_inside(box, window) for box in boxes]
        if None not in inside:
            turn = generate.ask(
                "region_count", str(inside.count(True)), rng, task="count", given=(Region(window),),
                words={"phrase": label, "region": "{box:0}"},
            )  # fmt: skip
            yield derive(sample, name, turn)
            return


def lies_inside(box: HBB, window: HBB) -> bool | None:
    """Tell whether a box lies inside a window or outside of it; None where it is cut or touches the border."""
    slack = INSIDE_PX
    if (
        box.x1 >= window.x1 + slack
        and box.y1 >= window.y1 + slack
        and box.x2 <= window.x2 - slack
        and box.y2 <= window.y2 - slack
    ):
        return True
    apart = (
        box.x2 <= window.x1 - slack
        or box.x1 >= window.x2 + slack
        or box.y2 <= window.y1 - slack
        or box.y1 >= window.y2 + slack
    )
    return False if apart else None
