"""The tables of bands: what each sensor calls them, which pictures are made of them. Data only; bands.py reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["composite", "difference", "palette", "radar"]
Colours = tuple[tuple[int, int, int], ...]

ROLE_WORDS: dict[str, str] = {
    "coastal": "coastal aerosol", "blue": "blue", "green": "green", "yellow": "yellow", "red": "red",
    "rededge": "red edge", "rededge2": "red edge 2", "rededge3": "red edge 3", "green1": "green 1",
    "nir": "near infrared", "nir_narrow": "narrow near infrared", "vapour": "water vapour", "cirrus": "cirrus",
    "swir1": "shortwave infrared 1.6 um", "swir2": "shortwave infrared 2.2 um", "pan": "panchromatic",
    "thermal": "thermal infrared", "thermal2": "thermal infrared 2", "vv": "VV backscatter", "vh": "VH backscatter",
    "hh": "HH backscatter", "hv": "HV backscatter", "amplitude": "amplitude", "gray": "grey", "alpha": "alpha",
}  # fmt: skip

WORDS: dict[str, str] = {
    "coastal": "coastal", "aerosol": "coastal", "blue": "blue", "green": "green", "yellow": "yellow", "red": "red",
    "nir": "nir", "nir08": "nir", "nir1": "nir", "swir": "swir1", "swir1": "swir1", "swir16": "swir1",
    "swir2": "swir2", "swir22": "swir2", "pan": "pan", "panchromatic": "pan", "thermal": "thermal",
    "tir": "thermal", "vv": "vv", "vh": "vh", "hh": "hh", "hv": "hv", "rededge": "rededge", "gray": "gray",
    "grey": "gray", "cirrus": "cirrus", "alpha": "alpha",
}  # fmt: skip
LETTERS = {"r": "red", "g": "green", "b": "blue", "n": "nir"}


@dataclass(frozen=True, slots=True)
class Sensor:
    """Name the band roles of a product in file order and the band codes its files use."""

    name: str
    roles: tuple[str, ...]
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preset:
    """Name a picture by the roles it needs (alternatives are tried in order), and what its colours mean."""

    name: str
    title: str
    alternatives: tuple[tuple[str, ...], ...]
    meaning: str = ""
    kind: Kind = "composite"
    colours: Colours = ()


_S2_CODES = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
_S2_ROLES = (
    "coastal", "blue", "green", "red", "rededge", "rededge2", "rededge3", "nir", "nir_narrow", "vapour", "cirrus",
    "swir1", "swir2",
)  # fmt: skip
_L8_CODES = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11")
_L8_ROLES = ("coastal", "blue", "green", "red", "nir", "swir1", "swir2", "pan", "cirrus", "thermal", "thermal2")


def _sentinel2_without(name: str, *dropped: str) -> Sensor:
    kept = [(code, role) for code, role in zip(_S2_CODES, _S2_ROLES, strict=True) if code not in dropped]
    return Sensor(name, tuple(role for _, role in kept), tuple(code for code, _ in kept))


SENSORS: dict[str, Sensor] = {
    "sentinel2": Sensor("Sentinel-2", _S2_ROLES, _S2_CODES),
    "sentinel2_l2a": _sentinel2_without("Sentinel-2 L2A", "B10"),
    "sentinel2_10": _sentinel2_without("Sentinel-2 without its 60 m bands", "B1", "B9", "B10"),
    "landsat": Sensor("Landsat 8/9", _L8_ROLES, _L8_CODES),
    "landsat_sr": Sensor("Landsat 8/9 surface reflectance", _L8_ROLES[:7], _L8_CODES[:7]),
    "landsat_tm": Sensor(
        "Landsat 5/7", ("blue", "green", "red", "nir", "swir1", "swir2"), ("B1", "B2", "B3", "B4", "B5", "B7")
    ),
    "planetscope": Sensor("PlanetScope", ("blue", "green", "red", "nir")),
    "superdove": Sensor(
        "PlanetScope SuperDove", ("coastal", "blue", "green1", "green", "yellow", "red", "rededge", "nir")
    ),
    "rapideye": Sensor("RapidEye", ("blue", "green", "red", "rededge", "nir")),
    "naip": Sensor("NAIP", ("red", "green", "blue", "nir")),
    "sentinel1": Sensor("Sentinel-1", ("vv", "vh")),
    "rgb": Sensor("RGB", ("red", "green", "blue")),
    "gray": Sensor("single band", ("gray",)),
}
SENSOR_BY_COUNT: dict[int, str] = {
    1: "gray", 2: "sentinel1", 3: "rgb", 5: "rapideye", 6: "landsat_tm", 7: "landsat_sr", 8: "superdove",
    10: "sentinel2_10", 11: "landsat", 12: "sentinel2_l2a", 13: "sentinel2",
}  # fmt: skip

_VEGETATION: Colours = ((110, 60, 20), (245, 235, 200), (0, 100, 20))
_WATER: Colours = ((110, 60, 20), (245, 245, 235), (10, 50, 160))
PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("true", "True colour", (("red", "green", "blue"),)),
        Preset("false", "False colour", (("nir", "red", "green"),), "vegetation is red"),
        Preset(
            "ndvi", "Vegetation index NDVI", (("nir", "red"),),
            "green is vegetation, pale is bare or built, brown is water", "difference", _VEGETATION,
        ),
        Preset(
            "ndwi", "Water index NDWI", (("green", "nir"),),
            "blue is water, brown is vegetation or dry land", "difference", _WATER,
        ),
        Preset(
            "swir", "Shortwave infrared", (("swir2", "nir", "red"), ("swir1", "nir", "red")),
            "green is vegetation, pink is bare or built, black is water",
        ),
        Preset(
            "sar", "Radar in decibels",
            (("vv", "vh"), ("hh", "hv"), ("vv",), ("hh",), ("vh",), ("hv",), ("amplitude",)), kind="radar",
        ),
        Preset("gray", "One band in grey", (("gray",), ("pan",), ("thermal",))),
    )
}  # fmt: skip
AUTOMATIC_ORDER = ("true", "false", "ndvi", "ndwi", "swir", "sar", "gray")
ALIASES: dict[str, str] = {
    "true_color": "true", "true_colour": "true", "truecolor": "true", "rgb": "true", "false_color": "false",
    "false_colour": "false", "cir": "false", "grey": "gray", "vv_vh": "sar",
}  # fmt: skip
