"""SSDD: ships in 1,160 SAR images of RadarSat-2, TerraSAR-X and Sentinel-1, 1 to 15 m: boxes, oriented boxes, masks.

Layout (Official-SSDD-OPEN, 2021): RBox_SSDD/voc_style/JPEGImages_{train,test}/<n>.jpg with
Annotations_{train,test}/<n>.xml, one object a ship: name, bndbox, rotated_bndbox (x1, y1 ... x4, y4 beside centre,
sides and angle); where it was unpacked too, PSeg_SSDD/voc_style/JPEGImages_PSeg_GT_Mask/<n>.* (ships bright on black).
Copies with Annotations/, JPEGImages/ and ImageSets/Main/<split>.txt are read as well. The tags are those that public
loaders read; the archive itself was not at hand.
Quirks: the angle of rotated_bndbox has a range of its own, so the corners are read. Masks do not tell ships that touch
apart: they make "segment all ships". The splits are 928 / 232 images.
Licence: none stated; research use.
Citation: Zhang et al., SAR ship detection dataset (SSDD): official release and comprehensive data analysis, Remote
Sensing 13(18), 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine import objects
from data_engine.labels import load_label
from data_engine.objects import Scene
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.class_masks import Cover, class_sample
from data_engine.sources.object_scenes import ObjectSet, annotate
from data_engine.sources.referring import Origin
from data_engine.sources.source import Source, describe_image, require_path, require_split
from data_engine.sources.xml_objects import load_xml, read_box, read_quad
from vlm.errors import DataError
from vlm.records import Region, Sample

NAME: Final = "ssdd"
SPLITS: Final = ("train", "test")
LICENCE: Final = "none stated; research use"
LAYOUT: Final = (
    "RBox_SSDD/voc_style/JPEGImages_<split>/*.jpg with Annotations_<split>/*.xml, and optionally "
    "PSeg_SSDD/voc_style/JPEGImages_PSeg_GT_Mask/; they come from https://github.com/TianwenZhang0825/Official-SSDD"
)
CLASSES: Final = ("ship",)
CORNERS: Final = tuple(f"rotated_bndbox/{axis}{corner}" for corner in (1, 2, 3, 4) for axis in ("x", "y"))
SHIP: Final = Cover(255, "ship", "ships")


def load(
    root: Path, *, split: str, seed: int = 0, reject: Reject | None = None, annotations: bool = False
) -> Iterator[Sample]:
    """Yield object samples with boxes and oriented boxes, and the mask of all ships where there is one."""
    root, origin = Path(root), Origin(NAME, split, LICENCE, seed)

    def convert(path: Path) -> Iterator[Sample]:
        scene = load_scene(path, split)
        yield from annotate(scene, wanted=annotations, seed=seed)
        yield from objects.all_samples(scene, seed=seed)
        for mask in (root / "PSeg_SSDD" / "voc_style" / "JPEGImages_PSeg_GT_Mask").glob(f"{path.stem}.*"):
            label = load_label(mask)
            bits = (label if label.ndim == 2 else label.max(axis=-1)) >= 128
            if bits.shape != (scene.image.height, scene.image.width):
                raise DataError(f"{NAME}: the mask {mask} has another size than its image")
            yield class_sample(scene.image, bits, SHIP, origin, key=f"{scene.key}/mask-all/ship")

    return convert_each(_list_labels(root, split), convert, name=NAME, reject=reject)


def load_scene(path: Path, split: str) -> Scene:
    """Read one annotation, its ships as boxes and as oriented boxes (four corners), and the image beside it."""
    pictures = path.parent.with_name(path.parent.name.replace("Annotations", "JPEGImages"))
    image = describe_image(pictures / f"{path.stem}.jpg", name=NAME, layout=LAYOUT, sensor="SAR")
    entries = [
        (f"{path} object {number}", entry)
        for number, entry in enumerate(load_xml(path, name=NAME, layout=LAYOUT).iter("object"), start=1)
    ]
    boxes = tuple(Region(read_box(entry, where), "ship") for where, entry in entries)
    turned = tuple(Region(read_quad(entry, CORNERS, where), "ship") for where, entry in entries)
    return Scene(f"{NAME}/{split}/{path.stem}", image, boxes, turned, CLASSES, NAME, split, LICENCE)


def _list_labels(root: Path, split: str) -> list[Path]:
    require_split(NAME, split, SPLITS)
    inner = root / "RBox_SSDD" / "voc_style"
    folder = inner if inner.is_dir() else root
    listing = folder / "ImageSets" / "Main" / f"{split}.txt"
    if (folder / f"Annotations_{split}").is_dir():
        found = sorted((folder / f"Annotations_{split}").glob("*.xml"))
    else:
        names = require_path(listing, name=NAME, layout=LAYOUT).read_text(encoding="utf-8").split()
        found = [folder / "Annotations" / f"{name}.xml" for name in names]
    if not found:
        raise DataError(f"{NAME}: {folder} holds no annotations of the split {split!r}; expected {LAYOUT}")
    return found


load_scenes = ObjectSet(NAME, _list_labels, load_scene).load_scenes
SOURCE: Final = Source(
    NAME, load, SPLITS, LAYOUT, LICENCE, citation="Zhang et al., Remote Sensing 13(18), 2021", load_scenes=load_scenes
)
