"""Change masks: LEVIR-CD, WHU-CD, SYSU-CD, CLCD, S2Looking and others, as pairs with a picture of what changed.

The layout that ChangeFormer and most others read: A/, B/ and label/ with files of one name, and list/test.txt where it
is there. F1 and IoU come from one confusion matrix over the pixels of the whole set. LEVIR-MCI's three classes have
the protocol `levir-mci`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from eval_suites.baselines import EVERYTHING
from eval_suites.masks import translate_mask
from eval_suites.suites.asking import ask
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder

INSTRUCTION: Final = "Segment the changes."


def load(folder: Folder) -> Questions:
    """Read the pairs of the test list, or all that have a label."""
    places = [path for path in (folder.root / "test", folder.root, *folder.root.rglob("test")) if (path / "A").is_dir()]
    if not places:
        raise folder.refuse("has no folders A/, B/ and label/")
    place = places[0]
    names = _listed(place) or sorted(path.name for path in (place / "label").iterdir())
    cases = []
    for name in names:
        label = place / "label" / name
        if not label.is_file():
            raise folder.refuse(f"has no {label.relative_to(folder.root)}")
        images = [str(place / date / name) for date in "AB"]
        cases.append(
            ask(Path(name).stem, images, INSTRUCTION, form="mask", phrase="changes", truth=str(label), group=name)
        )
    return Questions(tuple(cases))


def _listed(place: Path) -> list[str]:
    path = place / "list" / "test.txt"
    return path.read_text(encoding="utf-8").split() if path.is_file() else []


BENCHMARK: Final = Benchmark(
    name="change-mask",
    title="Change masks of pairs",
    layout="A/, B/ and label/ with files of one name (in test/ or in the folder), and list/test.txt if there is one",
    get="the dataset's page, such as https://justchenhao.github.io/LEVIR for LEVIR-CD",
    licence="the dataset's own",
    about=__doc__,
    load=load,
    tokens=1024,
    translate=translate_mask,
    baselines=(EVERYTHING,),
    probes=("swap", "flip", "turn", "brightness", "jpeg"),
)
