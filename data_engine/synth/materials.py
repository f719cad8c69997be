"""What things are made of, as other sensors see it: reflectance in Sentinel-2's bands and radar backscatter.

The numbers are typical of each material (clear sky, nadir view; C band at about 38 degrees) and our own round figures;
they keep the order that indices rely on: NDVI of plants is high, of soil low, of water below zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from data_engine.synth.canvas import cover, to_fixed
from data_engine.synth.outlines import boxes_of, place
from data_engine.synth.records import Layout, Thing

Spectrum = tuple[float, ...]
S2_BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")


@dataclass(frozen=True, slots=True)
class Material:
    """Describe a material: reflectance in S2_BANDS, backscatter in dB (VV, VH), and what it turns into when dry."""

    spectrum: Spectrum
    vv_db: float
    vh_db: float
    dry: str = ""


MATERIALS: dict[str, Material] = {
    "grass": Material((.030, .035, .075, .045, .110, .290, .370, .400, .410, .400, .4, .220, .110), -12, -18, "straw"),
    "tree": Material((.020, .024, .045, .026, .075, .230, .310, .340, .350, .340, .3, .150, .065), -8.5, -13.5, "leaf"),
    "crop": Material((.028, .032, .070, .035, .105, .330, .430, .460, .470, .450, .4, .200, .090), -11, -17, "straw"),
    "sprout": Material((.060, .075, .110, .110, .160, .240, .280, .300, .310, .310, .3, .280, .190), -13, -20, "straw"),
    "straw": Material((.075, .090, .140, .180, .215, .245, .265, .285, .300, .300, .3, .330, .240), -13, -20),
    "leaf": Material((.030, .035, .060, .075, .130, .200, .240, .270, .280, .280, .3, .200, .110), -9.5, -15),
    "soil": Material((.080, .100, .140, .190, .215, .235, .255, .275, .290, .300, .3, .360, .310), -14, -22),
    "sand": Material((.170, .210, .280, .340, .365, .385, .400, .415, .425, .430, .4, .480, .440), -19, -27),
    "ash": Material((.030, .032, .036, .042, .046, .050, .055, .060, .063, .065, .1, .110, .130), -13, -22),
    "asphalt": Material((.085, .090, .100, .108, .112, .116, .120, .124, .127, .130, .1, .145, .140), -19, -27),
    "concrete": Material((.190, .220, .260, .290, .300, .305, .310, .318, .322, .325, .3, .345, .320), -17, -25),
    "water": Material((.030, .030, .028, .014, .010, .006, .006, .005, .004, .003, .0, .002, .001), -21, -29),
    "mud water": Material((.050, .060, .085, .075, .065, .035, .034, .028, .024, .015, .0, .004, .002), -20, -28),
    "shallows": Material((.080, .100, .110, .050, .030, .015, .013, .011, .010, .006, .0, .003, .002), -18, -27),
    "foam": Material((.350, .360, .370, .360, .340, .320, .310, .300, .290, .250, .2, .060, .030), -10, -20),
    "tile": Material((.060, .070, .100, .190, .220, .245, .260, .275, .285, .290, .3, .330, .300), -11, -19),
    "bitumen": Material((.120, .130, .145, .155, .160, .165, .170, .175, .178, .180, .2, .200, .190), -13, -21),
    "metal": Material((.350, .400, .420, .430, .430, .430, .430, .420, .420, .410, .4, .380, .330), -11, -20),
    "steel": Material((.200, .220, .240, .240, .240, .240, .240, .240, .240, .240, .2, .200, .170), -3, -11),
    "paint": Material((.200, .220, .240, .240, .240, .240, .240, .240, .240, .240, .2, .200, .170), -7, -15),
}  # fmt: skip
NAMES = tuple(MATERIALS)
PLANTS = ("grass", "tree", "crop", "sprout", "straw", "leaf")
OF_SURFACE: dict[str, str] = {
    "grass": "grass", "lawn": "grass", "meadow": "grass", "soil": "soil", "bareland": "soil", "desert": "sand",
    "sand": "sand", "asphalt": "asphalt", "lot": "asphalt", "concrete": "concrete", "dirt_road": "soil",
    "gravel": "concrete", "sea": "water", "green_water": "water", "brown_water": "mud water", "shallow": "shallows",
    "foam": "foam", "forest": "tree", "crop_green": "crop", "crop_young": "sprout", "crop_ripe": "straw",
    "crop_dark": "crop", "ploughed": "soil", "stubble": "straw", "burnt": "ash",
}  # fmt: skip
OF_LABEL: dict[str, str] = {
    "tree": "tree", "swimming pool": "shallows", "football field": "grass", "baseball field": "grass",
    "running track": "tile", "tennis court": "bitumen", "basketball court": "bitumen", "bridge": "asphalt",
    "pier": "concrete", "platform": "concrete", "gate": "metal", "storage tank": "metal", "container": "steel",
    "ship": "steel", "plane": "steel", "car": "paint", "truck": "paint", "train": "paint",
}  # fmt: skip

OF_CROWD: dict[str, str] = {"": "tree", "house": "tile", "flat": "bitumen", "shed": "metal"}


def material_of(thing: Thing) -> str:
    """Name what a thing shows from above."""
    if thing.label != "building":
        return OF_LABEL[thing.label]
    if thing.variant == "shed":
        return "metal"
    return "tile" if thing.colour_name in ("red", "brown") and "flat" not in thing.variant else "bitumen"


def material_map(layout: Layout) -> np.ndarray:
    """Rasterise what is seen from above, uint8 (size_px, size_px) of indices into NAMES."""
    index = {name: number for number, name in enumerate(NAMES)}
    found = np.full((layout.size_px, layout.size_px), index[OF_SURFACE[layout.ground]], np.uint8)
    for area in layout.areas:
        cover(found, area, index[OF_SURFACE[area.surface]])
    for crowd in layout.crowds:
        cv2.fillPoly(found, list(to_fixed(boxes_of(crowd.poses, -1))), index[OF_CROWD[crowd.style]], shift=4)
    for thing in sorted(layout.things, key=lambda entry: entry.label == "tree"):
        sides = {"length_px": max(0.5, thing.length_px - 1), "width_px": max(0.5, thing.width_px - 1)}
        ring = place(thing.unit, cx=thing.cx, cy=thing.cy, angle_deg=thing.angle_deg, **sides)
        cv2.fillPoly(found, [to_fixed(ring)], index[material_of(thing)], shift=4)
    return found


@lru_cache(maxsize=128)
def spectra(season_percent: int) -> np.ndarray:
    """Give the reflectances of all materials at a time of the year, float32 (materials, bands); 100 is driest."""
    share, rows = season_percent / 100, []
    for material in MATERIALS.values():
        lush = np.array(material.spectrum)
        dry = np.array(MATERIALS[material.dry].spectrum) if material.dry else lush
        rows.append(lush * (1 - share) + dry * share)
    return np.array(rows, np.float32)
