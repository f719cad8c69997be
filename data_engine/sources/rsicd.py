"""RSICD: five captions an image, and the scene theme of RSIVQA's "what is the theme of this picture?".

Layout (the official one, as Karpathy's JSON):
    RSICD_images/<filename>.jpg                 224 x 224 RGB, mixed resolutions
    dataset_rsicd.json                          {"images": [{"filename", "split", "sentences": [{"raw"}]}], "dataset"}
    rsicd_vqa.txt                               optional (RSIVQA): `<file>:what is the theme of this picture?<theme>`
Quirks: those of karpathy.py; "playfields" is one theme for playgrounds and playing fields.
Licence: none stated by the authors; research use.
Citation: Lu et al., Exploring models and data for remote sensing image caption generation, TGRS 2017; themes: Zheng et
al., Mutual attention inception network for remote sensing visual question answering (RSIVQA), TGRS 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine import generate
from data_engine.objects import seeded
from data_engine.sources import karpathy
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.rsivqa import split_line
from vlm.errors import DataError
from vlm.records import Sample

NAME: Final = "rsicd"
SPLITS: Final = ("train", "val", "test")
LICENCE: Final = "none stated; research use"
LAYOUT: Final = (
    "dataset_rsicd.json, RSICD_images/*.jpg and optionally rsicd_vqa.txt; they come from "
    "https://github.com/201528014227051/RSICD_optimal and https://github.com/spectralpublic/RSIVQA"
)
RSICD: Final = karpathy.CaptionSet(
    NAME,
    SPLITS,
    LICENCE,
    LAYOUT,
    home="RSICD",
    annotations="dataset_rsicd.json",
    images="RSICD_images",
    citation="Lu et al., TGRS 2017; themes: Zheng et al. (RSIVQA), TGRS 2021",
)
THEMES: Final = (
    "airport", "bareland", "baseballfield", "beach", "bridge", "center", "church", "commercial", "denseresidential",
    "desert", "farmland", "forest", "industrial", "meadow", "mediumresidential", "mountain", "park", "parking",
    "playfields", "pond", "port", "railwaystation", "resort", "river", "school", "sparseresidential", "square",
    "stadium", "storagetanks", "viaduct",
)  # fmt: skip


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one caption sample per distinct sentence and one theme sample per image of the split."""
    captions = karpathy.load_captions(RSICD, root, split=split)
    image_themes = themes(root, split=split) if _theme_file(root).exists() else {}

    def convert(record: karpathy.Captions) -> Iterator[Sample]:
        image = RSICD.image(root, record[0])
        yield from karpathy.caption_samples(RSICD, record, image, split=split, seed=seed)
        if record[0] in image_themes:
            sample_id = f"{NAME}/{split}/{Path(record[0]).stem}/theme"
            turn = generate.classify(image_themes[record[0]], seeded(seed, sample_id))
            yield generate.wrap_turn(
                turn, sample_id=sample_id, images=(image,), source=NAME, split=split, licence=LICENCE
            )

    return convert_each(captions.items(), convert, name=NAME, reject=reject)


def references(root: Path, *, split: str) -> dict[str, list[str]]:
    """Give all reference sentences of each image by file name, repetitions kept, without the trailing period."""
    return karpathy.load_captions(RSICD, root, split=split)


def themes(root: Path, *, split: str) -> dict[str, str]:
    """Give the theme of each image of the split by file name (one of THEMES)."""
    path, wanted = _theme_file(root), karpathy.load_captions(RSICD, root, split=split)
    if not path.exists():
        raise DataError(f"{NAME}: {path} does not exist; expected {LAYOUT}")
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        name, _, theme = split_line(line)
        if theme not in THEMES:
            raise DataError(f"{path} line {number} is {line!r}: expected <file>:<question>?<one of the 30 themes>")
        if name in wanted:
            found[name] = theme
    return found


def _theme_file(root: Path) -> Path:
    return RSICD.folder(root) / "rsicd_vqa.txt"


SOURCE: Final = RSICD.source(load)
