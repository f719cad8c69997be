"""Tiny copies of the change datasets in their original layouts: captions, masks, land cover, questions, damage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.data_engine import makers
from tests.data_engine.makers_objects import talk

SIZE = (64, 64)


def write_pair(folders: Sequence[Path], name: str, *, seed: int = 0) -> None:
    for number, folder in enumerate(folders):
        makers.write_image(folder / name, SIZE, seed=seed + number)


def make_change_folder(root: Path) -> None:
    for number, name in enumerate(("a", "b")):
        makers.write_image(root / "train" / "time1" / f"{name}.jpg", (256, 256), seed=number)
        makers.write_image(root / "train" / "time2" / f"{name}.tif", (256, 256), seed=9 + number)
        label = makers.block((256, 256), (10, 20, 50, 60), value=1) * (number == 0)
        makers.write_label(root / "train" / "gt" / f"{name}.png", label)


def captioned(name: str, split: str, sentences: Sequence[str], **fields: Any) -> dict[str, Any]:
    spoken = [{"raw": text, "tokens": text.split(), "sentid": i} for i, text in enumerate(sentences)]
    return {"filename": name, "filepath": split, "split": split, "sentences": spoken, **fields}


CHANGED = [" a { road } is built . ", " a road  appears on the left .", " a { road } is built . "]
SAME = [" the scene is the same as before . ", " there is no difference . "]


def make_levir_cc(root: Path) -> None:
    images = [
        captioned("train_000001.png", "train", SAME, changeflag=0, imgid=0),
        captioned("train_000016.png", "train", CHANGED, changeflag=1, imgid=1),
        captioned("val_000004.png", "val", SAME, changeflag=0, imgid=2),
    ]
    makers.write_json(root / "LevirCCcaptions.json", {"images": images, "dataset": "LEVIR_CC"})
    for record in images:
        folder = root / "images" / record["split"]
        write_pair((folder / "A", folder / "B"), record["filename"])


def make_levir_mci(root: Path) -> None:
    make_levir_cc(root)
    label = makers.block(SIZE, (10, 10, 30, 14), value=128) + makers.block(SIZE, (40, 40, 50, 50), (20, 50, 26, 56))
    label[0, 0] = 128
    for split, name in (("train", "train_000001"), ("train", "train_000016"), ("val", "val_000004")):
        changed = label * (name == "train_000016")
        makers.write_label(root / "images" / split / "label" / f"{name}.png", changed)


def make_second_cc(root: Path) -> None:
    images = [captioned("00003.png", "train", CHANGED), captioned("00011.png", "train", SAME, changeflag=0)]
    home = root / "SECOND-CC-AUG"
    makers.write_json(home / "SECOND-CC-AUG.json", {"images": images})
    for record in images:
        folder = home / "train" / "rgb"
        write_pair((folder / "A", folder / "B"), record["filename"])


def make_second(root: Path) -> None:
    home = root / "SECOND_train_set"
    before, after = (np.full((64, 64, 3), 255, np.uint8) for _ in range(2))
    before[10:30, 10:30], after[10:30, 10:30] = (0, 255, 0), (128, 0, 0)
    before[40:44, 40:48], after[40:44, 40:48] = (0, 128, 0), (0, 0, 255)
    for name, was, became in (("00003", before, after), ("00011", before * 0 + 255, after * 0 + 255)):
        write_pair((home / "im1", home / "im2"), f"{name}.png")
        makers.write_label(home / "label1" / f"{name}.png", was)
        makers.write_label(home / "label2" / f"{name}.png", became)


def make_cdvqa(root: Path) -> None:
    asked = [
        (0, "change_or_not", "Have the areas of trees changed?", "yes"),
        (1, "change_ratio", "What is the percentage of changed regions?", "0_to_10"),
        (1, "change_to_what", "What did the trees mainly change to?", "NVG_surface"),
        (2, "largest_change", "What is the largest change?", "buildings"),
    ]
    questions = [
        {"id": i, "img_id": img, "type": kind, "question": text, "answers_ids": [50 + i], "active": True}
        for i, (img, kind, text, _) in enumerate(asked)
    ]
    questions.append({**questions[0], "id": 77, "active": False})
    answers = [{"id": 50 + i, "question_id": i, "answer": row[3], "active": True} for i, row in enumerate(asked)]
    files = ("02180.png", "02180.png", "07502.png")
    images = [{"id": i, "res_x": ".1524m", "file_name": name, "active": True} for i, name in enumerate(files)]
    for kind, entries in (("questions", questions), ("answers", answers[::-1]), ("images", images)):
        makers.write_json(root / f"Val_{kind}.json", {kind: entries})
    for name in set(files):
        write_pair((root / "im1", root / "im2"), name)


def make_changechat(root: Path) -> None:
    pair = ["train/A/train_000001.png", "train/B/train_000001.png"]
    listed = [
        talk("<image>\nPlease judge whether these two images have changed. Answer yes or no.", "Yes."),
        talk(
            "<image><image> How many roads are new?",
            "2 new roads have been constructed",
            "Where?",
            "roads [top-left, center] buildings []",
        ),
    ]
    records = [{"id": f"x{i}", "image": pair, "changeflag": 1, "conversations": t} for i, t in enumerate(listed)]
    makers.write_json(root / "changechat_105k_train.json", records)
    makers.write_json(root / "changechat_105k_train_loc_aug.json", records)
    captions = [text.strip() for text in SAME] * 2
    tested = {"image_A": pair[0], "image_B": pair[1], "changeflag": 0, "captions": captions}
    makers.write_json(root / "changechat_105k_test.json", [tested])
    makers.write_json(root / "changechat_105k_test_binary.json", records[:1])
    write_pair((root / "images" / "train" / "A", root / "images" / "train" / "B"), "train_000001.png")


def wkt(x1: float, y1: float, x2: float, y2: float) -> str:
    return f"POLYGON (({x1} {y1}, {x2} {y1}, {x2} {y2}, {x1} {y2}, {x1} {y1}))"


def make_xbd(root: Path) -> None:
    damage = {
        "hurricane-harvey_00000001": ["destroyed", "destroyed", "minor-damage", "no-damage"],
        "hurricane-harvey_00000002": ["no-damage"],
        "hurricane-harvey_00000003": ["major-damage", "un-classified"],
        "hurricane-harvey_00000004": [],
    }
    for stem, levels in damage.items():
        for when, day in (("pre", "2017-08-20"), ("post", "2017-08-31")):
            buildings = [
                {
                    "properties": {"feature_type": "building", "uid": f"u{i}"}
                    | ({"subtype": level} if when == "post" else {}),
                    "wkt": wkt(2 + 14 * i, 5.5, 12 + 14 * i, 20),
                }
                for i, level in enumerate(levels)
            ]
            meta = {"capture_date": f"{day}T17:15:22.000Z", "disaster": "hurricane-harvey", "disaster_type": "wind"}
            name = f"{stem}_{when}_disaster"
            label = {"metadata": meta, "features": {"xy": buildings, "lng_lat": []}}
            makers.write_json(root / "train" / "labels" / f"{name}.json", label)
            makers.write_image(root / "train" / "images" / f"{name}.png", SIZE)


ADDED: dict[str, tuple[Callable[[Path], None], str]] = {
    "change_folder": (make_change_folder, "train"),
    "levir_cc": (make_levir_cc, "train"),
    "levir_mci": (make_levir_mci, "train"),
    "second_cc": (make_second_cc, "train"),
    "second": (make_second, "train"),
    "cdvqa": (make_cdvqa, "val"),
    "changechat": (make_changechat, "train"),
    "xbd": (make_xbd, "train"),
}
makers.MAKERS.update(ADDED)
