"""Recipe zoom: chains in which the first answer is a window to look at and the second one is the answer.

The image is large and the object small. The first turn asks the question, its answer is the window as a box; the second
turn shows the window, its answer is that of the question. The window is Turn.regions[0] of the second turn: what it
shows are those pixels of image 0, cut by whoever feeds or serves the model (the chain of RSCoVLM and ZoomEarth).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from data_engine import generate, templates
from data_engine.annotations import sample_to_scene
from data_engine.objects import Scene
from data_engine.phrases import UniquePhrase, area_of
from data_engine.recipes.recipe import MOST, derive, named_objects, rng_of, size_px, slug
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import HBB
from vlm.records import Region, Sample, Turn

MIN_IMAGE_PX: Final = 1024
"""The longest side of an image from which a closer look is worth asking for."""
MAX_SHARE: Final = 0.004
"""The largest share of the image that an object may cover to be called small (a 64 px object in a 1,024 px image)."""
WINDOW_PX: Final = 512
"""The least side of a window, as ZoomEarth's."""
CONTEXT: Final = 3.0
"""How many times the object's longer side the window measures."""


def zoom(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield chains for small, uniquely named objects of a large image: their box, their colour, how many lie around."""
    scene = sample_to_scene(sample)
    if scene is None or max(size_px(scene)) < MIN_IMAGE_PX:
        return
    width, height = size_px(scene)
    seen: set[int] = set()
    for unique in named_objects(scene):
        target = scene.boxes[unique.index]
        if unique.index in seen or len(seen) >= MOST or area_of(target.geometry) > MAX_SHARE * width * height:
            continue
        seen.add(unique.index)
        window = find_window(to_hbb(target.geometry), width=width, height=height)
        for kind, final in _questions(sample, scene, unique, window, seed):
            yield _chain(sample, f"zoom-{kind}/{slug(unique.phrase)}", final, window, seed)


def find_window(box: HBB, *, width: int, height: int) -> HBB:
    """Give a square window around a box, at least WINDOW_PX a side, moved (and only then cut) to lie in the image."""
    side = max(WINDOW_PX, CONTEXT * max(box.w, box.h))
    w, h = min(round(side), width), min(round(side), height)
    x = min(max(0, round((box.x1 + box.x2 - w) / 2)), width - w)
    y = min(max(0, round((box.y1 + box.y2 - h) / 2)), height - h)
    return HBB(x, y, x + w, y + h)


def _questions(
    sample: Sample, scene: Scene, unique: UniquePhrase, window: HBB, seed: int
) -> Iterator[tuple[str, Turn]]:
    """Ask where the object is, what colour it has, and how many of its class the window around it shows."""
    target, colour = scene.boxes[unique.index], scene.colours[unique.index] if scene.colours else None
    rng = rng_of(sample, f"zoom/{slug(unique.phrase)}", seed)
    yield "ground", generate.ground(unique.phrase, Region(to_hbb(target.geometry), unique.phrase), rng)
    if colour is not None and unique.basis != "colour":
        yield "colour", generate.ask("colour", colour, rng, words={"phrase": unique.phrase})
    number = _count_inside(scene, target.phrase, window)
    if number is not None:
        words = {"phrase": target.phrase, "region": "{box:0}"}
        given = (Region(window),)
        yield "count", generate.ask("region_count", str(number), rng, words=words, task="count", given=given)


def _chain(sample: Sample, name: str, final: Turn, window: HBB, seed: int) -> Sample:
    """Put the turn that asks for the window before the answer of `final`, and the window into the second turn."""
    rng = rng_of(sample, f"{name}/chain", seed)
    shown = Region(window, "region of interest")
    question = templates.write_instruction("zoom", rng, question=final.instruction)
    looked = generate.ask("zoom_answer", "", rng, words={"region": "{box:0}"}, given=(shown,))
    first = Turn(question, replace(final.answer, template="{box:0}", regions=(shown,), task="ground"), final.regions)
    return derive(sample, name, first, replace(looked, answer=final.answer))


def _count_inside(scene: Scene, label: str, window: HBB) -> int | None:
    """Count the objects of a class in a window; None where one is cut by its border or the class is doubtful."""
    number = 0
    for region in scene.of_class(label):
        box = to_hbb(region.geometry)
        inside = window.x1 < box.x1 and window.y1 < box.y1 and box.x2 < window.x2 and box.y2 < window.y2
        apart = box.x2 < window.x1 or window.x2 < box.x1 or box.y2 < window.y1 or window.y2 < box.y1
        if not inside and not apart:
            return None
        number += inside
    return None if label in scene.doubtful else number
