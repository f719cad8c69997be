"""Tiny copies of the benchmarks whose answers are boxes or masks, in their official layouts."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from tests.eval_suites.made_files import make_pairs, write_json, write_mask, write_picture


def make_geochat_refer(root: Path) -> None:
    rows = []
    for n in range(4):
        shapes = [[[4, 4], [20, 4], [20, 16], [4, 16]], [[22, 2], [30, 2], [30, 10], [22, 10]]]
        rows.append(
            {"question_id": f"q{n}", "image_id": f"P{n}", "question": f"{1 + n % 2} ship at the left", "type": "ref",
             "ground_truth": shapes[: 1 + n % 2], "dataset": "dota", "obj_ids": [0], "size_group": "small"}
        )  # fmt: skip
        write_picture(root / "images" / f"P{n}.png", seed=n)
    write_json(root / "referring.jsonl", rows, lines=True)


def make_rsvg(root: Path) -> None:
    (root / "Annotations").mkdir(parents=True)
    for n in range(3):
        objects = "".join(
            f"<object><name>ship</name><bndbox><xmin>{2 + k}</xmin><ymin>3</ymin><xmax>{20 + k}</xmax><ymax>16</ymax>"
            f"</bndbox><description>The Ship {k} on the left</description></object>"
            for k in range(2)
        )
        size = "<size><width>32</width><height>24</height><depth>3</depth></size>"
        text = f"<annotation><filename>{n}.jpg</filename>{size}{objects}</annotation>"
        (root / "Annotations" / f"{n}.xml").write_text(text)
        write_picture(root / "JPEGImages" / f"{n}.jpg", seed=n)
    (root / "test.txt").write_text("0\n3\n5\n")


def make_refgeo(root: Path) -> None:
    for name in ("dior_rsvg_test", "avvg_test"):
        rows = [
            {"question_id": n, "image_id": f"{n}.png", "question": "the ship", "bbox": [4, 4, 20, 16],
             "poly": [[4, 4], [20, 4], [20, 16], [4, 16]]}
            for n in range(2)
        ]  # fmt: skip
        write_json(root / "metainfo" / f"{name}.jsonl", rows, lines=True)
        for n in range(2):
            write_picture(root / "images" / name.rpartition("_")[0] / f"{n}.png", seed=n)


def make_refer(root: Path, *, place: str) -> None:
    from pycocotools import mask

    bits = np.zeros((24, 32), np.uint8)
    bits[4:16, 4:20] = 1
    runs = mask.encode(np.asfortranarray(bits))
    stored = [{"size": runs["size"], "counts": runs["counts"].decode()}]
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 32, "height": 24} for n in range(3)]
    annotations = [{"id": n, "image_id": n, "bbox": [4, 4, 16, 12], "segmentation": stored} for n in range(3)]
    write_json(root / place / "instances.json", {"images": images, "annotations": annotations})
    refs = [
        {"ref_id": n, "ann_id": n, "image_id": n, "split": "test" if n else "train",
         "sentences": [{"sent_id": 10 * n, "raw": "The ship"}, {"sent_id": 10 * n + 1, "raw": "A boat"}]}
        for n in range(3)
    ]  # fmt: skip
    with (root / place / "refs(unc).p").open("wb") as stream:
        pickle.dump(refs, stream)
    for n in range(3):
        write_picture(root / "images" / place / "JPEGImages" / f"{n}.jpg", seed=n)


def make_refsegrs(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "output_phrase_test.txt").write_text("1 vehicle in the parking area\n1 road\n2 building\n")
    for n in (1, 2):
        write_picture(root / "images" / f"{n}.tif", seed=n)
        write_mask(root / "masks" / f"{n}.tif")


def make_earthreason(root: Path) -> None:
    for n in range(3):
        write_json(root / "test" / "QAs" / f"{n}.json", {"questions": ["Where to land?", "b"], "answer": ["c"]})
        write_picture(root / "test" / "images" / f"{n}.jpg", seed=n)
        write_mask(root / "test" / "labels" / f"{n}.png")


def make_dota(root: Path) -> None:
    (root / "labelTxt").mkdir(parents=True)
    for n, lines in enumerate(
        (["4 4 20 4 20 16 4 16 ship 0", "22 2 30 2 30 10 22 10 plane 1"], ["4 4 9 4 9 9 4 9 plane 0"], [])
    ):
        head = "imagesource:GoogleEarth\ngsd:0.1\n"
        (root / "labelTxt" / f"P{n}.txt").write_text(head + "\n".join(lines))
        write_picture(root / "images" / f"P{n}.png", seed=n)


def make_change_mask(root: Path) -> None:
    make_pairs(root / "test", 2)
    for n in range(2):
        write_mask(root / "test" / "label" / f"{n}.png")
