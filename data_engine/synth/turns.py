"""Ask about a rendered scene: turns straight from the exact labels; nothing is encoded."""

from __future__ import annotations

import random
from collections import Counter

from data_engine import generate
from data_engine.labels import crop_mask
from data_engine.phrases import find_unique_phrases
from data_engine.synth.labels import OBJECT_LABELS, land_shares, too_small
from data_engine.synth.records import Scene
from data_engine.synth.relations import unique_relations
from vlm.records import Region, Task, Turn

MAX_DETECTED, MAX_COUNTED, SMALLEST_GROUND_PX = 20, 40, 5.0
LAND_PHRASES = {"road": "road", "water": "water", "building": "buildings", "field": "farmland", "forest": "forest"}
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
    turns += _relate(scene, rng)
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


def _relate(scene: Scene, rng: random.Random) -> list[TaskTurn]:
    """Ask for one thing by what it stands on or next to, where that names it."""
    found = unique_relations(scene)
    if not found:
        return []
    phrase, index = rng.choice(found)
    return [("ground", generate.ground(phrase, Region(scene.objects[index].hbb, phrase), rng))]


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
