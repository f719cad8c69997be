"""Which bands a raster has, and which pictures are worth showing of them.

A multispectral or SAR image becomes one or several RGB renderings, each with a sentence that says what it shows: the
training-free recipe of "Zero-shot multispectral" prompting. Everything here works on band roles and counts; no file is read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vlm.errors import RasterError
from vlm.stretch import Limits

Kind = Literal["composite", "difference", "palette", "radar"]
Colours = tuple[tuple[int, int, int], ...]

ROLE_WORDS = {
    "coastal": "coastal aerosol", "blue": "blue", "green": "green", "yellow": "yellow", "red": "red", "rededge": "red edge",
    "nir": "near infrared", "nir_narrow": "narrow near infrared", "vapour": "water vapour", "cirrus": "cirrus",
    "swir1": "shortwave infrared 1.6 um", "swir2": "shortwave infrared 2.2 um", "pan": "panchromatic",
    "thermal": "thermal infrared", "vv": "VV backscatter", "vh": "VH backscatter", "hh": "HH backscatter",
    "hv": "HV backscatter", "gray": "grey", "alpha": "alpha",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rendering:
    """Say how bands become one RGB picture.

    `bands` are 1-based; `limits` holds one stretch per band (for a difference: one for the index); `colours` is a ramp
    for differences; `decibel` asks for 20 log10 of the amplitude before the stretch.
    """

    name: str
    bands: tuple[int, ...]
    sentence: str
    kind: Kind = "composite"
    limits: tuple[Limits, ...] = ()
    colours: Colours = ()
    decibel: bool = False


@dataclass(frozen=True, slots=True)
class Sensor:
    """Name the band roles of a product in file order and the band codes its files use."""

    name: str
    roles: tuple[str, ...]
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preset:
    """Name a rendering by the roles it needs; several alternatives are tried in order."""

    name: str
    title: str
    alternatives: tuple[tuple[str, ...], ...]
    kind: Kind = "composite"
    colours: Colours = ()
    meaning: str = ""


_S2_ROLES = (
    "coastal", "blue", "green", "red", "rededge", "rededge2", "rededge3", "nir", "nir_narrow", "vapour", "cirrus", "swir1",
    "swir2",
)  # fmt: skip
_S2_CODES = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
_L8_ROLES = (
    "coastal", "blue", "green", "red", "nir", "swir1", "swir2", "pan", "cirrus", "thermal", "thermal2",
)  # fmt: skip
_L8_CODES = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11")


def _without(values: tuple[str, ...], *positions: int) -> tuple[str, ...]:
    return tuple(value for index, value in enumerate(values) if index not in positions)


SENSORS: dict[str, Sensor] = {
    "sentinel2": Sensor("Sentinel-2", _S2_ROLES, _S2_CODES),
    "sentinel2_l2a": Sensor("Sentinel-2 L2A", _without(_S2_ROLES, 10), _without(_S2_CODES, 10)),
    "sentinel2_10": Sensor("Sentinel-2 without its 60 m bands", _without(_S2_ROLES, 0, 9, 10), _without(_S2_CODES, 0, 9, 10)),
    "landsat": Sensor("Landsat 8/9", _L8_ROLES, _L8_CODES),
    "landsat_sr": Sensor("Landsat 8/9 surface reflectance", _L8_ROLES[:7], _L8_CODES[:7]),
    "landsat_tm": Sensor("Landsat 5/7", ("blue", "green", "red", "nir", "swir1", "swir2"), ()),
    "planetscope": Sensor("PlanetScope", ("blue", "green", "red", "nir")),
    "superdove": Sensor(
        "PlanetScope SuperDove", ("coastal", "blue", "green1", "green", "yellow", "red", "rededge", "nir")
    ),
    "rapideye": Sensor("RapidEye", ("blue", "green", "red", "rededge", "nir")),
    "naip": Sensor("NAIP", ("red", "green", "blue", "nir")),
    "sentinel1": Sensor("Sentinel-1", ("vv", "vh")),
    "rgb": Sensor("RGB", ("red", "green", "blue")),
    "gray": Sensor("single band", ("gray",)),
}  # fmt: skip

_VEGETATION: Colours = ((110, 60, 20), (245, 235, 200), (0, 100, 20))
_WATER: Colours = ((110, 60, 20), (245, 245, 235), (10, 50, 160))
PRESETS: dict[str, Preset] = {
    "true": Preset("true", "True colour", (("red", "green", "blue"),)),
    "false": Preset("false", "False colour", (("nir", "red", "green"),), meaning="vegetation is red"),
    "ndvi": Preset("ndvi", "Vegetation index NDVI", (("nir", "red"),), "difference", _VEGETATION,
                   "green is vegetation, pale is bare or built, brown is water"),
    "ndwi": Preset("ndwi", "Water index NDWI", (("green", "nir"),), "difference", _WATER,
                   "blue is water, brown is vegetation or dry land"),
    "swir": Preset("swir", "Shortwave infrared", (("swir2", "nir", "red"), ("swir1", "nir", "red")),
                   meaning="green is vegetation, pink is bare or built, black is water"),
    "sar": Preset("sar", "Radar composite", (("vv", "vh"), ("hh", "hv"), ("vv",), ("hh",), ("vh",), ("hv",)), "radar"),
    "gray": Preset("gray", "Grey", (("gray",), ("pan",))),
}  # fmt: skip
AUTOMATIC_ORDER = ("true", "false", "ndvi", "ndwi", "swir", "sar", "gray")
_ALIASES = {
    "true_color": "true", "true_colour": "true", "truecolor": "true", "rgb": "true", "false_color": "false",
    "false_colour": "false", "cir": "false", "grey": "gray", "vv_vh": "sar",
}  # fmt: skip
_COUNTS = {
    1: "gray", 2: "sentinel1", 3: "rgb", 5: "rapideye", 6: "landsat_tm", 7: "landsat_sr", 8: "superdove", 10: "sentinel2_10",
    11: "landsat", 12: "sentinel2_l2a", 13: "sentinel2",
}  # fmt: skip
_WORDS = {
    "coastal": "coastal", "aerosol": "coastal", "blue": "blue", "green": "green", "yellow": "yellow", "red": "red",
    "nir": "nir", "nir08": "nir", "nir1": "nir", "swir": "swir1", "swir1": "swir1", "swir16": "swir1", "swir2": "swir2",
    "swir22": "swir2", "pan": "pan", "panchromatic": "pan", "thermal": "thermal", "tir": "thermal", "vv": "vv", "vh": "vh",
    "hh": "hh", "hv": "hv", "rededge": "rededge", "gray": "gray", "grey": "gray", "cirrus": "cirrus", "alpha": "alpha",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BandTable:
    """Say which role each band plays (1-based position = index + 1), where that is known from, and under which names."""

    roles: tuple[str, ...]
    labels: tuple[str, ...]
    sensor: str
    assumed: bool

    def band(self, role: str) -> int | None:
        """Find the 1-based band of a role; None where there is none."""
        return self.roles.index(role) + 1 if role in self.roles else None


def band_table(descriptions: Sequence[str | None], colours: Sequence[str], dtype: str) -> BandTable:
    """Work out the roles of the bands from descriptions, else colour interpretation, else their number.

    `colours` are GDAL's colour interpretations in lower case ("red", "alpha", "undefined"); `dtype` settles four unnamed
    bands: red, green, blue, near infrared in uint8 (NAIP), blue, green, red, near infrared otherwise (PlanetScope).
    """
    labels = tuple(text or f"band {index + 1}" for index, text in enumerate(descriptions))
    for named, source in ((_roles_by_code(descriptions), "code"), (_roles_by_word(descriptions), "word")):
        if named is not None:
            return BandTable(named[1], labels, named[0], assumed=False)
    by_colour = tuple(colour if colour in ROLE_WORDS else "" for colour in colours)
    if {"red", "green", "blue"} <= set(by_colour):
        return BandTable(by_colour, labels, "rgb", assumed=False)
    data = [index for index, colour in enumerate(colours) if colour != "alpha"]
    key = ("naip" if dtype == "uint8" else "planetscope") if len(data) == 4 else _COUNTS.get(len(data), "")
    roles = [""] * len(colours)
    for index, role in zip(data, SENSORS[key].roles if key else ("red", "green", "blue"), strict=False):
        roles[index] = role
    for index, colour in enumerate(colours):
        roles[index] = "alpha" if colour == "alpha" else roles[index]
    return BandTable(tuple(roles), labels, key or "unknown", assumed=key not in ("gray", "rgb"))


def _roles_by_word(descriptions: Sequence[str | None]) -> tuple[str, tuple[str, ...]] | None:
    roles = []
    for text in descriptions:
        words = re.split(
            r"[^a-z0-9]+", (text or "").lower().replace("red edge", "rededge").replace("near infrared", "nir")
        )
        roles.append(next((_WORDS[word] for word in words if word in _WORDS), ""))
    if not any(roles):
        return None
    return ("sentinel1" if {"vv", "vh"} & set(roles) else "named"), tuple(_first_only(roles))


def _roles_by_code(descriptions: Sequence[str | None]) -> tuple[str, tuple[str, ...]] | None:
    found = [
        re.search(r"(?:^|[^A-Za-z0-9])B0?(\d{1,2}A?)(?![A-Za-z0-9])", (text or "").upper()) for text in descriptions
    ]
    codes = [f"B{match.group(1)}" if match else "" for match in found]
    known = {code for code in codes if code}
    if not known or sum(bool(code) for code in codes) * 2 < len(codes):
        return None
    padded = any(re.search(r"B0\d", (text or "").upper()) for text in descriptions)
    prefixed = any(re.search(r"S[RT]_B", (text or "").upper()) for text in descriptions)
    landsat = prefixed or not (padded or known & {"B8A", "B12", "B8"} or known <= {"B2", "B3", "B4"})
    key = "landsat" if landsat else "sentinel2"
    roles = dict(zip(SENSORS[key].codes, SENSORS[key].roles, strict=True))
    return key, tuple(_first_only([roles.get(code, "") for code in codes]))


def _first_only(roles: Sequence[str]) -> list[str]:
    return [role if role not in roles[:index] else "" for index, role in enumerate(roles)]


def plan_renderings(
    spec: str | None, table: BandTable, *, limit: int = 1, where: str = "the image"
) -> tuple[Rendering, ...]:
    """Choose pictures for a raster, without their stretch yet.

    `spec` is None (automatic: up to `limit` presets that the bands allow, true colour first), a preset ("ndvi"), several
    ("true+ndvi"), a preset under another sensor's band order ("planetscope:false"), or 1 or 3 bands by number or name
    ("4,3,2", "nir,red,green", "B8"). RasterError names what exists.
    """
    if spec is None:
        return _automatic(table, limit)
    return tuple(_one(part.strip(), table, where) for part in spec.split("+"))


def _automatic(table: BandTable, limit: int) -> tuple[Rendering, ...]:
    found = [_preset(PRESETS[name], table) for name in AUTOMATIC_ORDER]
    usable = [rendering for rendering in found if rendering is not None][: max(1, limit)]
    if usable:
        return tuple(usable)
    data = [index + 1 for index, role in enumerate(table.roles) if role != "alpha"]
    return (_composite(tuple(data[:3]) if len(data) >= 3 else (data[0],), table),)


def _one(part: str, table: BandTable, where: str) -> Rendering:
    text = part.lower()
    if ":" in text:
        sensor, _, text = text.partition(":")
        table = _as_sensor(sensor, table, where)
    name = _ALIASES.get(text, text)
    if name in PRESETS:
        rendering = _preset(PRESETS[name], table)
        if rendering is None:
            raise RasterError(
                f"rendering {part!r} of {where} needs the bands {_needs(PRESETS[name])}, and it has {_listing(table)}; "
                'name bands by number, such as "3,2,1", or the sensor, such as "sentinel2:ndvi"'
            )
        return rendering
    bands = tuple(_band(piece.strip(), table, where, part) for piece in text.split(","))
    if len(bands) not in (1, 3):
        raise RasterError(f'rendering {part!r} of {where} names {len(bands)} bands: expected 1 or 3, such as "4,3,2"')
    return _composite(bands, table)


def _as_sensor(key: str, table: BandTable, where: str) -> BandTable:
    if key not in SENSORS:
        raise RasterError(f"sensor {key!r} is unknown, asked of {where}: known are {', '.join(SENSORS)}")
    sensor = SENSORS[key]
    count = sum(role != "alpha" for role in table.roles)
    if count < len(sensor.roles) and not sensor.codes:
        raise RasterError(
            f"{where} has {count} bands: {sensor.name} has {len(sensor.roles)} ({', '.join(sensor.roles)})"
        )
    roles = [*sensor.roles, *[""] * len(table.roles)][: len(table.roles)]
    return BandTable(tuple(roles), table.labels, key, assumed=False)


def _band(piece: str, table: BandTable, where: str, part: str) -> int:
    if piece.isdigit() and 1 <= int(piece) <= len(table.roles):
        return int(piece)
    labels = [label.lower() for label in table.labels]
    if piece in labels:
        return labels.index(piece) + 1
    by_role = table.band(_WORDS.get(piece, piece))
    if piece and by_role is not None:
        return by_role
    raise RasterError(
        f"band {piece!r} in rendering {part!r} does not exist in {where}: it has {_listing(table)}; "
        f"give numbers from 1 to {len(table.roles)}, or one of the renderings {', '.join(PRESETS)}"
    )


def _listing(table: BandTable) -> str:
    names = [f"{index + 1}" + (f" ({role})" if role else "") for index, role in enumerate(table.roles)]
    return f"{len(names)} band{'s' if len(names) != 1 else ''}: {', '.join(names)}"


def _needs(preset: Preset) -> str:
    return " or ".join(", ".join(ROLE_WORDS[role] for role in roles) for roles in preset.alternatives)


def _preset(preset: Preset, table: BandTable) -> Rendering | None:
    for roles in preset.alternatives:
        bands = [table.band(role) for role in roles]
        if all(band is not None for band in bands):
            return _filled(preset, roles, tuple(band for band in bands if band is not None), table)
    return None


def _filled(preset: Preset, roles: tuple[str, ...], bands: tuple[int, ...], table: BandTable) -> Rendering:
    words = ", ".join(f"{ROLE_WORDS[role]}" for role in roles)
    numbers = ", ".join(map(str, bands))
    sentence = f"{preset.title}: {words} (band{'s' if len(bands) > 1 else ''} {numbers})"
    if preset.kind == "radar" and len(bands) == 2:
        sentence += f" as red and green, their ratio as blue, in decibels"
    if preset.meaning:
        sentence += f"; {preset.meaning}"
    if table.assumed:
        known = SENSORS.get(table.sensor)
        sentence += f"; the file does not name its bands, the order of {known.name if known else 'RGB'} is assumed"
    return Rendering(
        preset.name, bands, sentence + ".", preset.kind, colours=preset.colours, decibel=preset.kind == "radar"
    )


def _composite(bands: tuple[int, ...], table: BandTable) -> Rendering:
    words = [ROLE_WORDS.get(table.roles[band - 1], table.labels[band - 1]) for band in bands]
    if len(bands) == 1:
        sentence = f"Band {bands[0]} in grey: {words[0]}."
    else:
        sentence = f"Bands {', '.join(map(str, bands))} as red, green and blue: {', '.join(words)}."
    return Rendering(",".join(map(str, bands)), bands, sentence)
