"""ChangeChat-105k (DeltaVLM): six kinds of questions about LEVIR-CC's test pairs, each with its own score.

The files changechat_105k_test.json (captions) and _binary, _count, _loc, _open, _dialog; the kind is the category. Of
a dialogue every question is asked on its own, without the turns before it, as the authors' script does for the first.
"""

from __future__ import annotations

import re
from typing import Any, Final

from eval_suites.baselines import RANDOM
from eval_suites.cases import Case
from eval_suites.suites.asking import ask, number_twins
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder

KINDS: Final = {
    "caption": "changechat_105k_test.json",
    "binary": "changechat_105k_test_binary.json",
    "count": "changechat_105k_test_count.json",
    "loc": "changechat_105k_test_loc.json",
    "open": "changechat_105k_test_open.json",
    "dialog": "changechat_105k_test_dialog.json",
}
CAPTION: Final = "Please briefly describe the changes in these two images."
_TAG: Final = re.compile(r"\s*<image>\s*")


def load(folder: Folder) -> Questions:
    """Read the kinds whose files are there."""
    present = {kind: name for kind, name in KINDS.items() if folder.has(name)}
    if not present:
        raise folder.refuse(f"has none of {', '.join(KINDS.values())}")
    cases = [
        case
        for kind, name in present.items()
        for number, row in enumerate(folder.json(name))
        for case in _cases(folder, kind, number, row)
    ]
    return Questions(number_twins(cases))


def _cases(folder: Folder, kind: str, number: int, row: dict[str, Any]) -> list[Case]:
    names = row["image"] if "image" in row else [row["image_A"], row["image_B"]]
    images = [_place(folder, name) for name in names]
    key = f"{kind}/{row.get('id', number)}"
    if "captions" in row:
        return [ask(key, images, CAPTION, answers=[text.strip() for text in row["captions"]], category=kind)]
    spoken = row["conversations"]
    pairs = list(zip(spoken[0::2], spoken[1::2], strict=False))
    return [
        ask(
            key if len(pairs) == 1 else f"{key}/{turn}",
            images,
            _TAG.sub(" ", question["value"]),
            answers=[answer["value"]],
            category=kind,
        )
        for turn, (question, answer) in enumerate(pairs)
    ]


def _place(folder: Folder, name: str) -> str:
    """Give the path of a date's image; the two dates of a pair have files of one name."""
    for place in ("images", ""):
        if (folder.root / place / name).is_file():
            return str(folder.root / place / name)
    found = [path for path in folder.files(f"*/{name.rpartition('/')[2]}") if str(path).endswith(name)]
    return str(found[0] if found else folder.root / "images" / name)


BENCHMARK: Final = Benchmark(
    name="changechat",
    title="ChangeChat-105k, six kinds of questions about change",
    layout="changechat_105k_test*.json and LEVIR-CC's images/<split>/{A,B}",
    get="https://huggingface.co/datasets/hlwu/changechat-105k and https://github.com/Chen-Yang-Liu/LEVIR-CC-Dataset",
    licence="annotations CC BY 4.0; images academic, non-commercial",
    about=__doc__,
    load=load,
    tokens=128,
    baselines=(RANDOM,),
    probes=("swap", "brightness", "jpeg"),
    slow=True,
)
