"""LEVIR-CC, Dubai-CC and SECOND-CC: one sentence about what changed between two dates, five references a pair.

S*m is the mean of BLEU-4, METEOR, ROUGE-L and CIDEr-D. The official scripts turn sentences into the numbers of a word
map before they score them, so `ids` needs that file (WORDMAP_*.json, made by the authors' preprocessing; LEVIR-CC's
lies in the repositories of RSICC and Chg2Cap); the words themselves are scored beside it.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from eval_suites.baselines import MAJORITY, RANDOM
from eval_suites.suites.asking import ask, number_twins
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder

WHOLE: Final = "dubai"
"""Its script numbers every word and reads no map."""
NEEDS: Final = "WORDMAP_*.json in its folder, the authors' word map; or take --protocol words"
INSTRUCTION: Final = "What has changed between the two images? Answer in one sentence."


def load(folder: Folder, *, file: str, dates: str, splits: tuple[str, ...] = ("test",)) -> Questions:
    """Read the pairs of the split that papers report."""
    cases = []
    training: dict[str, int] = {}
    for row in folder.json(file)["images"]:
        sentences = [sentence["raw"].strip() for sentence in row["sentences"]]
        if row["split"] == "train":
            for sentence in sentences:
                training[sentence] = training.get(sentence, 0) + 1
        if row["split"] not in splits:
            continue
        cases.append(
            ask(
                row["filename"],
                [_date(folder, dates.format(split=row["split"], date=date), row["filename"], date) for date in "AB"],
                INSTRUCTION,
                answers=sentences,
                category=_flag(row),
                values={"changeflag": row["changeflag"]} if "changeflag" in row else {},
            )
        )
    maps = folder.files("WORDMAP*.json")
    files = {"wordmap": maps[0]} if maps else {}
    return Questions(number_twins(cases), splits[0], {"": training} if training else {}, files=files)


def _date(folder: Folder, place: str, name: str, date: str) -> str:
    """Give the path of one date's image; where the folders lie elsewhere, both dates have files of one name."""
    path = folder.root / place / name
    if path.is_file():
        return str(path)
    found = [other for other in folder.files(f"{date}/{name}") if other.parent.name == date]
    return str(found[0] if found else path)


def _flag(row: dict[str, Any]) -> str:
    return {0: "no change", 1: "change"}.get(row.get("changeflag", -1), "")


def _build(name: str, title: str, file: str, dates: str, page: str, splits: tuple[str, ...] = ("test",)) -> Benchmark:
    return Benchmark(
        name=name,
        title=title,
        layout=f"{file}, images in {dates.format(split=splits[0], date='A')} and .../B, and WORDMAP_*.json for `ids`",
        get=page,
        licence="academic, non-commercial",
        about=__doc__ or "",
        load=partial(load, file=file, dates=dates, splits=splits),
        baselines=(MAJORITY, RANDOM),
        probes=("swap", "brightness", "jpeg"),
        slow=True,
        needs={} if name == WHOLE else {"ids": ("wordmap", NEEDS)},
    )


LEVIR: Final = _build(
    "levircc",
    "LEVIR-CC, change captions",
    "LevirCCcaptions.json",
    "images/{split}/{date}",
    "https://github.com/Chen-Yang-Liu/LEVIR-CC-Dataset",
)
SECOND: Final = _build(
    "secondcc",
    "SECOND-CC, change captions",
    "SECOND-CC-AUG.json",
    "{split}/rgb/{date}",
    "https://doi.org/10.5281/zenodo.16937571",
)
DUBAI: Final = _build(
    "dubai",
    "Dubai-CC, change captions",
    "DubaiCCcaptions.json",
    "images/{split}/{date}",
    "https://disi.unitn.it/~melgani/datasets.html",
    splits=("test", "val"),
)
