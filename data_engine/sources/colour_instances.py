"""The pair of label images that iSAID and HRSID share: class colours and one colour per instance.

<name>.png    <name>_instance_color_RGB.png (class)    <name>_instance_id_RGB.png (instance; black is no object)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from data_engine.labels import encode_colours, load_label, split_instances
from data_engine.objects import Scene
from data_engine.sources.object_scenes import ObjectSet
from data_engine.sources.source import describe_image, require_path
from vlm.errors import DataError
from vlm.geometry.shapes import Mask
from vlm.records import Region

CLASS_SUFFIX = "_instance_color_RGB"
INSTANCE_SUFFIX = "_instance_id_RGB"


@dataclass(frozen=True, slots=True)
class InstanceSet:
    """Describe a dataset of such images: what it is called and holds; `colours` maps class names to RGB."""

    name: str
    colours: Mapping[str, tuple[int, int, int]]
    layout: str
    licence: str
    sensor: str | None = None

    def reader(self, find_folder: Callable[[Path, str], Path]) -> ObjectSet[Path]:
        """Give what reads the folder of a split, which `find_folder(root, split)` finds."""

        def list_all(root: Path, split: str) -> list[Path]:
            return list_images(self, find_folder(root, split))

        return ObjectSet(self.name, list_all, partial(load_scene, self), draw=lambda scene: scene)


def list_images(dataset: InstanceSet, folder: Path) -> list[Path]:
    """List the images of a folder by name, with those of which only the labels are there."""
    stems = {path.stem.removesuffix(CLASS_SUFFIX).removesuffix(INSTANCE_SUFFIX) for path in folder.glob("*.png")}
    if not stems:
        raise DataError(f"{dataset.name}: {folder} holds no images; expected {dataset.layout}")
    return [folder / f"{stem}.png" for stem in sorted(stems)]


def load_scene(dataset: InstanceSet, path: Path, split: str) -> Scene:
    """Read one image with its instances as masks."""
    name, layout = dataset.name, dataset.layout
    classes, instances = (
        load_label(require_path(path.with_name(path.stem + suffix + ".png"), name=name, layout=layout))
        for suffix in (CLASS_SUFFIX, INSTANCE_SUFFIX)
    )
    image = describe_image(path, name=name, layout=layout, sensor=dataset.sensor)
    if classes.shape[:2] != (image.height, image.width) or instances.shape[:2] != classes.shape[:2]:
        raise DataError(f"{name}: the labels of {path} are not {image.width} x {image.height} px as their image is")
    regions = _load_regions(classes, instances, dataset.colours, path)
    key = f"{name}/{split}/{path.stem}"
    return Scene(key, image, regions, regions, tuple(dataset.colours), name, split, dataset.licence)


def _load_regions(
    classes: np.ndarray, instances: np.ndarray, colours: Mapping[str, tuple[int, int, int]], path: Path
) -> tuple[Region, ...]:
    names = {r + 256 * g + 65536 * b: label for label, (r, g, b) in colours.items()}
    class_ids = encode_colours(classes)
    return tuple(
        Region(mask, _name_class(class_ids, mask, names, path))
        for _, mask in split_instances(encode_colours(instances))
    )


def _name_class(class_ids: np.ndarray, mask: Mask, names: Mapping[int, str], path: Path) -> str:
    """Name the class that most pixels of an instance have."""
    x1, y1, x2, y2 = (int(value) for value in (mask.box.x1, mask.box.y1, mask.box.x2, mask.box.y2))
    values, counts = np.unique(class_ids[y1:y2, x1:x2][mask.bits], return_counts=True)
    colour = int(values[counts.argmax()])
    if colour not in names:
        rgb = (colour % 256, colour // 256 % 256, colour // 65536)
        raise DataError(
            f"{path}: an instance at {mask.box} has class colour {rgb}: known are {', '.join(names.values())}"
        )
    return names[colour]
