"""Suites without questions of their own: a file of answers and targets that others wrote is scored, no model is asked.

python -m eval_suites score answers.jsonl --suite geochat-region
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class FileSuite:
    """Describe what is scored: name among the rules, title, what the file holds, and where its data comes from."""

    name: str
    title: str
    holds: str
    get: str


_ANSWERS: Final = "rows of an answer and its target (answer, prediction ... and ground_truth, gt ...)"
_MASKS: Final = "two folders of PNG masks, arrays in npz or npy, or rows that name pictures or hold run lengths"

FILES_ALONE: Final[dict[str, FileSuite]] = {
    suite.name: suite
    for suite in (
        FileSuite("rsvqa", "RSVQA of either resolution", f"{_ANSWERS}, with type", "https://rsvqa.sylvainlobry.com"),
        FileSuite("text-match", "Short answers of any data set, by eight rules for words", _ANSWERS, "your own data"),
        FileSuite("caption", "Captions of any data set", "rows of a caption and its references", "your own data"),
        FileSuite("caption-rsitmd", "RSITMD, captions", "rows of a caption and its five references",
                  "https://github.com/xiaoyuan1996/AMFMN"),
        FileSuite("geochat-region", "GeoChat-Bench, captions of regions (region_captioning.jsonl)", _ANSWERS,
                  "https://huggingface.co/datasets/MBZUAI/GeoChat-Bench"),
        FileSuite("xbd", "xBD, boxes of damaged buildings as EarthDial asks for them", f"{_ANSWERS} in hundredths",
                  "https://xview2.org"),
        FileSuite("levir-mci", "LEVIR-MCI, masks of new roads and buildings", _MASKS,
                  "https://huggingface.co/datasets/lcybuaa/LEVIR-MCI"),
        FileSuite("qag-mask", "QAG-360K, masks beside the answers", _MASKS, "https://github.com/like413/VisTA"),
        FileSuite("rsrag-vqa", "RS-RAG, answers in sentences", _ANSWERS, "https://github.com/CongcongWen1208/RS-RAG"),
        FileSuite("rsrag-cls", "RS-RAG, scenes", _ANSWERS, "https://github.com/CongcongWen1208/RS-RAG"),
    )
}  # fmt: skip
