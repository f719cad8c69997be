"""Retrieval (RSITMD, RSICD, UCM) and zero-shot scenes: scored from similarities, which no model of text gives.

python -m eval_suites score similarity.npy --suite retrieval-rsitmd
python -m eval_suites score scores.npz --suite zeroshot --protocol rs5m
"""

from __future__ import annotations

from typing import Final

from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder

REFUSAL: Final = (
    "it is scored from similarities of embeddings; write them to a file and use python -m eval_suites score FILE "
    "--suite {name}"
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
        refusal=REFUSAL.format(name=name),
    )


RSITMD: Final = _build(
    "retrieval-rsitmd",
    "RSITMD, retrieval of 452 images and 2,260 captions",
    "a similarity matrix (images x captions), caption j about image j // 5",
    "https://github.com/xiaoyuan1996/AMFMN",
)
RSICD: Final = _build(
    "retrieval-rsicd",
    "RSICD, retrieval of 1,093 images and 5,465 captions",
    "a similarity matrix (images x captions), caption j about image j // 5",
    "https://github.com/201528014227051/RSICD_optimal",
)
UCM: Final = _build(
    "retrieval-ucm",
    "UCM-Captions, retrieval of 210 images and 1,050 captions",
    "a similarity matrix (images x captions), caption j about image j // 5",
    "https://github.com/201528014227051/RSICD_optimal",
)
ZEROSHOT: Final = _build(
    "zeroshot",
    "Zero-shot scenes of AID, EuroSAT, RESISC45 and others",
    "class scores of the images (n x classes) with their labels",
    "https://github.com/wangzhecheng/SkyScript",
)
