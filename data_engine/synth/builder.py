"""Lay out a place in metres: a local frame, turned about the image centre, that refuses things on occupied ground.

Local frame: origin at the image centre, x right and y down before the turn, metres. `reach` is the half side of the
square that covers the image whatever the turn. Everything leaves in image pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np

from data_engine.synth.canvas import extent, to_fixed
from data_engine.synth.outlines import place, rectangle, ribbon
from data_engine.synth.records import Area, Colour, Crowd, Layout, Line, Thing

MARGIN_PX = 48
SUBPIXEL = 0.8
"""Things narrower than this share of a pixel are left out."""
FREE, SOLID, PAVED, TREE = 0, 1, 2, 4
T = TypeVar("T")
WHITE_MARK: Colour = (214, 214, 206)
YELLOW_MARK: Colour = (206, 172, 84)
LIGHT_WEAR, DARK_WEAR, REPAIR = (128, 126, 122), (46, 46, 48), (52, 52, 55)


class Builder:
    """Collect areas, lines and things of one layout; the generator decides everything."""

    def __init__(
        self, rng: np.random.Generator, *, size_px: int, gsd_m: float, angle_deg: float = 0.0, ground: str = "grass"
    ) -> None:
        self.rng, self.size_px, self.gsd_m, self.angle_deg, self.ground = rng, size_px, gsd_m, angle_deg, ground
        self.half = size_px * gsd_m / 2
        turn = np.radians(angle_deg)
        self.cos, self.sin = float(np.cos(turn)), float(np.sin(turn))
        self.reach = self.half * (abs(self.cos) + abs(self.sin))
        self.areas: list[Area] = []
        self.lines: list[Line] = []
        self.things: list[Thing] = []
        self.crowds: list[Crowd] = []
        self._kerbs_end = self._streets_end = -1
        side = size_px + 2 * MARGIN_PX
        self.occupied = np.zeros((side, side), np.uint8)

    def px(self, points_m: np.ndarray) -> np.ndarray:
        """Convert local metres (N, 2) to image pixels."""
        centre, scale = self.size_px / 2, 1 / self.gsd_m
        return place(points_m, cx=centre, cy=centre, length_px=scale, width_px=scale, angle_deg=self.angle_deg)

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Convert one place in local metres to image pixels."""
        centre = self.size_px / 2
        return centre + (x * self.cos - y * self.sin) / self.gsd_m, centre + (x * self.sin + y * self.cos) / self.gsd_m

    def seed(self) -> int:
        """Draw a seed for one area or thing."""
        return int(self.rng.random() * 2**31)

    def chance(self, probability: float) -> bool:
        """Say yes with this probability."""
        return bool(self.rng.random() < probability)

    def pick(self, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """Choose one of the options."""
        if weights is None:
            return options[int(self.rng.random() * len(options))]
        at, left = 0, self.rng.random() * sum(weights)
        while at < len(options) - 1 and left >= weights[at]:
            left -= weights[at]
            at += 1
        return options[at]

    def near(self, outline: np.ndarray, margin_px: float = MARGIN_PX) -> bool:
        """Say whether an outline in px comes within the margin of the image."""
        x1, y1, x2, y2 = extent(outline)
        limit = self.size_px + margin_px
        return x2 > -margin_px and y2 > -margin_px and x1 < limit and y1 < limit

    def far(self, x: float, y: float, reach_m: float) -> bool:
        """Say whether a thing that reaches this far around local (x, y) metres stays outside the image's margin."""
        cx, cy = self.point(x, y)
        margin = reach_m / self.gsd_m + MARGIN_PX
        return not (-margin < cx < self.size_px + margin and -margin < cy < self.size_px + margin)

    def area(
        self, surface: str, *rings_m: np.ndarray, soft_m: float = 0.0, row_deg: float | None = None, block: int = FREE
    ) -> None:
        """Cover rings in local metres with a surface; `block` marks the ground for later things."""
        rings = tuple(ring for ring in map(self.px, rings_m) if self.near(ring))
        if not rings:
            return
        turned = None if row_deg is None else row_deg + self.angle_deg
        self.areas.append(Area(surface, rings, self.seed(), soft_m / self.gsd_m, turned))
        if block:
            for ring in rings:
                cv2.fillPoly(self.occupied, [to_fixed(ring + MARGIN_PX)], block, shift=4)

    def line(
        self, points_m: Sequence[tuple[float, float]] | np.ndarray, *, width_m: float = 0.15,
        colour: Colour = WHITE_MARK, dash_m: float = 0.0, strength: float = 1.0,
    ) -> None:  # fmt: skip
        """Draw a painted line, dashed when `dash_m` is set (gaps are twice as long)."""
        path = np.asarray(points_m, float)
        width_px = width_m / self.gsd_m
        if not dash_m:
            if self.near(self.px(path), 4):
                self.lines.append(Line(self.px(path)[None], width_px, colour, strength))
            return
        steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
        along = np.concatenate([[0], np.cumsum(steps)])
        at = np.arange(0, along[-1] - dash_m, 3 * dash_m)[:, None] + (0, dash_m)
        dashes = np.stack([np.interp(at, along, path[:, i]) for i in (0, 1)], axis=-1)
        self.segments(dashes, width_m=width_m, colour=colour, strength=strength)

    def segments(
        self, ends_m: np.ndarray, *, width_m: float = 0.15, colour: Colour = WHITE_MARK, strength: float = 1.0
    ) -> None:
        """Draw many short lines at once; `ends_m` is (K, 2, 2): lines, ends, local metres."""
        ends = self.px(ends_m.reshape(-1, 2)).reshape(-1, 2, 2)
        middle = ends.mean(axis=1)
        inside = ((middle > -4) & (middle < self.size_px + 4)).all(axis=1)
        if inside.any():
            self.lines.append(Line(ends[inside], width_m / self.gsd_m, colour, strength))

    def road(self, path_m: np.ndarray, width_m: float = 8.0, *, surface: str = "asphalt", marks: bool = True) -> None:
        """Lay a road along a path with kerbs, edge lines and a dashed centre line."""
        path = np.asarray(path_m, float)
        start = len(self.areas)
        if surface == "asphalt":
            self.area("concrete", ribbon(path, width_m + 3.2), block=PAVED)
        kerbs = self.areas[start:]
        self.area(surface, ribbon(path, width_m), soft_m=0 if surface == "asphalt" else 0.8, block=PAVED)
        self._join_streets(start, kerbs)
        if surface == "asphalt":
            self._wear(path, width_m)
        if not marks:
            return
        self.line(path, dash_m=3.0, width_m=0.22, colour=self.pick((WHITE_MARK, YELLOW_MARK)))
        ring = ribbon(path, width_m - 0.9)
        for edge in (ring[: len(path)], ring[len(path) :]):
            self.line(edge, width_m=0.14)

    def _join_streets(self, start: int, kerbs: list[Area]) -> None:
        """Put the kerbs of streets that are laid one after the other below all of these streets."""
        if kerbs and self._streets_end == start:
            del self.areas[start : start + len(kerbs)]
            self.areas[self._kerbs_end : self._kerbs_end] = kerbs
            self._kerbs_end += len(kerbs)
        else:
            self._kerbs_end = start + len(kerbs)
        self._streets_end = len(self.areas)

    def _wear(self, path: np.ndarray, width_m: float) -> None:
        """Use a road: wheels polish its lanes, oil darkens their middle, repairs leave dark patches."""
        tone = float(self.rng.uniform(0.1, 0.3))
        for side in (-1, 1):
            for across, colour in ((0.13, LIGHT_WEAR), (0.25, DARK_WEAR), (0.37, LIGHT_WEAR)):
                ring = ribbon(path, 2 * across * width_m)
                lane = ring[: len(path)] if side > 0 else ring[len(path) :]
                self.line(lane, width_m=0.1 * width_m, colour=colour, strength=tone)
        steps = np.hypot(*np.diff(path, axis=0).T)
        count = int(self.rng.poisson(steps.sum() / 60))
        at = np.sort(self.rng.uniform(0, steps.sum(), count))
        along = np.concatenate([[0], np.cumsum(steps)])
        starts, stops = (
            np.stack([np.interp(values, along, path[:, axis]) for axis in (0, 1)], axis=1)
            for values in (at, at + self.rng.uniform(1.5, 9, count))
        )
        ends = np.stack([starts, stops], axis=1) + self.rng.uniform(-0.3, 0.3, (count, 1, 1)) * width_m
        self.segments(ends, width_m=0.3 * width_m, colour=REPAIR, strength=0.35)

    def covers(self, unit: np.ndarray, cx: float, cy: float, length_px: float, width_px: float, turn_deg: float) -> int:
        """Give the worst ground (SOLID, PAVED and TREE bits) under a unit outline that lies like this, in px."""
        cos, sin = abs(math.cos(math.radians(turn_deg))), abs(math.sin(math.radians(turn_deg)))
        reach_x, reach_y = (length_px * cos + width_px * sin) / 2, (length_px * sin + width_px * cos) / 2
        left, top = max(0, int(cx - reach_x) + MARGIN_PX - 1), max(0, int(cy - reach_y) + MARGIN_PX - 1)
        right, bottom = int(cx + reach_x) + MARGIN_PX + 2, int(cy + reach_y) + MARGIN_PX + 2
        block = self.occupied[top : max(0, bottom), left : max(0, right)]
        if not cv2.countNonZero(block):
            return FREE
        x, y = 16 * (cx + MARGIN_PX - left) - 8, 16 * (cy + MARGIN_PX - top) - 8
        fixed = place(unit, cx=x, cy=y, length_px=16 * length_px, width_px=16 * width_px, angle_deg=turn_deg)
        mask = np.zeros(block.shape, np.uint8)
        cv2.fillPoly(mask, [fixed.astype(np.int32)], 255, shift=4)
        return int(np.bitwise_or.reduce((block & mask).ravel()))

    def free(self, ring_m: np.ndarray) -> bool:
        """Say whether a ring in local metres lies on no water and nothing paved."""
        mask = np.zeros(self.occupied.shape, np.uint8)
        cv2.fillPoly(mask, [to_fixed(self.px(ring_m) + MARGIN_PX)], PAVED, shift=4)
        return not (mask & self.occupied).any()

    def thing(
        self, label: str, unit: np.ndarray, x: float, y: float, *, length: float, width: float, angle: float = 0.0,
        height: float = 0.0, colour: tuple[str, Colour] = ("", (200, 200, 200)), variant: str = "",
        avoid: int = SOLID | TREE, gap_m: float = 0.4, ground: int = SOLID,
    ) -> bool:  # fmt: skip
        """Stand a thing at local (x, y) metres unless its ground is taken or far outside; say whether it stands."""
        if min(length, width) < SUBPIXEL * self.gsd_m or self.far(x, y, length + width):
            return False
        (cx, cy), scale, turned = self.point(x, y), 1 / self.gsd_m, angle + self.angle_deg
        length_px, width_px, gap_px = length * scale, width * scale, 2 * gap_m * scale + 1
        if avoid and self.covers(unit, cx, cy, length_px + gap_px, width_px + gap_px, turned) & avoid:
            return False
        outline = place(unit, cx=cx, cy=cy, length_px=length_px, width_px=width_px, angle_deg=turned)
        cv2.fillPoly(self.occupied, [to_fixed(outline + MARGIN_PX)], ground, shift=4)
        self.things.append(Thing(label, unit, outline, cx, cy, length_px, width_px, turned, height, colour[1],
                                 colour[0], variant, self.seed()))  # fmt: skip
        return True

    def spots(self, count: int, reach: float = 1.0) -> np.ndarray:
        """Draw `count` random places (count, 2) in local metres over the image."""
        return self.rng.uniform(-self.reach * reach, self.reach * reach, (count, 2))

    def rect(self, x1: float, y1: float, x2: float, y2: float) -> np.ndarray:
        """Give a rectangle's ring in local metres, whatever the order of its corners."""
        return rectangle(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))

    def finish(self, kind: str) -> Layout:
        """Freeze what was laid out."""
        return Layout(kind, self.size_px, self.gsd_m, self.ground, self.seed(), tuple(self.areas), tuple(self.lines),
                      tuple(self.things), tuple(self.crowds))  # fmt: skip
