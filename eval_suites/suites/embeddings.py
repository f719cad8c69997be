"""Retrieval (RSITMD, RSICD, UCM): scored from similarities of images and captions, which no model of text gives.

A checkpoint's two towers give them (retrieve.py); for other models, write similarities or embeddings to a file.

make eval SUITE=retrieval-rsicd DATA=~/RSICD MODEL=out/mine
python -m eval_suites score similarity.npy --suite retrieval-rsitmd
"""

from __future__ import annotations

from typing import Final

from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder

REFUSAL: Final = (
    "it is scored from similarities of embeddings; write them to a file and use python -m eval_suites score FILE "
    "--suite {name}"
)


LAYOUT: Final = (
    "the json of captions in RSICD's layout and the images (or, for score, a matrix of images x captions, caption j "
    "about image j // 5)"
)


def load(folder: Folder) -> Questions:
    """Give no questions: there are none in words."""
    del folder
    return Questions(())


def _build(name: str, title: str, layout: str, get: str) -> Benchmark:
    return Benchmark(
        name=name,
        title=title,
        layout=layout,
        get=get,
        licence="none stated; research use",
        about=__doc__ or "",
        load=load,
        towers=True,
        refusal=REFUSAL.format(name=name),
    )


RSITMD: Final = _build(
    "retrieval-rsitmd",
    "RSITMD, retrieval of 452 images and 2,260 captions",
    LAYOUT,
    "https://github.com/xiaoyuan1996/AMFMN",
)
RSICD: Final = _build(
    "retrieval-rsicd",
    "RSICD, retrieval of 1,093 images and 5,465 captions",
    LAYOUT,
    "https://github.com/201528014227051/RSICD_optimal",
)
UCM: Final = _build(
    "retrieval-ucm",
    "UCM-Captions, retrieval of 210 images and 1,050 captions",
    LAYOUT,
    "https://github.com/201528014227051/RSICD_optimal",
)
