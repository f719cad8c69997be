"""Zero-shot scenes: the class whose descriptions lie nearest to the image in the space of a checkpoint's two towers.

Nothing is generated, and no words are asked: a checkpoint's encoder embeds images and descriptions. The protocol says
which descriptions: SkyScript's two, or RS5M's 105. Read are a folder a class (AID, EuroSAT, RESISC45, PatternNet and
others), and RSICD's layout, a list of image names a class in txtclasses_rsicd/. Papers differ in which images count
(EuroSAT: all 27,000 or a part): all that are there are asked, and n says how many. The blind baseline is a grey image.

make eval SUITE=zeroshot DATA=~/AID PROTOCOL=rs5m MODEL=out/mine
python -m eval_suites score scores.npz --suite zeroshot
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from eval_suites.baselines import MAJORITY_OF_TEST, RANDOM
from eval_suites.suites.asking import ask, number_twins
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import IMAGES, Folder

LISTS: Final = "txtclasses_rsicd/*.txt"
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NUMBERED: Final = re.compile(r"^[a-z](?=[A-Z])")


def load(folder: Folder) -> Questions:
    """Read the images of every class; the classes are called by their folders or lists, as words."""
    found = list(_listed(folder) if folder.has(LISTS) else _foldered(folder))
    names = name_classes(sorted({name for name, _ in found}))
    if len(names) < 2:
        raise folder.refuse("holds no two folders of images, one a class")
    classes = tuple(names.values())
    question = f"Which of these is the scene: {', '.join(classes)}? Answer with its name."
    cases = (
        ask(f"{name}/{Path(path).name}", [path], question, answers=[names[name]], category="scene",
            values={"classes": classes})
        for name, path in found
    )  # fmt: skip
    return Questions(number_twins(cases), split="all images")


def name_classes(folders: list[str]) -> dict[str, str]:
    """Give the words of class folders: `DenseResidential` and `dense_residential` alike; a letter that numbers the
    folders (`aGrass`, `bField`) is left out.
    """
    numbered = all(_NUMBERED.match(name) for name in folders)
    plain = {name: _NUMBERED.sub("", name) if numbered else name for name in folders}
    return {name: re.sub(r"[_\s]+", " ", _CAMEL.sub(" ", words)).strip().lower() for name, words in plain.items()}


def _foldered(folder: Folder) -> Iterator[tuple[str, str]]:
    """Yield class and path of each image, from folders below the user's or below the only one in it."""
    place = folder.root
    inner = sorted(path for path in place.iterdir() if path.is_dir())
    while len(inner) == 1:
        place, inner = inner[0], sorted(path for path in inner[0].iterdir() if path.is_dir())
    for path in inner:
        yield from ((path.name, str(image)) for image in sorted(path.rglob("*")) if image.suffix.lower() in IMAGES)


def _listed(folder: Folder) -> Iterator[tuple[str, str]]:
    for path in folder.files(LISTS):
        names = path.read_text(encoding="utf-8").split()
        yield from ((path.stem, folder.image(name, "RSICD_images")) for name in names)


BENCHMARK: Final = Benchmark(
    name="zeroshot",
    title="Zero-shot scenes of AID, EuroSAT, RESISC45 and others",
    layout="a folder of images a class (DATA/CLASS/*.jpg), or RSICD's txtclasses_rsicd/CLASS.txt and RSICD_images/",
    get="the dataset's page, such as https://captain-whu.github.io/AID",
    licence="the dataset's own",
    about=__doc__,
    load=load,
    towers=True,
    baselines=(RANDOM, MAJORITY_OF_TEST),
    probes=("flip", "turn", "brightness", "jpeg", "shift"),
)
