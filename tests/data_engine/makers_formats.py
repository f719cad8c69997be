"""Tiny copies of sets in the layouts that many share: COCO, YOLO, VOC, and a folder for each class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.data_engine import makers
from tests.data_engine.makers_text import write_tar


def make_coco_set(root: Path) -> None:
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 120, "height": 90} for n in (1, 2)]
    square, other = [10, 10, 40, 10, 40, 30, 10, 30, 5, 20], [60, 50, 90, 50, 90, 80]
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 10, 35, 20], "segmentation": [square], "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 2, "bbox": [60, 50, 30, 30], "segmentation": [other], "iscrowd": 0},
        {"id": 3, "image_id": 2, "category_id": 1, "bbox": [20, 20, 50, 40], "segmentation": [], "iscrowd": 0},
    ]
    categories = [{"id": 1, "name": "ship"}, {"id": 2, "name": "storage tank"}]
    content = {"images": images, "categories": categories, "annotations": annotations}
    makers.write_json(root / "annotations" / "instances_train2017.json", content)
    makers.write_json(root / "annotations" / "captions_train2017.json", {"annotations": []})
    for number in (1, 2):
        makers.write_image(root / "train2017" / f"{number}.jpg", (120, 90), seed=number)


def make_yolo_set(root: Path) -> None:
    texts = {"train/a": "0 0.5 0.5 0.2 0.4\n1 0.1 0.1 0.1 0.1\n", "train/b": "", "val/c": "1 0.5 0.5 0.5 0.5\n"}
    for name, text in texts.items():
        makers.write_image(root / "images" / f"{name}.png", (120, 90))
        path = root / "labels" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "data.yaml").write_text("names:\n  0: ship\n  1: storage tank\n")


def make_voc_set(root: Path) -> None:
    sides = "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"
    entry = "<object><name>{}</name><bndbox>" + sides + "</bndbox></object>"
    texts = {"a": entry.format("ship", 10, 10, 40, 30), "b": entry.format("storage tank", 5, 5, 20, 20), "c": ""}
    (root / "Annotations").mkdir()
    for name, text in texts.items():
        makers.write_image(root / "JPEGImages" / f"{name}.jpg", (120, 90))
        (root / "Annotations" / f"{name}.xml").write_text(f"<annotation>{text}</annotation>")
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "train.txt").write_text("c\na\n")


def make_folder_scenes(root: Path) -> None:
    for folder in ("DenseResidential", "golf_course"):
        for number in (1, 2):
            makers.write_image(root / folder / f"{number}.tif", (64, 64), seed=number)


def make_image_text(root: Path) -> None:
    """Write two records of a tar and two rows of a table, one of each with Portuguese captions too."""
    picture = root / "picture.jpg"
    makers.write_image(picture, (60, 40))
    data = picture.read_bytes()
    picture.unlink()
    texts = {"txt": b"a quiet harbour\n", "pt.txt": b"um porto tranquilo\nduas docas", "json": b"{}"}
    records = {"a": {"jpg": data, **texts}, "b": {"jpg": data, "txt": b"a field."}}
    write_tar(root / "train" / "00000.tar", records)
    image = {"bytes": data, "path": None}
    rows = [
        {"image": image, "caption": "two storage tanks", "caption_pt": ["dois tanques"], "score": 0.5},
        {"image": image, "caption": "a dense forest", "caption_pt": None, "score": 0.1},
    ]
    pq.write_table(pa.Table.from_pylist(rows), root / "train" / "more.parquet")


ADDED: dict[str, tuple[Callable[[Path], None], str]] = {
    "coco_set": (make_coco_set, "train"),
    "yolo_set": (make_yolo_set, "train"),
    "voc_set": (make_voc_set, "train"),
    "folder_scenes": (make_folder_scenes, "all"),
    "image_text": (make_image_text, "train"),
}
makers.MAKERS.update(ADDED)
