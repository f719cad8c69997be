"""xBD (xView2): building damage between two satellite images of 1,024 px, before and after one of 19 disasters.

Layout: {train,tier3,test,hold}/images/<event>_<n>_{pre,post}_disaster.png with labels/<...>.json beside images/; .tif
images are read too. A label holds metadata (disaster, disaster_type, capture_date, width, height) and features.xy, a
list of {"properties": {"feature_type": "building", "subtype", "uid"}, "wkt"}: polygons in pixels of that image.
Quirks: features.lng_lat repeats the polygons in degrees and is not read. The damage stands in the label of the second
date (no-damage, minor-damage, major-damage, destroyed, un-classified). Only buildings are labelled, so nothing is said
of other changes: the yes/no question asks about buildings. Where a building is un-classified, neither counts nor lists
of the damaged are made. Polygons end at the image's border.
Licence: CC BY-NC-SA 4.0.
Citation: Gupta et al., xBD: a dataset for assessing building damage from satellite imagery, CVPR Workshops 2019.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from data_engine import generate, templates
from data_engine.changes import MAX_BOXES
from data_engine.objects import seeded
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.change_answers import Images, locate_change, tell_change
from data_engine.sources.referring import Origin
from data_engine.sources.source import Source, describe_image, load_json, require_path, require_split
from vlm.errors import DataError
from vlm.geometry.shapes import Polygon
from vlm.records import Answer, Image, Region, Sample, Turn

NAME: Final = "xbd"
SPLITS: Final = ("train", "tier3", "test", "hold")
LICENCE: Final = "CC BY-NC-SA 4.0"
LAYOUT: Final = (
    "<split>/images/*_pre_disaster.png and *_post_disaster.png with <split>/labels/*.json; they come from "
    "https://xview2.org/dataset"
)
UNDAMAGED: Final = "no-damage"
UNCLASSIFIED: Final = "un-classified"
LEVELS: Final = {
    "destroyed": "destroyed building",
    "major-damage": "heavily damaged building",
    "minor-damage": "slightly damaged building",
}
SAID: Final = {"destroyed": "destroyed", "major-damage": "heavily damaged", "minor-damage": "slightly damaged"}
DAMAGE: Final = {**SAID, UNDAMAGED: "not damaged"}
ASKED: Final = (
    "How badly was the building in {region} damaged?",
    "What is the damage of the building in {region}?",
    "Compare the two dates: what happened to the building in {region}?",
    "Assess the damage of the building at {region}.",
    "Is the building in {region} not damaged, slightly damaged, heavily damaged or destroyed?",
    "How does the building at {region} look after the disaster?",
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Hold the images of one place, its buildings by damage (after the disaster), and the kind of disaster."""

    key: str
    images: Images
    buildings: tuple[Region, ...]
    disaster: str

    def of_level(self, level: str) -> tuple[Region, ...]:
        """Give the buildings of one subtype, from top to bottom."""
        return generate.sort_regions([region for region in self.buildings if region.phrase == level])


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield questions about damage by level: yes/no, counts, boxes, a caption, and single buildings."""
    origin = Origin(NAME, split, LICENCE, seed)

    def convert(path: Path) -> Iterator[Sample]:
        return pair_samples(load_pair(path, split=split), origin)

    return convert_each(_list_labels(Path(root), split), convert, name=NAME, reject=reject)


def load_pairs(root: Path, *, split: str) -> Iterator[Pair]:
    """Yield each pair of the split; a region's phrase is its subtype."""
    return (load_pair(path, split=split) for path in _list_labels(Path(root), split))


def load_pair(path: Path, *, split: str) -> Pair:
    """Read the label of a second date and name the images of both."""
    content = load_json(path, name=NAME, layout=LAYOUT)
    after, features, disaster = _describe(path, content)
    first = path.with_name(path.name.replace("_post_disaster", "_pre_disaster"))
    before, _, _ = _describe(first, load_json(first, name=NAME, layout=LAYOUT))
    if (before.width, before.height) != (after.width, after.height):
        raise DataError(f"{NAME}: the images of {path.stem} have different sizes, so its polygons fit one of them only")
    buildings = tuple(_read_building(feature, str(path)) for feature in features if _is_building(feature))
    key = f"{NAME}/{split}/{path.stem.removesuffix('_post_disaster')}"
    return Pair(key, (before, after), buildings, disaster)


def pair_samples(pair: Pair, origin: Origin) -> Iterator[Sample]:
    """Yield the samples of a pair."""
    known = all(region.phrase != UNCLASSIFIED for region in pair.buildings)
    damaged = any(region.phrase in LEVELS for region in pair.buildings)
    if pair.buildings and (known or damaged):
        said = templates.YES if damaged else templates.NO
        yield tell_change("change_class", said, pair.images, origin, key=f"{pair.key}/presence", phrase="building")
    if known and pair.buildings:
        yield from _level_samples(pair, origin)
        key = f"{pair.key}/caption"
        turn = generate.change_caption(say_damage(pair), seeded(origin.seed, key))
        yield origin.wrap(turn, pair.images, key=key)
    for level in DAMAGE:
        if pair.of_level(level):
            yield _building_sample(pair, level, origin)


def say_damage(pair: Pair) -> str:
    """Say how many buildings were damaged how much; nothing is known of anything but buildings."""
    counts = {level: len(pair.of_level(level)) for level in LEVELS}
    parts = [
        f"{number} building{'s have' if number > 1 else ' has'} been {SAID[level]}"
        for level, number in counts.items()
        if number
    ] or ["no building has been damaged"]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{listed} by the {pair.disaster}" if pair.disaster else listed


def _level_samples(pair: Pair, origin: Origin) -> Iterator[Sample]:
    for level, phrase in LEVELS.items():
        regions = pair.of_level(level)
        count = str(len(regions))
        yield tell_change("change_count", count, pair.images, origin, key=f"{pair.key}/count/{level}", phrase=phrase)
        if len(regions) <= MAX_BOXES:
            key = f"{pair.key}/box/{level}"
            yield locate_change("change_class_box", "box", regions, pair.images, origin, key=key, phrase=phrase)


def _building_sample(pair: Pair, level: str, origin: Origin) -> Sample:
    """Ask for the damage of one building of a level, chosen at random."""
    key = f"{pair.key}/building/{level}"
    rng = seeded(origin.seed, key)
    region = rng.choice(pair.of_level(level))
    answer = Answer(DAMAGE[level], task="change")
    instruction = rng.choice(ASKED).format(region=generate.write_slot("box", 1))
    return origin.wrap(Turn(instruction, answer, (Region(region.geometry, "building"),)), pair.images, key=key)


def _list_labels(root: Path, split: str) -> list[Path]:
    require_split(NAME, split, SPLITS)
    folder = require_path(root / split / "labels", name=NAME, layout=LAYOUT)
    found = sorted(folder.glob("*_post_disaster.json"))
    if not found:
        raise DataError(f"{NAME}: {folder} holds no *_post_disaster.json; expected {LAYOUT}")
    return found


def _describe(path: Path, content: Any) -> tuple[Image, Sequence[Any], str]:
    """Give the image, the features in pixels and the kind of disaster of a label."""
    top = content if isinstance(content, dict) else {}
    both, meta = top.get("features"), top.get("metadata")
    features = both.get("xy") if isinstance(both, dict) else None
    if not isinstance(features, list) or not isinstance(meta, dict):
        raise DataError(f"{path} has no metadata or no features.xy: expected an xBD label")
    folder = path.parent.parent / "images"
    picture = next((p for p in (folder / f"{path.stem}.png", folder / f"{path.stem}.tif") if p.exists()), None)
    date = str(meta.get("capture_date") or "")[:10] or None
    found = picture or folder / f"{path.stem}.png"
    image = describe_image(found, name=NAME, layout=LAYOUT, date=date)
    return image, features, str(meta.get("disaster_type") or "").strip().lower()


def _is_building(feature: Any) -> bool:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    return not isinstance(properties, dict) or properties.get("feature_type", "building") == "building"


def _read_building(feature: Any, where: str) -> Region:
    """Read the polygon and the subtype of a building."""
    from shapely import wkt
    from shapely.errors import ShapelyError

    from vlm.geometry.convert import polygons_from_shapely

    properties = feature.get("properties") if isinstance(feature, dict) else None
    if not isinstance(properties, dict):
        raise DataError(f"{where} has a building without properties: download it again")
    subtype = properties.get("subtype", UNCLASSIFIED)
    if subtype not in (*DAMAGE, UNCLASSIFIED):
        raise DataError(f"{where} has a building with subtype {subtype!r}: known are {', '.join(DAMAGE)}")
    try:
        shape = wkt.loads(str(feature.get("wkt", "")))
    except ShapelyError as error:
        raise DataError(f"{where} has a building whose wkt cannot be read ({error}): download it again") from error
    polygons: Sequence[Polygon] = polygons_from_shapely(shape)
    if len(polygons) != 1:
        raise DataError(f"{where} has a building of {len(polygons)} polygons: expected one")
    return Region(polygons[0], subtype)


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Gupta et al., CVPR Workshops 2019"
)
