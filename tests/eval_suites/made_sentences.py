"""Tiny copies of the benchmarks of captions and of change, in their official layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.eval_suites.made_files import make_pairs, write_json, write_picture


def karpathy(count: int = 3) -> dict[str, Any]:
    return {
        "images": [
            {"filename": f"{n}.jpg", "imgid": n, "split": "train" if n == 0 else "test", "changeflag": n % 2,
             "filepath": "train" if n == 0 else "test",
             "sentences": [{"raw": f" many planes are parked near building {n} . "}] * 5}
            for n in range(count)
        ],
        "dataset": "made",
    }  # fmt: skip


def make_captions(root: Path, *, file: str, images: str) -> None:
    write_json(root / file, karpathy())
    for n in range(3):
        write_picture(root / images / f"{n}.jpg", seed=n)


def make_nwpu(root: Path) -> None:
    rows = [
        {"filename": f"b_{n}.jpg", "split": "test", "raw": f"a bridge over river {n} .",
         **{f"raw_{k}": f"a bridge over river {n} ." for k in range(1, 5)}}
        for n in range(2)
    ]  # fmt: skip
    write_json(root / "dataset_nwpu.json", {"bridge": rows})
    for n in range(2):
        write_picture(root / "NWPU_images" / "bridge" / f"b_{n}.jpg", seed=n)


def make_change_captions(root: Path, *, file: str, place: str) -> None:
    write_json(root / file, karpathy(4))
    words = ["many", "planes", "are", "parked", "near", "building", "0", "1", "2", "3", "."]
    write_json(
        root / "WORDMAP_MADE.json", {word: n + 1 for n, word in enumerate([*words, "<unk>", "<start>", "<end>"])}
    )
    for n in range(4):
        for k, date in enumerate("AB"):
            write_picture(root / place.format(split="test", date=date) / f"{n}.jpg", seed=2 * n + k)


def make_cdvqa(root: Path) -> None:
    types = ["change_or_not", "change_ratio", "change_ratio_types", "largest_change"]
    answers = ["yes", "0_to_10", "0", "trees"]
    for split in ("Train", "Test"):
        questions = [
            {
                "id": n,
                "img_id": n,
                "type": types[n % 4],
                "question": "Did it change?",
                "answers_ids": [n],
                "active": True,
            }
            for n in range(8)
        ]
        write_json(root / f"{split}_questions.json", {"questions": questions})
        write_json(root / f"{split}_answers.json", {"answers": [{"id": n, "answer": answers[n % 4]} for n in range(8)]})
        write_json(
            root / f"{split}_images.json", {"images": [{"id": n, "file_name": f"{n % 2}.png"} for n in range(8)]}
        )
    make_pairs(root, 2, dates=("im1", "im2"))


def make_qag(root: Path) -> None:
    rows = [
        {"id": n, "img_id": f"{n % 2}.png", "question": "Did it change?", "type": "change_or_not", "answer": "yes"}
        for n in range(4)
    ]
    write_json(root / "qag_test.json", {"question": rows})
    make_pairs(root, 2, dates=("im1", "im2"))


def make_changechat(root: Path) -> None:
    images = [[f"test/A/{n}.png", f"test/B/{n}.png"] for n in range(2)]

    def talk(question: str, answer: str) -> list[dict[str, str]]:
        return [{"from": "human", "value": f"<image>{question}"}, {"from": "gpt", "value": answer}]

    name = "changechat_105k_test"
    captions = [{"image_A": a, "image_B": b, "captions": [" a road is built ."] * 5} for a, b in images]
    write_json(root / f"{name}.json", captions)
    said = {
        "binary": ("Has it changed? yes or no", "yes"),
        "count": ("How many?", "2 new roads and 14 new buildings have been constructed"),
        "loc": ("Where?", "roads [top-left] buildings [center, right]"),
        "open": ("What is new?", "A road was built."),
    }
    for kind, (question, answer) in said.items():
        rows = [
            {"id": f"{kind}{n}", "image": pair, "conversations": talk(question, answer)}
            for n, pair in enumerate(images)
        ]
        write_json(root / f"{name}_{kind}.json", rows)
    turns = [*talk("Has it changed?", "yes"), *talk("What?", "a road")]
    write_json(root / f"{name}_dialog.json", [{"id": "d", "image": images[0], "conversations": turns}])
    make_pairs(root / "images" / "test", 2)
