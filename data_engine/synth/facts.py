"""What is known about scenes and pairs as annotation samples, from which `generate` makes questions.

Objects are polygons with oriented boxes and colours, land cover is masks, and a pair has its change mask and sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from data_engine import generate
from data_engine.annotations import change_scene_to_sample, cover_to_turn, scene_to_sample
from data_engine.changes import ChangeScene
from data_engine.labels import crop_mask
from data_engine.objects import Scene as AnnotatedScene
from data_engine.objects import seeded
from data_engine.synth.change_turns import describe_change
from data_engine.synth.labels import OBJECT_LABELS, too_small
from data_engine.synth.records import LAND, Scene, ScenePair
from data_engine.synth.samples import LICENCE, Encode, encode_image, encode_png, name_of
from data_engine.synth.turns import theme
from vlm.geometry.shapes import Polygon
from vlm.records import Region, Sample

COVER = {"road": "road", "water": "water", "building": "building", "field": "farmland", "forest": "forest",
         "grass": "grass", "bare": "bare land", "pavement": "pavement"}  # fmt: skip
"""Land cover classes that are named in annotations, and how."""


def scene_facts(scene: Scene, *, split: str = "train", encode: Encode = encode_png) -> Iterator[Sample]:
    """Yield the annotations of a scene: its objects and land cover, its class, its captions."""
    key, image = f"synth/{name_of(scene)}", encode_image(scene, encode=encode)
    labels = [entry.label for entry in scene.objects]
    hidden = {*scene.unsure.small, *(label for label in scene.unsure.partial if label not in labels)}
    annotated = AnnotatedScene(
        key, image, tuple(Region(_exact(entry.polygon), entry.label) for entry in scene.objects),
        tuple(Region(entry.obb, entry.label) for entry in scene.objects),
        tuple(label for label in OBJECT_LABELS if label in labels or label not in too_small(scene.gsd_m)),
        "synth", split, LICENCE, tuple(sorted(hidden)), tuple(entry.colour or None for entry in scene.objects),
    )  # fmt: skip
    objects = scene_to_sample(annotated)
    yield replace(
        objects, turns=(*objects.turns, cover_to_turn(_cover(scene.land), tuple(COVER.values()), seed=0, key=key))
    )
    rng = seeded(0, f"{key}/words")
    turns = [("class", generate.classify(theme(scene.scene_class), rng))]
    turns += [(f"caption-{at}", generate.caption(text, rng)) for at, text in enumerate(dict.fromkeys(scene.captions))]
    for name, turn in turns:
        yield generate.wrap_turn(
            turn, sample_id=f"{key}/{name}", images=(image,), source="synth", split=split, licence=LICENCE
        )


def _exact(polygon: Polygon) -> Polygon:
    """Give a rectangle a fifth point on its first side: four corners are taken for a box, not for an outline."""
    (x1, y1), (x2, y2), *rest = polygon.exterior
    if len(rest) != 2:
        return polygon
    return Polygon(((x1, y1), ((x1 + x2) / 2, (y1 + y2) / 2), (x2, y2), *rest))


def pair_facts(pair: ScenePair, *, split: str = "train", encode: Encode = encode_png) -> Iterator[Sample]:
    """Yield the annotations of a pair: the change mask with its sentence, and the land cover of both dates."""
    key = f"synth/pair-{name_of(pair.before)}"
    before = encode_image(pair.before, date="before", encode=encode)
    after = encode_image(pair.after, date="after", encode=encode)
    sentence = describe_change(pair) or ""
    sample = change_scene_to_sample(
        ChangeScene(key, before, after, pair.change_mask.bits, sentence, None, "synth", split, LICENCE)
    )
    later = pair.after.land if pair.after_land is None else pair.after_land
    masks = [*_cover(pair.before.land), *(replace(region, image=1) for region in _cover(later))]
    turn = cover_to_turn(masks, tuple(COVER.values()), seed=0, key=key, dates=2)
    yield replace(sample, turns=(*sample.turns, turn))


def _cover(land: np.ndarray) -> list[Region]:
    """Give the masks of the land cover classes in a raster of LAND indices."""
    masks = ((name, crop_mask(land == LAND.index(name))) for name in COVER)
    return [Region(mask, COVER[name]) for name, mask in masks if mask is not None]
