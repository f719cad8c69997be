"""Turns about scenes and pairs as samples that carry their images."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from data_engine.synth.change_turns import pair_turns
from data_engine.synth.records import Scene, ScenePair
from data_engine.synth.turns import scene_turns
from vlm.records import Image, Sample

LICENCE = "Apache-2.0"
SENSOR_NAMES = {"rgb": "synthetic", "ms4": "synthetic ms4", "ms13": "synthetic ms13", "sar": "synthetic SAR"}
Encode = Callable[[Scene], bytes]


def encode_png(scene: Scene) -> bytes:
    """Encode a scene's picture as PNG; run lengths alone are the fastest, and noise leaves little else to find."""
    import cv2

    options = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
    return bytes(cv2.imencode(".png", cv2.cvtColor(scene.rgb, cv2.COLOR_RGB2BGR), options)[1])


def encode_image(scene: Scene, *, date: str | None = None, encode: Encode = encode_png) -> Image:
    """Encode a scene (as PNG, or as `encode` does) with what is known about it."""
    bands = ("red", "green", "blue") if encode is encode_png else scene.band_names
    sensor = SENSOR_NAMES[scene.sensor]
    return Image(data=encode(scene), width=scene.width, height=scene.height, date=date, sensor=sensor, bands=bands,
                 gsd_m=scene.gsd_m, crs=scene.crs)  # fmt: skip


def scene_samples(
    scene: Scene, rng: random.Random, *, split: str = "train", encode: Encode = encode_png
) -> Iterator[Sample]:
    """Yield one sample per turn of a scene, with the image embedded (as PNG, or as `encode` does)."""
    images = (encode_image(scene, encode=encode),)
    for number, (task, turn) in enumerate(scene_turns(scene, rng)):
        yield Sample(f"synth/{name_of(scene)}/{number}", images, (turn,), task, "synth", split, LICENCE)


def pair_samples(
    pair: ScenePair, rng: random.Random, *, split: str = "train", encode: Encode = encode_png
) -> Iterator[Sample]:
    """Yield one sample per turn of a pair, with both images embedded (as PNG, or as `encode` does)."""
    images = (
        encode_image(pair.before, date="before", encode=encode), encode_image(pair.after, date="after", encode=encode)
    )  # fmt: skip
    for number, (task, turn) in enumerate(pair_turns(pair, rng)):
        yield Sample(f"synth/pair-{name_of(pair.before)}/{number}", images, (turn,), task, "synth", split, LICENCE)


def name_of(scene: Scene) -> str:
    """Name a scene by its sensor and seed."""
    return str(scene.seed) if scene.sensor == "rgb" else f"{scene.sensor}-{scene.seed}"
