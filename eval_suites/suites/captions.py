"""RSICD, UCM, Sydney and NWPU captions: one sentence an image against five references.

Karpathy's JSON (NWPU has its own, five keys a record). A file that is listed twice in a split is one image with the
sentences of both entries. Scored by pycocoevalcap with the PTB tokenizer, which needs Java; BLEU, METEOR, ROUGE-L and
CIDEr-D, whose document frequencies come from the images that are scored: a --limit has another scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from eval_suites.baselines import MAJORITY, RANDOM
from eval_suites.suites.asking import ask
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder

INSTRUCTION: Final = "Describe the image in one sentence."
Listed = Iterator[tuple[str, str, str, list[str]]]


def load(folder: Folder, *, files: tuple[str, ...], places: tuple[str, ...]) -> Questions:
    """Read the test images (or val, where there is no other) with their references, and the sentences of training."""
    content = folder.json(*files)
    listed = list(_karpathy(content) if "images" in content else _by_class(content))
    asked = "test" if any(split == "test" for _, _, split, _ in listed) else "val"
    references: dict[str, list[str]] = {}
    folders: dict[str, str] = {}
    training: dict[str, int] = {}
    for name, place, split, sentences in listed:
        if split == asked:
            references.setdefault(name, []).extend(sentences)
            folders[name] = place
        elif split == "train":
            for sentence in sentences:
                training[sentence] = training.get(sentence, 0) + 1
    cases = tuple(
        ask(name, [folder.image(name, *(f"{place}/{folders[name]}" for place in places))], INSTRUCTION, answers=found)
        for name, found in references.items()
    )
    return Questions(cases, asked, training={"": training} if training else {})


def _karpathy(content: dict[str, Any]) -> Listed:
    for row in content["images"]:
        yield row["filename"], "", row["split"], [sentence["raw"].strip() for sentence in row["sentences"]]


def _by_class(content: dict[str, Any]) -> Listed:
    keys = ("raw", *(f"raw_{number}" for number in range(1, 5)))
    for place, rows in content.items():
        for row in rows:
            yield row["filename"], place, row["split"], [row[key].strip() for key in keys if row.get(key)]


def _build(name: str, title: str, files: tuple[str, ...], places: tuple[str, ...], page: str) -> Benchmark:
    return Benchmark(
        name=name,
        title=f"{title}, captions",
        layout=f"{files[0]} and the images in {places[0]}/",
        get=page,
        licence="none stated; research use",
        about=__doc__ or "",
        load=partial(load, files=files, places=places),
        baselines=(MAJORITY, RANDOM),
        slow=True,
    )


_RSICD_PAGE: Final = "https://github.com/201528014227051/RSICD_optimal"
RSICD: Final = _build("caption-rsicd", "RSICD", ("dataset_rsicd.json",), ("RSICD_images",), _RSICD_PAGE)
UCM: Final = _build("caption-ucm", "UCM-Captions", ("dataset.json", "dataset_ucm.json"), ("imgs",), _RSICD_PAGE)
SYDNEY: Final = _build(
    "caption-sydney", "Sydney-Captions", ("dataset.json", "dataset_sydney.json"), ("imgs",), _RSICD_PAGE
)
NWPU: Final = _build(
    "caption-nwpu",
    "NWPU-Captions",
    ("dataset_nwpu.json",),
    ("NWPU_images",),
    "https://github.com/HaiyanHuang98/NWPU-Captions",
)
