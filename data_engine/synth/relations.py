"""Which labelled things stand on or next to which: measured from their outlines, never guessed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from data_engine.synth.records import Scene, SceneObject
from vlm.geometry.shapes import Polygon

Kind = Literal["on", "next to"]
NEXT_M, CLEAR_M = 5.0, 12.0
"""What stands next to something is at most NEXT_M away; what is farther than CLEAR_M surely does not."""
CARRIERS = ("bridge",)
RIDERS = ("car", "truck", "train")
ANCHORS = ("building", "bridge", "storage tank", "plane", "running track", "baseball field", "football field")


@dataclass(frozen=True, slots=True)
class Relation:
    """Say that one object of a scene stands on or next to another: indices into Scene.objects."""

    subject: int
    kind: Kind
    anchor: int


def find_relations(scene: Scene) -> tuple[Relation, ...]:
    """List all pairs that touch or come within NEXT_M; vehicles whose centre a bridge carries are on it."""
    return tuple(relation for relation, gap_m in _measured(scene) if gap_m <= NEXT_M)


def unique_relations(scene: Scene) -> list[tuple[str, int]]:
    """List phrases such as `car on the bridge` that fit one object, with its index.

    The anchor is the only one of its class, and no other member of the subject's class comes within CLEAR_M of it.
    """
    counts = Counter(entry.label for entry in scene.objects)
    near: dict[tuple[str, int], list[tuple[Relation, float]]] = {}
    for relation, gap_m in _measured(scene):
        subject = scene.objects[relation.subject]
        near.setdefault((subject.label, relation.anchor), []).append((relation, gap_m))
    unsure, found = {*scene.unsure.small, *scene.unsure.partial}, []
    for (label, anchor), members in near.items():
        target = scene.objects[anchor].label
        if len(members) == 1 and counts[target] == 1 and members[0][1] <= NEXT_M and not {label, target} & unsure:
            found.append((f"{label} {members[0][0].kind} the {target}", members[0][0].subject))
    return found


def _measured(scene: Scene) -> list[tuple[Relation, float]]:
    """Give the pairs within CLEAR_M and the gap between their outlines in metres."""
    import shapely

    anchors = [index for index, entry in enumerate(scene.objects) if entry.label in ANCHORS]
    if not anchors:
        return []
    shapes = shapely.polygons([shapely.linearrings(_ring(entry)) for entry in scene.objects])
    tree = shapely.STRtree(shapes)
    reach_px = CLEAR_M / scene.gsd_m
    which, subjects = tree.query(shapes[anchors], predicate="dwithin", distance=reach_px)
    gaps = shapely.distance(shapes[np.array(anchors)[which]], shapes[subjects]) * scene.gsd_m
    found = []
    for at, subject, gap_m in zip(which.tolist(), subjects.tolist(), gaps.tolist(), strict=True):
        entry, anchor = scene.objects[subject], scene.objects[anchors[at]]
        if subject != anchors[at] and entry.label != anchor.label:
            found.append((Relation(subject, _kind(entry, anchor), anchors[at]), gap_m))
    return found


def _kind(subject: SceneObject, anchor: SceneObject) -> Kind:
    if subject.label not in RIDERS or anchor.label not in CARRIERS:
        return "next to"
    import shapely

    on_it = shapely.contains_xy(shapely.Polygon(_ring(anchor)), subject.obb.cx, subject.obb.cy)
    return "on" if on_it else "next to"


def _ring(entry: SceneObject) -> np.ndarray:
    assert isinstance(entry.polygon, Polygon)
    ring = np.array(entry.polygon.exterior)
    return np.concatenate([ring, ring[:1]])
