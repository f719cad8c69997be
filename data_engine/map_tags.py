"""OpenStreetMap tags -> class names: which features of a map layer can be seen from above, and as what.

Objects are counted and boxed; surfaces are masks; lines become surfaces of their typical width where they state none.
Keys and values are those of the OpenStreetMap wiki's map features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

Kind = Literal["object", "surface", "line"]
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class MapClass:
    """Name what a feature is, how it is drawn, and for lines how wide it is where it does not say so."""

    label: str
    kind: Kind
    width_m: float = 0.0


ANY: Final = "*"
_ROADS: Final = {
    "motorway": 22.0, "trunk": 16.0, "primary": 12.0, "secondary": 10.0, "tertiary": 8.0, "unclassified": 6.0,
    "residential": 6.0, "service": 4.0, "living_street": 5.0, "motorway_link": 8.0, "trunk_link": 7.0,
    "primary_link": 7.0, "secondary_link": 6.0, "tertiary_link": 6.0, "road": 6.0,
}  # fmt: skip
_OBJECTS: Final = {
    "building": {ANY: "building"},
    "amenity": {"parking": "parking lot", "fountain": "fountain", "fuel": "fuel station"},
    "leisure": {
        "swimming_pool": "swimming pool", "pitch": "sports field", "playground": "playground", "stadium": "stadium",
        "track": "running track", "golf_course": "golf course", "park": "park", "marina": "marina",
    },
    "aeroway": {"aerodrome": "airport", "helipad": "helipad", "hangar": "hangar", "terminal": "terminal"},
    "man_made": {
        "storage_tank": "storage tank", "silo": "silo", "pier": "pier", "bridge": "bridge", "chimney": "chimney",
        "water_tower": "water tower", "wastewater_plant": "wastewater plant",
    },
    "power": {"plant": "power plant", "substation": "substation"},
    "landuse": {"cemetery": "cemetery", "quarry": "quarry", "reservoir": "reservoir"},
    "water": {"lake": "lake", "pond": "pond", "reservoir": "reservoir"},
}  # fmt: skip
_SURFACES: Final = {
    "aeroway": {"runway": "runway", "taxiway": "taxiway", "apron": "apron"},
    "natural": {
        "water": "water", "wood": "forest", "scrub": "shrubland", "grassland": "grassland", "heath": "heath",
        "wetland": "wetland", "sand": "sand", "beach": "beach", "bare_rock": "bare rock", "glacier": "glacier",
    },
    "landuse": {
        "forest": "forest", "residential": "residential area", "commercial": "commercial area",
        "retail": "commercial area", "industrial": "industrial area", "farmland": "farmland", "meadow": "meadow",
        "grass": "grass", "orchard": "orchard", "vineyard": "vineyard", "construction": "construction site",
        "railway": "railway area", "military": "military area",
    },
    "waterway": {"riverbank": "river", "dock": "dock"},
}  # fmt: skip
_LINES: Final = {
    "waterway": {"river": ("river", 30.0), "canal": ("canal", 12.0), "stream": ("stream", 3.0)},
    "railway": {"rail": ("railway", 4.0), "light_rail": ("railway", 4.0), "tram": ("railway", 3.0)},
    "aeroway": {"runway": ("runway", 45.0), "taxiway": ("taxiway", 20.0)},
    "highway": {value: ("road", width_m) for value, width_m in _ROADS.items()},
}  # fmt: skip
LABEL_FIELDS: Final = ("label", "class", "class_name", "category", "type", "featurecla")
"""Fields that hold the class of a feature in layers that are not OpenStreetMap's."""


def classify_tags(tags: Mapping[str, object], *, area: bool) -> MapClass | None:
    """Say what a feature with these tags is; None for what is not seen from above or not known.

    `area` says whether it is a polygon. Tags of other schemes count through the first of LABEL_FIELDS that is filled.
    """
    filled = {key: str(value) for key, value in tags.items() if value not in (None, "", "no", "None")}
    if not area:
        found = _look_up(_LINES, filled)
        return MapClass(found[0], "line", _width(filled, found[1])) if found else None
    for table, kind in ((_OBJECTS, "object"), (_SURFACES, "surface")):
        label = _look_up(table, filled)
        if label:
            return MapClass(label, "object" if kind == "object" else "surface")
    named = next((filled[name] for name in LABEL_FIELDS if name in filled), None)
    return MapClass(named.replace("_", " ").replace(",", "").lower(), "object") if named else None


def _look_up(table: Mapping[str, Mapping[str, Found]], tags: Mapping[str, str]) -> Found | None:
    for key, values in table.items():
        if key in tags:
            found = values.get(tags[key], values.get(ANY))
            if found is not None:
                return found
    return None


def _width(tags: Mapping[str, str], typical_m: float) -> float:
    """Give the stated width in metres ("7", "7.5 m"), else the typical one."""
    try:
        stated = float(tags.get("width", "").removesuffix("m").strip())
    except ValueError:
        return typical_m
    return stated if 0.5 <= stated <= 200 else typical_m
