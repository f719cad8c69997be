"""Recipe zoom: chains of two samples, the window to look at and the answer that is seen in it.

The image is large and the object small (RSCoVLM, ZoomEarth). There the cut-out comes back as a second image in the
middle of a conversation; here the images of a sample belong to its first turn, and two images are two dates. So each
look is a sample of its own: `.../look` shows the whole image, is asked the question and answers with the window;
`.../answer` shows that window as an image, is asked the same question and answers in the pixels of the window. Its
phrase names the object in the whole image and in the window alike.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

from data_engine import generate
from data_engine.annotations import sample_to_scene
from data_engine.objects import Scene
from data_engine.phrases import UniquePhrase, area_of
from data_engine.recipes.count import lies_inside
from data_engine.recipes.recipe import MOST, derive, named_objects, rng_of, size_px, slug
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import HBB, Window
from vlm.geometry.transform import shift
from vlm.records import Image, Region, Sample, Turn

MIN_IMAGE_PX: Final = 1024
"""The longest side of an image from which a closer look is worth asking for."""
MAX_SHARE: Final = 0.004
"""The largest share of the image that an object may cover to be called small (a 64 px object in a 1,024 px image)."""
WINDOW_PX: Final = 512
"""The least side of a window, as ZoomEarth's."""
CONTEXT: Final = 3.0
"""How many times the object's longer side the window measures."""
BASES: Final = ("single", "position", "size", "colour")
"""Why a phrase may be unique: what is the left-most, largest or only white one of all is that of a part, too."""


@dataclass(frozen=True, slots=True)
class Target:
    """Hold an object to look for: its phrase, the window around it, and the object in the pixels of the window."""

    unique: UniquePhrase
    window: Window
    seen: Region
    colour: str | None


def zoom(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield chains for small, uniquely named objects of a large image: where they are and what colour they have.

    Reads the pixels of the windows (PNG, as the model is shown the image); a damaged image raises RasterError.
    """
    scene = sample_to_scene(sample)
    if scene is None or max(size_px(scene)) < MIN_IMAGE_PX:
        return
    targets = list(find_targets(scene))
    images = cut_windows(sample.images[0], [target.window for target in targets])
    for target, image in zip(targets, images, strict=True):
        for kind, turn in _questions(sample, target, seed):
            name = f"zoom-{kind}/{slug(target.unique.phrase)}"
            yield derive(sample, f"{name}/look", _look(sample, f"{name}/look", turn, target.window, seed))
            yield derive(sample, f"{name}/answer", turn, images=(image,))


def find_targets(scene: Scene) -> Iterator[Target]:
    """Yield up to MOST small objects that one phrase names both in the image and in the window around them."""
    width, height = size_px(scene)
    found: set[int] = set()
    for unique in named_objects(scene, bases=BASES):
        target = scene.boxes[unique.index]
        box = to_hbb(target.geometry)
        if unique.index in found or area_of(target.geometry) > MAX_SHARE * width * height:
            continue
        window = find_window(box, width=width, height=height)
        if unique.phrase.startswith("smallest") and is_cut(scene, target.phrase, window.box):
            continue
        found.add(unique.index)
        seen = Region(shift(box, -window.x, -window.y), unique.phrase)
        yield Target(unique, window, seen, scene.colours[unique.index] if scene.colours else None)
        if len(found) == MOST:
            return


def is_cut(scene: Scene, label: str, frame: HBB) -> bool:
    """Tell whether the border of a frame cuts an object of a class, which then looks smaller than it is."""
    return any(lies_inside(to_hbb(region.geometry), frame) is None for region in scene.of_class(label))


def find_window(box: HBB, *, width: int, height: int) -> Window:
    """Give a square window around a box, at least WINDOW_PX a side, moved (and only then cut) to lie in the image."""
    side = max(WINDOW_PX, CONTEXT * max(box.w, box.h))
    w, h = min(round(side), width), min(round(side), height)
    x = min(max(0, round((box.x1 + box.x2 - w) / 2)), width - w)
    y = min(max(0, round((box.y1 + box.y2 - h) / 2)), height - h)
    return Window(x, y, w, h)


def cut_windows(image: Image, windows: Sequence[Window]) -> Iterator[Image]:
    """Yield each window of an image as PNG, rendered as the model is shown the image at full resolution."""
    from PIL import Image as Picture
    from rasterio.io import MemoryFile

    from vlm.raster import Raster

    if not windows:
        return
    with ExitStack() as stack:
        path = image.path or stack.enter_context(MemoryFile(image.data)).name
        raster = stack.enter_context(Raster.open(path))
        rendering = raster.renderings()[0]
        for window in windows:
            stream = io.BytesIO()
            Picture.fromarray(raster.read(window, (window.w, window.h), rendering).rgb).save(stream, format="PNG")
            yield replace(image, path=None, data=stream.getvalue(), width=window.w, height=window.h, bands=())


def _questions(sample: Sample, target: Target, seed: int) -> Iterator[tuple[str, Turn]]:
    """Ask where the object is and what colour it has, with the answer in the pixels of the window."""
    phrase = target.unique.phrase
    rng = rng_of(sample, f"zoom/{slug(phrase)}", seed)
    yield "ground", generate.ground(phrase, target.seen, rng)
    if target.colour is not None and target.unique.basis != "colour":
        yield "colour", generate.ask("colour", target.colour, rng, words={"phrase": phrase})


def _look(sample: Sample, name: str, turn: Turn, window: Window, seed: int) -> Turn:
    """Ask the question of a turn and answer with the window to look at first."""
    words = {"question": turn.instruction}
    shown = Region(window.box, "region of interest")
    return generate.locate("zoom", "{box:0}", (shown,), rng_of(sample, name, seed), task="ground", words=words)
