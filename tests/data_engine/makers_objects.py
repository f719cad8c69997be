"""Tiny copies of the detection, grounding, segmentation and change datasets in their original layouts."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from tests.data_engine import makers

Box = tuple[float, float, float, float]


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def voc_box(box: Box) -> str:
    tags = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    return "<bndbox>" + "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags) + "</bndbox>"


def voc_object(name: str, box: Box, *, description: str = "") -> str:
    extra = f"<description>{description}</description>" if description else ""
    return f"<object><name>{name}</name><pose>Unspecified</pose>{voc_box(box)}{extra}</object>"


def write_voc(path: Path, file: str, objects: Sequence[str]) -> None:
    write_text(path, f"<annotation><filename>{file}</filename>{''.join(objects)}</annotation>")


# Detection


def make_dior(root: Path) -> None:
    names = {"00001": "train", "00002": "train", "00003": "val"}
    for number in names:
        makers.write_image(root / "JPEGImages-trainval" / f"{number}.jpg", (200, 160))
        flat = [
            voc_object("Expressway-Service-area", (10, 20, 60, 70)),
            voc_object("groundtrackfield", (100, 90, 201, 150)),
        ]
        write_voc(
            root / "Annotations" / "Horizontal Bounding Boxes" / f"{number}.xml",
            f"{number}.jpg",
            flat if number != "00002" else [],
        )
        corners = dict(
            zip(
                (f"{a}_{c}" for c in ("left_top", "right_top", "right_bottom", "left_bottom") for a in "xy"),
                (35, 20, 60, 45, 35, 70, 10, 45),
                strict=True,
            )
        )
        turned = "".join(f"<{tag}>{value}</{tag}>" for tag, value in corners.items())
        turned = f"<object><name>airplane</name><robndbox>{turned}</robndbox><angle>0</angle></object>"
        write_voc(root / "Annotations" / "Oriented Bounding Boxes" / f"{number}.xml", f"{number}.jpg", [turned])
    for split in ("train", "val"):
        write_text(root / "ImageSets" / "Main" / f"{split}.txt", "\n".join(n for n, s in names.items() if s == split))


def make_described(root: Path, images: str, splits: str) -> None:
    described = {
        "00001": [("golffield", (13, 23, 68, 67), "A green and brown golf field")],
        "00002": [
            ("vehicle", (10.5, 10, 20, 20.25), "The vehicle on the left of the airport."),
            ("airport", (30, 5, 150, 120), "airport"),
        ],
        "00010": [("ship", (5, 5, 25, 45), "T shaped { ship }")],
    }
    for stem, objects in described.items():
        makers.write_image(root / images / f"{stem}.jpg", (160, 120))
        lines = [voc_object(name, box, description=text) for name, box, text in objects]
        write_voc(root / "Annotations" / f"{stem}.xml", f"{stem}.jpg", lines)
    for split, numbers in {"train": (0, 2), "val": (3,), "test": (1,)}.items():
        write_text(root / splits / f"{split}.txt", "".join(f"{number}\n" for number in numbers))


def make_dior_rsvg(root: Path) -> None:
    make_described(root, "JPEGImages", ".")


def make_opt_rsvg(root: Path) -> None:
    make_described(root, "Image", "split")


def make_fair1m(root: Path) -> None:
    corners = ((60, 10), (90, 40), (60, 70), (30, 40))
    for part, number, names in (
        ("train/part1", 0, ("Boeing737", "other-ship")),
        ("train/part2", 7, ("ARJ21",)),
        ("validation", 3, ("Van",)),
    ):
        makers.write_image(root / part / "images" / f"{number}.tif", (220, 180))
        objects = []
        for shift, name in enumerate(names):
            points = "".join(f"<point>{x + 100 * shift:.6f},{y:.6f}</point>" for x, y in (*corners, corners[0]))
            objects.append(
                "<object><coordinate>pixel</coordinate><type>rectangle</type>"
                f"<possibleresult><name>{name}</name></possibleresult><points>{points}</points></object>"
            )
        source = f"<source><filename>{number}.tif</filename><origin>GF2/GF3</origin></source>"
        write_text(
            root / part / "labelXml" / f"{number}.xml",
            f"<annotation>{source}<objects>{''.join(objects)}</objects></annotation>",
        )


def make_hrsc2016(root: Path) -> None:
    full = root / "FullDataSet"
    ship = {
        "Class_ID": "100000013", "box_xmin": 60, "box_ymin": 20, "box_xmax": 140, "box_ymax": 100, "mbox_cx": 100.5,
        "mbox_cy": 60.25, "mbox_w": 100, "mbox_h": 20, "mbox_ang": 0.785398, "difficult": 0,
    }  # fmt: skip
    body = "".join(f"<{tag}>{value}</{tag}>" for tag, value in ship.items())
    for number, entries, gsd in (
        ("100000001", f"<HRSC_Object>{body}</HRSC_Object>", "1.07"),
        ("100000002", "", "unknown"),
    ):
        makers.write_image(full / "AllImages" / f"{number}.bmp", (200, 120))
        write_text(
            full / "Annotations" / f"{number}.xml",
            f"<HRSC_Image><Img_ID>{number}</Img_ID><Img_Resolution>{gsd}</Img_Resolution>"
            f"<HRSC_Objects>{entries}</HRSC_Objects></HRSC_Image>",
        )
    write_text(root / "ImageSets" / "train.txt", "100000001\n100000002\n")


def make_xview(root: Path) -> None:
    listed = [
        ("5.tif", 18, "10,20,30,40"),
        ("5.tif", 73, "100,50,205,120"),
        ("5.tif", 73, "40,50,40,60"),
        ("5.tif", 75, "1,2,3,4"),
        ("12.tif", 40, "0,0,50,20"),
        ("1395.tif", 73, "1,2,3,4"),
    ]
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
            "properties": {"bounds_imcoords": bounds, "type_id": kind, "image_id": file, "feature_id": number},
        }
        for number, (file, kind, bounds) in enumerate(listed)
    ]
    makers.write_json(root / "xView_train.geojson", {"type": "FeatureCollection", "features": features})
    for name in ("5.tif", "12.tif"):
        makers.write_image(root / "train_images" / name, (200, 150))


# Land cover


def make_loveda(root: Path) -> None:
    for scene, number in (("Rural", 0), ("Urban", 1366)):
        folder = root / "Train" / scene
        makers.write_image(folder / "images_png" / f"{number}.png", (96, 80))
        label = np.ones((80, 96), np.uint8)
        label[:10] = 0
        label[20:40, 10:50] = 2
        label[50:60] = 4
        label[70:72, 0:2] = 6
        makers.write_label(folder / "masks_png" / f"{number}.png", label)


def make_landcover_ai(root: Path) -> None:
    import rasterio
    from rasterio.transform import from_origin

    label = np.zeros((64, 96), np.uint8)
    label[10:30, 20:40] = 1
    label[40:44] = 4
    profile = {
        "driver": "GTiff", "width": 96, "height": 64, "dtype": "uint8", "crs": "EPSG:2180",
        "transform": from_origin(400_000, 500_000, 0.25, 0.25),
    }  # fmt: skip
    for folder, bands in (("images", 3), ("masks", 1)):
        (root / folder).mkdir()
        with rasterio.open(root / folder / "M-33-20-D-c-4-2.tif", "w", count=bands, **profile) as file:
            for band in range(bands):
                file.write(label * (60 if bands == 3 else 1), band + 1)
    makers.write_image(root / "output" / "M-33-20-D-c-4-2_0.jpg", (96, 64))
    makers.write_label(root / "output" / "M-33-20-D-c-4-2_0_m.png", label)
    write_text(root / "train.txt", "M-33-20-D-c-4-2_0\n")


# Referring expressions with masks, buildings, roads


def write_refer(
    folder: Path, refs: str, instances: str, size: tuple[int, int], listed: Sequence[tuple[str, str, list[str], Any]]
) -> None:
    """Write a refer API pickle and COCO file; `listed` holds (file, split, sentences, fields of the annotation)."""
    references, images, annotations = [], [], []
    for number, (file, split, sentences, fields) in enumerate(listed):
        spoken = [{"raw": text, "sent": text.lower(), "sent_id": 10 * number + i} for i, text in enumerate(sentences)]
        references.append({"ref_id": number, "ann_id": np.int64(100 + number), "image_id": number, "file_name": file})
        references[-1] |= {"split": split, "sentences": spoken, "category_id": 1}
        images.append({"id": number, "file_name": file, "width": size[0], "height": size[1]})
        annotations.append({"id": 100 + number, "image_id": number, "category_id": 1, **fields})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / refs).write_bytes(pickle.dumps(references, protocol=2))
    makers.write_json(folder / instances, {"images": images, "annotations": annotations, "categories": []})


def make_rsvg(root: Path) -> None:
    listed = [
        ("1.jpg", "train", ["Find a ground track field , it is to the left of the road ."], {"bbox": [10, 20, 60, 40]}),
        ("2.jpg", "train", ["The basketball court", "A small court"], {"bbox": [5, 5, 10.5, 20]}),
        ("3.jpg", "test", ["Search for the parking lot"], {"bbox": [0, 0, 99, 79]}),
    ]
    write_refer(root, "refs_rsvg.p", "instances_rsvg.json", (100, 80), listed)
    for file, *_ in listed:
        makers.write_image(root / "images" / file, (100, 80))


def make_rrsis_d(root: Path) -> None:
    bits = makers.block((60, 40), (10, 5, 30, 20), value=1)
    rle = coco_mask.encode(np.asfortranarray(bits))
    text = {"size": rle["size"], "counts": rle["counts"].decode()}
    listed = [
        ("00001.jpg", "train", ["The red-white chimney on the left"], {"segmentation": [text], "bbox": [9, 4, 22, 17]}),
        ("00002.jpg", "train", ["A stadium"], {"segmentation": text}),
        ("00003.jpg", "val", ["A triangle"], {"segmentation": [[10, 10, 30, 10, 10, 30]]}),
    ]
    write_refer(root / "rrsisd", "refs(unc).p", "instances.json", (60, 40), listed)
    for file, *_ in listed:
        makers.write_image(root / "images" / "rrsisd" / "JPEGImages" / file, (60, 40))


def make_refsegrs(root: Path) -> None:
    for stem in ("0", "17"):
        makers.write_image(root / "images" / f"{stem}.tif", (64, 48))
        makers.write_label(root / "masks" / f"{stem}.tif", makers.block((64, 48), (5, 5, 25, 15), (40, 30, 60, 40)))
    write_text(root / "output_phrase_train.txt", "0 vehicle in the parking area\n0 road\n17 light-duty vehicle\n")


def make_earthreason(root: Path) -> None:
    for stem, target in (("a_1", True), ("b_2", False)):
        folder = root / "train"
        makers.write_image(folder / "images" / f"{stem}.jpg", (64, 48))
        label = makers.block((64, 48), (5, 5, 25, 15), value=1 if target else 0)
        makers.write_label(folder / "labels" / f"{stem}.png", label)
        asked = [f"Where could a plane land ({number})?" for number in range(6)]
        reasons = ["The runway is long and flat.", "It is free.", "{It} fits."] if target else []
        makers.write_json(folder / "QAs" / f"{stem}.json", {"questions": asked, "answer": reasons})


def make_inria(root: Path) -> None:
    train = root / "AerialImageDataset" / "train"
    for name in ("austin1", "austin6", "tyrol-w12"):
        makers.write_image(train / "images" / f"{name}.tif", (620, 510))
        makers.write_label(train / "gt" / f"{name}.tif", makers.block((620, 510), (490, 20, 530, 60)))


def make_roads(root: Path) -> None:
    for number in ("100034", "999"):
        makers.write_image(root / "train" / f"{number}_sat.jpg", (64, 48))
        label = makers.block((64, 48), (0, 20, 64, 24), value=250)
        label[24] = 100
        makers.write_label(root / "train" / f"{number}_mask.png", np.stack([label] * 3, axis=-1))
    makers.write_image(root / "train" / "5_sat.jpg", (64, 48))


def make_ssdd(root: Path) -> None:
    folder = root / "RBox_SSDD" / "voc_style"
    corners = ((20, 10), (40, 30), (30, 40), (10, 20))
    numbers = "".join(f"<x{i}>{x}</x{i}><y{i}>{y}</y{i}>" for i, (x, y) in enumerate(corners, start=1))
    turned = f"<rotated_bndbox><rotated_bbox_theta>0.78</rotated_bbox_theta>{numbers}</rotated_bndbox>"
    ship = f"<object><name>ship</name>{voc_box((10, 10, 40, 40))}{turned}</object>"
    for stem, ships in (("000002", [ship]), ("000005", [])):
        makers.write_image(folder / "JPEGImages_train" / f"{stem}.jpg", (80, 60))
        write_voc(folder / "Annotations_train" / f"{stem}.xml", f"{stem}.jpg", ships)
    green = np.zeros((60, 80, 3), np.uint8)
    green[15:30, 15:30, 1] = 255
    makers.write_label(root / "PSeg_SSDD" / "voc_style" / "JPEGImages_PSeg_GT_Mask" / "000002.png", green)


# Conversations and references in grids of 100


def write_lines(path: Path, records: Sequence[dict[str, Any]], *, indent: int | None = None) -> None:
    write_text(path, "\n".join(json.dumps(record, indent=indent) for record in records) + "\n")


def talk(*messages: str) -> list[dict[str, str]]:
    return [{"from": ("human", "gpt")[number % 2], "value": text} for number, text in enumerate(messages)]


def make_geochat_instruct(root: Path) -> None:
    chats = {
        "P0001.png": talk(
            "<image>\n[refer] give me the location of <p> 2 ships </p>", "{<10><20><30><40>|<0>}{<50><-2><60><8>|<30>}"
        ),
        "00002.jpg": talk(
            "<image>\n[identify] the object in {<35><32><37><36>|<67>} is",
            "<p>1 dump-truck at the center</p>",
            "[refer] where is <p>the silver airplane</p>?",
            "<p>the silver airplane</p> {<6><44><14><48>|<32>}.",
        ),
        "7.tif": talk("<image>\nIs there a road?\nAnswer the question using a single word or phrase.", "Yes"),
        "8.jpg": talk(
            "<image>\n[grounding] describe it", "There are <p>two grey ships</p> {<50><50><60><60>|<52>} here."
        ),
    }
    listed = [{"id": file, "image": file, "conversations": chat} for file, chat in chats.items()]
    makers.write_json(root / "GeoChat_Instruct.json", listed)
    for file in chats:
        makers.write_image(root / "final_images_llava" / file, (200, 100))


def make_refgeo(root: Path) -> None:
    square = [[10, 10], [60, 10], [60, 40], [10, 40]]
    record = {"question": "The ship at the top.", "bbox": [10, 10, 60, 40], "poly": square}
    turned = record | {"poly": [[35, 10], [60, 25], [35, 40], [10, 25]]}
    meta = root / "metainfo"
    write_lines(meta / "dior_rsvg_train.jsonl", [record | {"question_id": 1, "image_id": "00001.jpg"}])
    geochat = [
        turned | {"question_id": 2, "image_id": "a.jpg", "dataset": "geochat"},
        record | {"question_id": 3, "image_id": "b.jpg", "dataset": "geochat"},
    ]
    write_lines(meta / "geochat_train.jsonl", geochat, indent=1)
    makers.write_image(root / "images" / "DIOR-RSVG" / "00001.jpg", (100, 80))
    for name in ("a.png", "b.jpg"):
        makers.write_image(root / "images" / "geochat" / name, (100, 80))
    makers.write_label(root / "masks" / "geochat" / "b_3.png", makers.block((100, 80), (12, 12, 50, 38)))


def make_vrsbench(root: Path) -> None:
    box = {"obj_id": 0, "obj_cls": "ship", "referring_sentence": "The ship at the top-left.", "is_unique": True}
    box |= {"obj_coord": [0.1, 0.2, 0.3, 0.4], "obj_corner": [0.1, 0.2, 0.3, 0.2, 0.3, 0.4, 0.1, 0.4]}
    turned = {
        "obj_id": 1,
        "obj_cls": "plane",
        "referring_sentence": "A white plane",
        "obj_coord": [0.5, 0.5, 0.7, 1.04],
    }
    turned |= {"obj_corner": [0.6, 0.5, 0.7, 0.77, 0.6, 1.04, 0.5, 0.77]}
    pairs = [
        {"ques_id": 0, "question": "How many ships are there?", "type": "object quantity", "answer": "2"},
        {"ques_id": 1, "question": "What is the { scene }?", "type": "scene type", "answer": "A harbor."},
    ]
    caption = "The image shows a harbor. Two ships\nare there."
    content = {"image": "P0003_0002.png", "caption": caption, "objects": [box, turned], "qa_pairs": pairs}
    makers.write_json(root / "Annotations_train" / "P0003_0002.json", content)
    makers.write_image(root / "Images_train" / "Images_train" / "P0003_0002.png", (512, 512))


ADDED: dict[str, tuple[Callable[[Path], None], str]] = {
    "dior": (make_dior, "train"),
    "dior_rsvg": (make_dior_rsvg, "train"),
    "opt_rsvg": (make_opt_rsvg, "train"),
    "fair1m": (make_fair1m, "train"),
    "hrsc2016": (make_hrsc2016, "train"),
    "xview": (make_xview, "train"),
    "loveda": (make_loveda, "train"),
    "landcover_ai": (make_landcover_ai, "all"),
    "rsvg": (make_rsvg, "train"),
    "rrsis_d": (make_rrsis_d, "train"),
    "refsegrs": (make_refsegrs, "train"),
    "earthreason": (make_earthreason, "train"),
    "inria": (make_inria, "all"),
    "roads": (make_roads, "train"),
    "ssdd": (make_ssdd, "train"),
    "geochat_instruct": (make_geochat_instruct, "train"),
    "refgeo": (make_refgeo, "train"),
    "vrsbench": (make_vrsbench, "train"),
}
makers.MAKERS.update(ADDED)
