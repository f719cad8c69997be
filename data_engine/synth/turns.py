"""Ask about a rendered scene or pair: turns straight from the exact labels, and samples that carry the images as PNG.

Training takes `scene_turns` and `pair_turns` with the arrays as they are; nothing is encoded.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from data_engine import generate
from data_engine.labels import crop_mask
from data_engine.phrases import find_unique_phrases
from data_engine.synth.captions import counted
from data_engine.synth.labels import OBJECT_LABELS, land_shares, too_small
from data_engine.synth.records import Scene, SceneObject, ScenePair
from vlm.records import Image, Region, Sample, Task, Turn

MAX_DETECTED, MAX_COUNTED, SMALLEST_GROUND_PX = 20, 40, 5.0
LAND_PHRASES = {"road": "road", "water": "water", "building": "buildings", "field": "farmland", "forest": "forest"}
LICENCE = "Apache-2.0"
SENSOR_NAMES = {"rgb": "synthetic", "ms4": "synthetic ms4", "ms13": "synthetic ms13", "sar": "synthetic SAR"}
TaskTurn = tuple[Task, Turn]


def theme(scene_class: str) -> str:
    """Give the scene class as RSICD's theme word: `dense residential` -> `denseresidential`."""
    return "playfields" if scene_class == "playground" else scene_class.replace(" ", "")


def scene_turns(scene: Scene, rng: random.Random) -> list[TaskTurn]:
    """Ask everything once or twice: caption, class, presence, count, boxes, oriented boxes, masks, regions."""
    turns: list[TaskTurn] = [
        ("caption", generate.caption(rng.choice(scene.captions), rng)),
        ("classify", generate.classify(theme(scene.scene_class), rng)),
    ]
    turns += _presence_and_count(scene, rng)
    turns += _ground(scene, rng)
    turns += _detect(scene, rng)
    turns += _segment(scene, rng)
    return turns


def counted_labels(scene: Scene) -> dict[str, int]:
    """Count the labelled members of the classes of which every visible member has a label."""
    counts = Counter(entry.label for entry in scene.objects)
    return {label: count for label, count in counts.items() if label not in scene.unsure.small}


def absent_labels(scene: Scene) -> list[str]:
    """List the classes that certainly do not show: none labelled, cut off, hidden or too small to be seen."""
    doubtful = {*scene.unsure.small, *scene.unsure.partial, *too_small(scene.gsd_m)}
    return [label for label in OBJECT_LABELS if label not in doubtful.union(entry.label for entry in scene.objects)]


def _presence_and_count(scene: Scene, rng: random.Random) -> list[TaskTurn]:
    counts, absent = counted_labels(scene), absent_labels(scene)
    present = sorted({entry.label for entry in scene.objects})
    turns: list[TaskTurn] = [("vqa", generate.presence(rng.choice(absent), False, rng))] if absent else []
    if present:
        turns.append(("vqa", generate.presence(rng.choice(present), True, rng)))
    countable = sorted(label for label in counts if counts[label] <= MAX_COUNTED)
    for label in rng.sample(countable, min(2, len(countable))):
        turns.append(("count", generate.count(label, counts[label], rng)))
    if absent and rng.random() < 0.15:
        turns.append(("count", generate.count(rng.choice(absent), 0, rng)))
    return turns


def _ground(scene: Scene, rng: random.Random) -> list[TaskTurn]:
    known = [entry for entry in scene.objects if entry.label not in scene.unsure.small]
    regions = [Region(entry.hbb, entry.label) for entry in known]
    colours = [entry.colour or None for entry in known]
    found = find_unique_phrases(regions, width=scene.width, height=scene.height, colours=colours) if regions else []
    found = [unique for unique in found if min(known[unique.index].obb.h, 99) >= SMALLEST_GROUND_PX - 1.5]
    turns: list[TaskTurn] = []
    for unique in rng.sample(found, min(3, len(found))):
        entry = known[unique.index]
        kind: generate.BoxKind = "obb" if len(turns) == 1 else "box"
        geometry = entry.obb if kind == "obb" else entry.hbb
        turns.append(("ground", generate.ground(unique.phrase, Region(geometry, unique.phrase), rng, kind=kind)))
    if scene.objects:
        entry = rng.choice(scene.objects)
        turns.append(("region", generate.describe_region(Region(entry.hbb, entry.label), rng)))
    if found:
        unique = rng.choice(found)
        polygon = Region(known[unique.index].polygon, unique.phrase)
        turns.append(("segment", generate.segment(unique.phrase, polygon, rng)))
    return turns


def _detect(scene: Scene, rng: random.Random) -> list[TaskTurn]:
    counts, absent = counted_labels(scene), absent_labels(scene)
    listed = sorted(label for label in counts if counts[label] <= MAX_DETECTED)
    turns: list[TaskTurn] = []
    for kind in ("box", "obb") if listed else ():
        label = rng.choice(listed)
        chosen = [entry for entry in scene.objects if entry.label == label]
        regions = [Region(entry.obb if kind == "obb" else entry.hbb, label) for entry in chosen]
        turns.append(("detect", generate.detect(label, regions, rng, kind="obb" if kind == "obb" else "box")))
    if absent and rng.random() < 0.2:
        turns.append(("detect", generate.detect(rng.choice(absent), (), rng)))
    return turns


def _segment(scene: Scene, rng: random.Random) -> list[TaskTurn]:
    share = land_shares(scene.land)
    present = [name for name in LAND_PHRASES if 0.01 < share[name] < 0.97]
    if not present:
        return []
    name = rng.choice(present)
    mask = crop_mask(scene.mask(name).bits)
    region = None if mask is None else Region(mask, LAND_PHRASES[name])
    if name == "building":
        return [("segment", generate.segment_all("building", region, rng))]
    return [("segment", generate.segment(LAND_PHRASES[name], region, rng))]


def describe_place(objects: Sequence[SceneObject], size_px: int) -> str:
    """Say where these objects lie together: `in the top left`, `in the centre`, or nothing when they are spread out."""
    centres = np.array([(entry.obb.cx, entry.obb.cy) for entry in objects]) / size_px
    if np.ptp(centres, axis=0).max() > 0.45:
        return ""
    x, y = centres.mean(axis=0)
    row, column = ("top", "", "bottom")[min(2, int(y * 3))], ("left", "", "right")[min(2, int(x * 3))]
    if not row and not column:
        return " in the center"
    return (
        f" in the {' '.join(word for word in (row, column) if word)}" if row and column else f" at the {row or column}"
    )


def describe_change(pair: ScenePair) -> str | None:
    """Say in one sentence what was built and what is gone; None when nothing changed."""
    parts = []
    for objects, verb in ((pair.appeared, "built"), (pair.vanished, "demolished")):
        for label, count in Counter(entry.label for entry in objects).items():
            members = [entry for entry in objects if entry.label == label]
            done = verb if label == "building" or verb == "built" else "removed"
            place = describe_place(members, pair.before.width)
            parts.append(f"{counted(count, label)} {'have' if count > 1 else 'has'} been {done}{place}")
    return " and ".join(parts) or None


def pair_turns(pair: ScenePair, rng: random.Random) -> list[TaskTurn]:
    """Ask whether, what and where something changed: yes/no, caption, boxes, mask, new buildings."""
    mask = crop_mask(pair.change_mask.bits)
    region = None if mask is None else Region(mask, "changed area")
    changed = [Region(entry.hbb, "changed area") for entry in (*pair.appeared, *pair.vanished)]
    turns = [generate.change_presence(pair.changed, rng), generate.change_caption(describe_change(pair), rng),
             generate.change_mask(region, rng)]  # fmt: skip
    if len(changed) <= MAX_DETECTED:
        turns.append(generate.change_boxes(changed, rng))
    return [("change", turn) for turn in turns]


def encode_png(scene: Scene) -> bytes:
    """Encode a scene's picture as PNG; run lengths alone are the fastest, and noise leaves little else to find."""
    import cv2

    options = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
    return bytes(cv2.imencode(".png", cv2.cvtColor(scene.rgb, cv2.COLOR_RGB2BGR), options)[1])


Encode = Callable[[Scene], bytes]


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
        yield Sample(f"synth/{_name(scene)}/{number}", images, (turn,), task, "synth", split, LICENCE)


def pair_samples(
    pair: ScenePair, rng: random.Random, *, split: str = "train", encode: Encode = encode_png
) -> Iterator[Sample]:
    """Yield one sample per turn of a pair, with both images embedded (as PNG, or as `encode` does)."""
    images = (
        encode_image(pair.before, date="before", encode=encode), encode_image(pair.after, date="after", encode=encode)
    )  # fmt: skip
    for number, (task, turn) in enumerate(pair_turns(pair, rng)):
        yield Sample(f"synth/pair-{_name(pair.before)}/{number}", images, (turn,), task, "synth", split, LICENCE)


def _name(scene: Scene) -> str:
    return str(scene.seed) if scene.sensor == "rgb" else f"{scene.sensor}-{scene.seed}"
