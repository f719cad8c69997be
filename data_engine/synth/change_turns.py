"""Ask about a rendered pair of dates: whether, what and where something changed, straight from the exact labels."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import numpy as np

from data_engine import generate
from data_engine.labels import crop_mask, split_components
from data_engine.synth.captions import counted
from data_engine.synth.records import Event, SceneObject, ScenePair
from data_engine.synth.sites import MOVING
from data_engine.synth.turns import MAX_DETECTED, TaskTurn
from vlm.geometry.shapes import HBB
from vlm.records import Region

SMALLEST_EVENT_PX = 24
EVENT_VERBS = {"flooded": "has been flooded", "burnt": "has burnt", "cleared": "has been cleared"}


def describe_place(objects: Sequence[SceneObject], size_px: int) -> str:
    """Say where these objects lie together: `in the top left`, `in the centre`, or nothing when they are spread out."""
    centres = np.array([(entry.obb.cx, entry.obb.cy) for entry in objects]) / size_px
    if np.ptp(centres, axis=0).max() > 0.45:
        return ""
    x, y = centres.mean(axis=0).tolist()
    return describe_spot(x, y)


def describe_spot(x: float, y: float) -> str:
    """Say where a point lies, x and y as shares of the image: `in the top left`, `at the bottom`, `in the center`."""
    row, column = ("top", "", "bottom")[min(2, int(y * 3))], ("left", "", "right")[min(2, int(x * 3))]
    if not row and not column:
        return " in the center"
    return (
        f" in the {' '.join(word for word in (row, column) if word)}" if row and column else f" at the {row or column}"
    )


def describe_change(pair: ScenePair) -> str | None:
    """Say in one sentence what was built, is gone, moved or happened to the land; None when nothing changed."""
    appeared = [entry for entry in pair.appeared if entry not in [new for _, new in pair.moved]]
    vanished = [entry for entry in pair.vanished if entry not in [old for old, _ in pair.moved]]
    parts = []
    for objects, verb in ((appeared, "built"), (vanished, "demolished")):
        for label, count in Counter(entry.label for entry in objects).items():
            members = [entry for entry in objects if entry.label == label]
            place = describe_place(members, pair.before.width)
            parts.append(f"{counted(count, label)} {'have' if count > 1 else 'has'} {_done(label, verb)}{place}")
    parts += [f"{counted(1, old.label)} has moved{_direction(old, new)}" for old, new in pair.moved]
    for event in pair.events:
        verb = EVENT_VERBS[event.kind].replace("has", "have", event.subject == "trees")
        parts.append(f"{event.subject} {verb}{_place_of(event, pair.before.width)}")
    return " and ".join(parts) or None


def _done(label: str, verb: str) -> str:
    if label in MOVING:
        return "arrived" if verb == "built" else "left"
    return f"been {verb if label == 'building' or verb == 'built' else 'removed'}"


def _direction(old: SceneObject, new: SceneObject) -> str:
    """Say towards which side of the image something moved."""
    dx, dy = new.obb.cx - old.obb.cx, new.obb.cy - old.obb.cy
    if abs(dx) > abs(dy):
        return " to the right" if dx > 0 else " to the left"
    return " towards the bottom" if dy > 0 else " towards the top"


def _place_of(event: Event, size_px: int) -> str:
    box = event.mask.box
    if max(box.w, box.h) > 0.75 * size_px:
        return ""
    rows, cols = np.nonzero(event.mask.bits)
    return describe_spot((box.x1 + cols.mean()) / size_px, (box.y1 + rows.mean()) / size_px)


def pair_turns(pair: ScenePair, rng: random.Random) -> list[TaskTurn]:
    """Ask whether, what and where something changed: yes/no, caption, boxes, mask, new buildings."""
    mask = crop_mask(pair.change_mask.bits)
    region = None if mask is None else Region(mask, "changed area")
    changed = [Region(entry.hbb, "changed area") for entry in (*pair.appeared, *pair.vanished)]
    for event in pair.events:
        parts = split_components(event.mask.bits, min_px=SMALLEST_EVENT_PX)
        x, y = event.mask.box.x1, event.mask.box.y1
        boxes = [HBB(part.box.x1 + x, part.box.y1 + y, part.box.x2 + x, part.box.y2 + y) for part in parts]
        changed += [Region(box, "changed area") for box in boxes]
    turns = [generate.change_presence(pair.changed, rng), generate.change_caption(describe_change(pair), rng),
             generate.change_mask(region, rng)]  # fmt: skip
    if len(changed) <= MAX_DETECTED and bool(changed) == pair.changed:
        turns.append(generate.change_boxes(changed, rng))
    return [("change", turn) for turn in turns]
