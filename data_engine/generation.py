"""The work of `generate`: inputs -> units, and in each unit the samples of one image together -> recipes.

A store may hold what is known of an image in several samples, one after the other; they are read as one. A dataset
in its official layout gives its scenes as annotations directly; a raster gives them with the maps beside it:

    site.tif with site.geojson, site_roads.gpkg ...     vector layers (data_engine.maps.load_map)
    site.tif with site_landcover.tif                    ESA WorldCover's classes (data_engine.maps.load_land_cover)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Any, Final

from data_engine.annotations import change_scene_to_sample, list_classes, merge_samples, scene_to_sample
from data_engine.changes import ChangeScene
from data_engine.intake import Chunk, Reports, cut_chunks
from data_engine.maps import VECTOR_SUFFIXES, load_land_cover, load_map
from data_engine.recipes import RECIPES
from data_engine.sources import find_source
from data_engine.sources.boundary import Reject
from data_engine.stage import Unit, list_shards
from data_engine.store.ledger import MAX_REJECTS, Ledger, TooManyRejectsError
from data_engine.store.manifest import MANIFEST, Manifest, open_store
from data_engine.store.shards import read_shard
from vlm.errors import DataError, NadirError
from vlm.records import Sample

UNIT_SCENES: Final = 256
"""Annotated images of one unit of a dataset."""
LAND_COVER: Final = "_landcover"
RASTER_SUFFIXES: Final = (".tif", ".tiff", ".jp2", ".vrt")


@dataclass(frozen=True, slots=True)
class MapInput:
    """Name a raster and the maps that lie beside it."""

    raster: Path
    layers: tuple[Path, ...]
    land_cover: Path | None
    window_px: int | None


@dataclass(frozen=True, slots=True)
class Generate:
    """Run recipes over the samples of a unit, those about the same images as one."""

    recipes: tuple[str, ...]
    seed: int = 0
    keep: bool = False

    def __call__(self, unit: Unit, ledger: Ledger) -> Iterator[Sample]:
        joined, apart = 0, isinstance(unit.payload, MapInput)
        for _, group in groupby(_read(unit, ledger), key=lambda sample: (sample.images, apart and sample.id)):
            members = list(group)
            joined += 0 if self.keep else len(members) - 1
            given = 0
            for made in chain(members if self.keep else (), self._make(merge_samples(members), ledger)):
                given += 1
                yield made
            ledger.made += given - (len(members) if self.keep else 1)
            if not given:
                ledger.drop("nothing to ask", "no recipe finds what it needs", members[0].id, fault=False)
                ledger.made += 1
            ledger.tick(0 if apart else len(members))
        ledger.tick(1 if apart else 0)
        if joined:
            ledger.drop("read with another", "samples about one image are read as one", unit.key, count=joined,
                        fault=False)  # fmt: skip

    def _make(self, sample: Sample, ledger: Ledger) -> Iterator[Sample]:
        """Yield what the recipes make of a sample, each id once; a recipe that fails costs its own samples only."""
        seen: set[str] = set()
        for name in self.recipes:
            try:
                for made in RECIPES[name](sample, self.seed):
                    if made.id not in seen:
                        seen.add(made.id)
                        yield made
            except TooManyRejectsError:
                raise
            except NadirError as error:
                ledger.drop("failed", f"{name}: {error}", sample.id)
                ledger.made += 1


def plan_inputs(inputs: Sequence[str], *, split: str | None, window_px: int | None) -> Iterable[Unit]:
    """Give the units of all inputs; those of stores are known in number, others are found as they come."""
    units = [_plan(entry, split, window_px) for entry in inputs]
    if all(isinstance(found, list) for found in units):
        return [unit for found in units for unit in found]
    return chain.from_iterable(units)


def describe_inputs(inputs: Sequence[str], *, split: str | None, window_px: int | None) -> dict[str, Any]:
    """Describe the inputs for the manifest: stores by their digest, others by what was asked for."""
    stores = [{"store": found.folder.name, "digest": found.digest()} for found in map(_store, inputs) if found]
    others = [entry for entry in inputs if _store(entry) is None]
    return {"inputs": stores, **({"from": others, "split": split, "window_px": window_px} if others else {})}


def find_maps(folder: Path, *, window_px: int | None) -> list[MapInput]:
    """Find the rasters of a folder and the maps beside them; vector files of no raster's name belong to all.

    Raises DataError where no raster has a map.
    """
    rasters = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in RASTER_SUFFIXES]
    covers = {path for path in rasters if path.stem.endswith(LAND_COVER)}
    images = [path for path in rasters if path not in covers]
    vectors = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in VECTOR_SUFFIXES]
    common = tuple(path for path in vectors if not any(path.stem.startswith(image.stem) for image in images))
    found = []
    for image in images:
        own = tuple(path for path in vectors if path.stem.startswith(image.stem))
        cover = next((path for path in covers if path.stem == image.stem + LAND_COVER), None)
        if own or common or cover is not None:
            found.append(MapInput(image, own + common, cover, window_px))
    if not found:
        raise DataError(
            f"{folder} is no store and holds no raster with a map beside it: expected site.tif with site.geojson or "
            f"site{LAND_COVER}.tif, or a store that a verb has written"
        )
    return found


def load_annotations(
    source: str, root: Path, *, split: str | None = None, reject: Reject | None = None
) -> Iterator[Sample]:
    """Yield the annotations of a split (the first by default) of a dataset, one sample an image or pair.

    An image in which no class is certain gives none; one that cannot be read goes to `reject`, or its error is raised.
    Raises DataError for an unknown source and for one whose samples are not made from scenes.
    """
    found = find_source(source)
    if found.load_scenes is None:
        raise DataError(f"{source} has no scenes of objects or changes: run convert, and generate on its store")
    for scene in found.load_scenes(root, split=split or found.splits[0], reject=reject):
        if isinstance(scene, ChangeScene):
            yield change_scene_to_sample(scene)
        elif list_classes(scene):
            yield scene_to_sample(scene)


def _plan(entry: str, split: str | None, window_px: int | None) -> Iterable[Unit]:
    store = _store(entry)
    if store is not None:
        return list_shards([store])
    name, colon, folder = entry.partition(":")
    if colon and not Path(entry).exists():
        root = Path(folder).expanduser()
        return cut_chunks(
            lambda reports: load_annotations(name, root, split=split, reject=reports),
            Reports(),
            size=UNIT_SCENES,
            max_rejects=MAX_REJECTS,
        )
    path = Path(entry).expanduser()
    if not path.is_dir():
        raise DataError(f"{entry} is no folder: expected a store, SOURCE:FOLDER or a folder of rasters with maps")
    return [Unit(str(found.raster), 1, found) for found in find_maps(path, window_px=window_px)]


def _store(entry: str) -> Manifest | None:
    path = Path(entry).expanduser()
    return open_store(path) if (path / MANIFEST).is_file() else None


def _read(unit: Unit, ledger: Ledger) -> Iterator[Sample]:
    """Yield the samples of a unit and count them as read; a raster whose map cannot be laid over it is dropped."""
    if isinstance(unit.payload, MapInput):
        try:
            for sample in _read_maps(unit.payload):
                ledger.read += 1
                yield sample
        except NadirError as error:
            ledger.read += 1
            ledger.drop("failed", str(error), unit.key)
    elif isinstance(unit.payload, Chunk):
        unit.payload.report(ledger)
        ledger.read += len(unit.payload.samples)
        yield from unit.payload.samples
    else:
        folder, shard = unit.payload
        yield from read_shard(folder, shard, ledger)


def _read_maps(found: MapInput) -> Iterator[Sample]:
    facts: dict[str, Any] = {"key": f"maps/{found.raster.stem}", "source": "maps", "licence": "unknown"}
    if found.layers:
        yield from load_map(found.raster, found.layers, window_px=found.window_px, **facts)
    if found.land_cover is not None:
        yield from load_land_cover(found.raster, found.land_cover, window_px=found.window_px, **facts)
