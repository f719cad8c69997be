"""A tiny copy of every benchmark, in its official layout: a maker each, with pictures of noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.eval_suites.made_files import write_json, write_picture
from tests.eval_suites.made_places import (
    make_change_mask,
    make_dota,
    make_earthreason,
    make_geochat_refer,
    make_refer,
    make_refgeo,
    make_refsegrs,
    make_rsvg,
)
from tests.eval_suites.made_sentences import (
    make_captions,
    make_cdvqa,
    make_change_captions,
    make_changechat,
    make_nwpu,
    make_qag,
)


def make_xlrs(root: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = []
    tasks = ["Object properties/Object color", "Counting/Counting with changing detection",
             "Land use classification/Overall Land use classification"]  # fmt: skip
    for number in range(6):
        stored = [
            write_picture(root / f"raw-{number}-{k}.jpg", seed=9 * number + k) for k in range(1 + (number % 3 == 1))
        ]
        options = ["(A) red", "(B) green", "(C) blue", "(D) white"]
        rows.append(
            {
                "index": number, "path": f"DOTA/P{number}.png", "question": "Which color?",
                "image": [{"bytes": path.read_bytes(), "path": path.name} for path in stored],
                "multi-choice options": options, "answer": "AB" if number % 3 == 2 else "ABCD"[number % 4],
                "category": tasks[number % 3], "l2-category": "x",
            }
        )  # fmt: skip
        for path in stored:
            path.unlink()
    parquet.write_table(pa.Table.from_pylist(rows), root / "train-00000-of-00001.parquet")


def make_mme(root: Path) -> None:
    choices = ["(A) red", "(B) green", "(C) blue", "(D) white", "(E) This image doesn't feature the color."]
    rows = [
        {
            "Question_id": f"perception/remote_sensing/color/{n}", "Image": f"{n}.png", "Text": "What color?",
            "Question Type": "Multiple Choice", "Answer choices": choices, "Ground truth": "ABCDE"[n % 5],
            "Category": "color" if n % 2 else "count", "Subtask": "Remote Sensing", "Task": "Perception",
        }
        for n in range(5)
    ]  # fmt: skip
    write_json(root / "MME_RealWorld.json", [*rows, {**rows[0], "Subtask": "OCR"}])
    for n in range(5):
        write_picture(root / "remote_sensing" / f"{n}.png", seed=n)


def make_lrsvqa(root: Path) -> None:
    rows = [
        {"question_id": f"{'FAIR' if n % 2 else 'STAR'}_{n}", "image": f"LRS_VQA/image/{n}.tif",
         "category": "reasoning" if n % 4 < 2 else "count", "text": "How many?", "ground_truth": ["yes", "two"][n % 2]}
        for n in range(8)
    ]  # fmt: skip
    write_json(root / "LRS_VQA_merged.jsonl", rows, lines=True)
    for n in range(8):
        write_picture(root / "image" / f"{n}.tif", seed=n)


def make_geochat_scene(root: Path) -> None:
    for name in ("aid", "UCmerced"):
        rows = [
            {"question_id": f"{label}/{label}_{n}.jpg", "image": f"{label}/{label}_{n}.jpg", "text": "Classes: a, b"}
            for label in ("Airport", "Beach")
            for n in range(2)
        ]
        write_json(root / f"{name}.jsonl", rows, lines=True)
    for label in ("Airport", "Beach"):
        for n in range(2):
            write_picture(root / "images" / label / f"{label}_{n}.jpg", seed=n)


def make_rsvqa(root: Path, *, prefix: str, images: str) -> None:
    for split in ("train", "test"):
        types = ["presence", "comp", "count", "rural_urban"]
        answers = ["yes", "no", "3", "rural"]
        questions = [
            {"id": n, "img_id": n % 2, "type": types[n % 4], "question": "Is it?", "answers_ids": [n], "active": True}
            for n in range(8)
        ]
        said = [{"id": n, "question_id": n, "answer": answers[n % 4], "active": True} for n in range(8)]
        write_json(root / f"{prefix}_{split}_questions.json", {"questions": questions})
        write_json(root / f"{prefix}_{split}_answers.json", {"answers": said})
        write_json(root / f"{prefix}_{split}_images.json", {"images": [{"id": n} for n in range(2)]})
    for n in range(2):
        write_picture(root / images / f"{n}.tif", seed=n)


def make_vrsbench(root: Path) -> None:
    common = [{"image_id": f"P{n}.png", "question_id": n} for n in range(4)]
    write_json(root / "VRSBench_EVAL_Cap.json", [{**row, "question": "Describe", "ground_truth": f"A dock {row['question_id']}."} for row in common])  # noqa: E501  # fmt: skip
    write_json(
        root / "VRSBench_EVAL_referring.json",
        [{**row, "question": "The ship", "ground_truth": "{<25><40><33><60>}", "size_group": "small", "unique": True,
          "obj_cls": "ship"} for row in common],
    )  # fmt: skip
    write_json(
        root / "VRSBench_EVAL_vqa.json",
        [{**row, "question": "How many?", "ground_truth": ["2", "yes"][row["question_id"] % 2],
          "type": ["object quantity", "image"][row["question_id"] % 2]} for row in common],
    )  # fmt: skip
    for row in common:
        write_picture(root / "Images_val" / str(row["image_id"]), size=(512, 512))


def make_choice(root: Path) -> None:
    task = "perception/cross_instance_discerment/spatial_relationship"
    rows = [
        {"id": f"s{n}", "image_path": f"{task}/images/{n}.png", "question": "Where?\nA.Right\nB.Left\nC.Top\nD.Bottom",
         "answer": "ABCD"[n]}
        for n in range(4)
    ]  # fmt: skip
    write_json(root / f"{task}/spatial_relationship.json", rows)
    other = "perception/single_instance_identification/visual_grounding"
    corners = [[0.125, 0.25], [0.625, 0.25], [0.625, 0.75], [0.125, 0.75]]
    boxes = [{"id": "v0", "image_path": f"{other}/images/0.png", "question": "the ship", "answer": corners}]
    write_json(root / f"{other}/visual_grounding.json", boxes)
    for n in range(4):
        write_picture(root / task / "images" / f"{n}.png", seed=n)
    write_picture(root / other / "images" / "0.png")


def make_earthvqa(root: Path) -> None:
    pairs = [("Basic Judging", "Is there any road?", "Yes"), ("Basic Counting", "How many?", "2")]
    rows = [{"Type": kind, "Question": question, "Answer": answer} for kind, question, answer in pairs]
    for split in ("Train", "Val"):
        write_json(root / f"{split}_QA.json", {f"{n}.png": rows for n in range(2)})
    for n in range(2):
        write_picture(root / "Val" / "images_png" / f"{n}.png", seed=n)


def make_rsvlm(root: Path) -> None:
    pairs = [("presence", "Is there a road?", "Yes, there is."), ("counting", "How many?", "There are 15.")]
    rows = [
        {"id": n, "image": f"RSVLM-QA/INRIA/{n}.tif",
         "vqa_pairs": [{"question_id": k, "question_type": kind, "question": question, "answer": answer}
                       for k, (kind, question, answer) in enumerate(pairs)]}
        for n in range(2)
    ]  # fmt: skip
    write_json(root / "RSVLM-QA.jsonl", rows, lines=True)
    for n in range(2):
        write_picture(root / "RSVLM-QA" / "INRIA" / f"{n}.tif", seed=n)


def make_geobench(root: Path) -> None:
    for part in ("Single", "Temporal"):
        rows = [
            {"image_path": [f"images/{k}.png" for k in range(3)] if part == "Temporal" else "images/0.png",
             "ground_truth": "Crop", "ground_truth_option": "ABCDE"[n] + ".", "options_list": list("vwxyz"),
             "options": "A. v B. w C. x D. y E. z", "task": f"task {n % 2}", "question_id": n,
             "cls_description": "Crops.", "prompts": ["Which?", "What?"]}
            for n in range(3)
        ]  # fmt: skip
        write_json(root / part / "qa.json", rows)
        for k in range(3):
            write_picture(root / part / "images" / f"{k}.png", seed=k)


def make_vleo(root: Path) -> None:
    rows = [
        {"id": n, "image": f"{n}.png", "prompt": "How many cars?", "count": n + 1, "task": "cars"} for n in range(3)
    ]
    write_json(root / "cowc_counts.jsonl", rows, lines=True)
    for n in range(3):
        write_picture(root / f"{n}.png", seed=n)


def make_zeroshot(root: Path) -> None:
    for number, name in enumerate(("aGrass", "bRiverLake")):
        for n in range(2):
            write_picture(root / "RSSCN7" / name / f"{name[0]}{n}.png", seed=2 * number + n)


MAKERS: dict[str, Callable[[Path], None]] = {
    "xlrs": make_xlrs,
    "mme-rs": make_mme,
    "lrsvqa": make_lrsvqa,
    "geochat-scene": make_geochat_scene,
    "rsvqa-lr": lambda root: make_rsvqa(root, prefix="LR_split", images="Images_LR"),
    "rsvqa-hr": lambda root: make_rsvqa(root, prefix="USGS_split", images="Data"),
    "geochat-refer": make_geochat_refer,
    "vrsbench-cap": make_vrsbench,
    "vrsbench-ref": make_vrsbench,
    "vrsbench-vqa": make_vrsbench,
    "dior-rsvg": make_rsvg,
    "opt-rsvg": make_rsvg,
    "refgeo": make_refgeo,
    "rrsisd": lambda root: make_refer(root, place="rrsisd"),
    "risbench": lambda root: make_refer(root, place="risbench"),
    "refsegrs": make_refsegrs,
    "earthreason": make_earthreason,
    "dota-text": make_dota,
    "caption-rsicd": lambda root: make_captions(root, file="dataset_rsicd.json", images="RSICD_images"),
    "caption-ucm": lambda root: make_captions(root, file="dataset.json", images="imgs"),
    "caption-sydney": lambda root: make_captions(root, file="dataset.json", images="imgs"),
    "caption-nwpu": make_nwpu,
    "levircc": lambda root: make_change_captions(root, file="LevirCCcaptions.json", place="images/{split}/{date}"),
    "dubai": lambda root: make_change_captions(root, file="DubaiCCcaptions.json", place="images/{split}/{date}"),
    "secondcc": lambda root: make_change_captions(root, file="SECOND-CC-AUG.json", place="{split}/rgb/{date}"),
    "cdvqa": make_cdvqa,
    "qag": make_qag,
    "changechat": make_changechat,
    "change-mask": make_change_mask,
    "choice": make_choice,
    "earthvqa": make_earthvqa,
    "rsvlm-qa": make_rsvlm,
    "geobench": make_geobench,
    "vleo": make_vleo,
    "zeroshot": make_zeroshot,
}
