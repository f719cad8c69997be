"""The records of the renderer: what stands where (`Layout`), how a day looks (`Look`), and what comes out (`Scene`).

A layout knows nothing about light or season; the same layout painted under two looks is the same place on two days.
Frame: outlines are (N, 2) float arrays in pixels of the image (vlm.geometry.shapes); heights and lengths are metres.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vlm.errors import DataError
from vlm.geometry.shapes import HBB, OBB, Mask, Polygon

Colour = tuple[int, int, int]
LAND = ("other", "road", "water", "building", "field", "forest", "grass", "bare", "pavement")


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """Cover rings (each (N, 2) px) with a surface; `soft_px` blurs the edge, `row_deg` lays rows across a field.

    Instead of rings there may be a uint8 `mask` of the image, 255 inside.
    """

    surface: str
    rings: tuple[np.ndarray, ...]
    seed: int
    soft_px: float = 0.0
    row_deg: float | None = None
    mask: np.ndarray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Draw thin lines along `paths` (K, N, 2) px; a width below one pixel fades instead of vanishing.

    `strength` is how much of the ground they hide (1 for paint, little for stains and wheel tracks).
    """

    paths: np.ndarray
    width_px: float
    colour: Colour
    strength: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """Stand one object on the ground: its pose (centre px, sides px, angle), its shape and its paint.

    `unit` is the shape in its own frame (outlines.py), `outline` the same (N, 2) in px.
    """

    label: str
    unit: np.ndarray
    outline: np.ndarray
    cx: float
    cy: float
    length_px: float
    width_px: float
    angle_deg: float
    height_m: float
    colour: Colour
    colour_name: str
    variant: str
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """Stand many small boxes ("building" or "tree") that have no labels: poses (N, 5) are cx, cy, length, width in px
    and the angle in degrees; heights (N,) metres; colours (N, 3) uint8; `style` names the roofs.
    """

    label: str
    poses: np.ndarray
    heights_m: np.ndarray
    colours: np.ndarray
    style: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Describe a place: its scene class, ground surface, areas, lines and things, in painting order."""

    kind: str
    size_px: int
    gsd_m: float
    ground: str
    seed: int
    areas: tuple[Area, ...]
    lines: tuple[Line, ...]
    things: tuple[Thing, ...]
    crowds: tuple[Crowd, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """Describe a day: where shadows fall, how dry plants are (0-1), haze (0-1), colour gains, blur, noise and shift.

    `shadow_deg` is the direction of shadows (from +x towards +y), `shadow_ratio` their length over the height.
    """

    shadow_deg: float
    shadow_ratio: float
    season: float = 0.3
    haze: float = 0.05
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gamma: float = 1.0
    blur_px: float = 0.6
    noise: float = 3.0
    shift_px: tuple[float, float] = (0.0, 0.0)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class SceneObject:
    """Label one object: class, exact outline, oriented box (le90), colour, size word, length and height in metres.

    `heading_deg` is where the nose or bow of what can move points, from +x towards +y in 0-360, None for the rest;
    `form` names a kind within the class, such as `hip roof` or `container ship`.
    """

    label: str
    polygon: Polygon
    obb: OBB
    colour: str
    size: str
    length_m: float
    height_m: float = 0.0
    heading_deg: float | None = None
    form: str = ""

    @property
    def hbb(self) -> HBB:
        """Give the horizontal box around the outline, in pixels."""
        xs, ys = zip(*self.polygon.exterior, strict=True)
        return HBB(min(xs), min(ys), max(xs), max(ys))


@dataclass(frozen=True, slots=True)
class Unsure:
    """Name classes that show more than is labelled: members too small for a label, and members cut off or hidden.

    The number of the first is not known; neither may be called absent.
    """

    small: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Hold one rendered scene: rgb uint8 (H, W, 3), its objects, land cover uint8 (H, W) and georeference.

    `land` holds indices into LAND; `transform` is the affine 6-tuple (a, b, c, d, e, f) in metres of `crs`. Scenes of
    another sensor than "rgb" have uint16 `bands` (H, W, bands), named by `band_names`; `rgb` then is a picture of them.
    """

    rgb: np.ndarray
    objects: tuple[SceneObject, ...]
    land: np.ndarray
    scene_class: str
    caption: str
    gsd_m: float
    crs: str
    transform: tuple[float, float, float, float, float, float]
    seed: int
    captions: tuple[str, ...] = field(default=())
    sensor: str = "rgb"
    bands: np.ndarray | None = None
    band_names: tuple[str, ...] = ("red", "green", "blue")
    unsure: Unsure = Unsure()

    @property
    def width(self) -> int:
        return int(self.rgb.shape[1])

    @property
    def height(self) -> int:
        return int(self.rgb.shape[0])

    @property
    def data(self) -> np.ndarray:
        return self.rgb if self.bands is None else self.bands

    def mask(self, land: str) -> Mask:
        """Give the land cover class as a mask with one cell a pixel; raise DataError for an unknown class."""
        if land not in LAND:
            raise DataError(f"land cover {land!r} is unknown: expected one of {', '.join(LAND)}")
        return Mask(self.land == LAND.index(land), HBB(0, 0, self.width, self.height))


EventKind = Literal["flooded", "burnt", "cleared"]


@dataclass(frozen=True, slots=True)
class Event:
    """Say what happened to land between two dates: the kind, what it was before (`farmland`), the changed pixels."""

    kind: EventKind
    subject: str
    mask: Mask


@dataclass(frozen=True, slots=True, eq=False)
class ScenePair:
    """Hold two dates of one place; the mask covers vanished outlines as seen before and appeared ones as seen after.

    `moved` pairs one vanished with one appeared object each: the same thing on the two dates. The mask also covers
    what `events` changed. `after_land` is the second date's land cover as the first date's grid would show it, without
    the registration shift that `after.land` has.
    """

    before: Scene
    after: Scene
    change_mask: Mask
    appeared: tuple[SceneObject, ...]
    vanished: tuple[SceneObject, ...]
    moved: tuple[tuple[SceneObject, SceneObject], ...] = ()
    events: tuple[Event, ...] = ()
    after_land: np.ndarray | None = None

    @property
    def changed(self) -> bool:
        return bool(self.appeared or self.vanished or self.events)
