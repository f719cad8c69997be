"""Tiny copies of the datasets in their original layouts: two or three images each, made here, nothing shipped."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from tests.data_engine.makers_text import TEXT_MAKERS


def write_image(path: Path, size: tuple[int, int], *, seed: int = 0, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = () if mode == "L" else (len(mode),)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], *bands), dtype=np.uint8)
    Picture.fromarray(pixels).save(path)


def write_label(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(pixels.astype(np.uint8)).save(path)


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def block(size: tuple[int, int], *boxes: tuple[int, int, int, int], value: int = 255) -> np.ndarray:
    label = np.zeros((size[1], size[0]), np.uint8)
    for x1, y1, x2, y2 in boxes:
        label[y1:y2, x1:x2] = value
    return label


def make_rsicd(root: Path) -> None:
    def record(name: str, split: str, raws: list[str]) -> dict[str, Any]:
        return {"filename": name, "split": split, "imgid": 0, "sentences": [{"raw": raw, "tokens": []} for raw in raws]}

    images = [
        record(
            "airport_1.jpg", "train", ["two planes are here .", "two planes are here .", "a { grey } runway .", "."]
        ),
        record("00002.jpg", "train", ["a football field ."]),
        record("bridge_3.jpg", "val", ["a bridge ."]),
    ]
    write_json(root / "dataset_rsicd.json", {"images": images, "dataset": "rsicd"})
    for record_ in images:
        write_image(root / "RSICD_images" / record_["filename"], (224, 224))
    question = "what is the theme of this picture?"
    lines = [f"airport_1.jpg:{question}airport", f"00002.jpg:{question}playfields", f"bridge_3.jpg:{question}bridge"]
    (root / "rsicd_vqa.txt").write_text("\n".join(lines) + "\n")


def make_rsvqa(root: Path) -> None:
    asked = {
        "LR": [
            ("rural_urban", "Is it a rural or an urban area", "rural"),
            ("count", "How many roads are there?", "17"),
        ],
        "USGS": [
            ("area", "What is the area covered by roads?", "10632m2"),
            ("presence", "Is there a road?", "yes"),
            ("comp", "Are there more roads than buildings?", "no"),
        ],
    }
    for prefix, folder, size in (("LR", "LR/Images_LR", 256), ("USGS", "HR/Data", 512)):
        home = root / folder.split("/")[0]
        questions, answers = [], []
        for number, (kind, question, answer) in enumerate(asked[prefix]):
            entry = {"id": number, "img_id": 7, "type": kind, "question": question, "active": True}
            questions.append(entry | {"answers_ids": [100 + number]})
            answers.append({"id": 100 + number, "question_id": number, "answer": answer, "active": True})
        dropped = {"id": 99, "img_id": 8, "type": "count", "question": "?", "answers_ids": [], "active": False}
        write_json(home / f"{prefix}_split_train_questions.json", {"questions": [*questions, dropped]})
        write_json(home / f"{prefix}_split_train_answers.json", {"answers": answers[::-1]})
        write_json(home / f"{prefix}_split_train_images.json", {"images": [{"id": 7, "active": True}]})
        write_image(root / folder / "7.tif", (size, size))


HIT_UAV_BOXES = (  # image id, class id, x, y, w, h, theta in radians
    (1, 1, 100, 100, 60, 30, 0.0),
    (1, 0, 300, 200, 10, 20, 0.0),
    (1, 0, 500, 200, 10, 20, 0.0),
    (2, 2, 50, 50, 20, 20, math.pi / 4),
    (2, 4, 150, 150, 40, 40, 0.0),
)


def make_hit_uav(root: Path) -> None:
    names = ("Person", "Car", "Bicycle", "OtherVehicle", "DontCare")
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    files = {1: "1_60_60_0_00001.jpg", 2: "0_60_60_0_00002.jpg", 3: "0_60_90_0_00003.jpg"}
    images = [{"id": number, "filename": name, "width": 640, "height": 512} for number, name in files.items()]
    flat, turned = [], []
    for number, (image_id, category, x, y, w, h, theta) in enumerate(HIT_UAV_BOXES):
        entry = {"id": number, "image_id": image_id, "category_id": category}
        flat.append(entry | {"bbox": [x, y, w, h], "segmentation": [], "area": w * h})
        turned.append(entry | {"bbox": [x + w / 2, y + h / 2, w, h, theta], "difficult": False})
    for name in files.values():
        write_image(root / "normal_json" / "train" / name, (640, 512), mode="L")
    for folder, key, entries in (("normal_json", "annotation", flat), ("rotate_json", "annotations", turned)):
        content = {"images": images, "categories": categories, key: entries}
        write_json(root / folder / "annotations" / "train.json", content)


def make_ab_label(root: Path, names: tuple[str, ...]) -> None:
    size = (256, 256)
    for number, name in enumerate(names):
        write_image(root / "A" / name, size, seed=2 * number)
        write_image(root / "B" / name, size, seed=2 * number + 1)
        write_label(root / "label" / name, block(size, (10, 20, 50, 60), (200, 200, 220, 230)) * (number == 0))
    (root / "list").mkdir()
    (root / "list" / "demo.txt").write_text("\n".join(names))


def make_levir_cd(root: Path) -> None:
    make_ab_label(root, ("train_1_0000_0000.png", "train_2_0000_0256.png", "val_3_0256_0256.png"))


def make_dsifn(root: Path) -> None:
    make_ab_label(root, ("0_1.png", "0_2.png"))


def make_sztaki(root: Path) -> None:
    for number in ("1", "2"):
        for name in ("im1", "im2"):
            write_image(root / "Szada" / number / f"{name}.bmp", (300, 260), seed=len(name))
        write_label(root / "Szada" / number / "gt.bmp", block((300, 260), (30, 30, 60, 60)))


def make_sar_ottawa(root: Path) -> None:
    for number in (1, 2):
        write_image(root / f"ottawa_{number}.bmp", (290, 350), seed=number)
    gt = block((290, 350), (100, 100, 160, 140))
    write_label(root / "ottawa_gt.bmp", np.stack([gt] * 3, axis=-1))


def make_oscd(root: Path) -> None:
    images = root / "Onera Satellite Change Detection dataset - Images"
    labels = root / "Onera Satellite Change Detection dataset - Train Labels"
    for city in ("bercy", "rennes"):
        for number in (1, 2):
            write_image(images / city / "pair" / f"img{number}.png", (200, 150), seed=number)
        (images / city / "dates.txt").write_text("date_1: 20161130\ndate_2: 20170829\n")
        write_label(labels / city / "cm" / f"{city}-cm.tif", 1 + block((200, 150), (20, 20, 40, 40), value=1))
    (images / "train.txt").write_text("bercy,rennes\n")


def make_epfl_roads(root: Path) -> None:
    for number in (1, 6):
        name = f"satImage_{number:03d}.png"
        write_image(root / "training" / "images" / name, (400, 400))
        label = block((400, 400), (0, 100, 400, 120))
        label[99] = 127
        label[120] = 128
        write_label(root / "training" / "groundtruth" / name, label)


def make_colour_instances(folder: Path, name: str, size: tuple[int, int], class_rgb: tuple[int, int, int]) -> None:
    write_image(folder / f"{name}.png", size)
    classes, instances = (np.zeros((size[1], size[0], 3), np.uint8) for _ in range(2))
    boxes = (((10, 10, 30, 20), (1, 0, 0)), ((60, 40, 64, 70), (0, 1, 0)), ((5, 80, 9, 84), (0, 0, 1)))
    for (x1, y1, x2, y2), rgb in boxes:
        classes[y1:y2, x1:x2] = class_rgb
        instances[y1:y2, x1:x2] = rgb
    write_label(folder / f"{name}_instance_color_RGB.png", classes)
    write_label(folder / f"{name}_instance_id_RGB.png", instances)


def make_isaid(root: Path) -> None:
    make_colour_instances(root / "train" / "images", "P0001", (120, 100), (0, 127, 127))
    make_colour_instances(root / "train" / "images", "P0002", (100, 120), (0, 63, 63))


def make_hrsid(root: Path) -> None:
    for name in ("P0001_0_800_0_800", "P0002_0_800_0_800"):
        make_colour_instances(root, name, (120, 100), (128, 0, 0))


def make_dota(root: Path) -> None:
    lines = [
        "imagesource:GoogleEarth",
        "gsd:2.68220901489e-06",
        "10 10 50 20 48 30 8 20 large-vehicle 0",
        "100.0 100.0 140.0 100.0 140.0 130.0 100.0 130.0 swimming-pool 1",
        "60 60 66 60 66 64 60 64 small-vehicle 0",
        "-5 20 30 20 30 40 -5 40 ship 0",
    ]
    write_image(root / "images" / "P0001.png", (200, 160))
    write_image(root / "images" / "P0002.png", (160, 200))
    (root / "labelTxt").mkdir()
    (root / "labelTxt" / "P0001.txt").write_text("\r\n".join(lines))
    (root / "labelTxt" / "P0002.txt").write_text("imagesource:GoogleEarth\ngsd:null\n")


def make_neontree(root: Path) -> None:
    corners = "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"
    entry = f"<object><name>Tree</name><bndbox>{corners}</bndbox></object>"
    objects = entry.format(10, 20, 60, 70) + entry.format(300, 310, 401, 401)
    for name in ("HARV_001", "HARV_002"):
        write_image(root / f"{name}.tif", (400, 400))
        (root / f"{name}.xml").write_text(f"<annotation><filename>{name}.tif</filename>{objects}</annotation>")


def make_rsscn7(root: Path) -> None:
    for folder in ("aGrass", "bField", "cIndustry", "dRiverLake", "eForest", "fResident", "gParking"):
        write_image(root / folder / f"{folder[0]}001.jpg", (400, 400))


MAKERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "rsicd": (make_rsicd, "train"),
    "rsvqa": (make_rsvqa, "train"),
    "hit_uav": (make_hit_uav, "train"),
    "levir_cd": (make_levir_cd, "train"),
    "dsifn": (make_dsifn, "all"),
    "sztaki": (make_sztaki, "all"),
    "sar_ottawa": (make_sar_ottawa, "all"),
    "oscd": (make_oscd, "train"),
    "epfl_roads": (make_epfl_roads, "train"),
    "isaid": (make_isaid, "train"),
    "hrsid": (make_hrsid, "all"),
    "dota": (make_dota, "all"),
    "neontree": (make_neontree, "all"),
    "rsscn7": (make_rsscn7, "all"),
    **TEXT_MAKERS,
}

from tests.data_engine import makers_changes, makers_formats, makers_objects  # noqa: E402, F401  (they add their own)
