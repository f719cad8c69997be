"""Procedural overhead scenes with exact labels: seeded, georeferenced, one or two dates, colour, more bands or radar.

records     Layout (what stands where), Look (a day), Scene, ScenePair, SceneObject
kinds       scene class -> layout function (places_*, towns), built with builder and parts; wide ones above 2 m a pixel
paint       a layout under a look -> pixels (surfaces, canvas, sketch, paint_*, shadows, trees, looks)
spectral    painted pixels and materials -> Sentinel-2's bands; radar: a layout -> backscatter with speckle
labels      a layout -> objects and land cover; captions, relations
render      a seed -> a scene; pairs (sites, events): two dates and what happened between them
turns       a scene -> questions (change_turns: a pair); samples: with images; facts: annotations for `generate`
paste       real instances into real backgrounds
corpus      units of work for `python -m data_engine synth` (paste_corpus: of pasted images); geotiff, demo, feed
"""

from __future__ import annotations

from data_engine.synth.change_turns import describe_change, pair_turns
from data_engine.synth.feed import Draw, scene_feed_turns
from data_engine.synth.geotiff import write_geotiff
from data_engine.synth.kinds import KINDS
from data_engine.synth.pairs import render_pair
from data_engine.synth.records import LAND, Scene, SceneObject, ScenePair
from data_engine.synth.render import render_scene
from data_engine.synth.samples import pair_samples, scene_samples
from data_engine.synth.turns import scene_turns

__all__ = [
    "KINDS", "LAND", "Draw", "Scene", "SceneObject", "ScenePair", "describe_change", "pair_samples", "pair_turns",
    "render_pair", "render_scene", "scene_feed_turns", "scene_samples", "scene_turns", "write_geotiff",
]  # fmt: skip
