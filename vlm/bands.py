"""Which bands a raster has, and which pictures are worth showing of them.

A multispectral or radar image becomes one or several RGB renderings, each with a sentence that says what it shows: the
training-free recipe that lets any RGB model look at other bands. Everything here works on names and counts; no file is
read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vlm.errors import RasterError
from vlm.sensors import (
    ALIASES,
    AUTOMATIC_ORDER,
    LETTERS,
    PRESETS,
    ROLE_WORDS,
    SENSOR_BY_COUNT,
    SENSORS,
    WORDS,
    Colours,
    Kind,
    Preset,
)  # fmt: skip
from vlm.stretch import Limits

NAIP_GSD_MAX_M = 12.0
_CODE = re.compile(r"(?<![A-Za-z0-9])B(0?)(\d{1,2}A?)(?![A-Za-z0-9])")


@dataclass(frozen=True, slots=True)
class Rendering:
    """Say how bands become one RGB picture.

    `bands` are 1-based; `limits` holds one stretch per channel (for a difference: one for the index); `colours` is the
    ramp of a difference; `decibel` asks for 20 log10 of the amplitude before the stretch.
    """

    name: str
    bands: tuple[int, ...]
    sentence: str
    kind: Kind = "composite"
    limits: tuple[Limits, ...] = ()
    colours: Colours = ()
    decibel: bool = False


@dataclass(frozen=True, slots=True)
class BandTable:
    """Say which role each band plays ("" unknown; position + 1 is its number), its label, and whose order it is."""

    roles: tuple[str, ...]
    labels: tuple[str, ...]
    sensor: str
    assumed: bool

    def band(self, role: str) -> int | None:
        """Find the 1-based band of a role; None where there is none."""
        return self.roles.index(role) + 1 if role in self.roles else None

    def unnamed(self) -> BandTable:
        """Forget the roles, where an assumption turned out wrong."""
        return BandTable(("",) * len(self.roles), self.labels, "unknown", assumed=False)

    def data_bands(self) -> tuple[int, ...]:
        """List the 1-based bands that are not alpha."""
        return tuple(index + 1 for index, role in enumerate(self.roles) if role != "alpha")


def band_table(
    descriptions: Sequence[str | None],
    colours: Sequence[str],
    dtype: str,
    gsd_m: float | None = None,
    *,
    sensor: str | None = None,
) -> BandTable:
    """Work out the roles of the bands from descriptions, else colour interpretation, else their number.

    `colours` are GDAL's colour interpretations ("red", "alpha", "undefined"); `sensor` is the sensor's name where it
    is known ("Landsat 8"), and tells whose codes the descriptions are. Four unnamed bands are taken for NAIP's
    red, green, blue, near infrared in uint8 (and no coarser than 12 m), else for PlanetScope's blue, green, red, near
    infrared.
    """
    labels = tuple(text or f"band {index + 1}" for index, text in enumerate(descriptions))
    named = _roles_by_code(descriptions, sensor or "") or _roles_by_word(descriptions)
    if named is not None:
        return BandTable(named[1], labels, named[0], assumed=False)
    if {"red", "green", "blue"} <= set(colours):
        return _by_colour(colours, labels, gsd_m)
    return _by_count(colours, labels, dtype, gsd_m)


def _by_colour(colours: Sequence[str], labels: tuple[str, ...], gsd_m: float | None) -> BandTable:
    roles = [colour if colour in ROLE_WORDS else "" for colour in colours]
    assumed = roles[3:] == [""] and _fine(gsd_m)
    if assumed:
        roles[3] = "nir"
    return BandTable(tuple(roles), labels, "naip" if assumed else "rgb", assumed)


def _by_count(colours: Sequence[str], labels: tuple[str, ...], dtype: str, gsd_m: float | None) -> BandTable:
    data = [index for index, colour in enumerate(colours) if colour != "alpha"]
    key = SENSOR_BY_COUNT.get(len(data), "")
    if len(data) == 4:
        key = "planetscope" if dtype != "uint8" else ("naip" if _fine(gsd_m) else "")
    roles = ["alpha" if colour == "alpha" else "" for colour in colours]
    sensor_roles = SENSORS[key].roles if key else ()
    if len(data) == 1 and dtype.startswith("complex"):
        sensor_roles = ("amplitude",)
    for index, role in zip(data, sensor_roles, strict=False):
        roles[index] = role
    return BandTable(tuple(roles), labels, key or "unknown", assumed=key not in ("", "gray", "rgb"))


def _fine(gsd_m: float | None) -> bool:
    return gsd_m is None or gsd_m <= NAIP_GSD_MAX_M


def _roles_by_word(descriptions: Sequence[str | None]) -> tuple[str, tuple[str, ...]] | None:
    roles = [_role_of_words((text or "").lower()) for text in descriptions]
    if not any(roles):
        return None
    return ("sentinel1" if {"vv", "vh"} & set(roles) else "named"), _first_only(roles)


def _role_of_words(text: str) -> str:
    if text in LETTERS:
        return LETTERS[text]
    joined = re.sub(r"red[ _-]edge", "rededge", re.sub(r"near[ _-]infrared", "nir", text))
    return next((WORDS[word] for word in re.split(r"[^a-z0-9]+", joined) if word in WORDS), "")


def _roles_by_code(descriptions: Sequence[str | None], sensor: str) -> tuple[str, tuple[str, ...]] | None:
    found = [_CODE.search(re.sub(r"^S[RT]_", "", text or "")) for text in descriptions]
    codes = ["B" + match.group(2) if match else "" for match in found]
    if sum(bool(code) for code in codes) * 2 <= len(codes):
        return None
    padded = any(match is not None and match.group(1) for match in found)
    said = " ".join((sensor, *(text or "" for text in descriptions)))
    key = _sensor_of_codes({code for code in codes if code}, said, padded)
    roles = dict(zip(SENSORS[key].codes, SENSORS[key].roles, strict=True))
    return key, _first_only([roles.get(code, "") for code in codes])


def _sensor_of_codes(codes: set[str], text: str, padded: bool) -> str:
    """Tell Sentinel-2 from Landsat: both say B2; only Sentinel-2 pads, has B8A and B12, or ships B8 with colour."""
    if re.search(r"\bL[ET]0\d|\bLANDSAT[ -]?[457]\b", text.upper()):
        return "landsat_tm"
    if re.search(r"\bLC0\d|LANDSAT|S[RT]_B", text.upper()):
        return "landsat"
    if "SENTINEL" in text.upper() or padded or codes & {"B8A", "B12", "B8"} or codes <= {"B2", "B3", "B4"}:
        return "sentinel2"
    return "landsat"


def _first_only(roles: Sequence[str]) -> tuple[str, ...]:
    return tuple(role if role not in roles[:index] else "" for index, role in enumerate(roles))


def plan_renderings(
    spec: str | None, table: BandTable, *, limit: int = 3, where: str = "the image"
) -> tuple[Rendering, ...]:
    """Choose pictures for a raster, without their stretch yet.

    `spec` is None (automatic: up to `limit` presets that the bands allow, true colour first), a preset ("ndvi"),
    several ("true+ndvi"), a preset in a named sensor's band order ("planetscope:false"), or 1 or 3 bands by number or
    name ("4,3,2", "nir,red,green", "B8"). RasterError names what exists.
    """
    if spec is None:
        return _automatic(table, limit)
    return tuple(_one(part.strip(), table, where) for part in spec.split("+"))


def _automatic(table: BandTable, limit: int) -> tuple[Rendering, ...]:
    found = [_preset(PRESETS[name], table) for name in AUTOMATIC_ORDER]
    usable = [rendering for rendering in found if rendering is not None]
    if usable and (table.band("red") or table.sensor in ("sentinel1", "gray")):
        return tuple(usable[: max(1, limit)])
    if usable:
        return (usable[0],)
    data = table.data_bands()
    return (_composite(data[:3] if len(data) >= 3 else data[:1], table),)


def _one(part: str, table: BandTable, where: str) -> Rendering:
    sensor, colon, text = part.lower().rpartition(":")
    if colon:
        table = _as_sensor(sensor, table, where)
    preset = PRESETS.get(ALIASES.get(text, text))
    if preset is not None:
        rendering = _preset(preset, table)
        if rendering is None:
            raise RasterError(
                f"rendering {part!r} of {where} needs {_needs(preset)}, and the image has {_listing(table)}; "
                f'give three bands by number, such as "3,2,1", or name the sensor, such as "naip:{preset.name}"'
            )
        return rendering
    bands = tuple(_band(piece.strip(), table, where) for piece in text.split(","))
    if len(bands) not in (1, 3):
        raise RasterError(f'rendering {part!r} of {where} names {len(bands)} bands: expected 1 or 3, such as "3,2,1"')
    return _composite(bands, table)


def _as_sensor(key: str, table: BandTable, where: str) -> BandTable:
    sensor = SENSORS.get(key)
    if sensor is None:
        raise RasterError(f"sensor {key!r}, asked of {where}, is unknown: known are {', '.join(SENSORS)}")
    data = table.data_bands()
    if len(data) != len(sensor.roles):
        raise RasterError(
            f"{where} has {len(data)} bands and cannot be read as {sensor.name}, which has {len(sensor.roles)} "
            f"({', '.join(sensor.roles)}); give bands by number instead"
        )
    roles = list(table.roles)
    for band, role in zip(data, sensor.roles, strict=True):
        roles[band - 1] = role
    return BandTable(tuple(roles), table.labels, key, assumed=False)


def _band(piece: str, table: BandTable, where: str) -> int:
    labels = [label.lower() for label in table.labels]
    if piece.isdecimal() and 1 <= int(piece) <= len(table.roles):
        return int(piece)
    if piece in labels:
        return labels.index(piece) + 1
    by_role = table.band(WORDS.get(piece, piece)) if piece else None
    if by_role is not None:
        return by_role
    raise RasterError(
        f"band or rendering {piece!r} does not exist in {where}, which has {_listing(table)}; give bands by number "
        f"from 1 to {len(table.roles)} or by name, or one of {', '.join(PRESETS)}"
    )


def _listing(table: BandTable) -> str:
    names = []
    for index, (label, role) in enumerate(zip(table.labels, table.roles, strict=True)):
        said = [word for word in (label if label != f"band {index + 1}" else "", ROLE_WORDS.get(role, "")) if word]
        names.append(f"{index + 1} ({', '.join(said)})" if said else str(index + 1))
    return f"{len(names)} band{'' if len(names) == 1 else 's'}: {', '.join(names)}"


def _needs(preset: Preset) -> str:
    return "the bands " + " or ".join(" + ".join(ROLE_WORDS[role] for role in roles) for roles in preset.alternatives)


def _preset(preset: Preset, table: BandTable) -> Rendering | None:
    for roles in preset.alternatives:
        bands = tuple(band for band in map(table.band, roles) if band is not None)
        if len(bands) == len(roles):
            sentence = _sentence(preset, roles, bands, table)
            return Rendering(
                preset.name, bands, sentence, preset.kind, colours=preset.colours, decibel=preset.kind == "radar"
            )
    return None


def _sentence(preset: Preset, roles: tuple[str, ...], bands: tuple[int, ...], table: BandTable) -> str:
    words = ", ".join(ROLE_WORDS[role] for role in roles if role != "gray")
    where = f"band{'' if len(bands) == 1 else 's'} {', '.join(map(str, bands))}"
    parts = [f"{preset.title}: {words} ({where})" if words else f"{preset.title} ({where})"]
    if preset.kind == "radar" and len(bands) == 2:
        parts[0] += " as red and green, their ratio as blue"
    if preset.meaning:
        parts.append(preset.meaning)
    if table.assumed:
        parts.append(f"the file does not name its bands, the order of {SENSORS[table.sensor].name} is assumed")
    return "; ".join(parts) + "."


def _composite(bands: tuple[int, ...], table: BandTable) -> Rendering:
    names = [ROLE_WORDS.get(table.roles[band - 1], table.labels[band - 1]) for band in bands]
    known = [name for band, name in zip(bands, names, strict=True) if name != f"band {band}"]
    numbers = ", ".join(map(str, bands))
    text = f"Bands {numbers} as red, green and blue" if len(bands) == 3 else f"Band {numbers} in grey"
    said = f"{text}: {', '.join(names)}." if known else f"{text}; the file does not say what they show."
    return Rendering(numbers.replace(" ", ""), bands, said)
