"""RSICD: five captions an image, and the scene theme of RSIVQA's "what is the theme of this picture?".

Layout (the official one, as Karpathy's JSON):
    RSICD_images/<filename>.jpg                 224 x 224 RGB, mixed resolutions
    dataset_rsicd.json                          {"images": [{"filename", "split", "sentences": [{"raw"}]}], "dataset"}
    rsicd_vqa.txt                               optional (RSIVQA): `<file>:what is the theme of this picture?<theme>`
Quirks: `raw` ends with " ."; a few sentences are nothing but "."; most images repeat a sentence up to five times, so a
caption sample is made of each distinct sentence only. "playfields" is one theme for playgrounds and playing fields.
Licence: none stated by the authors; research use.
Citation: Lu et al., Exploring models and data for remote sensing image caption generation, TGRS 2017; themes: Zheng et
al., Mutual attention inception network for remote sensing visual question answering (RSIVQA), TGRS 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from data_engine import generate
from data_engine.objects import seeded
from data_engine.sources.source import Source, describe_image, load_json, require_split
from vlm.errors import DataError
from vlm.records import Image, Sample, Turn

NAME: Final = "rsicd"
SPLITS: Final = ("train", "val", "test")
LICENCE: Final = "none stated; research use"
LAYOUT: Final = (
    "dataset_rsicd.json, RSICD_images/*.jpg and optionally rsicd_vqa.txt; they come from "
    "https://github.com/201528014227051/RSICD_optimal and https://github.com/spectralpublic/RSIVQA"
)
THEMES: Final = (
    "airport", "bareland", "baseballfield", "beach", "bridge", "center", "church", "commercial", "denseresidential",
    "desert", "farmland", "forest", "industrial", "meadow", "mediumresidential", "mountain", "park", "parking",
    "playfields", "pond", "port", "railwaystation", "resort", "river", "school", "sparseresidential", "square",
    "stadium", "storagetanks", "viaduct",
)  # fmt: skip


def load(root: Path, *, split: str, seed: int = 0) -> Iterator[Sample]:
    """Yield one caption sample per distinct sentence and one theme sample per image of the split."""
    root = Path(root)
    records = _load_records(root, split)
    image_themes = themes(root, split=split) if (root / "rsicd_vqa.txt").exists() else {}
    for record in records:
        name = record["filename"]
        image = describe_image(root / "RSICD_images" / name, name=NAME, layout=LAYOUT)
        stem = Path(name).stem
        for number, sentence in enumerate(dict.fromkeys(_sentences(record))):
            sample_id = f"rsicd/{split}/{stem}/caption-{number}"
            yield _sample(generate.caption(sentence, seeded(seed, sample_id)), image, sample_id, split)
        if name in image_themes:
            sample_id = f"rsicd/{split}/{stem}/theme"
            yield _sample(generate.classify(image_themes[name], seeded(seed, sample_id)), image, sample_id, split)


def references(root: Path, *, split: str) -> dict[str, list[str]]:
    """Give all reference sentences of each image by file name, repetitions kept, without the trailing period."""
    return {record["filename"]: _sentences(record) for record in _load_records(Path(root), split)}


def themes(root: Path, *, split: str) -> dict[str, str]:
    """Give the theme of each image of the split by file name (one of THEMES)."""
    path = Path(root) / "rsicd_vqa.txt"
    wanted = {record["filename"] for record in _load_records(Path(root), split)}
    if not path.exists():
        raise DataError(f"{NAME}: {path} does not exist; expected {LAYOUT}")
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        name, _, question = line.partition(":")
        theme = question.rpartition("?")[2].strip()
        if theme not in THEMES:
            raise DataError(f"{path} line {number} is {line!r}: expected <file>:<question>?<one of the 30 themes>")
        if name in wanted:
            found[name] = theme
    return found


def _load_records(root: Path, split: str) -> list[dict[str, Any]]:
    require_split(NAME, split, SPLITS)
    path = root / "dataset_rsicd.json"
    content = load_json(path, name=NAME, layout=LAYOUT)
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise DataError(f"{path} has no list 'images': expected the Karpathy layout of RSICD")
    for number, record in enumerate(content["images"]):
        if not isinstance(record, dict) or not {"filename", "split", "sentences"} <= record.keys():
            raise DataError(f"{path} entry {number} of 'images' lacks filename, split or sentences: download it again")
    records = [record for record in content["images"] if record["split"] == split]
    if not records:
        raise DataError(
            f"{path} lists no images of the split {split!r}: take another split or another copy of the file"
        )
    return records


def _sentences(record: dict[str, Any]) -> list[str]:
    cleaned = (sentence["raw"].rstrip(" .").strip() for sentence in record["sentences"])
    return [sentence for sentence in cleaned if sentence]


def _sample(turn: Turn, image: Image, sample_id: str, split: str) -> Sample:
    return generate.wrap_turn(turn, sample_id=sample_id, images=(image,), source=NAME, split=split, licence=LICENCE)


SOURCE: Final = Source(
    name=NAME,
    load=load,
    splits=SPLITS,
    layout=LAYOUT,
    licence=LICENCE,
    citation="Lu et al., TGRS 2017; themes: Zheng et al. (RSIVQA), TGRS 2021",
)
