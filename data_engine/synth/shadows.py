"""Cast the shadows of a day: every thing's top moved along one direction, by its height over the height of the sun."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from data_engine.synth.canvas import SHIFT, to_fixed
from data_engine.synth.records import Layout, Look, Thing

BOXY = {"bridge", "building", "car", "container", "gate", "pier", "platform", "train", "truck"}
DARKNESS = (0.55, 0.53, 0.49)
"""What a full shadow takes from red, green and blue: the sky still lights it, and the sky is blue."""


def shadow_layer(layout: Layout, things: Iterable[Thing], look: Look, *, crowds: bool = False) -> np.ndarray:
    """Draw the shadows of these things (and of the crowds), uint8 (size_px, size_px), 255 where full, soft-edged."""
    layer = np.zeros((layout.size_px, layout.size_px), np.uint8)
    angle = np.radians(look.shadow_deg)
    step = np.array([np.cos(angle), np.sin(angle)]) * (look.shadow_ratio / layout.gsd_m)
    boxes, trees = [], []
    for thing in things:
        if thing.label == "tree":
            trees.append(thing)
        elif thing.label in BOXY and "ell" not in thing.variant:
            boxes.append(thing)
        elif thing.label == "plane":
            cv2.fillPoly(layer, [to_fixed(thing.outline + step * thing.height_m)], 255, cv2.LINE_AA, SHIFT)
        else:
            _cast(layer, thing.outline, step * thing.height_m, convex="ell" not in thing.variant)
    if boxes:
        for hexagon in to_fixed(sweep_boxes(boxes, step)):
            cv2.fillConvexPoly(layer, hexagon, 255, cv2.LINE_AA, SHIFT)
    if trees:
        _cast_trees(layer, trees, step)
    for crowd in layout.crowds if crowds else ():
        cv2.fillPoly(layer, list(to_fixed(sweep_poses(crowd.poses, crowd.heights_m, step))), 255, cv2.LINE_AA, SHIFT)
    return cv2.GaussianBlur(layer, (0, 0), 0.5 + 0.15 / layout.gsd_m) if layer.any() else layer


def sweep_boxes(things: Sequence[Thing], step: np.ndarray) -> np.ndarray:
    """Outline what boxes cover on the way along `step` px for each metre of their height: hexagons (N, 6, 2)."""
    poses = np.array([(t.cx, t.cy, t.length_px, t.width_px, t.angle_deg, t.height_m) for t in things])
    return sweep_poses(poses[:, :5], poses[:, 5], step)


def sweep_poses(poses: np.ndarray, heights_m: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Do the same for poses (N, 5): cx, cy, length, width in px and angle in degrees."""
    cx, cy, a, b, angle_deg = poses.T
    cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    along, across = heights_m * (step[0] * cos + step[1] * sin), heights_m * (step[1] * cos - step[0] * sin)
    a, b = np.copysign(a / 2, along), np.copysign(b / 2, across)
    u = np.stack([-a, a, a + along, a + along, along - a, -a], axis=1)
    v = np.stack([-b, -b, across - b, across + b, across + b, b], axis=1)
    cos, sin = cos[:, None], sin[:, None]
    return np.stack([cx[:, None] + u * cos - v * sin, cy[:, None] + u * sin + v * cos], axis=2)


def _cast(layer: np.ndarray, outline: np.ndarray, offset: np.ndarray, *, convex: bool) -> None:
    moved = outline + offset
    if convex:
        hull = cv2.convexHull(np.concatenate([outline, moved]).astype(np.float32))
        cv2.fillConvexPoly(layer, to_fixed(hull), 255, cv2.LINE_AA, SHIFT)
        return
    cv2.fillPoly(layer, [to_fixed(moved)], 255, cv2.LINE_AA, SHIFT)
    following, moved_following = np.roll(outline, -1, axis=0), np.roll(moved, -1, axis=0)
    for quad in to_fixed(np.stack([outline, following, moved_following, moved], axis=1)):
        cv2.fillConvexPoly(layer, quad, 255, cv2.LINE_AA, SHIFT)


def _cast_trees(layer: np.ndarray, trees: Sequence[Thing], step: np.ndarray) -> None:
    """Cast crowns as stripes with round ends: a crown starts at a third of the tree's height."""
    poses = np.array([(tree.cx, tree.cy, tree.height_m) for tree in trees])
    ends = poses[:, None, :2] + poses[:, 2, None, None] * (step * np.array([[0.3], [0.75]]))
    for tree, (start, end) in zip(trees, to_fixed(ends).tolist(), strict=True):
        cv2.line(layer, start, end, 255, max(1, round(tree.length_px * 0.8)), cv2.LINE_AA, SHIFT)


def darken(rgb: np.ndarray, layer: np.ndarray) -> None:
    """Take light from uint8 (H, W, 3) in place where a shadow layer says so."""
    if not layer.any():
        return
    keep = 255 - np.arange(256)[:, None] * np.array(DARKNESS)
    kept = cv2.applyColorMap(layer, keep.round().astype(np.uint8)[:, None])
    cv2.multiply(rgb, kept, dst=rgb, scale=1 / 255)
